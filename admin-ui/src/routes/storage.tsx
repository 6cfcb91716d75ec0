// Disk usage: the disk, the formats, and every model with the space that removing it would free.
import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { FolderInput, HardDrive, Pin, ShieldCheck, Trash2 } from "lucide-react";
import { lazy, Suspense, useMemo } from "react";
import { overviewQuery, storageQuery } from "@/api/queries";
import { type Column, DataTable } from "@/components/data-table";
import { Quarantine } from "@/components/storage/quarantine";
import { StorageSummary } from "@/components/storage/summary";
import { Button, buttonClass } from "@/components/ui/button";
import { SearchField, Select } from "@/components/ui/field";
import { PageHead, Panel } from "@/components/ui/panel";
import { Progress } from "@/components/ui/progress";
import { Empty, Failure, SkeletonLines } from "@/components/ui/states";
import { Bytes, When } from "@/components/ui/values";
import type { Usage } from "@/gen/modelhub/v1/system_pb";
import { cn } from "@/lib/cn";
import { bytes, count, plural, share } from "@/lib/format";
import { useSlow, useTitle } from "@/lib/hooks";
import { usageName } from "@/lib/paths";
import type { StorageSearch } from "@/lib/search";
import { toDate } from "@/lib/time";

const EvictDialog = lazy(() =>
  import("@/components/storage/evict-dialog").then((module) => ({ default: module.EvictDialog })),
);
const ImportDialog = lazy(() =>
  import("@/components/storage/import-dialog").then((module) => ({ default: module.ImportDialog })),
);
const VerifyDialog = lazy(() =>
  import("@/components/storage/verify-dialog").then((module) => ({ default: module.VerifyDialog })),
);

export function Storage() {
  useTitle("Storage");
  const search = useSearch({ from: "/storage" });
  const navigate = useNavigate({ from: "/storage" });
  const query = useQuery(storageQuery());
  const overview = useQuery(overviewQuery());
  const slow = useSlow(query.isPending);
  const data = query.data;
  const change = (part: Partial<StorageSearch>) =>
    void navigate({ search: (old) => ({ ...old, ...part }), replace: true, resetScroll: false });
  const close = () => change({ dialog: undefined, folder: undefined, free: undefined, unused: undefined });
  const order = search.order ?? "size";
  const rows = useMemo(() => sorted(data?.models ?? [], search), [data, search]);
  const largest = useMemo(
    () => (data?.models ?? []).reduce((max, one) => (one.bytes > max ? one.bytes : max), 0n),
    [data],
  );
  const columns = useMemo(() => columnsFor(largest), [largest]);

  return (
    <>
      <PageHead
        title="Storage"
        note={data ? `${bytes(data.bytes)} in ${plural(data.blobs, "file")}` : " "}
        actions={
          <>
            <Button onClick={() => change({ dialog: "import" })} icon={<FolderInput className="size-4" aria-hidden />}>
              Import a folder
            </Button>
            <Button onClick={() => change({ dialog: "verify" })} icon={<ShieldCheck className="size-4" aria-hidden />}>
              Verify
            </Button>
            <Button onClick={() => change({ dialog: "evict" })} icon={<Trash2 className="size-4" aria-hidden />}>
              Free space
            </Button>
          </>
        }
      />
      {query.isError && !data ? (
        <Failure error={query.error} retry={() => query.refetch()} className="py-24" />
      ) : !data ? (
        slow && <SkeletonLines count={8} />
      ) : (
        <>
          <StorageSummary storage={data} shared={overview.data?.bytesShared} />
          {data.quarantineBytes > 0n && <Quarantine />}
          <Panel flush className="mt-4">
            <div className="flex flex-wrap items-center gap-2 border-b border-line p-3">
              <SearchField
                label="Search models"
                value={search.q ?? ""}
                onChange={(q) => change({ q: q || undefined })}
                className="min-w-52 flex-1 sm:max-w-80"
              />
              <button
                type="button"
                aria-pressed={search.pinned === true}
                onClick={() => change({ pinned: search.pinned ? undefined : true })}
                className={cn(
                  buttonClass("plain"),
                  search.pinned && "border-accent bg-accent-soft text-accent hover:bg-accent-soft",
                )}
              >
                <Pin className="size-3.5" aria-hidden />
                Pinned
              </button>
              <Select
                aria-label="Sort by"
                value={order}
                onChange={(event) =>
                  change({
                    order: event.target.value === "size" ? undefined : (event.target.value as StorageSearch["order"]),
                  })
                }
              >
                <option value="size">Size on disk</option>
                <option value="own">Space freed</option>
                <option value="used">Least recently used</option>
                <option value="name">Name</option>
              </Select>
              <span className="tabular ml-auto text-xs text-muted">
                {data.models.length >= 1000 ? "1,000 largest models" : plural(rows.length, "model")}
              </span>
            </div>
            {rows.length === 0 ? (
              data.models.length === 0 ? (
                <Empty icon={<HardDrive aria-hidden />} title="No files stored yet">
                  Files that clients download through this hub, that you download in advance or import appear here.
                </Empty>
              ) : (
                <Empty
                  title="No models match"
                  action={
                    <Button small onClick={() => change({ q: undefined, pinned: undefined })}>
                      Clear search
                    </Button>
                  }
                />
              )
            ) : (
              <DataTable
                label="Disk usage by model"
                rows={rows}
                columns={columns}
                rowId={usageId}
                href={(one) => ({ to: "/models/$", params: { _splat: usageSlug(one) } })}
                order={order === "name" ? "name" : `-${order}`}
                onOrder={(next) => {
                  const key = next.replace("-", "") as StorageSearch["order"];
                  change({ order: key === "size" ? undefined : key });
                }}
              />
            )}
          </Panel>
        </>
      )}
      <Suspense>
        {search.dialog === "evict" && (
          <EvictDialog
            storage={data}
            free={search.free}
            unused={search.unused}
            onChange={(free, unused) => change({ free, unused })}
            onClose={close}
          />
        )}
        {search.dialog === "import" && (
          <ImportDialog
            folder={search.folder ?? ""}
            onFolder={(folder) => change({ folder: folder || undefined })}
            onClose={close}
          />
        )}
        {search.dialog === "verify" && <VerifyDialog storage={data} onClose={close} />}
      </Suspense>
    </>
  );
}

