// The stream of events: what of it is counted.
import { QueryClient } from "@tanstack/react-query";
import { renderHook, waitFor } from "@testing-library/react";
import { expect, test, vi } from "vitest";
import { watchEvents } from "./events";
import { useTraffic } from "./live";

test("the first number of a stream is of more than a second, and is not shown", async () => {
  const event = (id: number, bytes: number) =>
    `id: ${id}\nevent: traffic\ndata: ${JSON.stringify({ kind: "traffic", traffic: { bytes_to_clients: String(bytes) } })}\n\n`;
  const answer = new Response(event(1, 602_430_442) + event(2, 17));
  vi.stubGlobal("fetch", async () => answer);
  const { result } = renderHook(() => useTraffic());
  const stop = watchEvents(new QueryClient());
  await waitFor(() => expect(result.current.map((point) => point.toClients)).toEqual([17]));
  stop();
  vi.unstubAllGlobals();
});
