// The buttons of a job: pause, resume, cancel, retry, dismiss, as its state allows. Cancelling asks first.
import { BellOff, Pause, Play, RotateCw, X } from "lucide-react";
import { useState } from "react";
import { type JobVerb, jobActions, useAction } from "@/api/actions";
import { isActive } from "@/api/live";
import { type Job, Job_Kind, Job_Status } from "@/gen/modelhub/v1/job_pb";
import { bytes } from "@/lib/format";
import { jobNoun } from "@/lib/words";
import { Button, IconButton } from "./ui/button";
import { LazyConfirm } from "./ui/lazy-dialog";

const done: Record<JobVerb, string> = {
  cancel: "Cancelled",
  retry: "Retrying",
  pause: "Paused",
  resume: "Resumed",
  dismiss: "Dismissed",
};

export function useJobAction() {
  return useAction({
    run: ({ verb, job }: { verb: JobVerb; job: Job }) => jobActions[verb](job.id),
    done: (_, { verb, job }) => `${done[verb]} ${jobNoun(job)}`,
    failed: "Could not update the job",
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
  if (job.status === Job_Status.failed && !job.dismissedAt)
    verbs.push({ verb: "dismiss", label: "Dismiss", icon: BellOff });

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
          <IconButton key={verb} label={`${label} ${jobNoun(job)}`} disabled={action.busy} onClick={() => press(verb)}>
            <Icon className="size-4" aria-hidden />
          </IconButton>
        ),
      )}
      <LazyConfirm
        open={asking}
        onClose={() => setAsking(false)}
        title={`Cancel ${jobNoun(job)}?`}
        action="Cancel job"
        refusal="Keep job"
        busy={action.busy}
        onConfirm={() => {
          action.go({ verb: "cancel", job });
          setAsking(false);
        }}
      >
        <p>The job stops where it is; it can be retried later.</p>
        {job.kind === Job_Kind.download && arrived > 0n && (
          <p>The {bytes(arrived)} downloaded so far is kept; a retry resumes from there.</p>
        )}
      </LazyConfirm>
    </span>
  );
}