/** By name where that is unique, so that addresses are readable. */
const usageSlug = (one: Usage) => (usageName(one.name).includes("/") ? usageName(one.name) : one.modelId || one.name);
const usageId = (one: Usage) => one.modelId || one.name;

export function sorted(models: readonly Usage[], search: StorageSearch): Usage[] {
  const wanted = (search.q ?? "").trim().toLowerCase();
  const found = models.filter(
    (one) => (!wanted || one.name.toLowerCase().includes(wanted)) && (!search.pinned || one.pinned),
  );
  const used = (one: Usage) => toDate(one.lastUsedAt)?.getTime() ?? 0;
  switch (search.order) {
    case "own":
      return found.sort((a, b) => Number(b.ownBytes - a.ownBytes));
    case "used":
      // The least recently used first: these are evicted first.
      return found.sort((a, b) => used(a) - used(b));
    case "name":
      return found.sort((a, b) => usageName(a.name).localeCompare(usageName(b.name)));
    default:
      return found.sort((a, b) => Number(b.bytes - a.bytes));
  }
}

const columnsFor = (largest: bigint): Column<Usage>[] => [
  {
    id: "name",
    header: "Model",
    sort: "name",
    width: "minmax(0,2fr)",
    cell: (one) => (
      <span className="flex min-w-0 items-center gap-2">
        <Link
          to="/models/$"
          params={{ _splat: usageSlug(one) }}
          className="min-w-0 truncate font-medium hover:text-accent hover:underline"
        >
          {usageName(one.name)}
        </Link>
        {one.pinned && <Pin className="size-3.5 shrink-0 text-accent" aria-label="Pinned" />}
      </span>
    ),
  },
  {
    id: "bar",
    header: "",
    width: "minmax(0,1fr)",
    from: 900,
    cell: (one) => (
      <Progress
        value={share(one.bytes, largest)}
        label={`${usageName(one.name)} compared with the largest model`}
        className="h-1"
      />
    ),
  },
  {
    id: "size",
    header: "On disk",
    sort: "size",
    width: "5.5rem",
    align: "right",
    cell: (one) => <Bytes value={one.bytes} />,
  },
  {
    id: "own",
    header: "Frees",
    sort: "own",
    width: "5.5rem",
    align: "right",
    from: 560,
    cell: (one) => (
      <span
        title={
          one.ownBytes < one.bytes
            ? `${bytes(one.bytes - one.ownBytes)} shared with other repositories would be kept`
            : "Not shared with other repositories"
        }
      >
        <Bytes value={one.ownBytes} className={one.ownBytes < one.bytes ? "text-warn" : "text-soft"} />
      </span>
    ),
  },
  {
    id: "files",
    header: "Files",
    width: "4.5rem",
    align: "right",
    from: 760,
    cell: (one) => <span className="tabular text-muted">{count(one.files)}</span>,
  },
  {
    id: "used",
    header: "Last used",
    sort: "used",
    width: "8rem",
    align: "right",
    from: 680,
    cell: (one) => <When at={one.lastUsedAt} className="text-soft" />,
  },
];
