// The files of a model at one revision: as a tree or a flat list, searched and filtered, with the actions on files,
// folders and selections. Open folders and filters are part of the address.
import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { useCallback, useEffect, useMemo, useState } from "react";
import { useAction, verifyModel } from "@/api/actions";
import { activeJobsQuery, type FilesFilter, filesQuery, revisionsQuery } from "@/api/queries";
import { type ModelArtifact, type ModelRepo, ModelRepo_Status } from "@/gen/modelhub/v1/model_pb";
import { plural } from "@/lib/format";
import { useDebounced } from "@/lib/hooks";
import type { ModelSearch } from "@/lib/search";
import { FileRows } from "../file-rows";
import { Button } from "../ui/button";
import { Empty } from "../ui/states";
import { toast } from "../ui/toast";
import { FileSelection } from "./file-selection";
import { FileToolbar } from "./file-toolbar";
import { FileViewer } from "./file-viewer";
import { useFolders } from "./folders";
import { RemoveFiles } from "./remove-files";
import { type Chosen, flatRows, toggle, treeRows } from "./rows";
import { useStableActions } from "./use-file-actions";

/** How many open folders fit into an address. */
const openLimit = 40;
/** How many files are selected at once: their paths have to fit into a request. */
const mostChosen = 10_000;

