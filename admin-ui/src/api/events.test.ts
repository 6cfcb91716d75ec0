// The stream of events: what it makes of what was read before it began.
import { QueryClient, QueryObserver } from "@tanstack/react-query";
import { expect, test, vi } from "vitest";
import { watchEvents } from "./events";

test("what was read, or asked for, before the stream began is read again", async () => {
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
  // It ends unseen.
  status = "completed";
  open(new Response(new ReadableStream()));
  await vi.waitFor(() => expect(early.getCurrentResult().data).toBe("completed"));
  answers[0]?.("running");
  await vi.waitFor(() => expect(answers.length).toBe(2));
  answers[1]?.("completed");
  await vi.waitFor(() => expect(slow.getCurrentResult().data).toBe("completed"));
  stop();
  for (const end of unsubscribe) end();
  vi.unstubAllGlobals();
});
