// The numbers of the dashboard in one strip: each is a link to where it comes from.
import { Link } from "@tanstack/react-router";
import type { ComponentProps, ReactNode } from "react";
import type { Overview as OverviewData } from "@/gen/modelhub/v1/system_pb";
import { cn } from "@/lib/cn";
import { bytes, count, percent, plural, share } from "@/lib/format";
import { DismissFailed } from "./dismiss-failed";
import { Parts, Progress } from "./ui/progress";
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
      className="group flex min-h-27 min-w-0 flex-col gap-0.5 bg-panel px-4 py-3 -outline-offset-2 hover:bg-hover max-sm:[&:first-child]:col-span-2 max-sm:[&:first-child]:min-h-0 max-xl:sm:last:col-span-2"
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
          <div key={key} className="flex min-h-27 flex-col gap-2 bg-panel px-4 py-3 max-xl:sm:last:col-span-2">
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
  // The store, of its limit where it has one; else of the disk, where other files are too.
  const disk = data.diskTotal - data.diskFree;
  const whole = limited ? limit : data.diskTotal;
  const store = share(data.bytesUsed, whole);
  const others = limited || disk < data.bytesUsed ? 0 : share(disk - data.bytesUsed, whole);
  const full = Math.max(store + others, share(disk, data.diskTotal));
  return (
    <section aria-label="Overview" className={frame}>
      <Cell to="/models" label="Models" value={count(data.models)} note={`${plural(data.blobs, "file")} stored`} />
      <Cell
        to="/storage"
        label="Store"
        value={
          <>
            {bytes(data.bytesUsed)}
            {limited && <span className="text-sm font-normal text-muted"> of {bytes(limit)}</span>}
          </>
        }
        bar={
          data.diskTotal > 0n && (
            <Parts
              label={`The store uses ${percent(store)} of ${limited ? "its limit" : "the disk"}${others > 0 ? `, other files ${percent(others)}` : ""}`}
              parts={[
                { share: store, tone: full > 0.95 ? "bad" : full > 0.85 ? "warn" : "accent" },
                { share: others, tone: "neutral" },
              ]}
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
