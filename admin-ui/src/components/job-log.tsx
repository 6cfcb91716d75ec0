// The log of a job, growing while it runs. It follows the end unless somebody has scrolled up to read.
import { useInfiniteQuery } from "@tanstack/react-query";
import { useEffect, useRef } from "react";
import { jobLogQuery } from "@/api/queries";
import type { LogLine } from "@/gen/modelhub/v1/job_pb";
import { cn } from "@/lib/cn";
import { exact, toDate } from "@/lib/time";
import { Button } from "./ui/button";
import { CopyButton } from "./ui/copy";
import { Panel } from "./ui/panel";
import { Failure, SkeletonLines } from "./ui/states";

const clock = new Intl.DateTimeFormat("en-GB", { timeStyle: "medium" });

export function JobLog({ id, active }: { id: string; active: boolean }) {
  const query = useInfiniteQuery({ ...jobLogQuery(id), refetchInterval: active ? 2_000 : false });
  const lines = query.data?.pages.flatMap((page) => page.lines) ?? [];
  const box = useRef<HTMLDivElement>(null);
  const follows = useRef(true);
  // biome-ignore lint/correctness/useExhaustiveDependencies: after each new line.
  useEffect(() => {
    if (active && follows.current && box.current) box.current.scrollTop = box.current.scrollHeight;
  }, [lines.length, active]);
  const text = lines.map((line) => `${toDate(line.at)?.toISOString() ?? ""} ${line.level} ${line.text}`).join("\n");
  return (
    <Panel title="Log" flush actions={lines.length > 0 && <CopyButton text={text} label="Copy log" />}>
      {query.isPending ? (
        <SkeletonLines className="p-4" />
      ) : query.isError && lines.length === 0 ? (
        <Failure error={query.error} retry={() => query.refetch()} />
      ) : lines.length === 0 ? (
        <p className="px-4 py-6 text-center text-muted">No log entries yet.</p>
      ) : (
        <div
          ref={box}
          tabIndex={0}
          role="log"
          aria-label="Job log"
          onScroll={(event) => {
            const element = event.currentTarget;
            follows.current = element.scrollHeight - element.scrollTop - element.clientHeight < 24;
          }}
          className="max-h-[28rem] overflow-y-auto py-1.5 font-mono text-xs leading-5 -outline-offset-2"
        >
          {lines.map((line) => (
            <Line key={String(line.number)} line={line} />
          ))}
          {query.hasNextPage && (
            <div className="px-4 py-2">
              <Button small busy={query.isFetchingNextPage} onClick={() => void query.fetchNextPage()}>
                Load more
              </Button>
            </div>
          )}
        </div>
      )}
    </Panel>
  );
}

function Line({ line }: { line: LogLine }) {
  const at = toDate(line.at);
  return (
    <div
      className={cn(
        "flex gap-3 px-4",
        line.level === "error" && "bg-bad-soft/60",
        line.level === "warning" && "bg-warn-soft/60",
      )}
    >
      <time className="tabular shrink-0 text-muted" title={at && exact(at)}>
        {at ? clock.format(at) : ""}
      </time>
      <span
        className={cn(
          "min-w-0 whitespace-pre-wrap",
          line.level === "error" && "text-bad",
          line.level === "warning" && "text-warn",
        )}
      >
        {line.level === "error" && <span className="sr-only">Error: </span>}
        {line.level === "warning" && <span className="sr-only">Warning: </span>}
        {line.text}
      </span>
    </div>
  );
}
