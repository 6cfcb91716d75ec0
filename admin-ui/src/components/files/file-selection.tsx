// The actions on the selected files and folders.
import { Download, ShieldCheck, Trash2, X } from "lucide-react";
import { bytes, plural } from "@/lib/format";
import { BulkBar } from "../bulk-bar";
import { Button, IconButton } from "../ui/button";
import { type Chosen, totals } from "./rows";
import type { FileActions } from "./use-file-actions";

export function FileSelection({
  chosen,
  actions,
  onClear,
}: {
  chosen: Chosen;
  actions: FileActions;
  onClear: () => void;
}) {
  const entries = [...chosen.values()];
  const sum = totals(entries);
  return (
    <BulkBar label={`${plural(sum.files, "file")} selected`} note={`${bytes(sum.bytes)}, ${bytes(sum.here)} on disk`}>
      {sum.here < sum.bytes && (
        <Button
          small
          look="primary"
          onClick={() => actions.download(entries)}
          icon={<Download className="size-3.5" aria-hidden />}
        >
          Download…
        </Button>
      )}
      {sum.here > 0n && (
        <>
          <Button small onClick={() => actions.verify(entries)} icon={<ShieldCheck className="size-3.5" aria-hidden />}>
            Verify
          </Button>
          <Button
            small
            look="danger"
            onClick={() => actions.remove(entries)}
            icon={<Trash2 className="size-3.5" aria-hidden />}
          >
            Remove…
          </Button>
        </>
      )}
      <IconButton label="Clear selection" onClick={onClear}>
        <X className="size-4" aria-hidden />
      </IconButton>
    </BulkBar>
  );
}
