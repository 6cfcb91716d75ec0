// Failed jobs are dismissed by one call, and nothing is offered where there are none.

import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { fireEvent, render, waitFor } from "@testing-library/react";
import { expect, test, vi } from "vitest";
import { DismissFailed } from "./dismiss-failed";

function show(failed: bigint) {
  return render(
    <QueryClientProvider client={new QueryClient()}>
      <DismissFailed failed={failed} />
    </QueryClientProvider>,
  );
}

test("one call dismisses all failed jobs", async () => {
  const answer = () => new Response('{"dismissed":"2"}', { headers: { "content-type": "application/json" } });
  const fetch = vi.spyOn(globalThis, "fetch").mockImplementation(async () => answer());
  const { getByRole } = show(2n);
  fireEvent.click(getByRole("button", { name: "Dismiss all" }));
  await waitFor(() => expect(fetch).toHaveBeenCalledTimes(1));
  const [url, init] = fetch.mock.calls[0] ?? [];
  expect([String(url), init?.method]).toEqual([expect.stringContaining("/v1/jobs/dismiss"), "POST"]);
});

test("without failed jobs there is no button", () => {
  expect(show(0n).container.querySelector("button")).toBeNull();
});
