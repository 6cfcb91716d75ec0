// What happens in the hub, as it happens. One stream per tab keeps the caches of TanStack Query true; after a restart of
// the hub it resumes from the last event it saw, and it pauses while the tab is in the background for long. The
// browser's own EventSource cannot send an Authorization header, which the hub may ask for; so fetch reads the stream.
import { fromJson } from "@bufbuild/protobuf";
import type { QueryClient } from "@tanstack/react-query";
import { createParser } from "eventsource-parser";
import { useSyncExternalStore } from "react";
import { type Event, EventSchema } from "@/gen/modelhub/v1/system_pb";
import { headers } from "./client";
import { applyEvent, flush, readAgain } from "./live";
import { adminToken, isSignedOut, onSession, refuse } from "./session";

export type Connection = "connecting" | "live" | "lost" | "paused";

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

/**
 * How long to wait before the next attempt, in milliseconds: a ceiling of 0.5 s that doubles up to 10 s, of which half is
 * random, so that the tabs of a hub that restarted do not all come back at once.
 */
export function backoff(attempt: number, random = Math.random()): number {
  const ceiling = Math.min(10_000, 500 * 2 ** Math.min(attempt, 6));
  return (ceiling / 2) * (1 + random);
}

/** How long the tab may be in the background before the stream is closed. */
const hiddenFor = 60_000;

/**
 * Follows the stream until the returned function is called. `begun` is called once, when the first attempt has succeeded
 * or failed: what is read after that need not be read again.
 */
export function watchEvents(client: QueryClient, begun: () => void = () => {}): () => void {
  let stopped = false;
  let lastId = "";
  let attempt = 0;
  let wake: (() => void) | undefined;
  let abort = new AbortController();
  let hiddenTimer: ReturnType<typeof setTimeout> | undefined;
  let paused = false;

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
        paused = true;
        setState("paused");
        abort.abort();
      }, hiddenFor);
    } else if (paused) {
      paused = false;
      attempt = 0;
      wake?.();
    }
  };
  const onOnline = () => wake?.();
  // Signed in, or in another tab; and signed out, after which nothing may come in.
  const offSession = onSession(() => {
    if (isSignedOut()) abort.abort();
    else wake?.();
  });
  document.addEventListener("visibilitychange", onVisibility);
  window.addEventListener("online", onOnline);

  async function follow(): Promise<void> {
    abort = new AbortController();
    const extra: Record<string, string> = { accept: "text/event-stream" };
    if (lastId) extra["last-event-id"] = lastId;
    const token = adminToken();
    const response = await fetch("/v1/events", { headers: headers(extra), signal: abort.signal, cache: "no-store" });
    if (response.status === 401) refuse(token);
    if (!response.ok || !response.body) throw new Error(`events: ${response.status}`);
    setState("live");
    // The first time too: a job may have finished after it was read and before the stream began.
    readAgain(client);
    begun();
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    const parser = createParser({
      onEvent: ({ id, data }) => {
        // Not earlier: a stream that ends as soon as it begins is no better than none.
        attempt = 0;
        if (id) lastId = id;
        const message = read(data);
        if (message) applyEvent(client, message);
      },
    });
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      parser.feed(value);
      flush(client);
    }
  }

  void (async () => {
    while (!stopped) {
      try {
        await follow();
      } catch {
        // Every failure is handled the same way: try again.
      }
      begun();
      if (stopped) return;
      if (paused || isSignedOut()) await sleep(24 * 3_600_000);
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
    offSession();
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
