// All models: searched, filtered, sorted and paged by the address, with actions on several at once.
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { Boxes, Pin, Plus } from "lucide-react";
import { lazy, Suspense, useEffect, useState } from "react";
import { modelsPageSize, modelsQuery } from "@/api/queries";
import { type Column, DataTable } from "@/components/data-table";
import { ModelsBulk } from "@/components/models-bulk";
import { ModelsFilters } from "@/components/models-filters";
import { Pager } from "@/components/pager";
import { Badge, toneText } from "@/components/ui/badge";
import { Button } from "@/components/ui/button";
import { PageHead, Panel } from "@/components/ui/panel";
import { Progress } from "@/components/ui/progress";
import { Empty, Failure } from "@/components/ui/states";
import { Tip } from "@/components/ui/tip";
import { Bytes, When } from "@/components/ui/values";
import type { ModelRepo } from "@/gen/modelhub/v1/model_pb";
import { cn } from "@/lib/cn";
import { bytes, count, plural, share } from "@/lib/format";
import { useDebounced, useSlow, useTitle } from "@/lib/hooks";
import { modelSlug } from "@/lib/paths";
import type { ModelsSearch } from "@/lib/search";
import { modelState } from "@/lib/words";

const RegisterDialog = lazy(() =>
  import("@/components/register-dialog").then((module) => ({ default: module.RegisterDialog })),
);

const columns: Column<ModelRepo>[] = [
  {
    id: "name",
    header: "Name",
    sort: "name",
    width: "minmax(0,3fr)",
    cell: (model) => (
      <span className="flex min-w-0 items-center gap-2">
        <NarrowState model={model} />
        <Link
          to="/models/$"
          params={{ _splat: modelSlug(model) }}
          className="min-w-0 truncate hover:text-accent hover:underline"
        >
          {model.vendor && <span className="text-muted">{model.vendor}/</span>}
          <span className="font-medium">{model.name}</span>
        </Link>
        {model.pinned && (
          <Tip text="Pinned: kept when space is freed">
            <span className="shrink-0">
              <Pin className="size-3.5 text-accent" aria-label="Pinned" />
            </span>
          </Tip>
        )}
        {model.visibility !== "public" && model.visibility !== "" && <Badge>{model.visibility}</Badge>}
      </span>
    ),
  },
  {
    id: "kind",
    header: "Kind",
    width: "4.5rem",
    from: 900,
    cell: (model) => <span className="text-soft">{model.kind}</span>,
  },
  {
    id: "status",
    header: "Status",
    width: "7rem",
    from: 560,
    cell: (model) => {
      const state = modelState(model);
      return (
        <Tip text={state.detail}>
          <span>
            <Badge tone={state.tone}>{state.word}</Badge>
          </span>
        </Tip>
      );
    },
  },
  {
    id: "size",
    header: "On disk",
    sort: "size",
    width: "minmax(5.5rem,1.1fr)",
    align: "right",
    cell: (model) => <OnDisk model={model} />,
  },
  {
    id: "bytes",
    header: "Size",
    width: "5.5rem",
    align: "right",
    from: 760,
    cell: (model) => (model.bytes > 0n ? <Bytes value={model.bytes} className="text-soft" /> : <None />),
  },
  {
    id: "files",
    header: "Files on disk",
    width: "8rem",
    align: "right",
    from: 1080,
    cell: (model) =>
      model.files > 0n ? (
        <span className="tabular text-soft">
          {count(model.filesHere)} <span className="text-muted">of {count(model.files)}</span>
        </span>
      ) : (
        <None />
      ),
  },
  {
    id: "used",
    header: "Last used",
    sort: "used",
    width: "8rem",
    align: "right",
    from: 1200,
    cell: (model) => <When at={model.lastUsedAt} className="text-soft" />,
  },
];

/** On narrow screens the state is a dot before the name, as there is no space for the column. */
function NarrowState({ model }: { model: ModelRepo }) {
  const state = modelState(model);
  return (
    <span
      role="img"
      aria-label={state.word}
      title={state.word}
      className={cn("size-2 shrink-0 rounded-full bg-current min-[560px]:hidden", toneText[state.tone])}
    />
  );
}

const None = () => <span className="text-muted">–</span>;

function OnDisk({ model }: { model: ModelRepo }) {
  if (model.bytesHere === 0n) return <None />;
  const part = share(model.bytesHere, model.bytes);
  return (
    <span className="flex items-center justify-end gap-2.5">
      {part > 0 && part < 1 && (
        <Progress
          value={part}
          label={`Share of ${model.repoId} on disk`}
          tone="warn"
          className="hidden h-1 w-12 md:block"
        />
      )}
      <Bytes value={model.bytesHere} />
    </span>
  );
}

