// The activity of a model: its dates, recent changes, recently used files and jobs.
import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { jobsQuery, overviewQuery } from "@/api/queries";
import type { ModelRepo } from "@/gen/modelhub/v1/model_pb";
import { ActivityList } from "../activity-list";
import { JobTable } from "../job-table";
import { buttonClass } from "../ui/button";
import { Facts, Panel } from "../ui/panel";
import { Empty, Failure } from "../ui/states";
import { When } from "../ui/values";
import { LastUsed } from "./last-used";

export function ModelActivity({ model, revision }: { model: ModelRepo; revision: string }) {
  const query = useInfiniteQuery(jobsQuery({ model: model.id }));
  const overview = useQuery(overviewQuery());
  const recent = (overview.data?.recent ?? []).filter((one) => one.repoId === model.repoId && one.jobId === "");
  const jobs = query.data?.pages.flatMap((page) => page.jobs) ?? [];
  return (
    <div className="flex flex-col gap-4">
      <Panel title="Dates">
        <Facts
          items={[
            [
              "Registered",
              <When key="r" at={model.registeredAt} none="Not registered; added when a client requested it" />,
            ],
            ["First seen", <When key="c" at={model.createdAt} />],
            ["Last synced", <When key="s" at={model.syncedAt} />],
            ["Last used", <When key="u" at={model.lastUsedAt} />],
          ]}
        />
      </Panel>
      {recent.length > 0 && (
        <Panel title="Recent changes" flush>
          <ActivityList items={recent} />
        </Panel>
      )}
      <LastUsed model={model} revision={revision} />
      <Panel
        title="Jobs for this model"
        flush
        actions={
          <Link to="/jobs" search={{ model: model.id }} className={buttonClass("quiet", true)}>
            Search jobs
          </Link>
        }
      >
        {query.isError ? (
          <Failure error={query.error} retry={() => query.refetch()} />
        ) : !query.isPending && jobs.length === 0 ? (
          <Empty title="No jobs yet">Syncs, downloads and verifications of this model appear here.</Empty>
        ) : (
          <JobTable
            jobs={jobs}
            loading={query.isPending}
            noModel
            onEnd={() => query.hasNextPage && !query.isFetchingNextPage && void query.fetchNextPage()}
          />
        )}
      </Panel>
    </div>
  );
}
