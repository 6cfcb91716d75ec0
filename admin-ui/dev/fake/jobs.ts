// The jobs of the fake hub. They progress over time, report what they are doing, and some fail, so that every state can
// be seen.
import { bytes, plural } from "../../src/lib/format.ts";
import { type FakeFile, type FakeModel, GiB } from "./model.ts";
import { hex } from "./random.ts";
import { speedAt } from "./traffic.ts";
import { commitOf, iso, type Json, selected } from "./views.ts";

export interface FakeJob {
  id: string;
  kind: string;
  status: string;
  model?: FakeModel;
  payload: Json;
  priority: number;
  attempts: number;
  waitingFor: string;
  error: string;
  outcome: string;
  created: number;
  started?: number;
  finished?: number;
  dismissed?: number;
  doing: string;
  files: FakeFile[];
  startHere: number;
  total: number;
  filesTotal: number;
  scanned: number;
  speed: number;
  failAt?: number;
  changes?: Json;
  log: { number: string; at: string | null; level: string; text: string }[];
}

/** How the hub reports that a job has finished. */
export function ended(job: FakeJob): string {
  const about = job.model?.repoId ?? String(job.payload.path ?? "the store");
  if (job.status === "cancelled") return `${job.kind} of ${about} was cancelled`;
  if (job.status === "failed") return `${job.kind} of ${about} failed: ${job.error.split("\n", 1)[0]}`;
  return `${job.kind} of ${about}: ${job.outcome}`;
}

export type Emit = (kind: string, body: Json) => void;

let counter = 0;

export class Jobs {
  readonly list: FakeJob[] = [];
  traffic = 0;
  /** Concurrent downloads. */
  atOnce = 2;
  constructor(private readonly emit: Emit) {}

  create(kind: string, model: FakeModel | undefined, payload: Json, more: Partial<FakeJob> = {}): FakeJob {
    counter += 1;
    const files =
      kind === "download" && model
        ? selected(model, payload.selection as Json).filter((file) => file.here < file.size)
        : [];
    const job: FakeJob = {
      id: `0193a${hex(`job${counter}`, 3)}-${hex(`j${counter}`, 4)}-7${hex(`k${counter}`, 3)}-a${hex(`l${counter}`, 3)}-${hex(`m${counter}`, 12)}`,
      kind,
      status: "pending",
      model,
      payload: { revision: "main", ...payload },
      priority: 50,
      attempts: 0,
      waitingFor: "the queue",
      error: "",
      outcome: "",
      created: Date.now(),
      doing: "",
      files,
      startHere: files.reduce((sum, file) => sum + file.here, 0),
      total: files.reduce((sum, file) => sum + file.size, 0),
      filesTotal: files.length,
      scanned: 0,
      speed: 0,
      log: [],
      ...more,
    };
    this.list.unshift(job);
    if (job.log.length === 0) this.note(job, "info", `queued: ${kind}${model ? ` of ${model.repoId}` : ""}`);
    this.tell(job);
    return job;
  }

  note(job: FakeJob, level: string, text: string) {
    job.log.push({ number: String(job.log.length + 1), at: iso(Date.now()), level, text });
  }

  tell(job: FakeJob, kind = "job") {
    this.emit(kind, { job: this.view(job) });
  }

  view(job: FakeJob): Json {
    const download = job.kind === "download";
    const done = download && job.files.length > 0 ? job.files.reduce((sum, file) => sum + file.here, 0) : job.scanned;
    const left = job.total - done;
    return {
      id: job.id,
      kind: job.kind,
      status: job.status,
      model_id: job.model?.id ?? "",
      repo_id: job.model?.repoId ?? "",
      repo_kind: job.model?.kind ?? "",
      payload: job.payload,
      priority: job.priority,
      attempts: job.attempts,
      max_attempts: 5,
      progress: {
        files_done: String(
          download && job.files.length > 0
            ? job.files.filter((file) => file.here >= file.size).length
            : Math.floor((job.filesTotal * done) / Math.max(1, job.total)),
        ),
        files_total: String(job.filesTotal),
        bytes_done: String(Math.round(done)),
        bytes_total: String(Math.round(job.total)),
        bytes_per_second: String(job.status === "running" ? Math.round(job.speed) : 0),
        seconds_left: String(job.status === "running" && job.speed > 0 ? Math.ceil(left / job.speed) : 0),
        files:
          job.status === "running"
            ? job.files
                .filter((file) => file.here < file.size && file.here > 0)
                .slice(0, 4)
                .map((file) => ({
                  file_path: file.path,
                  bytes_done: String(file.here),
                  bytes_total: String(file.size),
                }))
            : [],
        doing: job.status === "running" ? job.doing : "",
      },
      waiting_for: job.status === "pending" || job.status === "paused" ? job.waitingFor : "",
      error: job.error,
      outcome: job.outcome,
      worker: job.started ? "hub-0" : "",
      created_at: iso(job.created),
      run_at: iso(job.created),
      started_at: iso(job.started),
      finished_at: iso(job.finished),
      dismissed_at: iso(job.dismissed),
      changes: job.changes ?? null,
    };
  }

