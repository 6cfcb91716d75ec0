// A waiting or running job: how far it is, how fast, how long it will take, or why it is waiting.
import { Link } from "@tanstack/react-router";
import { CirclePause, Clock3, Download, FolderInput, RefreshCw, ShieldCheck, Trash2 } from "lucide-react";
import { type Job, Job_Kind, Job_Status } from "@/gen/modelhub/v1/job_pb";
import { cn } from "@/lib/cn";
import { bytes, count, duration, percent, plural, share, speed } from "@/lib/format";
import { shortPath } from "@/lib/paths";
import { capital, jobKindWord, jobSubject, selectionWords, waitingWords } from "@/lib/words";
import { JobControls } from "./job-controls";
import { Progress } from "./ui/progress";

const icons = {
  [Job_Kind.KIND_UNSPECIFIED]: Clock3,
  [Job_Kind.sync]: RefreshCw,
  [Job_Kind.download]: Download,
  [Job_Kind.scan]: FolderInput,
  [Job_Kind.verify]: ShieldCheck,
  [Job_Kind.evict]: Trash2,
};

export function JobIcon({ kind, className }: { kind: Job_Kind; className?: string }) {
  const Icon = icons[kind] ?? Clock3;
  return <Icon className={className ?? "size-4 text-muted"} aria-hidden />;
}

/** How far a job is, 0 to 1; undefined while the total is unknown. */
export function jobShare(job: Job): number | undefined {
  const progress = job.progress;
  if (!progress) return undefined;
  if (progress.bytesTotal > 0n) return share(progress.bytesDone, progress.bytesTotal);
  if (progress.filesTotal > 0n) return share(progress.filesDone, progress.filesTotal);
  return undefined;
}

/** `3.1 of 16 GiB · 4 of 12 files · 180 MiB/s · 1 min left` */
export function progressWords(job: Job): string[] {
  const progress = job.progress;
  if (!progress) return [];
  const words: string[] = [];
  const inBytes = job.kind !== Job_Kind.sync && job.kind !== Job_Kind.evict;
  // Some may be done twice, e.g. what came with wrong bytes; it is no more for that.
  const most = (done: bigint, total: bigint) => (done < total ? done : total);
  if (inBytes && progress.bytesTotal > 0n)
    words.push(`${bytes(most(progress.bytesDone, progress.bytesTotal))} of ${bytes(progress.bytesTotal)}`);
  if (progress.filesTotal > 0n)
    words.push(`${count(most(progress.filesDone, progress.filesTotal))} of ${plural(progress.filesTotal, "file")}`);
  if (job.status === Job_Status.running) {
    if (inBytes && progress.bytesPerSecond > 0n) words.push(speed(progress.bytesPerSecond));
    if (progress.secondsLeft > 0n) words.push(`${duration(Number(progress.secondsLeft))} left`);
  }
  return words;
}

export function JobCard({ job, compact, noModel }: { job: Job; compact?: boolean; noModel?: boolean }) {
  const ratio = jobShare(job);
  const running = job.status === Job_Status.running;
  const words = progressWords(job);
  const detail = selectionWords(job);
  return (
    <article data-job={job.id} className="flex flex-col gap-2 px-4 py-3">
      <div className="flex min-w-0 items-center gap-2.5">
        <JobIcon kind={job.kind} />
        <div className="min-w-0 flex-1 truncate">
          <Link to="/jobs/$id" params={{ id: job.id }} className="font-medium hover:text-accent hover:underline">
            {noModel ? jobKindWord(job) : jobSubject(job)}
          </Link>
          <span className="text-muted">
            {!noModel && ` · ${jobKindWord(job)}`}
            {detail && ` · ${detail}`}
          </span>
        </div>
        <JobControls job={job} />
      </div>
      {running && <Progress value={ratio} label={`Progress of ${jobSubject(job)}`} />}
      <div
        className={cn(
          "tabular flex flex-wrap content-start items-center gap-x-3 gap-y-0.5 text-xs text-muted",
          // Two lines where two may be needed: the numbers change every second, and nothing below may move.
          running && "max-sm:min-h-8.5",
        )}
      >
        {running ? (
          <>
            {ratio !== undefined && <span className="font-medium text-text">{percent(ratio)}</span>}
            {words.length > 0 ? (
              words.map((word) => <span key={word.replace(/[\d.,]+/g, "#")}>{word}</span>)
            ) : (
              <span>{capital(job.progress?.doing ?? "") || "Starting"}</span>
            )}
          </>
        ) : (
          <>
            <span className="flex items-center gap-1.5 text-warn">
              {job.status === Job_Status.paused ? (
                <CirclePause className="size-3.5" aria-hidden />
              ) : (
                <Clock3 className="size-3.5" aria-hidden />
              )}
              {waitingWords(job)}
            </span>
            {ratio !== undefined && ratio > 0 && <span>{percent(ratio)} done</span>}
          </>
        )}
      </div>
      {running && !compact && (job.progress?.files.length ?? 0) > 0 && <FileBars job={job} />}
    </article>
  );
}

/** The files that a job is working on. */
export function FileBars({ job }: { job: Job }) {
  return (
    <ul className="grid gap-x-6 gap-y-1.5 text-xs sm:grid-cols-2">
      {job.progress?.files.map((file) => (
        <li key={file.filePath} className="flex min-w-0 items-center gap-2">
          <span className="min-w-0 flex-1 truncate font-mono text-soft" title={file.filePath}>
            {shortPath(file.filePath)}
          </span>
          <Progress
            value={share(file.bytesDone, file.bytesTotal)}
            label={`Progress of ${file.filePath}`}
            className="h-1 w-16 shrink-0"
          />
          <span className="tabular w-9 shrink-0 text-right text-muted">
            {percent(share(file.bytesDone, file.bytesTotal))}
          </span>
        </li>
      ))}
    </ul>
  );
}
