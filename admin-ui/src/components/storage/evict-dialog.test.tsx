// Freeing space: what was not used for 30 days, line by line, and nothing for good by a slip.

import { create } from "@bufbuild/protobuf";
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { act, fireEvent, render, screen, waitFor } from "@testing-library/react";
import { afterEach, expect, test, vi } from "vitest";
import { GetStorageResponseSchema } from "@/gen/modelhub/v1/hub_service_pb";
import { EvictDialog } from "./evict-dialog";

interface Line {
  id: string;
  bytes: number;
  imported?: true;
}
interface Rule {
  free_bytes?: string;
  unused_seconds?: string;
  include_unrecoverable?: boolean;
  only?: { model_ids?: string[]; unreferenced?: boolean };
}

/** In the order in which they go. */
const lines: Line[] = [
  { id: "b", bytes: 200 },
  { id: "a", bytes: 3000 },
  { id: "own", bytes: 50, imported: true },
];

/** What a hub answers that stores these, and one that was used today. */
function planOf({ unused_seconds: unused, include_unrecoverable: all, only }: Rule) {
  const old = lines.filter((one) => !only || only.model_ids?.includes(one.id));
  const goes = old.filter((one) => !one.imported || all);
  const kept = old.length - goes.length;
  const today = unused || only ? [] : [{ id: "today", bytes: 7 }];
  const sum = (of: Line[]) => String(of.reduce((total, one) => total + one.bytes, 0));
  return {
    files: String(goes.length),
    bytes: sum([...goes, ...today]),
    kept_files: String(kept),
    kept_bytes: kept ? "50" : "0",
    unrecoverable_files: String(goes.filter((one) => one.imported).length),
    unrecoverable_bytes: sum(goes.filter((one) => one.imported)),
    models: goes.map((one) => ({
      model_id: one.id,
      name: `model/org/${one.id}`,
      files: "1",
      bytes: String(one.bytes),
      own_bytes: String(one.bytes),
      unrecoverable_bytes: one.imported ? String(one.bytes) : "0",
    })),
  };
}

function show(answer = planOf) {
  const asked: { path: string; rule: Rule }[] = [];
  vi.spyOn(globalThis, "fetch").mockImplementation(async (url, init) => {
    const [path, rule] = [String(url), JSON.parse(String(init?.body)) as Rule];
    asked.push({ path, rule });
    const body = path.endsWith("/plan") ? answer(rule) : { id: "job", kind: "evict" };
    return new Response(JSON.stringify(body), { headers: { "content-type": "application/json" } });
  });
  const storage = create(GetStorageResponseSchema, { models: [{ modelId: "a", files: 4n }] });
  render(
    <QueryClientProvider client={new QueryClient()}>
      <EvictDialog storage={storage} free={undefined} unused={undefined} onChange={() => {}} onClose={() => {}} />
    </QueryClientProvider>,
  );
  return asked;
}

const removes = () => screen.getByRole<HTMLButtonElement>("button", { name: /^Remove/ });
const total = (text: string) => waitFor(() => expect(removes().textContent).toBe(`Remove ${text}`));

afterEach(() => vi.restoreAllMocks());

test("it offers what was not used for 30 days in the order in which it goes, and not what exists nowhere else", async () => {
  const asked = show();
  await total("3.13 KiB");
  expect(asked[0]?.rule).toMatchObject({ unused_seconds: "2592000" });
  expect(asked.every(({ rule }) => !rule.include_unrecoverable)).toBe(true);
  const rows = screen.getAllByRole("row").slice(1);
  expect(rows.map((one) => one.textContent)).toEqual(["org/b1 file200 Bnever", "org/a1 of 4 files2.93 KiBnever"]);
  screen.getByText(/^50 B in 1 imported file stay/);
});

test("a line that is left out stays, and exactly the others are removed", async () => {
  const asked = show();
  await total("3.13 KiB");
  fireEvent.click(screen.getByRole("checkbox", { name: "Remove org/b" }));
  await total("2.93 KiB");
  fireEvent.click(removes());
  await waitFor(() => expect(asked.at(-1)?.path).toMatch(/\/v1\/storage\/evict$/));
  expect(asked.at(-1)?.rule).toMatchObject({ unused_seconds: "2592000", only: { model_ids: ["a"] } });
  expect(asked.at(-1)?.rule.only?.unreferenced).toBeFalsy();
});

test("with all lines left out there is nothing to remove", async () => {
  show();
  await total("3.13 KiB");
  fireEvent.click(screen.getByRole("checkbox", { name: "All models" }));
  await waitFor(() => expect(removes().disabled).toBe(true));
  screen.getByText(/in 0 files of 0 models/);
});

test("what cannot be downloaded again goes only by the box, by name, and by the words", async () => {
  show();
  await total("3.13 KiB");
  fireEvent.click(screen.getByRole("checkbox", { name: "Also remove what cannot be downloaded again" }));
  await total("3.17 KiB");
  expect(screen.getByRole("list", { name: "Lost for good" }).textContent).toBe("org/own, 50 B");
  expect(removes().disabled).toBe(true);
  const words = screen.getByLabelText("Type remove for good to confirm");
  fireEvent.change(words, { target: { value: "remove" } });
  expect(removes().disabled).toBe(true);
  fireEvent.change(words, { target: { value: "remove for good" } });
  expect(removes().disabled).toBe(false);
  // Without the imported model there is nothing to confirm.
  fireEvent.change(words, { target: { value: "" } });
  fireEvent.click(screen.getByRole("checkbox", { name: "Remove org/own" }));
  await total("3.13 KiB");
  expect(removes().disabled).toBe(false);
});

test("that nothing would be left is looked at twice", async () => {
  show((rule) => planOf({ ...rule, unused_seconds: "1" }));
  await total("3.13 KiB");
  screen.getByText("Nothing that may be removed would be left");
  expect(removes().disabled).toBe(true);
  const sure = screen.getByRole("checkbox", { name: /^Remove everything/ });
  act(() => sure.click());
  expect(removes().disabled).toBe(false);
});
