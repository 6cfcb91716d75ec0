// Dismisses all failed jobs: they stay in the history, and are counted no more.
import { dismissFailedJobs, useAction } from "@/api/actions";
import { plural } from "@/lib/format";
import { Button } from "./ui/button";

export function DismissFailed({ failed }: { failed: bigint }) {
  const action = useAction({
    run: dismissFailedJobs,
    done: ({ dismissed }) => `Dismissed ${plural(dismissed, "failed job")}`,
    failed: "Could not dismiss the failed jobs",
    refresh: [["jobs"], ["job"], ["overview"]],
  });
  if (failed === 0n) return null;
  return (
    <Button small look="quiet" busy={action.busy} onClick={() => action.go(undefined)}>
      Dismiss all
    </Button>
  );
}
