// The words and colours of states, the same on every screen.
import type { Tone } from "@/components/ui/badge";
import { type Job, Job_Kind, Job_Status } from "@/gen/modelhub/v1/job_pb";
import { type ModelRepo, ModelRepo_Download, ModelRepo_Status } from "@/gen/modelhub/v1/model_pb";
import { baseName } from "./paths";

const jobKindWords: Record<Job_Kind, string> = {
  [Job_Kind.KIND_UNSPECIFIED]: "Job",
  [Job_Kind.sync]: "Sync",
  [Job_Kind.download]: "Download",
  [Job_Kind.scan]: "Import",
  [Job_Kind.verify]: "Verification",
  [Job_Kind.evict]: "Eviction",
};

export const jobStates: Record<Job_Status, { word: string; tone: Tone }> = {
  [Job_Status.STATUS_UNSPECIFIED]: { word: "Unknown", tone: "neutral" },
  [Job_Status.pending]: { word: "Waiting", tone: "warn" },
  [Job_Status.running]: { word: "Running", tone: "info" },
  [Job_Status.completed]: { word: "Completed", tone: "good" },
  [Job_Status.failed]: { word: "Failed", tone: "bad" },
  [Job_Status.cancelled]: { word: "Cancelled", tone: "neutral" },
  [Job_Status.paused]: { word: "Paused", tone: "neutral" },
};

/** `Download`, `Verification`; evicting from the whole store is what people know as freeing space. */
export const jobKindWord = (job: Job): string =>
  job.kind === Job_Kind.evict && !job.repoId ? "Free space" : jobKindWords[job.kind];

/** What the job is about: a repository, the folder of an import, or the store. */
export function jobSubject(job: Job): string {
  if (job.repoId) return job.repoId;
  return (job.kind === Job_Kind.scan && job.payload?.path) || "Store";
}

/** Within a sentence: `download of org/name`, `verification of the store`. */
export function jobNoun(job: Job): string {
  const subject = job.repoId || (job.kind === Job_Kind.scan && job.payload?.path) || "the store";
  const preposition = job.kind === Job_Kind.evict && !job.repoId ? "from" : "of";
  return `${jobKindWords[job.kind].toLowerCase()} ${preposition} ${subject}`;
}

/** As a heading: `Download of org/name`, `Free space`. */
export function jobTitle(job: Job): string {
  const noun = jobNoun(job);
  return job.kind === Job_Kind.evict && !job.repoId ? "Free space" : noun.charAt(0).toUpperCase() + noun.slice(1);
}

/** Why a job is not running: `Waiting for the download window, 22:00-06:00`. */
export const waitingWords = (job: Job): string =>
  job.status === Job_Status.paused ? "Paused" : `Waiting for ${job.waitingFor || "the queue"}`;

/** How a job ended. The outcome of a sync begins with a revision, whose name keeps its small letters. */
export const outcomeWords = (job: Job): string => (job.kind === Job_Kind.sync ? job.outcome : capital(job.outcome));

/** `Normal (50)`: the words are those of the download dialog. */
export function priorityWords(priority: number): string {
  return `${priority > 50 ? "High" : priority === 50 ? "Normal" : "Low"} (${priority})`;
}

/** Running jobs before waiting ones, and those before paused ones; each in the given order. */
export function runningFirst(jobs: readonly Job[]): Job[] {
  const rank = (status: Job_Status) => (status === Job_Status.running ? 0 : status === Job_Status.pending ? 1 : 2);
  return [...jobs].sort((a, b) => rank(a.status) - rank(b.status));
}

/** Which part of the repository: a preset, some files, or nothing for all of it. */
export function selectionWords(job: Job): string {
  const selection = job.payload?.selection;
  if (!selection) return "";
  const parts: string[] = [];
  if (selection.preset === 1) parts.push("safetensors only");
  if (selection.preset === 2) parts.push(selection.quantisation || "one quantisation");
  if (selection.paths.length === 1) parts.push(baseName(selection.paths[0] ?? ""));
  if (selection.paths.length > 1) parts.push(`${selection.paths.length} files or folders`);
  if (selection.include.length > 0) parts.push(selection.include.join(", "));
  if (selection.exclude.length > 0) parts.push(`excluding ${selection.exclude.join(", ")}`);
  return parts.join(" · ");
}

export interface ModelState {
  word: string;
  tone: Tone;
  /** What it means, where that is not obvious. */
  detail?: string;
}

/** The state of a model in one word: a problem first, then how much of it is on disk. */
export function modelState(model: ModelRepo): ModelState {
  if (model.status === ModelRepo_Status.error) return { word: "Error", tone: "bad", detail: model.problem };
  switch (model.download) {
    case ModelRepo_Download.complete:
      return { word: "Downloaded", tone: "good", detail: "All files are on disk and verified." };
    case ModelRepo_Download.partial:
      return { word: "Partial", tone: "warn", detail: "Some files are on disk." };
    default:
      if (model.status === ModelRepo_Status.registered) {
        return { word: "Registered", tone: "neutral", detail: "Files are not listed yet; sync to list them." };
      }
      return { word: "Synced", tone: "neutral", detail: "Files are listed; none are on disk." };
  }
}

/** How often a model is synced: `every day`. */
export function everyWords(seconds: bigint): string {
  const value = Number(seconds);
  if (value === 0) return "manually";
  const known: Record<number, string> = {
    3600: "every hour",
    21600: "every 6 hours",
    86400: "every day",
    604800: "every week",
  };
  return known[value] ?? `every ${Math.round(value / 3600)} hours`;
}

/** `syncs every day`, `manual sync`. */
export const syncWords = (seconds: bigint): string => (seconds === 0n ? "manual sync" : `syncs ${everyWords(seconds)}`);

/** Texts of the hub as sentences: with a full stop, so that another can follow. */
export function sentenceOf(text: string): string {
  const trimmed = text.trim();
  return trimmed === "" || /[.!?…]$/.test(trimmed) ? trimmed : `${trimmed}.`;
}

const activityWords: Record<string, string> = { evict: "Eviction", scan: "Import", verify: "Verification" };

/** What the hub says about its jobs, in the words of this page. */
export function activityText(text: string): string {
  const named = text
    .replace(/^evict of the store\b/, "Freeing space")
    .replace(/^(evict|scan|verify) of /, (_, kind: string) => `${activityWords[kind]} of `);
  return capital(named);
}

/** With a capital letter, unless the text begins with a name. */
export function capital(text: string): string {
  return /^[a-z]+[ :,]/.test(text) ? text.charAt(0).toUpperCase() + text.slice(1) : text;
}
