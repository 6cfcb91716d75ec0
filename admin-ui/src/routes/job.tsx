// One job: how far it is or how it ended, what it was asked to do, what changed, and its log.
import { useQuery } from "@tanstack/react-query";
import { Link, useParams } from "@tanstack/react-router";
import { ChevronRight, CircleX, ListChecks } from "lucide-react";
import { isActive } from "@/api/live";
import { ApiError } from "@/api/problem";
import { jobQuery, modelQuery } from "@/api/queries";
import { FileBars, jobShare, progressWords } from "@/components/job-card";
import { JobChanges } from "@/components/job-changes";
import { JobControls } from "@/components/job-controls";
import { JobLog } from "@/components/job-log";
import { Badge } from "@/components/ui/badge";
import { buttonClass } from "@/components/ui/button";
import { CopyButton } from "@/components/ui/copy";
import { Facts, Panel } from "@/components/ui/panel";
import { Progress } from "@/components/ui/progress";
import { Empty, Failure, Note, SkeletonLines } from "@/components/ui/states";
import { When } from "@/components/ui/values";
import { type Job, Job_Kind, Job_Status } from "@/gen/modelhub/v1/job_pb";
import { adviceOn } from "@/lib/advice";
import { bytes, percent, speed } from "@/lib/format";
import { useNow, useSlow, useTitle } from "@/lib/hooks";
import { modelSlug, shortCommit } from "@/lib/paths";
import { toDate, took } from "@/lib/time";
import {
  capital,
  jobKindWord,
  jobStates,
  jobTitle,
  outcomeWords,
  priorityWords,
  selectionWords,
  sentenceOf,
  waitingWords,
} from "@/lib/words";

export function JobDetail() {
  const { id } = useParams({ from: "/jobs/$id" });
  const query = useQuery(jobQuery(id));
  const job = query.data;
  const slow = useSlow(query.isPending);
  useTitle(job ? jobTitle(job) : "Job");
  if (query.isError && !job) {
    return query.error instanceof ApiError && (query.error.isNotFound || query.error.isNoAddress("id")) ? (
      <Empty
        icon={<ListChecks aria-hidden />}
        title="Job not found"
        className="py-24"
        action={
          <Link to="/jobs" className={buttonClass("plain")}>
            All jobs
          </Link>
        }
      >
        The address may be incomplete, or the job was cleaned up: old jobs are deleted after a while.
      </Empty>
    ) : (
      <Failure error={query.error} retry={() => query.refetch()} className="py-24" />
    );
  }
  if (!job) return slow ? <SkeletonLines count={8} className="pt-12" /> : null;
  return <Detail job={job} />;
}

