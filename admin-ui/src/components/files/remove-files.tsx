// Asks before files leave the disk, and says how many bytes that is.
import { evictModel, useAction } from "@/api/actions";
import type { ModelArtifact, ModelRepo } from "@/gen/modelhub/v1/model_pb";
import { bytes, plural } from "@/lib/format";
import { Confirm } from "../ui/dialog";
import { totals } from "./rows";

interface Props {
  model: ModelRepo;
  revision: string;
  /** Empty: everything of the model. */
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
    failed: "The files could not be removed",
    refresh: [["jobs"], ["overview"]],
    after: onDone,
  });
  return (
    <Confirm
      open
      onClose={onClose}
      title={
        all
          ? `Remove all files of ${model.repoId} from the disk?`
          : entries.length === 1
            ? `Remove ${entries[0]?.filePath} from the disk?`
            : `Remove ${plural(sum.files, "file")} from the disk?`
      }
      action={`Remove ${bytes(size)}`}
      busy={action.busy}
      onConfirm={() => action.go(undefined)}
    >
      <p>
        Up to <strong className="font-medium text-text">{bytes(size)}</strong> are freed. What another repository uses
        too stays on the disk.
      </p>
      <p>The model stays known here, and the files can be downloaded again while upstream has them.</p>
      {model.pinned && (
        <p className="text-warn">This model is pinned: nothing of it is removed until the pin is taken away.</p>
      )}
    </Confirm>
  );
}
