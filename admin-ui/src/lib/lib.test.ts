// Small things: addresses, paths, classes, card heads, selections, charts.
import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { Job_Kind, Job_Status, JobSchema } from "@/gen/modelhub/v1/job_pb";
import { areaPath, linePath, steps } from "./chart";
import { cn } from "./cn";
import { splitFrontMatter } from "./front-matter";
import { baseName, folderOf, isText, modelSlug, shortPath } from "./paths";
import { jobsSearch, modelSearch, modelsSearch } from "./search";
import { everything, globs, selectionOf } from "./selection";
import { looksLikeSource } from "./source";
import { activityText, jobTitle, runningFirst } from "./words";

test("addresses keep what they know and drop what they do not", () => {
  expect(modelsSearch({ q: "qwen", kind: "model", page: "3", order: "-size", evil: 1 })).toEqual({
    q: "qwen",
    kind: "model",
    page: 3,
    order: "-size",
  });
  expect(modelsSearch({ kind: "car", page: "-1", pinned: "true" })).toEqual({ pinned: true });
  expect(modelsSearch({ register: "" })).toEqual({ register: "" });
  expect(modelSearch({ tab: "files", open: ["a", "a/b", 3], pick: "config.json" })).toEqual({
    tab: "files",
    open: ["a", "a/b"],
    pick: ["config.json"],
  });
  expect(jobsSearch({ status: "running", since: "day" })).toEqual({ since: "day" });
  expect(jobsSearch({ q: 42 })).toEqual({ q: "42" });
});

test("models in addresses", () => {
  expect(modelSlug({ kind: "model", repoId: "org/name" })).toBe("org/name");
  expect(modelSlug({ kind: "model", repoId: "gpt2" })).toBe("gpt2");
  expect(modelSlug({ kind: "dataset", repoId: "squad", id: "0193" })).toBe("0193");
  expect(modelSlug({ kind: "dataset", repoId: "org/name" })).toBe("dataset/org/name");
});

test("paths", () => {
  expect(baseName("a/b.json")).toBe("b.json");
  expect(folderOf("a/b/c")).toBe("a/b");
  expect(folderOf("c")).toBe("");
  expect(shortPath("a/b/c.bin")).toBe("b/c.bin");
  expect(isText("LICENSE")).toBe(true);
  expect(isText("x/tokenizer.json")).toBe(true);
  expect(isText("model.safetensors")).toBe(false);
});

test("the later class of the same kind wins", () => {
  expect(cn("h-8 px-3 text-sm", "h-7")).toBe("px-3 text-sm h-7");
  expect(cn("h-7 w-4 px-2", "size-7 px-0")).toBe("size-7 px-0");
  expect(cn("bg-panel hover:bg-hover", "bg-accent-soft")).toBe("hover:bg-hover bg-accent-soft");
  expect(cn("w-full", false, undefined, "sm:w-auto")).toBe("w-full sm:w-auto");
});

test("the head of a card", () => {
  const card = splitFrontMatter(
    "---\nlicense: apache-2.0\ntags:\n- a\n- 'b c'\nlanguage: [en, de]\nwidget:\n  - text: no\n---\n# Title\n",
  );
  expect(card.body).toBe("# Title\n");
  expect(card.fields).toEqual([
    ["license", "apache-2.0"],
    ["tags", "a, b c"],
    ["language", "en, de"],
  ]);
  expect(splitFrontMatter("# No head\n---\nx")).toEqual({ fields: [], body: "# No head\n---\nx" });
});

test("selections", () => {
  expect(globs(" *.json, vae/*\n")).toEqual(["*.json", "vae/*"]);
  expect(selectionOf({ ...everything, preset: "gguf", quantisation: "Q4_K_M" })).toMatchObject({
    preset: 2,
    quantisation: "Q4_K_M",
  });
  expect(selectionOf({ ...everything, preset: "all", quantisation: "Q4_K_M" })).toMatchObject({
    preset: 0,
    quantisation: "",
  });
});

test("what can be registered", () => {
  for (const good of ["a/b", "https://huggingface.co/a/b", 'hf download a/b --include "*"'])
    expect(looksLikeSource(good)).toBe(true);
  for (const bad of ["dashboard", "a/b/c d", ""]) expect(looksLikeSource(bad)).toBe(false);
});

test("charts break their lines at gaps", () => {
  const scale = { x: (at: number) => at, y: (value: number) => 10 - value };
  const points = [
    { at: 0, value: 1 },
    { at: 1, value: 2 },
    { at: 20, value: 3 },
    { at: 21, value: 4 },
  ];
  expect(linePath(points, scale)).toBe("M0.0 9.0L1.0 8.0M20.0 7.0L21.0 6.0");
  expect(areaPath(points, scale).match(/Z/g)).toHaveLength(2);
  expect(steps(384 * 1024 ** 2).length).toBeLessThanOrEqual(6);
});

test("jobs in words and in their order", () => {
  expect(jobTitle(create(JobSchema, { kind: Job_Kind.verify }))).toBe("Verification of the whole store");
  expect(jobTitle(create(JobSchema, { kind: Job_Kind.download, repoId: "The/model" }))).toBe("Download of The/model");
  expect(activityText("evict of a/b was cancelled")).toBe("Removal of a/b was cancelled");
  expect(activityText("download of a/b: 2 files already cached")).toBe("Download of a/b: 2 files already cached");
  const jobs = [Job_Status.paused, Job_Status.pending, Job_Status.running].map((status) =>
    create(JobSchema, { status }),
  );
  expect(runningFirst(jobs).map((job) => job.status)).toEqual([
    Job_Status.running,
    Job_Status.pending,
    Job_Status.paused,
  ]);
});
