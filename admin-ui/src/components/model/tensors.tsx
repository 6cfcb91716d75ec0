// The tensors of one weights file, and the metadata in its header.
import { useInfiniteQuery } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { useEffect, useState } from "react";
import { filesQuery, tensorsQuery } from "@/api/queries";
import { type ModelRepo, ModelArtifact_DownloadStatus as Status } from "@/gen/modelhub/v1/model_pb";
import { bytes, plural } from "@/lib/format";
import { useDebounced } from "@/lib/hooks";
import { TensorList } from "../tensor-list";
import { Button } from "../ui/button";
import { SearchField, Select } from "../ui/field";
import { Panel } from "../ui/panel";
import { Empty, Failure, SkeletonLines } from "../ui/states";

export function Tensors({ model, revision }: { model: ModelRepo; revision: string }) {
  const search = useSearch({ from: "/models/$" });
  const navigate = useNavigate({ from: "/models/$" });
  const [text, setText] = useState(search.find ?? "");
  const late = useDebounced(text.trim(), 300);
  // biome-ignore lint/correctness/useExhaustiveDependencies: the address follows what is typed.
  useEffect(() => {
    if (late !== (search.find ?? ""))
      void navigate({ search: (old) => ({ ...old, find: late || undefined }), replace: true, resetScroll: false });
  }, [late]);
  const list = useInfiniteQuery(filesQuery(model.id, revision, { flat: true, file_type: "model" }));
  const files = (list.data?.pages.flatMap((page) => page.files) ?? []).filter((file) =>
    /\.(safetensors|gguf)$/i.test(file.filePath),
  );
  const chosen =
    files.find((file) => file.filePath === search.file) ??
    files.find((file) => file.downloadStatus === Status.completed) ??
    files[0];
  const path = chosen?.filePath ?? "";
  const tensors = useInfiniteQuery({ ...tensorsQuery(model.id, revision, path), enabled: path !== "" });
  const pages = tensors.data?.pages;
  const all = pages?.flatMap((page) => page.tensors) ?? [];
  const wanted = text.trim().toLowerCase();
  const rows = wanted ? all.filter((tensor) => tensor.name.toLowerCase().includes(wanted)) : all;
  const metadata = pages?.[0]?.metadata ?? [];

  if (list.isPending) {
    return (
      <Panel>
        <SkeletonLines count={8} />
      </Panel>
    );
  }
  if (list.isError) return <Failure error={list.error} retry={() => list.refetch()} />;
  if (!chosen) {
    return (
      <Panel flush>
        <Empty title="No safetensors or GGUF files">Tensors can only be listed for files in these formats.</Empty>
      </Panel>
    );
  }
  return (
    <div className="flex flex-col gap-4">
      {metadata.length > 0 && (
        <Panel title="File metadata" note={plural(metadata.length, "key")} flush>
          <div className="max-h-80 overflow-y-auto" tabIndex={0}>
            <table className="w-full table-fixed text-sm">
              <tbody className="divide-y divide-line">
                {metadata.map((entry) => (
                  <tr key={entry.key}>
                    <th
                      scope="row"
                      className="w-2/5 px-4 py-1.5 text-left align-top font-mono text-xs font-normal text-muted"
                    >
                      {entry.key}
                    </th>
                    <td className="px-4 py-1.5 font-mono text-xs">
                      <span className="line-clamp-3" title={entry.value}>
                        {entry.value}
                      </span>
                    </td>
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
        </Panel>
      )}
      <Panel flush>
        <div className="flex flex-wrap items-center gap-2 border-b border-line p-3">
          <Select
            aria-label="Weights file"
            value={path}
            onChange={(event) =>
              void navigate({
                search: (old) => ({ ...old, file: event.target.value }),
                replace: true,
                resetScroll: false,
              })
            }
            className="max-w-full min-w-0 font-mono text-xs"
          >
            {files.map((file) => (
              <option key={file.filePath} value={file.filePath}>
                {file.filePath} · {bytes(file.sizeBytes)}
                {file.downloadStatus === Status.completed ? "" : " · remote"}
              </option>
            ))}
          </Select>
          <SearchField
            label="Search tensor names"
            value={text}
            onChange={setText}
            className="min-w-44 flex-1 sm:max-w-72"
          />
          {pages && <span className="tabular ml-auto text-xs text-muted">{plural(pages[0]?.total, "tensor")}</span>}
        </div>
        {tensors.isPending ? (
          <SkeletonLines count={8} className="p-4" />
        ) : tensors.isError ? (
          <Empty
            title="Could not read the tensors"
            action={
              <Button
                small
                onClick={() =>
                  void navigate({
                    search: (old) => ({
                      ...old,
                      tab: undefined,
                      part: undefined,
                      file: undefined,
                      download: true,
                      pick: [path],
                    }),
                  })
                }
              >
                Download this file…
              </Button>
            }
          >
            {tensors.error.message}
          </Empty>
        ) : (
          <TensorList
            rows={rows}
            onEnd={() => tensors.hasNextPage && !tensors.isFetchingNextPage && void tensors.fetchNextPage()}
          />
        )}
      </Panel>
    </div>
  );
}
