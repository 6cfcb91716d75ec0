// Jobs: what is waiting and running, live, and below it the history, searched and filtered by the address.
import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { ListChecks, X } from "lucide-react";
import { useEffect, useMemo, useState } from "react";
import { activeJobsQuery, endedStates, jobsQuery, modelQuery, overviewQuery } from "@/api/queries";
import { DismissFailed } from "@/components/dismiss-failed";
import { JobCard } from "@/components/job-card";
import { JobTable } from "@/components/job-table";
import { Button } from "@/components/ui/button";
import { SearchField, Select } from "@/components/ui/field";
import { PageHead, Panel } from "@/components/ui/panel";
import { Empty, Failure, SkeletonLines } from "@/components/ui/states";
import { Job_Status } from "@/gen/modelhub/v1/job_pb";
import { count, plural, speed } from "@/lib/format";
import { useDebounced, useSlow, useTitle } from "@/lib/hooks";
import type { JobsSearch } from "@/lib/search";
import { runningFirst } from "@/lib/words";

const hours: Record<NonNullable<JobsSearch["since"]>, number> = { hour: 1, day: 24, week: 168, month: 720 };
const shownAtFirst = 20;

export function Jobs() {
  useTitle("Jobs");
  const search = useSearch({ from: "/jobs" });
  const navigate = useNavigate({ from: "/jobs" });
  const [typed, setTyped] = useState(search.q ?? "");
  const q = useDebounced(typed.trim(), 180);
  const change = (part: Partial<JobsSearch>) =>
    void navigate({ search: (old) => ({ ...old, ...part }), replace: true, resetScroll: false });
  // biome-ignore lint/correctness/useExhaustiveDependencies: only what was typed is carried over.
  useEffect(() => {
    if (q !== (search.q ?? "")) change({ q: q || undefined });
  }, [q]);
  // biome-ignore lint/correctness/useExhaustiveDependencies: the other way round, e.g. after going back.
  useEffect(() => {
    if ((search.q ?? "") !== q) setTyped(search.q ?? "");
  }, [search.q]);

  // Whole minutes, so that the query stays the same while it is repeated.
  const after = useMemo(() => {
    if (!search.since) return undefined;
    return new Date(Math.floor(Date.now() / 60_000) * 60_000 - hours[search.since] * 3_600_000).toISOString();
  }, [search.since]);
  const history = useInfiniteQuery(
    jobsQuery({
      status: search.status ? [search.status] : endedStates,
      kind: search.kind ? [search.kind] : undefined,
      model: search.model,
      search: search.q,
      finished_after: after,
      order: "-finished",
    }),
  );
  const active = useQuery(activeJobsQuery());
  const overview = useQuery(overviewQuery());
  const jobs = history.data?.pages.flatMap((page) => page.jobs) ?? [];
  const filtered = Boolean(search.q || search.status || search.kind || search.model || search.since);
  return (
    <>
      <PageHead title="Jobs" note="Downloads, syncs, imports, verifications and evictions" />
      <ActiveJobs />
      {/* Not before it is known how many come above: nothing may jump. */}
      {!active.isPending && (
        <Panel
          title="History"
          actions={<DismissFailed failed={overview.data?.jobsFailed ?? 0n} />}
          flush
          className="mt-4"
        >
          <div className="flex flex-wrap items-center gap-2 border-b border-line p-3">
            <SearchField
              label="Search models, errors, outcomes"
              value={typed}
              onChange={setTyped}
              className="min-w-52 flex-1 sm:max-w-80"
            />
            <Select
              aria-label="Status"
              value={search.status ?? ""}
              onChange={(event) => change({ status: (event.target.value || undefined) as JobsSearch["status"] })}
            >
              <option value="">Any status</option>
              <option value="completed">Completed</option>
              <option value="failed">Failed</option>
              <option value="cancelled">Cancelled</option>
            </Select>
            <Select
              aria-label="Kind"
              value={search.kind ?? ""}
              onChange={(event) => change({ kind: (event.target.value || undefined) as JobsSearch["kind"] })}
            >
              <option value="">All kinds</option>
              <option value="download">Downloads</option>
              <option value="sync">Syncs</option>
              <option value="scan">Imports</option>
              <option value="verify">Verifications</option>
              <option value="evict">Evictions</option>
            </Select>
            <Select
              aria-label="Time"
              value={search.since ?? ""}
              onChange={(event) => change({ since: (event.target.value || undefined) as JobsSearch["since"] })}
            >
              <option value="">Any time</option>
              <option value="hour">Last hour</option>
              <option value="day">Last 24 hours</option>
              <option value="week">Last 7 days</option>
              <option value="month">Last 30 days</option>
            </Select>
            {search.model && <ModelChip model={search.model} onClear={() => change({ model: undefined })} />}
          </div>
          {history.isError && !history.data ? (
            <Failure error={history.error} retry={() => history.refetch()} />
          ) : history.data && jobs.length === 0 ? (
            <Empty
              icon={<ListChecks aria-hidden />}
              title={filtered ? "No jobs match" : "No finished jobs yet"}
              action={
                filtered && (
                  <Button small onClick={() => void navigate({ search: {}, replace: true })}>
                    Clear search and filters
                  </Button>
                )
              }
            >
              {filtered ? undefined : "Completed, failed and cancelled jobs appear here."}
            </Empty>
          ) : (
            <JobTable
              jobs={jobs}
              loading={history.isPending}
              stale={history.isPlaceholderData}
              onEnd={() => history.hasNextPage && !history.isFetchingNextPage && void history.fetchNextPage()}
            />
          )}
        </Panel>
      )}
    </>
  );
}

