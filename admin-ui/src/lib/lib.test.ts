// Small things: addresses, paths, classes, card metadata, selections, charts.
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
import {
  activityText,
  jobKindWord,
  jobNoun,
  jobTitle,
  outcomeWords,
  priorityWords,
  runningFirst,
  syncWords,
  waitingWords,
} from "./words";

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

test("the metadata of a card", () => {
  const card = splitFrontMatter(
    "---\nlicense: apache-2.0\ntags:\n- a\n- 'b c'\nlanguage: [en, de]\nwidget:\n  - text: no\n---\n# Title\n",
  );
  expect(card.body).toBe("# Title\n");
  expect(card.fields).toEqual([
    ["license", "apache-2.0"],
    ["tags", "a, b c"],
    ["language", "en, de"],
  ]);
  expect(splitFrontMatter("# No metadata\n---\nx")).toEqual({ fields: [], body: "# No metadata\n---\nx" });
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

test("why a job is not running", () => {
  const words = (status: Job_Status, waitingFor: string) => waitingWords(create(JobSchema, { status, waitingFor }));
  expect(words(Job_Status.paused, "paused")).toBe("Paused");
  expect(words(Job_Status.pending, "")).toBe("Waiting for the queue");
  expect(words(Job_Status.pending, "upstream's rate limit")).toBe("Waiting for upstream's rate limit");
});

test("outcomes begin with a capital letter, and names of revisions stay as they are", () => {
  const words = (kind: Job_Kind, outcome: string) => outcomeWords(create(JobSchema, { kind, outcome }));
  expect(words(Job_Kind.download, "downloaded 2 files, 1 MiB")).toBe("Downloaded 2 files, 1 MiB");
  expect(words(Job_Kind.sync, "main up to date at 4a09932")).toBe("main up to date at 4a09932");
});

test("schedules and priorities", () => {
  expect([0n, 3_600n, 86_400n].map(syncWords)).toEqual(["manual sync", "syncs every hour", "syncs every day"]);
  expect([100, 50, 10].map(priorityWords)).toEqual(["High (100)", "Normal (50)", "Low (10)"]);
});

test("jobs in words and in their order", () => {
  const words = (job: Parameters<typeof create<typeof JobSchema>>[1]) => {
    const made = create(JobSchema, job);
    return [jobTitle(made), jobNoun(made), jobKindWord(made)];
  };
  expect(words({ kind: Job_Kind.verify })).toEqual([
    "Verification of the store",
    "verification of the store",
    "Verification",
  ]);
  expect(words({ kind: Job_Kind.download, repoId: "The/model" })).toEqual([
    "Download of The/model",
    "download of The/model",
    "Download",
  ]);
  expect(words({ kind: Job_Kind.evict })).toEqual(["Free space", "eviction from the store", "Free space"]);
  expect(words({ kind: Job_Kind.evict, repoId: "a/b" })).toEqual(["Eviction of a/b", "eviction of a/b", "Eviction"]);
  expect(activityText("evict of a/b was cancelled")).toBe("Eviction of a/b was cancelled");
  expect(activityText("evict of the store: freed 1 MiB (1 file)")).toBe("Freeing space: freed 1 MiB (1 file)");
  expect(activityText("download of a/b: downloaded 2 files")).toBe("Download of a/b: downloaded 2 files");
  const jobs = [Job_Status.paused, Job_Status.pending, Job_Status.running].map((status) =>
    create(JobSchema, { status }),
  );
  expect(runningFirst(jobs).map((job) => job.status)).toEqual([
    Job_Status.running,
    Job_Status.pending,
    Job_Status.paused,
  ]);
});
