// Asks before files are removed from disk, and says how much that frees.
import { evictModel, useAction } from "@/api/actions";
import type { ModelArtifact, ModelRepo } from "@/gen/modelhub/v1/model_pb";
import { bytes, plural } from "@/lib/format";
import { Confirm } from "../ui/dialog";
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
  const size = all ? model.bytesHere : sum.here;
  const action = useAction({
    run: () =>
      evictModel(
        model.id,
        revision,
        entries.map((entry) => entry.filePath),
      ),
    done: (job) => ({ text: `Removing up to ${bytes(size)}`, to: { label: "Show", href: `/jobs/${job.id}` } }),
    failed: "Could not remove the files",
    refresh: [["jobs"], ["overview"]],
    after: onDone,
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
      action={`Remove ${bytes(size)}`}
      busy={action.busy}
      onConfirm={() => action.go(undefined)}
    >
      <p>
        Frees up to <strong className="font-medium text-text">{bytes(size)}</strong>. Files shared with other
        repositories are kept.
      </p>
      {model.source === "local" ? (
        <p className="text-warn">This model exists only on this hub: its files cannot be downloaded again.</p>
      ) : (
        <p>The model stays in the list, and its files can be downloaded again as long as upstream has them.</p>
      )}
      {model.pinned && <p className="text-warn">This model is pinned: its files are kept until it is unpinned.</p>}
    </Confirm>
  );
}