function ModelChip({ model, onClear }: { model: string; onClear: () => void }) {
  const { data } = useQuery(modelQuery(model));
  return (
    <Button small onClick={onClear} aria-label={`Model: ${data?.repoId ?? model}; remove this filter`}>
      Model: {data?.repoId ?? model}
      <X className="size-3.5" aria-hidden />
    </Button>
  );
}

function ActiveJobs() {
  const { data, isPending, isError, error, refetch } = useQuery(activeJobsQuery());
  const [all, setAll] = useState(false);
  const slow = useSlow(isPending);
  const jobs = useMemo(() => runningFirst(data?.jobs ?? []), [data]);
  const running = jobs.filter((job) => job.status === Job_Status.running);
  const rate = running.reduce((sum, job) => sum + Number(job.progress?.bytesPerSecond ?? 0n), 0);
  return (
    <Panel
      title="Running and waiting"
      note={
        data && jobs.length > 0
          ? [
              `${count(running.length)} running`,
              `${count(jobs.length - running.length)} waiting`,
              rate > 1024 && speed(rate),
            ]
              .filter(Boolean)
              .join(", ")
          : undefined
      }
      flush
    >
      {isPending ? (
        slow ? (
          <SkeletonLines className="p-4" />
        ) : (
          <div className="h-24" />
        )
      ) : isError && !data ? (
        <Failure error={error} retry={() => refetch()} />
      ) : jobs.length === 0 ? (
        <Empty title="No active jobs" className="py-6">
          Jobs appear here while they are waiting or running.
        </Empty>
      ) : (
        <>
          <ul className="divide-y divide-line">
            {jobs.slice(0, all ? undefined : shownAtFirst).map((job) => (
              <li key={job.id}>
                <JobCard job={job} />
              </li>
            ))}
          </ul>
          {jobs.length > shownAtFirst && !all && (
            <div className="border-t border-line p-2 text-center">
              <Button look="quiet" small onClick={() => setAll(true)}>
                Show {plural(jobs.length - shownAtFirst, "more job")}
              </Button>
            </div>
          )}
        </>
      )}
    </Panel>
  );
}