  end(job: FakeJob, status: string, outcome: string, error = "") {
    job.status = status;
    job.outcome = outcome;
    job.error = error;
    job.finished = Date.now();
    job.speed = 0;
    this.note(job, status === "failed" ? "error" : "info", error || outcome || `The job is ${status}.`);
    this.tell(job);
    const text = ended(job);
    this.emit("activity", {
      activity: { at: iso(Date.now()), kind: `job.${status}`, text, repo_id: job.model?.repoId ?? "", job_id: job.id },
    });
    if (job.model) this.emit("model", { model_id: job.model.id });
  }

  act(job: FakeJob, verb: string): string | undefined {
    if (verb === "cancel") {
      if (job.finished) return "The job has already finished.";
      this.end(job, "cancelled", "The downloaded part is kept.");
    } else if (verb === "pause") {
      if (job.finished) return "The job has already finished.";
      job.status = "paused";
      job.waitingFor = "paused";
      this.tell(job);
    } else if (verb === "resume") {
      if (job.status !== "paused") return "The job is not paused.";
      job.status = "pending";
      job.waitingFor = "the queue";
      this.tell(job);
    } else if (verb === "dismiss") {
      if (job.status !== "failed") return "Only failed jobs can be dismissed.";
      job.dismissed ??= Date.now();
      this.tell(job);
    } else if (verb === "retry") {
      if (job.status !== "failed" && job.status !== "cancelled")
        return "Only failed and cancelled jobs can be retried.";
      Object.assign(job, {
        status: "pending",
        error: "",
        outcome: "",
        finished: undefined,
        dismissed: undefined,
        failAt: undefined,
        scanned: 0,
        waitingFor: "the queue",
      });
      this.tell(job);
    }
    return undefined;
  }

  /** Lets some time pass. */
  tick(seconds: number) {
    this.traffic = 0;
    const running = this.list.filter((job) => job.status === "running");
    let downloads = running.filter((job) => job.kind === "download").length;
    for (const job of [...this.list].reverse()) {
      if (job.status !== "pending" || Date.now() - job.created < 400 || job.waitingFor.startsWith("disk")) continue;
      if (job.kind === "download" && downloads >= this.atOnce) continue;
      if (job.kind === "download") downloads += 1;
      job.status = "running";
      job.started ??= Date.now();
      job.attempts += 1;
      this.note(job, "info", `started by worker hub-0 (attempt ${job.attempts} of 5)`);
      if (job.kind === "sync")
        Object.assign(job, {
          total: 3,
          filesTotal: Math.max(1, job.model?.summary.files ?? 1),
          doing: "reading the file list",
        });
      if (job.kind === "verify" || job.kind === "scan") job.doing = "reading and hashing files";
      if (job.kind === "evict") Object.assign(job, { total: 1, doing: "removing files" });
      this.tell(job);
    }
    for (const job of running) this.advance(job, seconds);
  }

  private advance(job: FakeJob, seconds: number) {
    if (job.kind === "download") return this.download(job, seconds);
    job.speed = job.kind === "sync" || job.kind === "evict" ? 1 : 1.9 * GiB;
    job.scanned = Math.min(job.total, job.scanned + job.speed * seconds);
    if (job.scanned < job.total) return this.tell(job, "progress");
    if (job.kind === "sync" && job.model) {
      job.model.status = "synced";
      job.model.problem = "";
      job.model.synced = Date.now();
      this.end(
        job,
        "completed",
        `main up to date at ${commitOf(job.model).slice(0, 7)} (${plural(job.model.summary.files, "file")}, 2 refs)`,
      );
    } else if (job.kind === "evict") {
      const files = job.model ? selected(job.model, job.payload.selection as Json) : [];
      const freed = files.reduce((sum, file) => sum + file.here, 0);
      for (const file of files) file.here = 0;
      this.end(job, "completed", `freed ${bytes(freed)} (${plural(files.length, "file")})`);
    } else {
      if (job.model)
        for (const file of selected(job.model, job.payload.selection as Json))
          if (file.here >= file.size) file.verified = Date.now();
      this.end(job, "completed", `verified ${plural(job.filesTotal, "file")}, ${bytes(job.total)}`);
    }
  }

