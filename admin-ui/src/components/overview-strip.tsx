// The numbers of the dashboard in one strip: each is a link to where it comes from.
import { Link } from "@tanstack/react-router";
import type { ComponentProps, ReactNode } from "react";
import type { Overview as OverviewData } from "@/gen/modelhub/v1/system_pb";
import { cn } from "@/lib/cn";
import { bytes, count, percent, plural, share } from "@/lib/format";
import { DismissFailed } from "./dismiss-failed";
import { Progress } from "./ui/progress";
import { Skeleton } from "./ui/states";

interface CellProps {
  label: string;
  value: ReactNode;
  note: ReactNode;
  bad?: boolean;
  bar?: ReactNode;
  to: ComponentProps<typeof Link>["to"];
  search?: Record<string, string>;
  /** A button in the corner, beside the link. */
  action?: ReactNode;
}

function Cell({ action, ...link }: CellProps) {
  if (!action) return <CellLink {...link} />;
  return (
    <div className="relative grid">
      <CellLink {...link} />
      <span className="absolute right-1.5 bottom-1.5">{action}</span>
    </div>
  );
}

function CellLink({ label, value, note, bar, bad, to, search }: Omit<CellProps, "action">) {
  return (
    <Link
      to={to}
      search={search as never}
      className="group flex min-h-27 min-w-0 flex-col gap-0.5 bg-panel px-4 py-3 -outline-offset-2 hover:bg-hover max-sm:[&:first-child]:col-span-2 max-sm:[&:first-child]:min-h-0"
    >
      <span className="text-xs text-muted">{label}</span>
      <span className={cn("tabular text-xl font-semibold tracking-tight", bad && "text-bad")}>{value}</span>
      <span className="text-xs text-muted">{note}</span>
      {bar && <span className="mt-auto block pt-2">{bar}</span>}
    </Link>
  );
}

export function Overview({
  data,
  limit,
  slow,
}: {
  data: OverviewData | undefined;
  /** The size limit of the store in bytes; 0 when it may fill the disk. */
  limit: bigint | undefined;
  slow: boolean;
}) {
  const frame =
    "grid grid-cols-2 gap-px overflow-hidden rounded-lg border border-line bg-line sm:grid-cols-3 xl:grid-cols-5";
  if (!data) {
    return (
      <div className={frame} aria-busy>
        {["a", "b", "c", "d", "e"].map((key) => (
          <div key={key} className="flex min-h-27 flex-col gap-2 bg-panel px-4 py-3">
            {slow && (
              <>
                <Skeleton className="h-3 w-16" />
                <Skeleton className="h-6 w-24" />
                <Skeleton className="h-3 w-28" />
              </>
            )}
          </div>
        ))}
      </div>
    );
  }
  const limited = limit !== undefined && limit > 0n;
  // The fuller one counts: the disk, or the store's own limit.
  const used = Math.max(
    share(data.diskTotal - data.diskFree, data.diskTotal),
    limited ? share(data.bytesStored, limit) : 0,
  );
  return (
    <section aria-label="Overview" className={frame}>
      <Cell to="/models" label="Models" value={count(data.models)} note={`${plural(data.blobs, "file")} stored`} />
      <Cell
        to="/storage"
        label="Disk usage"
        value={
          <>
            {bytes(data.bytesStored)}
            {limited && <span className="text-sm font-normal text-muted"> of {bytes(limit)}</span>}
          </>
        }
        bar={
          data.diskTotal > 0n && (
            <Progress
              value={used}
              label={limited ? "Usage of the disk or the store limit, whichever is fuller" : "Disk usage"}
              tone={used > 0.95 ? "bad" : used > 0.85 ? "warn" : "accent"}
            />
          )
        }
        note={`${bytes(data.diskFree)} of ${bytes(data.diskTotal)} free`}
      />
      <Cell
        to="/jobs"
        label="Active jobs"
        value={count(data.jobsActive)}
        note={data.jobsWaiting > 0n ? `${count(data.jobsWaiting)} waiting` : "none waiting"}
      />
      <Cell
        to="/jobs"
        search={{ status: "failed" }}
        label="Failed jobs"
        value={count(data.jobsFailed)}
        bad={data.jobsFailed > 0n}
        note={data.jobsFailed > 0n ? "View failures" : "none"}
        action={data.jobsFailed > 0n && <DismissFailed failed={data.jobsFailed} />}
      />
      <Cell
        to="/storage"
        label="Saved by the cache"
        value={bytes(data.bytesSaved)}
        bar={data.bytesToClients > 0n && <Progress value={data.hitRatio} label="Hit rate" />}
        note={data.bytesToClients > 0n ? `${percent(data.hitRatio)} hit rate` : "No requests yet"}
      />
    </section>
  );
}
