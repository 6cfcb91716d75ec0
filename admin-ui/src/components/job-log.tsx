// The log of a job, growing while it runs: searched, either end first, and copied whole. It follows its newest line until
// somebody scrolls away to read.
import { useInfiniteQuery } from "@tanstack/react-query";
import { ArrowDownUp, ChevronsDown } from "lucide-react";
import { type ReactNode, useEffect, useMemo, useRef, useState } from "react";
import { jobLogQuery } from "@/api/queries";
import type { LogLine } from "@/gen/modelhub/v1/job_pb";
import { cn } from "@/lib/cn";
import { plural } from "@/lib/format";
import { exact, toDate } from "@/lib/time";
import { Button, buttonClass } from "./ui/button";
import { CopyButton } from "./ui/copy";
import { SearchField } from "./ui/field";
import { Panel } from "./ui/panel";
import { Failure, SkeletonLines } from "./ui/states";

const clock = new Intl.DateTimeFormat("en-GB", { timeStyle: "medium" });

const written = (lines: readonly LogLine[]) =>
  lines.map((line) => `${toDate(line.at)?.toISOString() ?? ""} ${line.level} ${line.text}`).join("\n");

export function JobLog({ id, active }: { id: string; active: boolean }) {
  const query = useInfiniteQuery({ ...jobLogQuery(id), refetchInterval: active ? 2_000 : false });
  const { data, hasNextPage, isFetching, fetchNextPage } = query;
  const [search, setSearch] = useState("");
  const [newest, setNewest] = useState(false);
  const [follows, setFollows] = useState(true);
  const box = useRef<HTMLDivElement>(null);

  const lines = useMemo(() => data?.pages.flatMap((page) => page.lines) ?? [], [data]);
  const wanted = search.trim().toLowerCase();
  const shown = useMemo(() => {
    const found = wanted ? lines.filter((line) => line.text.toLowerCase().includes(wanted)) : lines;
    return newest ? found.toReversed() : found;
  }, [lines, wanted, newest]);

  // The last line, and all that could be found, are only there once every page is.
  const whole = newest || wanted !== "" || (active && follows);
  // biome-ignore lint/correctness/useExhaustiveDependencies: after each page, however quick it was.
  useEffect(() => {
    if (whole && hasNextPage && !isFetching) void fetchNextPage();
  }, [whole, hasNextPage, isFetching, fetchNextPage, lines.length]);

  // biome-ignore lint/correctness/useExhaustiveDependencies: after each new line.
  useEffect(() => {
    if (active && follows && box.current) box.current.scrollTop = newest ? 0 : box.current.scrollHeight;
  }, [shown.length, active, follows, newest]);

  const everything = async () => {
    let pages = data?.pages ?? [];
    for (let more = hasNextPage; more; ) {
      const next = await fetchNextPage();
      pages = next.data?.pages ?? pages;
      more = next.hasNextPage && !next.isError;
    }
    return written(pages.flatMap((page) => page.lines));
  };
  return (
    <Panel title="Log" flush actions={lines.length > 0 && <CopyButton text={everything} label="Copy entire log" />}>
      {query.isPending ? (
        <SkeletonLines className="p-4" />
      ) : query.isError && lines.length === 0 ? (
        <Failure error={query.error} retry={() => query.refetch()} />
      ) : lines.length === 0 ? (
        <p className="px-4 py-6 text-center text-muted">No log entries yet.</p>
      ) : (
        <>
          <div className="flex flex-wrap items-center gap-2 border-b border-line px-3 py-2">
            <SearchField
              label="Search log"
              value={search}
              onChange={setSearch}
              className="min-w-40 flex-1 sm:max-w-72"
            />
            {wanted && <span className="tabular text-xs text-muted">{plural(shown.length, "line")}</span>}
            <span className="ml-auto flex gap-2">
              <Toggle on={newest} onPress={() => setNewest(!newest)}>
                <ArrowDownUp className="size-3.5" aria-hidden />
                Newest first
              </Toggle>
              {active && (
                <Toggle on={follows} onPress={() => setFollows(!follows)}>
                  <ChevronsDown className="size-3.5" aria-hidden />
                  Follow
                </Toggle>
              )}
            </span>
          </div>
          <div
            ref={box}
            tabIndex={0}
            role="log"
            aria-label="Job log"
            onScroll={({ currentTarget: { scrollHeight, scrollTop, clientHeight } }) => {
              const away = newest ? scrollTop : scrollHeight - scrollTop - clientHeight;
              setFollows(away < 24);
            }}
            className="max-h-[28rem] overflow-y-auto py-1.5 font-mono text-xs leading-5 -outline-offset-2"
          >
            {shown.map((line) => (
              <Line key={String(line.number)} line={line} />
            ))}
            {shown.length === 0 && <p className="px-4 py-4 text-center text-muted">No lines match.</p>}
            {hasNextPage && !whole && (
              <div className="px-4 py-2">
                <Button small busy={query.isFetchingNextPage} onClick={() => void fetchNextPage()}>
                  Load more
                </Button>
              </div>
            )}
          </div>
        </>
      )}
    </Panel>
  );
}

function Toggle({ on, onPress, children }: { on: boolean; onPress: () => void; children: ReactNode }) {
  return (
    <button
      type="button"
      aria-pressed={on}
      onClick={onPress}
      className={cn(buttonClass("plain", true), on && "border-accent bg-accent-soft text-accent hover:bg-accent-soft")}
    >
      {children}
    </button>
  );
}

function Line({ line }: { line: LogLine }) {
  const at = toDate(line.at);
  return (
    <div
      className={cn(
        // Thousands of lines cost nothing while they are out of sight.
        "flex gap-3 px-4 [contain-intrinsic-height:1.25rem] [content-visibility:auto]",
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
