// The plan of a download in numbers, with the free disk space before and after.
import { HardDrive, TriangleAlert } from "lucide-react";
import { sentence } from "@/api/problem";
import type { DownloadPlan } from "@/gen/modelhub/v1/model_pb";
import { cn } from "@/lib/cn";
import { bytes, count, duration, plural } from "@/lib/format";
import { baseName } from "@/lib/paths";
import { Note, Skeleton } from "../ui/states";

export function DownloadPlanView({
  plan,
  error,
  stale,
}: {
  plan: DownloadPlan | undefined;
  error: unknown;
  stale: boolean;
}) {
  if (error) {
    return (
      <Note tone="bad" icon={<TriangleAlert aria-hidden />} title="Could not plan the download">
        {sentence(error)}
      </Note>
    );
  }
  if (!plan) {
    return (
      <div className="flex h-32 flex-col gap-3">
        <Skeleton className="h-6 w-40" />
        <Skeleton className="w-64" />
        <Skeleton className="w-52" />
      </div>
    );
  }
  const nothing = plan.bytesToFetch === 0n;
  const after = plan.diskFree - plan.bytesToFetch;
  const seconds = Math.round(Number(plan.bytesToFetch) / (110 * 1024 ** 2));
  const largest = plan.largest.filter((file) => file.bytesHere < file.sizeBytes).slice(0, 5);
  return (
    <div className={cn("flex flex-col gap-3 transition-opacity", stale && "opacity-60")} aria-busy={stale}>
      <dl className="grid grid-cols-2 gap-px overflow-hidden rounded-md border border-line bg-line sm:grid-cols-4">
        <Cell name="To download" value={bytes(plan.bytesToFetch)} strong />
        <Cell name="Files" value={count(plan.files)} note={`${bytes(plan.bytes)} total`} />
        <Cell name="Already on disk" value={bytes(plan.bytesHere)} note={plural(plan.filesHere, "file")} />
        <Cell
          name="Free after download"
          value={plan.fits ? bytes(after) : "not enough"}
          note={`${bytes(plan.diskFree)} free now`}
          bad={!plan.fits}
        />
      </dl>
      {!plan.fits && (
        <Note tone="bad" icon={<HardDrive aria-hidden />} title="Not enough disk space">
          The download needs {bytes(plan.bytesToFetch)}, and {bytes(plan.diskFree)} can be stored. Free space under
          Storage first, or select fewer files.
        </Note>
      )}
      {nothing && plan.files > 0n && <Note>All selected files are already on disk.</Note>}
      {plan.files === 0n && <Note tone="warn">No files match.</Note>}
      {plan.warnings.map((warning) => (
        <Note key={warning} tone="warn" icon={<TriangleAlert aria-hidden />}>
          {warning}
        </Note>
      ))}
      {plan.leftOut.length > 0 && (
        <details>
          <summary className="w-fit rounded text-xs text-muted hover:text-text">
            Left out:{" "}
            {plural(
              plan.leftOut.reduce((sum, kind) => sum + kind.files, 0n),
              "file",
            )}
          </summary>
          <ul aria-label="Left out" className="mt-2 flex flex-col gap-1">
            {plan.leftOut.map((kind) => (
              <li key={kind.reason} className="flex gap-3 text-xs">
                <span className="min-w-0 flex-1 text-soft">{kind.reason}</span>
                <span className="tabular text-muted">
                  {plural(kind.files, "file")}, {bytes(kind.bytes)}
                </span>
              </li>
            ))}
          </ul>
        </details>
      )}
      {!nothing && largest.length > 0 && (
        <details>
          <summary className="w-fit rounded text-xs text-muted hover:text-text">
            {largest.length > 1 ? "Largest files" : "Largest file"} to download
            {seconds >= 5 && ` · ${duration(seconds)} at 1 Gbit/s`}
          </summary>
          <ul className="mt-2 flex flex-col gap-1">
            {largest.map((file) => (
              <li key={file.filePath} className="flex gap-3 text-xs">
                <span className="min-w-0 flex-1 truncate font-mono text-soft" title={file.filePath}>
                  {baseName(file.filePath)}
                </span>
                <span className="tabular text-muted">{bytes(file.sizeBytes)}</span>
              </li>
            ))}
          </ul>
        </details>
      )}
    </div>
  );
}

function Cell({
  name,
  value,
  note,
  strong,
  bad,
}: {
  name: string;
  value: string;
  note?: string;
  strong?: boolean;
  bad?: boolean;
}) {
  return (
    <div className="bg-panel px-3 py-2">
      <dt className="text-xs text-muted">{name}</dt>
      <dd className={cn("tabular", strong ? "text-lg font-semibold" : "text-base font-medium", bad && "text-bad")}>
        {value}
      </dd>
      {note && <dd className="text-xs text-muted">{note}</dd>}
    </div>
  );
}
