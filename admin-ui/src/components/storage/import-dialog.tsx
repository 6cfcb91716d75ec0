// Imports a folder of this machine: previews it first, shows what was found, and starts the job on request.
import { useQuery } from "@tanstack/react-query";
import { FolderSearch, TriangleAlert } from "lucide-react";
import { type FormEvent, useState } from "react";
import { previewScan, scanStorage, useAction } from "@/api/actions";
import { sentence } from "@/api/problem";
import { bytes, plural } from "@/lib/format";
import { Badge } from "../ui/badge";
import { Button } from "../ui/button";
import { Dialog } from "../ui/dialog";
import { Field, Input, Select } from "../ui/field";
import { Empty, Note, SkeletonLines } from "../ui/states";

const layouts: Record<string, string> = {
  huggingface_cache: "Hugging Face cache",
  vendor_name: "vendor/name folder",
  local_dir: "hf download folder",
  loose_files: "loose files",
  ollama: "Ollama's store",
};

interface Props {
  folder: string;
  onFolder: (folder: string) => void;
  onClose: () => void;
}

export function ImportDialog({ folder, onFolder, onClose }: Props) {
  const [path, setPath] = useState(folder);
  const [placement, setPlacement] = useState("auto");
  const [repoId, setRepoId] = useState("");
  const preview = useQuery({
    queryKey: ["scan", folder],
    queryFn: ({ signal }) => previewScan({ path: folder }, signal),
    enabled: folder !== "",
    staleTime: 0,
    retry: false,
  });
  const found = folder === path.trim() ? preview.data : undefined;
  const unnamed = found?.findings.some((one) => one.repoId === "") ?? false;
  const action = useAction({
    run: () => scanStorage({ path: folder, placement, repoId: repoId.trim() }),
    done: (job) => ({ text: `Importing ${folder}`, to: { label: "Show", href: `/jobs/${job.id}` } }),
    failed: "Could not start the import",
    refresh: [["jobs"], ["overview"]],
    after: onClose,
  });
  const look = (event: FormEvent) => {
    event.preventDefault();
    if (path.trim() === folder) void preview.refetch();
    else onFolder(path.trim());
  };
  return (
    <Dialog
      open
      onClose={onClose}
      wide
      title="Import a folder"
      description="Adds models that are already on this machine to the store: verified, and without downloading them."
      footer={
        <>
          <Button onClick={onClose}>Cancel</Button>
          <Button
            look="primary"
            busy={action.busy}
            disabled={!found || found.files === 0n}
            onClick={() => action.go(undefined)}
          >
            {found && found.files > 0n ? `Import ${plural(found.files, "file")}, ${bytes(found.bytes)}` : "Import"}
          </Button>
        </>
      }
    >
      <div className="flex flex-col gap-4">
        <form onSubmit={look} className="flex items-end gap-2">
          <Field
            label="Folder on this machine"
            hint="Absolute path as the hub sees it: a Hugging Face cache, or folders named vendor/name."
            className="flex-1"
          >
            {(ids) => (
              <span className="flex gap-2">
                <Input
                  {...ids}
                  value={path}
                  onChange={(event) => setPath(event.target.value)}
                  placeholder="/data/models"
                  className="font-mono text-xs"
                  spellCheck={false}
                />
                <Button
                  type="submit"
                  disabled={!path.trim()}
                  busy={preview.isFetching}
                  icon={<FolderSearch className="size-4" aria-hidden />}
                >
                  Preview
                </Button>
              </span>
            )}
          </Field>
        </form>
        {preview.isFetching && !found ? (
          <SkeletonLines />
        ) : preview.isError && folder === path.trim() ? (
          <Note tone="bad" icon={<TriangleAlert aria-hidden />} title="Could not preview the folder">
            {sentence(preview.error)}
          </Note>
        ) : (
          found && (
            <>
              {found.findings.length === 0 ? (
                <Empty title="No models found in this folder" className="py-4">
                  It contains no Hugging Face cache, model folder or weights file.
                </Empty>
              ) : (
                <ul
                  tabIndex={0}
                  className="max-h-72 divide-y divide-line overflow-y-auto rounded-md border border-line"
                >
                  {found.findings.map((one) => (
                    <li key={one.path} className="flex flex-wrap items-center gap-x-3 gap-y-0.5 px-3 py-2 text-sm">
                      <span className="min-w-0 flex-1 basis-60">
                        <span className="block truncate font-medium">{one.repoId || "Unknown repository"}</span>
                        <span className="block truncate font-mono text-xs text-muted" title={one.path}>
                          {one.path}
                        </span>
                      </span>
                      <Badge>{layouts[one.layout] ?? one.layout}</Badge>
                      <span className="tabular text-muted">
                        {plural(one.files, "file")}, {bytes(one.bytes)}
                      </span>
                    </li>
                  ))}
                </ul>
              )}
              {found.problems.length > 0 && (
                <Note
                  tone="warn"
                  icon={<TriangleAlert aria-hidden />}
                  title={plural(found.problems.length, "item will be skipped", "items will be skipped")}
                >
                  <ul className="max-h-32 overflow-y-auto">
                    {found.problems.map((problem) => (
                      <li key={problem.path}>
                        <span className="font-mono text-xs">{problem.path}</span>: {problem.text}
                      </li>
                    ))}
                  </ul>
                </Note>
              )}
              {found.findings.length > 0 && (
                <div className="grid gap-4 sm:grid-cols-2">
                  <Field
                    label="How to add the files"
                    hint="By default, files share blocks with the originals where the filesystem can, and are copied elsewhere."
                  >
                    {(ids) => (
                      <Select
                        {...ids}
                        className="w-full"
                        value={placement}
                        onChange={(event) => setPlacement(event.target.value)}
                      >
                        <option value="auto">Automatic (least space)</option>
                        <option value="reflink">Reflinks (shared blocks)</option>
                        <option value="hard_link">Hard links</option>
                        <option value="copy">Copies</option>
                      </Select>
                    )}
                  </Field>
                  {unnamed && (
                    <Field
                      label="Repository of the loose files"
                      hint="Loose files are matched against this repository."
                    >
                      {(ids) => (
                        <Input
                          {...ids}
                          value={repoId}
                          onChange={(event) => setRepoId(event.target.value)}
                          placeholder="org/name"
                        />
                      )}
                    </Field>
                  )}
                </div>
              )}
            </>
          )
        )}
      </div>
    </Dialog>
  );
}
