// The log of a job: all of it is searched and copied, however little has been loaded, and either end can come first.
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { cleanup, fireEvent, render, screen, waitFor } from "@testing-library/react";
import { afterEach, expect, test, vi } from "vitest";
import { JobLog } from "./job-log";

const total = 25;

/** A log of so many lines, in pages of ten. */
function serve() {
  vi.stubGlobal("fetch", async (path: string) => {
    const after = Number(new URL(path, "http://hub").searchParams.get("after"));
    const count = Math.min(10, total - after);
    const lines = Array.from({ length: count }, (_, at) => ({
      number: String(after + at + 1),
      at: "2026-11-25T20:10:02Z",
      level: "info",
      text: `line ${after + at + 1}`,
    }));
    return new Response(JSON.stringify({ lines, more: after + count < total }));
  });
}

function show() {
  serve();
  render(
    <QueryClientProvider client={new QueryClient()}>
      <JobLog id="1" active={false} />
    </QueryClientProvider>,
  );
}

const lines = () => [...screen.getByRole("log").querySelectorAll("time + span")].map((one) => one.textContent);

afterEach(() => {
  cleanup();
  vi.unstubAllGlobals();
});

test("the oldest lines come first, and on demand the newest of all", async () => {
  show();
  await waitFor(() => expect(lines()[0]).toBe("line 1"));
  expect(lines()).toHaveLength(10);
  fireEvent.click(screen.getByRole("button", { name: "Newest first" }));
  await waitFor(() => expect(lines()[0]).toBe("line 25"));
  expect(lines().at(-1)).toBe("line 1");
});

test("a search finds lines that were not loaded", async () => {
  show();
  await waitFor(() => expect(lines()).toHaveLength(10));
  fireEvent.change(screen.getByRole("textbox", { name: "Search log" }), { target: { value: "LINE 24" } });
  await waitFor(() => expect(lines()).toEqual(["line 24"]));
  screen.getByText("1 line");
});

test("the copy is the whole log, in its own order", async () => {
  const writeText = vi.fn(async (_: string) => {});
  vi.stubGlobal("navigator", { ...navigator, clipboard: { writeText } });
  show();
  await waitFor(() => expect(lines()).toHaveLength(10));
  fireEvent.click(screen.getByRole("button", { name: "Copy entire log" }));
  await waitFor(() => expect(writeText).toHaveBeenCalled());
  const copied = writeText.mock.calls[0]?.[0].split("\n") ?? [];
  expect(copied).toHaveLength(total);
  expect(copied.at(-1)).toBe("2026-11-25T20:10:02.000Z info line 25");
});
