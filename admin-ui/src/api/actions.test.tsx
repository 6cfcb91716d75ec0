// A double click is one request, however fast the hub is.
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { act, renderHook } from "@testing-library/react";
import type { ReactNode } from "react";
import { expect, test, vi } from "vitest";
import { useAction } from "./actions";

function wrapper({ children }: { children: ReactNode }) {
  return <QueryClientProvider client={new QueryClient()}>{children}</QueryClientProvider>;
}

test("a double click is one action, also when the first is done before the second click", async () => {
  const run = vi.fn(async (_: { size: bigint }) => "done");
  const { result } = renderHook(() => useAction({ run }), { wrapper });
  // Both in one frame, and once more after the response.
  await act(async () => {
    result.current.go({ size: 1n });
    result.current.go({ size: 1n });
  });
  await act(async () => result.current.go({ size: 1n }));
  expect(run).toHaveBeenCalledTimes(1);
  // Something else is another request, and so is the same a while later.
  await act(async () => result.current.go({ size: 2n }));
  expect(run).toHaveBeenCalledTimes(2);
  const now = performance.now();
  vi.spyOn(performance, "now").mockReturnValue(now + 1_000);
  await act(async () => result.current.go({ size: 2n }));
  expect(run).toHaveBeenCalledTimes(3);
});