export function Models() {
  useTitle("Models");
  const search = useSearch({ from: "/models/" });
  const navigate = useNavigate({ from: "/models/" });
  const client = useQueryClient();
  const [typed, setTyped] = useState(search.q ?? "");
  const [selected, setSelected] = useState<ReadonlySet<string>>(new Set());
  const q = useDebounced(typed.trim(), 180);

  const change = (part: Partial<ModelsSearch>, keepPage = false) =>
    void navigate({ search: (old) => ({ ...old, ...(keepPage ? {} : { page: undefined }), ...part }), replace: true });

  // The field leads while somebody is typing; the address leads when it changes from outside.
  // biome-ignore lint/correctness/useExhaustiveDependencies: only what was typed is carried over.
  useEffect(() => {
    if (q !== (search.q ?? "")) change({ q: q || undefined });
  }, [q]);
  // biome-ignore lint/correctness/useExhaustiveDependencies: as above, the other way round.
  useEffect(() => {
    if ((search.q ?? "") !== q) setTyped(search.q ?? "");
  }, [search.q]);

  const filter = {
    search: search.q,
    kind: search.kind,
    status: search.status,
    download: search.download,
    pinned: search.pinned,
    order: search.order,
  };
  const page = search.page ?? 1;
  const query = useQuery(modelsQuery(client, filter, page));
  const data = query.data;
  const total = Number(data?.total ?? 0n);
  const slow = useSlow(query.isPending);
  const filtered = Boolean(search.q || search.kind || search.status || search.download || search.pinned);
  const open = (source: string | undefined) => change({ register: source }, true);

  // Only what can be seen is selected: another page or filter clears the selection.
  // biome-ignore lint/correctness/useExhaustiveDependencies: it depends on these on purpose.
  useEffect(() => setSelected(new Set()), [search.q, search.kind, search.status, search.download, search.pinned, page]);

  const chosen = data?.models.filter((model) => selected.has(model.id)) ?? [];
  return (
    <>
      <PageHead
        title="Models"
        note={data ? (filtered ? plural(total, "model matches", "models match") : plural(total, "model")) : " "}
        actions={
          <Button look="primary" icon={<Plus className="size-4" aria-hidden />} onClick={() => open("")}>
            Register
          </Button>
        }
      />
      <ModelsFilters search={search} typed={typed} onType={setTyped} onChange={change} />
      <Panel flush className="mt-3">
        {query.isError && !data ? (
          <Failure error={query.error} retry={() => query.refetch()} />
        ) : data && data.models.length === 0 ? (
          filtered ? (
            <Empty
              icon={<Boxes aria-hidden />}
              title="No models match"
              action={
                <Button small onClick={() => void navigate({ search: {}, replace: true })}>
                  Clear search and filters
                </Button>
              }
            >
              It may exist upstream; register it to see its files.
            </Empty>
          ) : (
            <Empty
              icon={<Boxes aria-hidden />}
              title="No models yet"
              action={
                <Button look="primary" onClick={() => open("")}>
                  Register a model
                </Button>
              }
            >
              Register one to browse its files and download it in advance. Models that clients download through this hub
              appear here automatically.
            </Empty>
          )
        ) : (
          <DataTable
            label="Models"
            rows={data?.models ?? noModels}
            columns={columns}
            rowId={modelId}
            href={(model) => ({ to: "/models/$", params: { _splat: modelSlug(model) } })}
            order={search.order ?? "name"}
            onOrder={(order) => change({ order: order === "name" ? undefined : (order as ModelsSearch["order"]) })}
            selected={selected}
            onSelect={setSelected}
            selectLabel={(model) => `Select ${model.repoId}`}
            loading={query.isPending && slow}
            stale={query.isPlaceholderData}
          />
        )}
      </Panel>
      {data && (
        <Pager
          page={page}
          pages={Math.max(1, Math.ceil(total / modelsPageSize))}
          note={`${count(Math.min(total, (page - 1) * modelsPageSize + 1))} to ${count(Math.min(total, page * modelsPageSize))} of ${count(total)}`}
          onPage={(next) => {
            change({ page: next > 1 ? next : undefined }, true);
            window.scrollTo({ top: 0 });
          }}
        />
      )}
      {chosen.length > 0 && (
        <ModelsBulk
          models={chosen}
          onClear={() => setSelected(new Set())}
          note={bytes(chosen.reduce((sum, model) => sum + model.bytesHere, 0n))}
        />
      )}
      <Suspense>
        {search.register !== undefined && (
          <RegisterDialog source={search.register} onSource={open} onClose={() => open(undefined)} />
        )}
      </Suspense>
    </>
  );
}

const noModels: ModelRepo[] = [];
const modelId = (model: ModelRepo) => model.id;
