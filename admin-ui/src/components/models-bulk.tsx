// Actions on several models at once, in a bar at the bottom. Each model gets a job of its own; failures are counted
// and reported.
import { CloudDownload, Pin, PinOff, RefreshCw, ShieldCheck, Trash2, X } from "lucide-react";
import { useState } from "react";
import { deleteModel, downloadModel, evictModel, pinModel, syncModel, useAction, verifyModel } from "@/api/actions";
import { sentence } from "@/api/problem";
import type { ModelRepo } from "@/gen/modelhub/v1/model_pb";
import { bytes, plural } from "@/lib/format";
import { BulkBar } from "./bulk-bar";
import { Button, IconButton } from "./ui/button";
import { Confirm } from "./ui/dialog";
import { CheckBox } from "./ui/field";
import { isTyped, Typed } from "./ui/typed";

type Verb = "sync" | "pin" | "unpin" | "verify" | "download" | "remove";

const doneWords: Record<Verb, (models: string) => string> = {
  sync: (models) => `Syncing ${models}`,
  pin: (models) => `Pinned ${models}`,
  unpin: (models) => `Unpinned ${models}`,
  verify: (models) => `Verifying ${models}`,
  download: (models) => `Downloading ${models}`,
  remove: (models) => `Removing the files of ${models}`,
};

export function ModelsBulk({ models, note, onClear }: { models: ModelRepo[]; note: string; onClear: () => void }) {
  const [asking, setAsking] = useState<"download" | "remove">();
  const [unlist, setUnlist] = useState(false);
  const [included, setIncluded] = useState(false);
  const [typed, setTyped] = useState("");
  const action = useAction({
    run: async (verb: Verb) => {
      const one: (model: ModelRepo) => Promise<unknown> = {
        sync: (model: ModelRepo) => syncModel(model.id),
        pin: (model: ModelRepo) => pinModel(model.id, { pinned: true }),
        unpin: (model: ModelRepo) => pinModel(model.id, { pinned: false }),
        verify: (model: ModelRepo) => verifyModel(model.id, "", []),
        download: (model: ModelRepo) => downloadModel(model.id, {}),
        remove: async (model: ModelRepo) => {
          if (!model.pinned) await evictModel(model.id, { includeUnrecoverable: included });
          if (unlist) await deleteModel(model.id);
        },
      }[verb];
      const results = await Promise.allSettled(models.map(one));
      const failed = results.filter((result) => result.status === "rejected");
      if (failed.length > 0) {
        throw new Error(`${failed.length} of ${plural(models.length, "model")} failed: ${sentence(failed[0]?.reason)}`);
      }
    },
    done: (_, verb) => ({
      text: doneWords[verb](plural(models.length, "model")),
      to: verb === "pin" || verb === "unpin" ? undefined : { label: "Jobs", href: "/jobs" },
    }),
    failed: "Some actions failed",
    refresh: [["models"], ["jobs"], ["overview"]],
    after: onClear,
  });
  const missing = models.reduce(
    (sum, model) => sum + (model.bytes > model.bytesHere ? model.bytes - model.bytesHere : 0n),
    0n,
  );
  const here = models.filter((model) => !model.pinned).reduce((sum, model) => sum + model.bytesHere, 0n);
  const pinned = models.filter((model) => model.pinned).length;
  const allPinned = pinned === models.length;
  return (
    <BulkBar label={`${plural(models.length, "model")} selected`} note={`${note} on disk`}>
      <Button
        small
        busy={action.busy}
        onClick={() => action.go("sync")}
        icon={<RefreshCw className="size-3.5" aria-hidden />}
      >
        Sync
      </Button>
      <Button
        small
        busy={action.busy}
        onClick={() => setAsking("download")}
        icon={<CloudDownload className="size-3.5" aria-hidden />}
      >
        Download
      </Button>
      <Button
        small
        busy={action.busy}
        onClick={() => action.go(allPinned ? "unpin" : "pin")}
        icon={allPinned ? <PinOff className="size-3.5" aria-hidden /> : <Pin className="size-3.5" aria-hidden />}
      >
        {allPinned ? "Unpin" : "Pin"}
      </Button>
      <Button
        small
        busy={action.busy}
        onClick={() => action.go("verify")}
        icon={<ShieldCheck className="size-3.5" aria-hidden />}
      >
        Verify
      </Button>
      <Button
        small
        look="danger"
        busy={action.busy}
        onClick={() => setAsking("remove")}
        icon={<Trash2 className="size-3.5" aria-hidden />}
      >
        Remove
      </Button>
      <IconButton label="Clear selection" onClick={onClear}>
        <X className="size-4" aria-hidden />
      </IconButton>
      <Confirm
        open={asking === "download"}
        onClose={() => setAsking(undefined)}
        title={`Download ${plural(models.length, "model")}?`}
        action={`Download ${bytes(missing)}`}
        look="primary"
        onConfirm={() => {
          setAsking(undefined);
          action.go("download");
        }}
      >
        <p>
          Downloads all missing files, up to {bytes(missing)}. To download only some formats, open a model and select
          them there.
        </p>
      </Confirm>
      <Confirm
        open={asking === "remove"}
        onClose={() => setAsking(undefined)}
        title={
          allPinned
            ? `Remove ${plural(models.length, "pinned model")}?`
            : `Remove the files of ${plural(models.length - pinned, "model")} from disk?`
        }
        action={allPinned ? "Remove from list" : `Remove up to ${bytes(here)}`}
        disabled={(allPinned && !unlist) || (!allPinned && included && !isTyped(typed))}
        onConfirm={() => {
          setAsking(undefined);
          action.go("remove");
        }}
      >
        {pinned > 0 && <p>{plural(pinned, "pinned model keeps its files", "pinned models keep their files")}.</p>}
        {!allPinned && (
          <>
            <p>
              Frees up to {bytes(here)}. Files shared with other models are kept
              {included ? "." : ", and so are imported files that cannot be downloaded again."}
            </p>
            <CheckBox
              visible
              label="Also remove files that cannot be downloaded again"
              checked={included}
              onChange={setIncluded}
            />
            {included && <Typed value={typed} onChange={setTyped} />}
          </>
        )}
        <CheckBox visible label="Also remove the models from the list" checked={unlist} onChange={setUnlist} />
      </Confirm>
    </BulkBar>
  );
}
