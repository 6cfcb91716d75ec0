// The stream of events: what it does to data read before it began, how it is parsed, and how it reconnects.
import { QueryClient, QueryObserver } from "@tanstack/react-query";
import { renderHook } from "@testing-library/react";
import { afterEach, expect, test, vi } from "vitest";
import { Job_Status } from "@/gen/modelhub/v1/job_pb";
import { backoff, useConnection, watchEvents } from "./events";
import { jobQuery } from "./queries";
import { isSignedOut, signIn, signOut } from "./session";

afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
  vi.unstubAllGlobals();
});

/** An event as the hub writes it. */
const written = (id: number, status: string, outcome = "") =>
  `id: ${id}\nevent: job\ndata: ${JSON.stringify({ id: String(id), kind: "job", job: { id: "1", status, version: String(id), outcome } })}\n\n`;

test("what was read or requested before the stream began is refetched", async () => {
  const client = new QueryClient({ defaultOptions: { queries: { staleTime: 60_000 } } });
  let status = "running";
  const early = new QueryObserver(client, { queryKey: ["early"], queryFn: async () => status });
  const answers: ((answer: string) => void)[] = [];
  const slow = new QueryObserver(client, {
    queryKey: ["slow"],
    queryFn: () => new Promise<string>((resolve) => answers.push(resolve)),
  });
  const unsubscribe = [early.subscribe(() => {}), slow.subscribe(() => {})];
  await vi.waitFor(() => expect(early.getCurrentResult().data).toBe("running"));

  let open: (response: Response) => void = () => {};
  vi.stubGlobal("fetch", () => new Promise<Response>((resolve) => (open = resolve)));
  const stop = watchEvents(client);
  // It finishes unseen.
  status = "completed";
  open(new Response(new ReadableStream()));
  await vi.waitFor(() => expect(early.getCurrentResult().data).toBe("completed"));
  answers[0]?.("running");
  await vi.waitFor(() => expect(answers.length).toBe(2));
  answers[1]?.("completed");
  await vi.waitFor(() => expect(slow.getCurrentResult().data).toBe("completed"));
  stop();
  for (const end of unsubscribe) end();
});

test.each([
  ["in one piece", Number.POSITIVE_INFINITY],
  ["byte by byte", 1],
])("what arrives %s is read, between comments and events of the future", async (_, size) => {
  const outcome = "2 files · 1 MiB";
  const text = `: hello\n\n${written(7, "running")}event: job\ndata: {"job": \n\nevent: news\ndata: {"kind":"news"}\n\n${written(8, "completed", outcome)}`;
  const sent = new TextEncoder().encode(text);
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      for (let at = 0; at < sent.length; at += size) controller.enqueue(sent.slice(at, at + size));
    },
  });
  vi.stubGlobal("fetch", async () => new Response(body));
  const client = new QueryClient();
  const stop = watchEvents(client);
  await vi.waitFor(() =>
    expect(client.getQueryData(jobQuery("1").queryKey)).toMatchObject({ status: Job_Status.completed, outcome }),
  );
  stop();
});

test("a lost stream is reopened after longer and longer waits, from the last event received", async () => {
  vi.useFakeTimers();
  vi.spyOn(Math, "random").mockReturnValue(1);
  const begun = Date.now();
  const calls: { at: number; after: string | undefined }[] = [];
  const answers: (() => Response)[] = [
    () => new Response(written(41, "running")),
    () => new Response(": accepted, then dropped\n\n"),
    () => new Response("not now", { status: 503 }),
    () => {
      throw new TypeError("no network");
    },
    () => new Response(written(42, "running")),
    () => new Response(new ReadableStream()),
  ];
  vi.stubGlobal("fetch", async (_: string, init: { headers: Record<string, string> }) => {
    calls.push({ at: Date.now() - begun, after: init.headers["last-event-id"] });
    return answers[calls.length - 1]?.() ?? Response.error();
  });
  const stop = watchEvents(new QueryClient());
  await vi.advanceTimersByTimeAsync(20_000);
  expect(calls).toEqual([
    { at: 0, after: undefined },
    { at: 500, after: "41" },
    { at: 1_500, after: "41" },
    { at: 3_500, after: "41" },
    { at: 7_500, after: "41" },
    // An event came, so the waits start over.
    { at: 8_000, after: "42" },
  ]);
  stop();
});

test("once the network is back, the stream is reopened at once", async () => {
  vi.useFakeTimers();
  const fetch = vi.fn(async () => Promise.reject(new TypeError("no network")));
  vi.stubGlobal("fetch", fetch);
  const stop = watchEvents(new QueryClient());
  await vi.advanceTimersByTimeAsync(0);
  expect(fetch).toHaveBeenCalledTimes(1);
  window.dispatchEvent(new Event("online"));
  await vi.advanceTimersByTimeAsync(0);
  expect(fetch).toHaveBeenCalledTimes(2);
  stop();
});

test("a tab in the background for a minute closes the stream, and reopens it when it is shown", async () => {
  vi.useFakeTimers();
  const show = (state: DocumentVisibilityState) => {
    vi.spyOn(document, "visibilityState", "get").mockReturnValue(state);
    document.dispatchEvent(new Event("visibilitychange"));
  };
  const signals: AbortSignal[] = [];
  vi.stubGlobal("fetch", async (_: string, { signal }: { signal: AbortSignal }) => {
    signals.push(signal);
    return new Response(
      new ReadableStream({ start: (stream) => signal.addEventListener("abort", () => stream.error()) }),
    );
  });
  const stop = watchEvents(new QueryClient());
  await vi.advanceTimersByTimeAsync(0);
  show("hidden");
  await vi.advanceTimersByTimeAsync(59_000);
  expect(signals[0]?.aborted).toBe(false);
  await vi.advanceTimersByTimeAsync(3_600_000);
  expect(signals.map((signal) => signal.aborted)).toEqual([true]);
  show("visible");
  await vi.advanceTimersByTimeAsync(0);
  expect(signals.map((signal) => signal.aborted)).toEqual([true, false]);
  stop();
});

test("waits double up to ten seconds, and their second half is random", () => {
  const ceilings = [500, 1_000, 2_000, 4_000, 8_000, 10_000, 10_000];
  expect(ceilings.map((_, attempt) => backoff(attempt, 1))).toEqual(ceilings);
  expect(ceilings.map((_, attempt) => backoff(attempt, 0) * 2)).toEqual(ceilings);
  expect(backoff(1_000, 1)).toBe(10_000);
  expect(new Set(Array.from({ length: 20 }, () => backoff(3))).size).toBeGreaterThan(10);
});

test("a stream that is refused is a reason to sign in, not a lost connection; after it, the stream goes on", async () => {
  signIn("old");
  const asked: string[] = [];
  vi.stubGlobal("fetch", async (_: string, init: RequestInit) => {
    const { authorization } = init.headers as Record<string, string>;
    asked.push(authorization ?? "");
    return authorization === "Bearer new" ? new Response(new ReadableStream()) : new Response("{}", { status: 401 });
  });
  const { result } = renderHook(() => useConnection());
  const stop = watchEvents(new QueryClient());
  await vi.waitFor(() => expect(isSignedOut()).toBe(true));
  expect(result.current).not.toBe("lost");
  signIn("new");
  await vi.waitFor(() => expect(asked).toEqual(["Bearer old", "Bearer new"]));
  await vi.waitFor(() => expect(result.current).toBe("live"));
  stop();
  signOut();
});
