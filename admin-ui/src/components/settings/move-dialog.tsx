// Guides somebody through moving the store: how much is moved, whether it fits, which commands to run, and what happens
// in the meantime. The hub cannot do it itself, because it keeps the files open while it runs.
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { CircleCheck, HardDrive, TriangleAlert } from "lucide-react";
import { useEffect, useState } from "react";
import { overviewQuery, storageQuery, systemQuery } from "@/api/queries";
import type { Disk, Settings } from "@/gen/modelhub/v1/system_pb";
import { bytes, duration, plural } from "@/lib/format";
import { useDebounced } from "@/lib/hooks";
import { diskOf, folderProblem, moveSteps, type Service } from "@/lib/move";
import { Button } from "../ui/button";
import { CodeBlock } from "../ui/copy";
import { Dialog } from "../ui/dialog";
import { Field, Input } from "../ui/field";
import { Segmented } from "../ui/segmented";
import { Note } from "../ui/states";

interface Props {
  settings: Settings;
  /** From the address, which follows what is typed. */
  folder: string;
  onFolder: (folder: string) => void;
  onClose: () => void;
}

/** Bytes per second of a disk that reads and writes at the same time, for the least time that it takes. */
const usualSpeed = 400 * 1024 ** 2;

export function MoveDialog({ settings, folder, onFolder, onClose }: Props) {
  const [typed, setTyped] = useState(folder);
  const [service, setService] = useState<Service>("systemd");
  const target = useDebounced(typed.trim(), 250);
  // biome-ignore lint/correctness/useExhaustiveDependencies: the address follows what is typed.
  useEffect(() => {
    if (target !== folder) onFolder(target);
  }, [target]);
  const problem = target === "" ? undefined : folderProblem(settings.storagePath, target);
  const disks = useQuery(systemQuery()).data?.disks;
  const ready = target !== "" && problem === undefined && disks !== undefined;
  const old = diskOf(disks ?? [], settings.storagePath);
  const next = diskOf(disks ?? [], target);
  const sameDisk = old !== undefined && old.mountPoint === next?.mountPoint;
  return (
    <Dialog
      open
      onClose={onClose}
      wide
      title="Move the store"
      description="A few commands to run on the hub's machine. Nothing is downloaded again, and this dialog changes nothing itself."
      footer={<Button onClick={onClose}>Close</Button>}
    >
      <div className="flex flex-col gap-5">
        <div className="grid items-start gap-4 sm:grid-cols-[minmax(0,1fr)_auto]">
          <Field
            label="New folder"
            hint={`An empty folder on the hub's machine. Currently: ${settings.storagePath}`}
            problem={problem}
          >
            {(ids) => (
              <Input
                {...ids}
                value={typed}
                onChange={(event) => setTyped(event.target.value)}
                placeholder="/mnt/models/modelhub"
                className="font-mono text-xs"
                spellCheck={false}
                autoComplete="off"
              />
            )}
          </Field>
          <div className="flex flex-col gap-1.5">
            <span className="text-sm font-medium">The hub runs</span>
            <Segmented
              label="The hub runs"
              value={service}
              onChange={setService}
              options={[
                { value: "systemd", label: "as a service" },
                { value: "shell", label: "in a shell" },
              ]}
            />
          </div>
        </div>
        {ready && <Room next={next} sameDisk={sameDisk} />}
        {ready ? (
          <ol className="flex flex-col gap-4" aria-label="Steps">
            {moveSteps(settings.storagePath, target, service, sameDisk).map((step, index) => (
              <li key={step.title} className="grid grid-cols-[1.5rem_minmax(0,1fr)] gap-x-3">
                <span className="tabular mt-0.5 grid size-6 place-items-center rounded-full bg-accent-soft text-xs font-semibold text-accent">
                  {index + 1}
                </span>
                <div className="flex min-w-0 flex-col gap-1.5">
                  <div>
                    <h3 className="text-sm font-medium">{step.title}</h3>
                    <p className="text-xs text-muted">
                      {step.text}{" "}
                      {step.verify && (
                        <Link to="/storage" search={{ dialog: "verify" }} className="rounded text-accent underline">
                          Verify the store
                        </Link>
                      )}
                    </p>
                  </div>
                  <CodeBlock text={step.code} />
                </div>
              </li>
            ))}
          </ol>
        ) : (
          <p className="text-sm text-muted">
            Enter the new folder to see whether everything fits there, and which commands to run. The store cannot be
            moved while the hub is running, because its files are in use.
          </p>
        )}
      </div>
    </Dialog>
  );
}

/** How much is moved, and whether it fits on the other disk. */
function Room({ next, sameDisk }: { next: Disk | undefined; sameDisk: boolean }) {
  const storage = useQuery(storageQuery()).data;
  const overview = useQuery(overviewQuery()).data;
  if (!storage) return <div className="skeleton h-14 rounded-md" />;
  const size = storage.bytes + storage.partialBytes + storage.quarantineBytes;
  const fits = sameDisk || next === undefined || next.available > size;
  const seconds = Number(size) / usualSpeed;
  const active = Number(overview?.jobsActive ?? 0n);
  return (
    <div className="flex flex-col gap-2">
      <Note
        tone={fits ? "neutral" : "bad"}
        icon={fits ? <CircleCheck aria-hidden /> : <HardDrive aria-hidden />}
        title={
          sameDisk || next === undefined
            ? `${bytes(size)} to move${sameDisk ? ` within ${next?.mountPoint}, which takes no time and no space` : ""}`
            : fits
              ? `${bytes(size)} to move; ${bytes(next.available)} free on ${next.mountPoint}`
              : `Not enough space: ${bytes(size)} to move, ${bytes(next.available)} free on ${next.mountPoint}`
        }
      >
        {plural(storage.blobs, "file")}
        {!sameDisk && seconds >= 60 && `; about ${duration(seconds)} at 400 MiB/s`}.
      </Note>
      {active > 0 && !sameDisk && (
        <Note tone="warn" icon={<TriangleAlert aria-hidden />}>
          {plural(active, "job is running and will resume", "jobs are running and will resume")} after the move. Pause
          large ones first, so that less has to be copied twice.
        </Note>
      )}
    </div>
  );
}
