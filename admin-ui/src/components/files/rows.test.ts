// The rows of the file list.
import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { ModelArtifact_Entry, ModelArtifactSchema } from "@/gen/modelhub/v1/model_pb";
import { type Chosen, chosenBy, flatRows, toggle, totals, treeRows } from "./rows";

const file = (filePath: string, size = 1) =>
  create(ModelArtifactSchema, { filePath, entry: ModelArtifact_Entry.file, sizeBytes: BigInt(size) });
const folder = (filePath: string, files = 2) =>
  create(ModelArtifactSchema, {
    filePath,
    entry: ModelArtifact_Entry.folder,
    files: BigInt(files),
    sizeBytes: 10n,
    bytesHere: 4n,
  });
const pages = (...files: ReturnType<typeof file>[]) => ({ pages: [{ files }], hasMore: false, error: undefined });

test("open folders show what is in them, closed ones do not", () => {
  const known = new Map([
    ["", pages(folder("a"), folder("b"), file("z"))],
    ["a", pages(file("a/1"))],
  ]);
  const rows = treeRows("", new Set(["a"]), (path) => known.get(path));
  expect(rows.map((row) => [row.key, row.depth])).toEqual([
    ["a", 0],
    ["a/1", 1],
    ["b", 0],
    ["z", 0],
  ]);
});

test("what is loading, continues, failed or is empty has a row of its own", () => {
  const kinds = (one: Parameters<typeof flatRows>[0]) => treeRows("", new Set(), () => one).map((row) => row.kind);
  expect(treeRows("", new Set(), () => undefined).map((row) => row.kind)).toEqual(["loading"]);
  expect(kinds({ ...pages(file("a")), hasMore: true })).toEqual(["entry", "more"]);
  expect(kinds(pages())).toEqual(["empty"]);
  expect(kinds({ pages: undefined, hasMore: false, error: new Error("no") })).toEqual(["failed"]);
  expect(flatRows(pages()).map((row) => row.kind)).toEqual(["empty"]);
});

test("a selected folder stands for all below it", () => {
  let chosen: Chosen = new Map();
  chosen = toggle(chosen, file("a/1"));
  chosen = toggle(chosen, folder("a"));
  expect([...chosen.keys()]).toEqual(["a"]);
  expect(chosenBy(chosen, "a/1")).toBe("above");
  expect(chosenBy(chosen, "ab")).toBeUndefined();
  expect(totals(chosen.values())).toEqual({ files: 2, bytes: 10n, here: 4n });
  expect(toggle(chosen, folder("a")).size).toBe(0);
});

test("a hundred thousand files become rows within a frame or two", () => {
  const many = {
    pages: Array.from({ length: 100 }, (_, page) => ({
      files: Array.from({ length: 1000 }, (_, at) => file(`p${page}/${at}`)),
    })),
    hasMore: false,
    error: undefined,
  };
  const begun = performance.now();
  expect(flatRows(many)).toHaveLength(100_000);
  expect(performance.now() - begun).toBeLessThan(400);
});
