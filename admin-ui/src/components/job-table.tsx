// Jobs as rows: what was done to which model, how it ended and when.
import { Link } from "@tanstack/react-router";
import { type Job, Job_Status } from "@/gen/modelhub/v1/job_pb";
import { percent } from "@/lib/format";
import { toDate, took } from "@/lib/time";
import { capital, jobKindWord, jobStates, jobSubject, outcomeWords, selectionWords, waitingWords } from "@/lib/words";
import { type Column, DataTable } from "./data-table";
import { JobIcon, jobShare } from "./job-card";
import { JobControls } from "./job-controls";
import { Badge } from "./ui/badge";
import { When } from "./ui/values";

const firstLine = (text: string) => text.split("\n", 1)[0] ?? "";

function stateWord(job: Job): string {
  const ratio = job.status === Job_Status.running ? jobShare(job) : undefined;
  return ratio === undefined ? jobStates[job.status].word : `${jobStates[job.status].word} ${percent(ratio)}`;
}

/** What lists are sorted and filtered by: the history by ends, the jobs of a model, which may not have ended, by when they were ordered. */
const times = {
  finished: { header: "Finished", at: (job: Job) => job.finishedAt },
  created: { header: "Created", at: (job: Job) => job.createdAt },
};

const columns = (noModel: boolean, time: keyof typeof times): Column<Job>[] => [
  {
    id: "job",
    header: "Job",
    width: "minmax(0,2fr)",
    cell: (job) => (
      <span className="flex min-w-0 items-center gap-2.5">
        <JobIcon kind={job.kind} className="size-4 shrink-0 text-muted" />
        <span className="min-w-0 truncate">
          <Link to="/jobs/$id" params={{ id: job.id }} className="font-medium hover:text-accent hover:underline">
            {noModel ? jobKindWord(job) : jobSubject(job)}
          </Link>
          <span className="text-muted">
            {!noModel && ` · ${jobKindWord(job)}`}
            {selectionWords(job) && ` · ${selectionWords(job)}`}
          </span>
        </span>
      </span>
    ),
  },
  {
    id: "status",
    header: "Status",
    width: "6.5rem",
    cell: (job) => <Badge tone={jobStates[job.status].tone}>{stateWord(job)}</Badge>,
  },
  {
    id: "outcome",
    header: "Outcome",
    width: "minmax(0,2fr)",
    from: 860,
    cell: (job) => {
      const waiting = job.status === Job_Status.pending ? waitingWords(job) : "";
      const text = job.error ? capital(firstLine(job.error)) : outcomeWords(job) || waiting;
      return (
        <span
          className={job.status === Job_Status.failed && !job.dismissedAt ? "text-bad" : "text-muted"}
          title={job.error || text}
        >
          {text}
        </span>
      );
    },
  },
  {
    id: "took",
    header: "Duration",
    width: "5.5rem",
    align: "right",
    from: 1080,
    cell: (job) => (
      <span className="tabular text-muted">
        {job.finishedAt ? took(toDate(job.startedAt), toDate(job.finishedAt), new Date()) : ""}
      </span>
    ),
  },
  {
    id: time,
    header: times[time].header,
    width: "8rem",
    align: "right",
    from: 620,
    cell: (job) => <When at={times[time].at(job)} none="–" className="text-soft" />,
  },
  {
    id: "actions",
    header: "",
    width: "4rem",
    align: "right",
    from: 500,
    cell: (job) => (
      <span className="flex justify-end">
        <JobControls job={job} />
      </span>
    ),
  },
];
const history = columns(false, "finished");
const ofModel = columns(true, "created");

export function JobTable({
  jobs,
  loading,
  stale,
  noModel,
  onEnd,
}: {
  jobs: readonly Job[];
  loading?: boolean;
  stale?: boolean;
  noModel?: boolean;
  onEnd?: () => void;
}) {
  return (
    <DataTable
      label="Jobs"
      rows={jobs}
      columns={noModel ? ofModel : history}
      rowId={jobId}
      href={(job) => ({ to: "/jobs/$id", params: { id: job.id } })}
      loading={loading}
      stale={stale}
      onEnd={onEnd}
    />
  );
}

const jobId = (job: Job) => job.id;
