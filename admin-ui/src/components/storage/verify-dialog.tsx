// Verifies the entire store; says how much that is to read.
import { useState } from "react";
import { useAction, verifyStore } from "@/api/actions";
import type { GetStorageResponse } from "@/gen/modelhub/v1/hub_service_pb";
import { bytes, parseBytes } from "@/lib/format";
import { Button } from "../ui/button";
import { Dialog } from "../ui/dialog";
import { Field, Input } from "../ui/field";

export function VerifyDialog({ storage, onClose }: { storage: GetStorageResponse | undefined; onClose: () => void }) {
  const [limit, setLimit] = useState("");
  const speed = limit.trim() === "" ? 0n : parseBytes(limit);
  const action = useAction({
    run: () => verifyStore(speed ?? 0n),
    done: (job) => ({ text: "Verifying the store", to: { label: "Show", href: `/jobs/${job.id}` } }),
    failed: "Could not start the verification",
    refresh: [["jobs"], ["overview"]],
    after: onClose,
  });
  return (
    <Dialog
      open
      onClose={onClose}
      title="Verify entire store"
      footer={
        <>
          <Button onClick={onClose}>Cancel</Button>
          <Button look="primary" busy={action.busy} disabled={speed === undefined} onClick={() => action.go(undefined)}>
            Verify now
          </Button>
        </>
      }
    >
      <div className="flex flex-col gap-4">
        <p className="text-sm text-soft">
          Reads {storage ? bytes(storage.bytes) : "all stored files"} and checks every file against its hash. Damaged
          files are quarantined, and those of models in the list are downloaded again. Clients are served meanwhile.
        </p>
        <Field
          label="Speed limit"
          hint="Per second. Empty: as fast as the disk allows."
          problem={speed === undefined ? "Enter a size, such as 200 MiB." : undefined}
        >
          {(ids) => (
            <Input
              {...ids}
              className="max-w-48"
              placeholder="200 MiB"
              value={limit}
              onChange={(event) => setLimit(event.target.value)}
            />
          )}
        </Field>
      </div>
    </Dialog>
  );
}
