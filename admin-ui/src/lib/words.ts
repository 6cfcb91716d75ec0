// The words and colours of states, the same on every screen.
import type { Tone } from "@/components/ui/badge";
import { type Job, Job_Kind, Job_Status } from "@/gen/modelhub/v1/job_pb";
import { type ModelRepo, ModelRepo_Download, ModelRepo_Status } from "@/gen/modelhub/v1/model_pb";
import { baseName } from "./paths";

export const jobKindWords: Record<Job_Kind, string> = {
  [Job_Kind.KIND_UNSPECIFIED]: "Job",
  [Job_Kind.sync]: "Sync",
  [Job_Kind.download]: "Download",
  [Job_Kind.scan]: "Import",
  [Job_Kind.verify]: "Verify",
  [Job_Kind.evict]: "Remove",
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

/** What the job is about, when it is about no repository. */
export function jobSubject(job: Job): string {
  if (job.repoId) return job.repoId;
  if (job.kind === Job_Kind.scan) return job.payload?.path || "The store's folder";
  return "The whole store";
}

const jobNouns: Partial<Record<Job_Kind, string>> = {
  [Job_Kind.verify]: "Verification",
  [Job_Kind.evict]: "Removal",
};

/** `Verification of the whole store`, `Download of org/name`. */
export function jobTitle(job: Job): string {
  const subject = job.repoId || jobSubject(job).replace(/^The /, "the ");
  return `${jobNouns[job.kind] ?? jobKindWords[job.kind]} of ${subject}`;
}

/** What runs before what waits, and that before what somebody paused; in each as it came. */
export function runningFirst(jobs: readonly Job[]): Job[] {
  const rank = (status: Job_Status) => (status === Job_Status.running ? 0 : status === Job_Status.pending ? 1 : 2);
  return [...jobs].sort((a, b) => rank(a.status) - rank(b.status));
}

/** What of the repository: a preset, some files, or nothing when it is all. */
export function selectionWords(job: Job): string {
  const selection = job.payload?.selection;
  if (!selection) return "";
  const parts: string[] = [];
  if (selection.preset === 1) parts.push("safetensors only");
  if (selection.preset === 2) parts.push(selection.quantisation || "one quantisation");
  if (selection.paths.length === 1) parts.push(baseName(selection.paths[0] ?? ""));
  if (selection.paths.length > 1) parts.push(`${selection.paths.length} files or folders`);
  if (selection.include.length > 0) parts.push(selection.include.join(", "));
  if (selection.exclude.length > 0) parts.push(`without ${selection.exclude.join(", ")}`);
  return parts.join(" · ");
}

export interface ModelState {
  word: string;
  tone: Tone;
  /** Why, where that is not obvious. */
  detail?: string;
}

/** The one word that says how a model is: a problem first, then what is here. */
export function modelState(model: ModelRepo): ModelState {
  if (model.status === ModelRepo_Status.error) return { word: "Error", tone: "bad", detail: model.problem };
  switch (model.download) {
    case ModelRepo_Download.complete:
      return { word: "Downloaded", tone: "good", detail: "All its files are here and verified." };
    case ModelRepo_Download.partial:
      return { word: "Partial", tone: "warn", detail: "Some of its files are here." };
    default:
      if (model.status === ModelRepo_Status.registered) {
        return { word: "Registered", tone: "neutral", detail: "Its files are not listed yet." };
      }
      return { word: "Synced", tone: "neutral", detail: "Its files are listed; none is here." };
  }
}

/** How often a model is synced, in words. */
export function everyWords(seconds: bigint): string {
  const value = Number(seconds);
  if (value === 0) return "only when asked";
  const known: Record<number, string> = {
    3600: "every hour",
    21600: "every 6 hours",
    86400: "every day",
    604800: "every week",
  };
  return known[value] ?? `every ${Math.round(value / 3600)} hours`;
}

/** Texts of the hub as sentences: with a full stop, so that another can follow. */
export function sentenceOf(text: string): string {
  const trimmed = text.trim();
  return trimmed === "" || /[.!?…]$/.test(trimmed) ? trimmed : `${trimmed}.`;
}

const activityWords: Record<string, string> = { evict: "Removal", scan: "Import", verify: "Verification" };

/** What the hub tells of its jobs, in the words of this page. */
export function activityText(text: string): string {
  return capital(text.replace(/^(evict|scan|verify) of /, (_, kind: string) => `${activityWords[kind]} of `));
}

/** With a capital at its beginning, unless it begins with a name. */
export function capital(text: string): string {
  return /^[a-z]+[ :,]/.test(text) ? text.charAt(0).toUpperCase() + text.slice(1) : text;
}
