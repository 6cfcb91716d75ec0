// Reads the whole store again; says how much that is.
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
    failed: "The store could not be verified",
    refresh: [["jobs"], ["overview"]],
    after: onClose,
  });
  return (
    <Dialog
      open
      onClose={onClose}
      title="Verify the whole store"
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
          {storage ? `${bytes(storage.bytes)} are` : "Everything stored is"} read again and compared with the hashes. A
          file that is not what its name says is set aside and fetched again when somebody asks for it. Clients are
          served meanwhile.
        </p>
        <Field
          label="Read at most, per second"
          hint="Empty: as fast as the disk allows."
          problem={speed === undefined ? "Write a size, like 200 MiB." : undefined}
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
