// One model: its files, metadata, card and activity.
import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useParams, useSearch } from "@tanstack/react-router";
import { Boxes } from "lucide-react";
import { Tabs } from "radix-ui";
import { lazy, Suspense } from "react";
import { syncModel, useAction } from "@/api/actions";
import { ApiError } from "@/api/problem";
import { activeJobsQuery, factsQuery, modelQuery } from "@/api/queries";
import { FileBrowser } from "@/components/files/file-browser";
import { JobCard } from "@/components/job-card";
import { ModelHeader } from "@/components/model/model-header";
import { NotFound } from "@/components/not-found";
import { buttonClass } from "@/components/ui/button";
import { Panel } from "@/components/ui/panel";
import { Empty, Failure, Skeleton, SkeletonLines } from "@/components/ui/states";
import { useSlow, useTitle } from "@/lib/hooks";
import type { ModelSearch } from "@/lib/search";

const Metadata = lazy(() => import("@/components/model/metadata").then((module) => ({ default: module.Metadata })));
const Card = lazy(() => import("@/components/model/card").then((module) => ({ default: module.Card })));
const ModelActivity = lazy(() =>
  import("@/components/model/model-activity").then((module) => ({ default: module.ModelActivity })),
);
const DownloadDialog = lazy(() =>
  import("@/components/download/download-dialog").then((module) => ({ default: module.DownloadDialog })),
);

const tabs = [
  { value: "files", label: "Files" },
  { value: "metadata", label: "Metadata" },
  { value: "card", label: "Card" },
  { value: "activity", label: "Activity" },
] as const;

export function Model() {
  const slug = useParams({ from: "/models/$" })._splat ?? "";
  const search = useSearch({ from: "/models/$" });
  const navigate = useNavigate({ from: "/models/$" });
  useTitle(slug);
  const query = useQuery(modelQuery(slug));
  const model = query.data;
  const revision = search.rev ?? "";
  const facts = useQuery({ ...factsQuery(model?.id ?? "", revision), enabled: model !== undefined });
  const jobs = useQuery(activeJobsQuery());
  const slow = useSlow(query.isPending);
  const sync = useAction({
    run: () => syncModel(model?.id ?? "", revision),
    done: (job) => ({
      text: "Syncing the file list",
      to: { label: "Show", href: `/jobs/${job.id}` },
    }),
    failed: "Could not start the sync",
    refresh: [["model"], ["jobs"]],
  });

  if (query.isError && !model) {
    // No repository can have such a name.
    if (query.error instanceof ApiError && query.error.isNoAddress("model")) return <NotFound />;
    return query.error instanceof ApiError && query.error.isNotFound ? (
      <Empty
        icon={<Boxes aria-hidden />}
        title={`Unknown model ${slug}`}
        className="py-24"
        action={
          <>
            <Link to="/models" search={{ register: slug }} className={buttonClass("primary")}>
              Register
            </Link>
            <Link to="/models" className={buttonClass("plain")}>
              All models
            </Link>
          </>
        }
      >
        It may exist upstream; register it to see its files.
      </Empty>
    ) : (
      <Failure error={query.error} retry={() => query.refetch()} className="py-24" />
    );
  }
  // The jobs too: their panel comes above the files, which may not jump.
  if (!model || jobs.isPending) {
    return (
      <div className="flex flex-col gap-4" aria-busy>
        {slow && (
          <>
            <Skeleton className="h-7 w-72" />
            <Skeleton className="w-96" />
            <SkeletonLines count={8} className="mt-6" />
          </>
        )}
      </div>
    );
  }

  const running = jobs.data?.jobs.filter((job) => job.modelId === model.id) ?? [];
  const tab = search.tab ?? "files";
  const wait = (
    <div className="p-4">
      <SkeletonLines count={6} />
    </div>
  );
  return (
    <>
      <ModelHeader
        model={model}
        facts={facts.data}
        revision={revision}
        onSync={() => sync.go(undefined)}
        syncing={sync.busy}
        onDownload={() => void navigate({ search: (old) => ({ ...old, download: true, pick: undefined }) })}
      />
      {running.length > 0 && (
        <Panel flush className="mb-4">
          <ul className="divide-y divide-line">
            {running.map((job) => (
              <li key={job.id}>
                <JobCard job={job} noModel />
              </li>
            ))}
          </ul>
        </Panel>
      )}
      <Tabs.Root
        value={tab}
        onValueChange={(next) =>
          void navigate({
            search: (old) => ({
              ...old,
              tab: next === "files" ? undefined : (next as ModelSearch["tab"]),
              file: undefined,
              find: undefined,
            }),
            resetScroll: false,
          })
        }
      >
        <Tabs.List aria-label="Model sections" className="mb-3 flex gap-1 overflow-x-auto border-b border-line">
          {tabs.map((one) => (
            <Tabs.Trigger
              key={one.value}
              value={one.value}
              className="-mb-px border-b-2 border-transparent px-3 py-2 text-sm whitespace-nowrap text-soft -outline-offset-2 hover:text-text data-[state=active]:border-accent data-[state=active]:font-medium data-[state=active]:text-text"
            >
              {one.label}
            </Tabs.Trigger>
          ))}
        </Tabs.List>
        <Tabs.Content value="files" tabIndex={-1}>
          <Panel flush>
            <FileBrowser model={model} onSync={() => sync.go(undefined)} />
          </Panel>
        </Tabs.Content>
        <Tabs.Content value="metadata" tabIndex={-1}>
          <Suspense fallback={wait}>
            <Metadata model={model} revision={revision} />
          </Suspense>
        </Tabs.Content>
        <Tabs.Content value="card" tabIndex={-1}>
          <Suspense fallback={wait}>
            <Card model={model} revision={revision} />
          </Suspense>
        </Tabs.Content>
        <Tabs.Content value="activity" tabIndex={-1}>
          <Suspense fallback={wait}>
            <ModelActivity model={model} revision={revision} />
          </Suspense>
        </Tabs.Content>
      </Tabs.Root>
      <Suspense>
        {search.download && (
          <DownloadDialog
            model={model}
            revision={revision}
            pick={search.pick}
            preset={search.preset}
            quant={search.quant}
            onPreset={(preset, quant) =>
              void navigate({ search: (old) => ({ ...old, preset, quant }), replace: true, resetScroll: false })
            }
            onClose={() =>
              void navigate({
                search: (old) => ({
                  ...old,
                  download: undefined,
                  pick: undefined,
                  preset: undefined,
                  quant: undefined,
                }),
                replace: true,
                resetScroll: false,
              })
            }
          />
        )}
      </Suspense>
    </>
  );
}
