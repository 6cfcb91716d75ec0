// The first screen: what is on disk, what is happening, what the cache has saved, and the state of the machine.
import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { Plug } from "lucide-react";
import { lazy, Suspense } from "react";
import { activeJobsQuery, overviewQuery, settingsQuery, systemQuery } from "@/api/queries";
import { ActivityList } from "@/components/activity-list";
import { Gpus } from "@/components/gpus";
import { Overview } from "@/components/overview-strip";
import { Dot, upstreamWords } from "@/components/sidebar";
import { TrafficChart } from "@/components/traffic-chart";
import { Button, buttonClass } from "@/components/ui/button";
import { LazyDialog } from "@/components/ui/lazy-dialog";
import { PageHead, Panel } from "@/components/ui/panel";
import { Empty, Failure, Note, SkeletonLines } from "@/components/ui/states";
import { Upstream_State } from "@/gen/modelhub/v1/system_pb";
import { duration } from "@/lib/format";
import { useSlow, useTitle } from "@/lib/hooks";
import { runningFirst } from "@/lib/words";

// The first screen has a budget; most of the time nothing runs.
const JobCard = lazy(() => import("@/components/job-card").then((module) => ({ default: module.JobCard })));
const ConnectPanel = lazy(() =>
  import("@/components/connect-panel").then((module) => ({ default: module.ConnectPanel })),
);

/** States of upstream that ask for attention. */
const troubles = new Map<Upstream_State, "bad" | "warn">([
  [Upstream_State.down, "bad"],
  [Upstream_State.token_refused, "bad"],
  [Upstream_State.rate_limited, "warn"],
]);

export function Dashboard() {
  useTitle("Dashboard");
  const overview = useQuery(overviewQuery());
  const system = useQuery(systemQuery());
  const settings = useQuery(settingsQuery());
  const jobs = useQuery(activeJobsQuery());
  const { connect } = useSearch({ from: "/" });
  const navigate = useNavigate({ from: "/" });
  const setConnect = (open: boolean) =>
    void navigate({ search: open ? { connect: true } : {}, replace: !open, resetScroll: false });
  const slow = useSlow(overview.isPending);
  const data = overview.data;

  if (overview.isError && !data)
    return <Failure error={overview.error} retry={() => overview.refetch()} className="py-24" />;
  const first = data && data.models === 0n && data.jobsActive === 0n;
  const upstream = data?.upstream;
  const trouble = upstream && troubles.get(upstream.state);
  return (
    <>
      <PageHead
        title="Dashboard"
        note={
          data ? (
            <>
              {system.data?.hostname ? `${system.data.hostname}, ` : ""}up for {duration(Number(data.uptimeSeconds))}
              {upstream && (
                <span title={upstreamWords(upstream).long}>
                  {" · "}
                  <Dot className={upstreamWords(upstream).tone} /> {upstreamWords(upstream).short}
                </span>
              )}
            </>
          ) : (
            "\u00a0"
          )
        }
        actions={
          <>
            {!first && (
              <Button onClick={() => setConnect(true)} icon={<Plug className="size-4" aria-hidden />}>
                Connect a client
              </Button>
            )}
            <Link to="/models" search={{ register: "" }} className={buttonClass("primary")}>
              Register a model
            </Link>
          </>
        }
      />
      {trouble && (
        <Note
          tone={trouble}
          title={upstreamWords(upstream).short}
          className="mb-4"
          action={
            upstream.state === Upstream_State.token_refused && (
              <Link to="/settings" hash="token" className={buttonClass("plain", true)}>
                Change token
              </Link>
            )
          }
        >
          {upstreamWords(upstream).long}
        </Note>
      )}
      <Suspense fallback={<div className="skeleton mb-4 h-[34rem] rounded-lg sm:h-96 lg:h-62" />}>
        {first && <ConnectPanel endpoint={data.endpoint} first />}
      </Suspense>
      <Overview data={data} limit={settings.data?.storeLimitBytes} slow={slow} />
      {/* Not before it is known what comes above: nothing may jump. */}
      {data && (
        <div className="mt-4 grid items-start gap-4 xl:grid-cols-[minmax(0,1.7fr)_minmax(0,1fr)]">
          <div className="flex min-w-0 flex-col gap-4">
            <Panel title="Throughput" note="last 5 minutes" flush>
              <TrafficChart />
            </Panel>
            <Panel
              title="Active jobs"
              note={
                data && data.jobsActive + data.jobsWaiting > 0n
                  ? `${data.jobsActive} running, ${data.jobsWaiting} waiting`
                  : undefined
              }
              actions={
                <Link to="/jobs" className={buttonClass("quiet", true)}>
                  All jobs
                </Link>
              }
              flush
            >
              {jobs.isPending ? (
                <SkeletonLines className="p-4" />
              ) : jobs.data && jobs.data.jobs.length > 0 ? (
                <Suspense fallback={<SkeletonLines className="p-4" />}>
                  <ul className="divide-y divide-line">
                    {runningFirst(jobs.data.jobs)
                      .slice(0, 6)
                      .map((job) => (
                        <li key={job.id}>
                          <JobCard job={job} compact />
                        </li>
                      ))}
                  </ul>
                </Suspense>
              ) : jobs.isError ? (
                <Failure error={jobs.error} retry={() => jobs.refetch()} />
              ) : (
                <Empty title="No active jobs" className="py-6">
                  Downloads, syncs and imports appear here while they run.
                </Empty>
              )}
            </Panel>
          </div>
          <div className="flex min-w-0 flex-col gap-4">
            <Gpus system={system.data} failed={system.isError} />
            <Panel title="Recent activity" flush>
              {data ? <ActivityList items={data.recent.slice(0, 12)} /> : <SkeletonLines className="p-4" count={6} />}
            </Panel>
          </div>
        </div>
      )}
      <LazyDialog
        open={connect === true && !first}
        onClose={() => setConnect(false)}
        title="Connect a client"
        description="Every tool that reads HF_ENDPOINT works with this hub."
        wide
      >
        <Suspense fallback={<SkeletonLines count={5} className="h-44" />}>
          <ConnectPanel endpoint={data?.endpoint ?? ""} />
        </Suspense>
      </LazyDialog>
    </>
  );
}
