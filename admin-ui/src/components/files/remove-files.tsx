// Asks before files are removed from disk, and says how much that frees, and what of it could not be downloaded again.
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { evictModel, pinModel, planModelEviction, useAction } from "@/api/actions";
import { sentence } from "@/api/problem";
import type { ModelArtifact, ModelRepo } from "@/gen/modelhub/v1/model_pb";
import { bytes, plural } from "@/lib/format";
import { Unrecoverable } from "../storage/unrecoverable";
import { Confirm } from "../ui/dialog";
import { Note, SkeletonLines } from "../ui/states";
import { isTyped } from "../ui/typed";
import { totals } from "./rows";

interface Props {
  model: ModelRepo;
  revision: string;
  /** Empty: all files of the model. */
  entries: readonly ModelArtifact[];
  onClose: () => void;
  onDone: () => void;
}

export function RemoveFiles({ model, revision, entries, onClose, onDone }: Props) {
  const sum = totals(entries);
  const all = entries.length === 0;
  const [included, setIncluded] = useState(false);
  const [typed, setTyped] = useState("");
  const paths = entries.map((entry) => entry.filePath);
  const request = { revision, selection: { paths }, includeUnrecoverable: included };
  const plan = useQuery({
    queryKey: ["eviction", model.id, revision, paths, included],
    queryFn: ({ signal }) => planModelEviction(model.id, request, signal),
    enabled: !model.pinned,
    placeholderData: keepPreviousData,
    staleTime: 0,
    retry: false,
  });
  const data = plan.data;
  const settled = data !== undefined && !plan.isPlaceholderData;
  const action = useAction({
    run: () => evictModel(model.id, request),
    done: (job) => ({ text: `Removing ${bytes(data?.bytes)}`, to: { label: "Show", href: `/jobs/${job.id}` } }),
    failed: "Could not remove the files",
    refresh: [["jobs"], ["overview"]],
    after: onDone,
  });
  const unpin = useAction({
    run: () => pinModel(model.id, { pinned: false }),
    done: () => "Unpinned",
    failed: "Could not unpin the model",
    refresh: [["model"], ["models"], ["storage"]],
  });
  return (
    <Confirm
      open
      onClose={onClose}
      title={
        all
          ? `Remove all files of ${model.repoId} from disk?`
          : entries.length === 1
            ? `Remove ${entries[0]?.filePath} from disk?`
            : `Remove ${plural(sum.files, "file")} from disk?`
      }
      action={model.pinned ? "Unpin" : settled && data.bytes > 0n ? `Remove ${bytes(data.bytes)}` : "Remove"}
      look={model.pinned ? "plain" : "danger"}
      busy={action.busy || unpin.busy}
      disabled={!model.pinned && (!settled || data.bytes === 0n || (data.unrecoverableFiles > 0n && !isTyped(typed)))}
      onConfirm={() => (model.pinned ? unpin : action).go(undefined)}
    >
      {model.pinned ? (
        <p className="text-warn">
          This model is pinned, so its files are kept. Unpin it to see what removing them would free.
        </p>
      ) : plan.isError ? (
        <Note tone="bad" title="Could not plan the removal">
          {sentence(plan.error)}
        </Note>
      ) : !data ? (
        <SkeletonLines />
      ) : (
        <>
          <p>
            Frees <strong className="font-medium text-text">{bytes(data.bytes)}</strong>. Files shared with other
            repositories are kept.
          </p>
          {data.bytes > data.unrecoverableBytes && (
            <p>The model stays in the list, and its files can be downloaded again as long as upstream has them.</p>
          )}
          <Unrecoverable plan={data} included={included} onInclude={setIncluded} typed={typed} onType={setTyped} />
        </>
      )}
    </Confirm>
  );
}