  private download(job: FakeJob, seconds: number) {
    job.speed = speedAt(Date.now(), job.created % 10);
    job.doing = "downloading files";
    let budget = job.speed * seconds;
    this.traffic += budget;
    const open = job.files.filter((file) => file.here < file.size).slice(0, 4);
    for (const file of open) {
      const part = Math.min(file.size - file.here, Math.ceil(budget / open.length) + 1);
      file.here += part;
      budget -= part;
      if (file.here >= file.size) {
        file.verified = Date.now();
        this.note(job, "info", `${file.path}: downloaded and verified`);
      }
    }
    const done = job.files.reduce((sum, file) => sum + file.here, 0);
    if (job.failAt && done - job.startHere > job.failAt) {
      return this.end(
        job,
        "failed",
        "",
        "Upstream closed the connection 5 times while sending model-00003-of-00005.safetensors.\nLast response: 503 Service Unavailable from cdn-lfs.huggingface.co.\nThe downloaded part is kept; a retry resumes from there.",
      );
    }
    if (job.files.every((file) => file.here >= file.size)) {
      if (job.model) job.model.used = Date.now();
      this.end(job, "completed", `downloaded ${plural(job.files.length, "file")}, ${bytes(job.total)}`);
    } else this.tell(job, "progress");
  }
}

/** The jobs of the past. */
export function history(jobs: Jobs, models: FakeModel[]) {
  const at = (index: number) => models[index % models.length] as FakeModel;
  for (let index = 260; index > 0; index -= 1) {
    const kind = ["download", "sync", "sync", "verify", "download", "evict", "scan"][index % 7] as string;
    const model = kind === "scan" ? undefined : at((index * 37) % 400);
    const status = index % 11 === 3 ? "failed" : index % 17 === 5 ? "cancelled" : "completed";
    const created = Date.now() - index * index * 42_000 - 3_600_000;
    const size = kind === "download" ? (model?.summary.bytes ?? 0) : 0;
    const errors = [
      // What reads or removes files on disk does not contact upstream.
      kind === "verify" || kind === "evict" || kind === "scan"
        ? "Could not read blobs/sha256/9f/9f86d081…: Input/output error (os error 5).\nCheck the disk's health, then retry: files already read are not read again."
        : "Upstream returned 403: the account of the token has no access to this repository.\nRequest access on its page, or set another token in the settings, then retry.",
      kind === "verify" || kind === "evict"
        ? "The hub was stopped 5 times while the job was running.\nRetry to resume where it left off."
        : "Not enough disk space: 4.6 GiB needed, 2.1 GiB free.\nFree space under Storage, then retry.",
      kind === "verify" || kind === "evict" || kind === "sync"
        ? "The database was locked for longer than 30 seconds.\nAnother program may have it open; close it, then retry."
        : "The content did not match its hash (expected sha256 9f86d081…, got 2c26b46b…) and was quarantined.\nUpstream may have sent a damaged copy; a retry downloads it again.",
    ];
    const job = jobs.create(kind, model, kind === "scan" ? { path: "/data/models", placement: "auto" } : {}, {
      status,
      created,
      started: created + 1500,
      finished: created + 1500 + (index % 9) * 61_000 + 900,
      attempts: status === "failed" ? 5 : 1,
      files: [],
      total: size,
      filesTotal: kind === "download" ? 14 : 0,
      scanned: size,
      waitingFor: "",
      outcome:
        status === "completed"
          ? ({
              download: `downloaded 14 files, ${bytes(size)}`,
              sync: "main up to date at 9c925d6 (14 files, 2 refs)",
              verify: "verified 14 files, 15.3 GiB",
              evict: "freed 8.4 GiB (14 files)",
              scan: "3 repositories, 41 files; 41 read, 0 unchanged, 24.2 GiB added",
            }[kind] ?? "")
          : "",
      error: status === "failed" ? (errors[index % 3] as string) : "",
      changes:
        kind === "sync" && index % 5 === 1
          ? {
              from_commit: hex(`a${index}`, 40),
              to_commit: hex(`b${index}`, 40),
              added: "1",
              removed: "0",
              changed: "2",
              changes: [
                { kind: "added", file_path: "model-00005-of-00005.safetensors", size_bytes: "3900000000" },
                { kind: "changed", file_path: "README.md", size_bytes: "16800" },
                { kind: "changed", file_path: "config.json", size_bytes: "728" },
              ],
            }
          : undefined,
      log: [
        { number: "1", at: iso(created), level: "info", text: `queued: ${kind}` },
        {
          number: "2",
          at: iso(created + 1500),
          level: "info",
          text: `started by worker hub-0 (attempt ${status === "failed" ? 5 : 1} of 5)`,
        },
        ...(status === "failed"
          ? [
              {
                number: "3",
                at: iso(created + 9000),
                level: "warning",
                text: "last attempt",
              },
              { number: "4", at: iso(created + 30_000), level: "error", text: errors[index % 3] as string },
            ]
          : [{ number: "3", at: iso(created + 20_000), level: "info", text: "completed" }]),
      ],
    });
    if (kind === "download") job.startHere = 0;
  }
}
