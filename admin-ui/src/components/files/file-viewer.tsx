// One file: its details, and its content if it is text.
import { useQuery } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { Download, Grid3x3, TriangleAlert } from "lucide-react";
import { get, modelPath } from "@/api/client";
import { contentQuery, filesQuery, overviewQuery } from "@/api/queries";
import { ListFilesResponseSchema } from "@/gen/modelhub/v1/hub_service_pb";
import { type ModelRepo, ModelArtifact_DownloadStatus as Status } from "@/gen/modelhub/v1/model_pb";
import { bytes, exactBytes } from "@/lib/format";
import { baseName, folderOf, isText } from "@/lib/paths";
import { Button } from "../ui/button";
import { CopyButton } from "../ui/copy";
import { Dialog } from "../ui/dialog";
import { Facts } from "../ui/panel";
import { Failure, Note, SkeletonLines } from "../ui/states";
import { When } from "../ui/values";
import { FileStatus, typeWord } from "./file-row";

/** Finds one file among those of its folder. */
const fileQuery = (model: string, revision: string, path: string) => ({
  queryKey: [...filesQuery(model, revision, {}).queryKey.slice(0, 2), "file", revision, path],
  queryFn: async ({ signal }: { signal: AbortSignal }) => {
    const query = { revision, flat: true, path: folderOf(path), search: baseName(path), page_size: 1000 };
    const found = await get(ListFilesResponseSchema, `${modelPath(model)}/files`, query, signal);
    return found.files.find((file) => file.filePath === path) ?? null;
  },
});

export function FileViewer({
  model,
  revision,
  path,
  onClose,
}: {
  model: ModelRepo;
  revision: string;
  path: string;
  onClose: () => void;
}) {
  const navigate = useNavigate({ from: "/models/$" });
  const file = useQuery(fileQuery(model.id, revision, path));
  const overview = useQuery(overviewQuery());
  const text = isText(path);
  const content = useQuery({ ...contentQuery(model.id, revision, path), enabled: text });
  const data = file.data;
  const prefix = { dataset: "datasets/", space: "spaces/", kernel: "kernels/" }[model.kind] ?? "";
  const address = overview.data
    ? `${overview.data.endpoint}/${prefix}${model.repoId}/resolve/${encodeURIComponent(revision || model.revision || "main")}/${path.split("/").map(encodeURIComponent).join("/")}`
    : "";
  const weights = /\.(safetensors|gguf)$/.test(path);
  return (
    <Dialog
      open
      onClose={onClose}
      wide
      title={<span className="font-mono text-base break-all">{path}</span>}
      footer={
        <>
          {weights && (
            <Button
              icon={<Grid3x3 className="size-4" aria-hidden />}
              onClick={() => void navigate({ search: (old) => ({ ...old, tab: "metadata", part: "tensors" }) })}
            >
              Show tensors
            </Button>
          )}
          {data && data.downloadStatus !== Status.completed && (
            <Button
              look="primary"
              icon={<Download className="size-4" aria-hidden />}
              onClick={() =>
                void navigate({ search: (old) => ({ ...old, file: undefined, download: true, pick: [path] }) })
              }
            >
              Download…
            </Button>
          )}
          <Button onClick={onClose}>Close</Button>
        </>
      }
    >
      <div className="flex flex-col gap-4">
        {file.isPending ? (
          <SkeletonLines />
        ) : data ? (
          <>
            <Facts
              items={[
                [
                  "Size",
                  <span key="s" title={exactBytes(data.sizeBytes)}>
                    {bytes(data.sizeBytes)}
                  </span>,
                ],
                ["Type", typeWord(data.fileType)],
                ["Status", <FileStatus key="s" entry={data} />],
                ["Hash", <Value key="h" text={data.contentHash} />],
                data.lastVerifiedAt !== undefined && ["Last verified", <When key="v" at={data.lastVerifiedAt} />],
                data.localPath !== "" && ["Local path", <Value key="l" text={data.localPath} />],
                address !== "" && ["URL", <Value key="a" text={address} />],
              ]}
            />
            {data.canRunCode && (
              <Note tone="warn" icon={<TriangleAlert aria-hidden />} title="Pickle">
                This format can run code when loaded. Prefer the model's safetensors files, or load it only if you trust
                the authors.
              </Note>
            )}
          </>
        ) : file.isError ? (
          <Failure error={file.error} retry={() => file.refetch()} />
        ) : (
          <Note tone="warn">This file does not exist in this revision.</Note>
        )}
        {text &&
          (content.isPending ? (
            <SkeletonLines count={6} />
          ) : content.isError ? (
            <Note tone="neutral" title="Could not show the text">
              {content.error.message}
            </Note>
          ) : (
            <>
              <pre
                tabIndex={0}
                className="max-h-[55vh] overflow-auto rounded-md border border-line bg-sunken p-3 font-mono text-xs leading-5 whitespace-pre-wrap"
              >
                {content.data.text}
              </pre>
              {content.data.truncated && <p className="text-xs text-muted">Only the first MiB is shown.</p>}
            </>
          ))}
      </div>
    </Dialog>
  );
}

function Value({ text }: { text: string }) {
  return (
    <span className="flex min-w-0 items-center gap-1">
      <span className="min-w-0 truncate font-mono text-xs" title={text}>
        {text}
      </span>
      <CopyButton text={text} className="size-5" />
    </span>
  );
}