function Detail({ job }: { job: Job }) {
  const now = useNow();
  const model = useQuery({ ...modelQuery(job.modelId), enabled: job.modelId !== "" });
  const ratio = jobShare(job);
  const state = jobStates[job.status];
  const active = isActive(job.status);
  const lasted = took(toDate(job.startedAt), toDate(job.finishedAt), now);
  const selection = selectionWords(job);
  return (
    <>
      <nav aria-label="Breadcrumb" className="mb-2 flex items-center gap-1 text-sm text-muted">
        <Link to="/jobs" className="rounded hover:text-text hover:underline">
          Jobs
        </Link>
        <ChevronRight className="size-3.5" aria-hidden />
        <span>{jobKindWord(job)}</span>
      </nav>
      <header className="mb-4 flex flex-wrap items-center gap-x-3 gap-y-2">
        <h1 className="min-w-0 text-xl font-semibold tracking-tight">{jobTitle(job)}</h1>
        <Badge tone={state.tone}>{state.word}</Badge>
        <span className="ml-auto">
          <JobControls job={job} labels />
        </span>
      </header>
      <div className="grid items-start gap-4 lg:grid-cols-[minmax(0,1fr)_20rem]">
        <div className="flex min-w-0 flex-col gap-4">
          {job.error && (job.status === Job_Status.failed || active) && <ErrorPanel job={job} />}
          {active ? (
            <Panel
              title={capital(job.progress?.doing ?? "") || (job.status === Job_Status.running ? "Running" : state.word)}
            >
              <div className="flex flex-col gap-3">
                {job.status === Job_Status.running ? (
                  <Progress value={ratio} label="Job progress" className="h-2" />
                ) : (
                  <p className="text-warn">
                    {job.status === Job_Status.paused
                      ? "Paused. Resume the job to continue."
                      : sentenceOf(waitingWords(job))}
                  </p>
                )}
                <p className="tabular flex flex-wrap gap-x-4 gap-y-1 text-sm text-soft">
                  {ratio !== undefined && <span className="font-semibold text-text">{percent(ratio)}</span>}
                  {progressWords(job).map((word) => (
                    <span key={word.replace(/[\d.,]+/g, "#")}>{word}</span>
                  ))}
                </p>
                <FileBars job={job} />
              </div>
            </Panel>
          ) : (
            job.outcome && <Note>{outcomeWords(job)}</Note>
          )}
          {job.changes && <JobChanges changes={job.changes} />}
          <JobLog id={job.id} active={active} />
        </div>
        <Panel title="Details">
          <Facts
            className="grid-cols-[minmax(5rem,auto)_minmax(0,1fr)]"
            items={[
              job.repoId !== "" && [
                "Model",
                <Link
                  key="m"
                  to="/models/$"
                  params={{
                    _splat: model.data ? modelSlug(model.data) : modelSlug({ kind: job.repoKind, repoId: job.repoId }),
                  }}
                  className="text-accent hover:underline"
                >
                  {job.repoId}
                </Link>,
              ],
              job.payload?.revision ? ["Revision", job.payload.revision] : false,
              job.payload?.commit
                ? [
                    "Commit",
                    <span key="c" title={job.payload.commit} className="font-mono text-xs">
                      {shortCommit(job.payload.commit)}
                    </span>,
                  ]
                : false,
              job.kind === Job_Kind.download && ["Files", selection || "all"],
              job.payload?.path
                ? [
                    "Folder",
                    <span key="p" className="font-mono text-xs">
                      {job.payload.path}
                    </span>,
                  ]
                : false,
              (job.payload?.freeBytes ?? 0n) > 0n && ["To free", bytes(job.payload?.freeBytes)],
              job.payload && job.payload.bytesPerSecond > 0n
                ? ["Speed limit", speed(job.payload.bytesPerSecond)]
                : false,
              ["Created", <When key="w" at={job.createdAt} />],
              job.startedAt !== undefined && ["Started", <When key="s" at={job.startedAt} />],
              job.finishedAt !== undefined && ["Finished", <When key="f" at={job.finishedAt} />],
              lasted !== undefined && [job.finishedAt ? "Duration" : "Running for", lasted],
              job.attempts > 0 && [
                "Attempt",
                job.maxAttempts > 0 ? `${job.attempts} of ${job.maxAttempts}` : String(job.attempts),
              ],
              ["Priority", priorityWords(job.priority)],
              job.worker !== "" && [
                "Worker",
                <span key="k" className="block truncate" title={job.worker}>
                  {job.worker}
                </span>,
              ],
              [
                "ID",
                <span key="i" className="flex items-center gap-1">
                  <span className="min-w-0 truncate font-mono text-xs" title={job.id}>
                    {job.id}
                  </span>
                  <CopyButton text={job.id} className="size-5" />
                </span>,
              ],
            ]}
          />
        </Panel>
      </div>
    </>
  );
}

function ErrorPanel({ job }: { job: Job }) {
  const [head, ...rest] = job.error.split("\n");
  const retryLater = job.status !== Job_Status.failed;
  const advice = adviceOn(job.error);
  return (
    <section role="alert" className="rounded-lg border border-bad/30 bg-bad-soft px-4 py-3">
      <div className="flex items-start gap-2.5">
        <CircleX className="mt-0.5 size-4 shrink-0 text-bad" aria-hidden />
        <div className="min-w-0 flex-1">
          <h2 className="text-sm font-semibold">{retryLater ? "Last attempt failed; retrying" : "What went wrong"}</h2>
          <p className="mt-1 text-sm">{head}</p>
          {rest.length > 0 && <p className="mt-1 text-sm whitespace-pre-line text-soft">{rest.join("\n")}</p>}
          {advice && (
            <div className="mt-2.5 flex flex-wrap items-center gap-x-3 gap-y-2 border-t border-bad/20 pt-2.5 text-sm">
              <p className="min-w-0 flex-1 basis-60 text-soft">{advice.text}</p>
              <Link
                to={advice.to}
                search={advice.search as never}
                hash={advice.hash}
                className={buttonClass("plain", true)}
              >
                {advice.label}
              </Link>
            </div>
          )}
        </div>
        <CopyButton text={job.error} label="Copy error" />
      </div>
    </section>
  );
}
