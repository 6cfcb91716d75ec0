// The config files of a model, one at a time: readable by default, raw on request.
import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { contentQuery, filesQuery } from "@/api/queries";
import type { ModelRepo } from "@/gen/modelhub/v1/model_pb";
import { CopyButton } from "../ui/copy";
import { Select } from "../ui/field";
import { Panel } from "../ui/panel";
import { Segmented } from "../ui/segmented";
import { Empty, Failure, SkeletonLines } from "../ui/states";
import { JsonView } from "./json-view";

/** The most informative first. */
const order = ["model_index.json", "config.json", "generation_config.json", "tokenizer_config.json"];
const rank = (path: string) => {
  const at = order.indexOf(path);
  return at < 0 ? order.length : at;
};

export function ConfigFiles({ model, revision }: { model: ModelRepo; revision: string }) {
  const search = useSearch({ from: "/models/$" });
  const navigate = useNavigate({ from: "/models/$" });
  const list = useInfiniteQuery(filesQuery(model.id, revision, { flat: true, search: ".json" }));
  const files = (list.data?.pages[0]?.files ?? [])
    .filter(
      (file) =>
        file.filePath.endsWith(".json") && file.sizeBytes < 1024n ** 2n * 4n && !file.filePath.endsWith(".index.json"),
    )
    .map((file) => file.filePath)
    .sort((a, b) => rank(a) - rank(b) || a.localeCompare(b));
  const path = search.file && files.includes(search.file) ? search.file : files[0];
  const content = useQuery({ ...contentQuery(model.id, revision, path ?? ""), enabled: path !== undefined });

  if (list.isPending) {
    return (
      <Panel>
        <SkeletonLines count={8} />
      </Panel>
    );
  }
  if (list.isError) return <Failure error={list.error} retry={() => list.refetch()} />;
  if (!path) {
    return (
      <Panel flush>
        <Empty title="No config files">This revision has no JSON files that describe the model.</Empty>
      </Panel>
    );
  }
  let parsed: unknown;
  let broken = false;
  if (content.data) {
    try {
      parsed = JSON.parse(content.data.text);
    } catch {
      broken = true;
    }
  }
  return (
    <Panel
      title={
        <Select
          aria-label="File"
          value={path}
          onChange={(event) =>
            void navigate({
              search: (old) => ({ ...old, file: event.target.value }),
              replace: true,
              resetScroll: false,
            })
          }
          className="max-w-72 font-mono text-xs font-normal"
        >
          {files.map((file) => (
            <option key={file}>{file}</option>
          ))}
        </Select>
      }
      actions={
        <>
          <Segmented
            label="View"
            value={search.raw ? "raw" : "read"}
            onChange={(next) =>
              void navigate({
                search: (old) => ({ ...old, raw: next === "raw" || undefined }),
                replace: true,
                resetScroll: false,
              })
            }
            options={[
              { value: "read", label: "Readable" },
              { value: "raw", label: "Raw" },
            ]}
          />
          {content.data && <CopyButton text={content.data.text} label="Copy file" />}
        </>
      }
    >
      {content.isPending ? (
        <SkeletonLines count={8} />
      ) : content.isError ? (
        <Failure error={content.error} retry={() => content.refetch()} />
      ) : search.raw || broken ? (
        <pre tabIndex={0} className="max-h-[70vh] overflow-auto font-mono text-xs leading-5">
          {content.data.text}
        </pre>
      ) : (
        <JsonView value={parsed} />
      )}
    </Panel>
  );
}
