// What happens in the hub, as it happens. One stream per tab keeps the caches of TanStack Query true; it goes on after
// a restart of the hub from the last event it saw, and rests while the tab is hidden for long.
import { fromJson } from "@bufbuild/protobuf";
import type { QueryClient } from "@tanstack/react-query";
import { useSyncExternalStore } from "react";
import { type Event, EventSchema } from "@/gen/modelhub/v1/system_pb";
import { EventParser } from "@/lib/sse";
import { headers } from "./client";
import { applyEvent, flush, readAgain } from "./live";

export type Connection = "connecting" | "live" | "lost" | "resting";

let state: Connection = "connecting";
const listeners = new Set<() => void>();

function setState(next: Connection) {
  if (state === next) return;
  state = next;
  for (const listener of listeners) listener();
}

export const useConnection = () =>
  useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => state,
  );

/** Waits before the next try: 0.5 s, doubling to 10 s, a little random so that tabs do not come all at once. */
export function backoff(attempt: number, random = Math.random()): number {
  return Math.min(10_000, 500 * 2 ** Math.min(attempt, 6)) * (0.75 + random / 2);
}

const hiddenRest = 60_000;

/** Follows the stream until the returned function is called. */
export function watchEvents(client: QueryClient): () => void {
  let stopped = false;
  let lastId = "";
  let attempt = 0;
  let wake: (() => void) | undefined;
  let abort = new AbortController();
  let hiddenTimer: ReturnType<typeof setTimeout> | undefined;
  let resting = false;

  const sleep = (milliseconds: number) =>
    new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, milliseconds);
      wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });

  const onVisibility = () => {
    clearTimeout(hiddenTimer);
    if (document.visibilityState === "hidden") {
      hiddenTimer = setTimeout(() => {
        resting = true;
        setState("resting");
        abort.abort();
      }, hiddenRest);
    } else if (resting) {
      resting = false;
      attempt = 0;
      wake?.();
    }
  };
  const onOnline = () => wake?.();
  document.addEventListener("visibilitychange", onVisibility);
  window.addEventListener("online", onOnline);

  async function follow(): Promise<void> {
    abort = new AbortController();
    const extra: Record<string, string> = { accept: "text/event-stream" };
    if (lastId) extra["last-event-id"] = lastId;
    const response = await fetch("/v1/events", { headers: headers(extra), signal: abort.signal, cache: "no-store" });
    if (!response.ok || !response.body) throw new Error(`events: ${response.status}`);
    setState("live");
    attempt = 0;
    // The first time too: a job may have ended after it was read and before the stream began.
    readAgain(client);
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    const parser = new EventParser();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      for (const event of parser.push(value)) {
        if (event.id) lastId = event.id;
        const message = read(event.data);
        if (!message) continue;
        applyEvent(client, message);
      }
      flush(client);
    }
  }

  void (async () => {
    while (!stopped) {
      try {
        await follow();
      } catch {
        // Every failure is answered the same way: try again.
      }
      if (stopped) return;
      if (resting) await sleep(24 * 3_600_000);
      else {
        setState("lost");
        await sleep(backoff(attempt));
        attempt += 1;
      }
    }
  })();

  return () => {
    stopped = true;
    abort.abort();
    wake?.();
    clearTimeout(hiddenTimer);
    document.removeEventListener("visibilitychange", onVisibility);
    window.removeEventListener("online", onOnline);
  };
}

function read(data: string): Event | undefined {
  try {
    return fromJson(EventSchema, JSON.parse(data), { ignoreUnknownFields: true });
  } catch {
    return undefined;
  }
}