export function FileBrowser({ model, onSync }: { model: ModelRepo; onSync: () => void }) {
  const search = useSearch({ from: "/models/$" });
  const navigate = useNavigate({ from: "/models/$" });
  const revision = search.rev ?? "";
  const [typed, setTyped] = useState(search.q ?? "");
  const q = useDebounced(typed.trim(), 180);
  const [chosen, setChosen] = useState<Chosen>(new Map());
  const [removing, setRemoving] = useState<readonly ModelArtifact[]>();

  const change = useCallback(
    (part: Partial<ModelSearch>, replace = true) =>
      void navigate({ search: (old) => ({ ...old, ...part }), replace, resetScroll: false }),
    [navigate],
  );
  // biome-ignore lint/correctness/useExhaustiveDependencies: only what was typed is carried over.
  useEffect(() => {
    if (q !== (search.q ?? "")) change({ q: q || undefined });
  }, [q]);
  // biome-ignore lint/correctness/useExhaustiveDependencies: another model or revision is another selection.
  useEffect(() => setChosen(new Map()), [model.id, revision]);

  const root = search.path ?? "";
  const filtered = Boolean(search.q || search.type || search.here);
  const flat = search.view === "flat" || filtered;

  const open = useMemo(() => new Set(search.open ?? []), [search.open]);
  const shown = useMemo(
    () => (flat ? [] : [root, ...open].filter((path, index) => index === 0 || !root || path.startsWith(`${root}/`))),
    [flat, root, open],
  );
  const folders = useFolders(model.id, revision, shown);
  const filter: FilesFilter = {
    flat: true,
    path: root || undefined,
    search: search.q,
    file_type: search.type,
    download_status: search.here,
  };
  const list = useInfiniteQuery({ ...filesQuery(model.id, revision, filter), enabled: flat });

  const rows = useMemo(
    () =>
      flat
        ? flatRows({ pages: list.data?.pages, hasMore: list.hasNextPage, error: list.error })
        : treeRows(root, open, (path) => {
            const one = folders.get(path);
            return one && { pages: one.data?.pages, hasMore: one.hasNextPage, error: one.error };
          }),
    [flat, list.data, list.hasNextPage, list.error, root, open, folders],
  );

  const onMore = useCallback(
    (folder: string) => {
      const one = flat ? list : folders.get(folder);
      if (one?.hasNextPage && !one.isFetchingNextPage && !one.isFetchNextPageError) void one.fetchNextPage();
    },
    [flat, list, folders],
  );
  const onRetry = (folder: string) => void (flat ? list : folders.get(folder))?.refetch();

  const jobs = useQuery(activeJobsQuery());
  const arriving = useMemo(() => {
    const found = new Map<string, bigint>();
    for (const job of jobs.data?.jobs ?? []) {
      if (job.modelId !== model.id) continue;
      for (const file of job.progress?.files ?? []) found.set(file.filePath, file.bytesDone);
    }
    return found;
  }, [jobs.data, model.id]);

  const verify = useAction({
    run: (paths: string[]) => verifyModel(model.id, revision, paths),
    done: (job) => ({ text: "Verifying the selected files", to: { label: "Show", href: `/jobs/${job.id}` } }),
    failed: "Could not verify the files",
    refresh: [["jobs"], ["overview"]],
  });
  const actions = useStableActions({
    toggleFolder: (entry) => {
      if (flat) return;
      const next = new Set(open);
      if (!next.delete(entry.filePath)) next.add(entry.filePath);
      else for (const path of next) if (path.startsWith(`${entry.filePath}/`)) next.delete(path);
      change({ open: next.size > 0 ? [...next].slice(-openLimit) : undefined });
    },
    enter: (entry) => change({ path: entry.filePath, open: undefined }, false),
    open: (entry) => (entry.files > 0n ? actions.toggleFolder(entry) : change({ file: entry.filePath }, false)),
    choose: (entry) => setChosen((old) => toggle(old, entry)),
    download: (entries) => change({ download: true, pick: entries.map((entry) => entry.filePath) }, false),
    verify: (entries) => verify.go(entries.map((entry) => entry.filePath)),
    remove: setRemoving,
  });

  const top = useMemo(() => rows.filter((row) => row.kind === "entry" && row.depth === 0), [rows]);
  const allChosen = chosen.size > 0 && top.length > 0 && top.every((row) => chosen.has(row.key));
  const { data: listed, hasNextPage, fetchNextPage } = flat ? list : (folders.get(root) ?? list);
  const chooseAll = async (on: boolean) => {
    let pages = listed?.pages ?? [];
    const count = () => pages.reduce((sum, page) => sum + page.files.length, 0);
    let more = on && hasNextPage;
    // All of them, not only those that were scrolled to.
    while (more && count() < mostChosen) {
      const next = await fetchNextPage();
      pages = next.data?.pages ?? pages;
      more = next.hasNextPage && !next.isError;
    }
    const entries = on ? pages.flatMap((page) => page.files) : [];
    setChosen(new Map(entries.map((entry) => [entry.filePath, entry])));
    if (more) {
      const detail = "Narrow the search, or select folders in the tree, to reach the rest.";
      toast.error({ text: `Selected the first ${plural(count(), "file")}`, detail });
    }
  };

  const known = useQuery(revisionsQuery(model.id)).data?.revisions.find((one) => one.name === revision);
  if (revision && known && !known.listed) {
    return (
      <Empty title={`Files at ${revision} not listed yet`} action={<Button onClick={onSync}>Sync {revision}</Button>}>
        A sync fetches the file list from upstream. It downloads no files.
      </Empty>
    );
  }
  if (model.status !== ModelRepo_Status.synced && model.files === 0n && !revision) {
    return (
      <Empty title="Files not listed yet" action={<Button onClick={onSync}>Sync now</Button>}>
        {model.activeJobId
          ? "A sync is running; this page updates automatically."
          : "A sync fetches the file list from upstream. It downloads no files."}
      </Empty>
    );
  }
  return (
    <>
      <FileToolbar
        search={search}
        typed={typed}
        flat={flat}
        root={root}
        onType={setTyped}
        onChange={change}
        note={
          flat && list.data && !list.hasNextPage
            ? plural(rows.filter((row) => row.kind === "entry").length, "file")
            : undefined
        }
      />
      <FileRows
        rows={rows}
        flat={flat}
        chosen={chosen}
        actions={actions}
        arriving={arriving}
        onMore={onMore}
        onRetry={onRetry}
        allChosen={allChosen}
        onChooseAll={(on) => void chooseAll(on)}
        emptyText={filtered ? "No files match." : "This folder is empty."}
      />
      {chosen.size > 0 && <FileSelection chosen={chosen} actions={actions} onClear={() => setChosen(new Map())} />}
      {removing && (
        <RemoveFiles
          model={model}
          revision={revision}
          entries={removing}
          onClose={() => setRemoving(undefined)}
          onDone={() => {
            setRemoving(undefined);
            setChosen(new Map());
          }}
        />
      )}
      {search.file && (
        <FileViewer model={model} revision={revision} path={search.file} onClose={() => change({ file: undefined })} />
      )}
    </>
  );
}
