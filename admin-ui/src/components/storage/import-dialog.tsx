// Imports a folder of this machine: looks at it first, shows what it found, and starts the job when told so.
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
  local_dir: "local folder of hf download",
  loose_files: "loose files",
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
    failed: "The import could not be started",
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
      description="Models that are on this machine already come into the store, verified, without being downloaded."
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
            hint="Absolute, as the hub sees it. A Hugging Face cache, or folders named vendor/name."
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
                  autoFocus
                />
                <Button
                  type="submit"
                  disabled={!path.trim()}
                  busy={preview.isFetching}
                  icon={<FolderSearch className="size-4" aria-hidden />}
                >
                  Look
                </Button>
              </span>
            )}
          </Field>
        </form>
        {preview.isFetching && !found ? (
          <SkeletonLines />
        ) : preview.isError && folder === path.trim() ? (
          <Note tone="bad" icon={<TriangleAlert aria-hidden />} title="The folder could not be looked at">
            {sentence(preview.error)}
          </Note>
        ) : (
          found && (
            <>
              {found.findings.length === 0 ? (
                <Empty title="No models are in this folder" className="py-4">
                  Nothing in it looks like a Hugging Face cache, a model folder or a file of weights.
                </Empty>
              ) : (
                <ul
                  tabIndex={0}
                  className="max-h-72 divide-y divide-line overflow-y-auto rounded-md border border-line"
                >
                  {found.findings.map((one) => (
                    <li key={one.path} className="flex flex-wrap items-center gap-x-3 gap-y-0.5 px-3 py-2 text-sm">
                      <span className="min-w-0 flex-1 basis-60">
                        <span className="block truncate font-medium">{one.repoId || "No repository named"}</span>
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
                  title={plural(found.problems.length, "thing will be left out", "things will be left out")}
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
                    label="How the files come into the store"
                    hint="By default they share blocks where the filesystem can, and are copied elsewhere."
                  >
                    {(ids) => (
                      <Select
                        {...ids}
                        className="w-full"
                        value={placement}
                        onChange={(event) => setPlacement(event.target.value)}
                      >
                        <option value="auto">Whatever takes the least space</option>
                        <option value="reflink">Share blocks (reflink)</option>
                        <option value="hard_link">Hard links</option>
                        <option value="copy">Copies</option>
                      </Select>
                    )}
                  </Field>
                  {unnamed && (
                    <Field label="Repository of what has no name" hint="Loose files are compared with this repository.">
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
