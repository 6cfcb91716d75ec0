// The buttons of a job: pause, resume, cancel, retry, as its state allows. Cancelling asks when something has arrived.
import { Pause, Play, RotateCw, X } from "lucide-react";
import { useState } from "react";
import { type JobVerb, jobActions, useAction } from "@/api/actions";
import { isActive } from "@/api/live";
import { type Job, Job_Status } from "@/gen/modelhub/v1/job_pb";
import { bytes } from "@/lib/format";
import { jobKindWords, jobSubject, jobTitle } from "@/lib/words";
import { Button, IconButton } from "./ui/button";
import { LazyConfirm } from "./ui/lazy-dialog";

const done: Record<JobVerb, string> = {
  cancel: "Cancelled",
  retry: "Queued again",
  pause: "Paused",
  resume: "Goes on",
};

/** Within a sentence. */
const inside = (title: string) => title.charAt(0).toLowerCase() + title.slice(1);

export function useJobAction() {
  return useAction({
    run: ({ verb, job }: { verb: JobVerb; job: Job }) => jobActions[verb](job.id),
    done: (_, { verb, job }) => `${done[verb]}: ${inside(jobTitle(job))}`,
    failed: "The job could not be changed",
    refresh: [["jobs"], ["job"], ["overview"]],
  });
}

export function JobControls({ job, labels }: { job: Job; labels?: boolean }) {
  const action = useJobAction();
  const [asking, setAsking] = useState(false);
  const arrived = job.progress?.bytesDone ?? 0n;
  const verbs: { verb: JobVerb; label: string; icon: typeof Pause }[] = [];
  if (job.status === Job_Status.running || job.status === Job_Status.pending)
    verbs.push({ verb: "pause", label: "Pause", icon: Pause });
  if (job.status === Job_Status.paused) verbs.push({ verb: "resume", label: "Resume", icon: Play });
  if (isActive(job.status)) verbs.push({ verb: "cancel", label: "Cancel", icon: X });
  if (job.status === Job_Status.failed || job.status === Job_Status.cancelled)
    verbs.push({ verb: "retry", label: "Retry", icon: RotateCw });

  const press = (verb: JobVerb) => {
    if (verb === "cancel") setAsking(true);
    else action.go({ verb, job });
  };
  return (
    <span className="flex items-center gap-1">
      {verbs.map(({ verb, label, icon: Icon }) =>
        labels ? (
          <Button
            key={verb}
            small
            look={verb === "retry" ? "primary" : "plain"}
            busy={action.busy}
            onClick={() => press(verb)}
            icon={<Icon className="size-3.5" aria-hidden />}
          >
            {label}
          </Button>
        ) : (
          <IconButton
            key={verb}
            label={`${label} ${inside(jobTitle(job))}`}
            disabled={action.busy}
            onClick={() => press(verb)}
          >
            <Icon className="size-4" aria-hidden />
          </IconButton>
        ),
      )}
      <LazyConfirm
        open={asking}
        onClose={() => setAsking(false)}
        title={`Cancel this ${jobKindWords[job.kind].toLowerCase()}?`}
        action="Cancel the job"
        busy={action.busy}
        onConfirm={() => {
          action.go({ verb: "cancel", job });
          setAsking(false);
        }}
      >
        <p>
          <strong className="font-medium text-text">{jobSubject(job)}</strong> stops where it is.
        </p>
        {arrived > 0n && <p>The {bytes(arrived)} that have arrived are kept; a retry goes on from there.</p>}
      </LazyConfirm>
    </span>
  );
}
