// The disk and the store at a glance: what uses the space, how much is left, and which formats there are.
import type { GetStorageResponse } from "@/gen/modelhub/v1/hub_service_pb";
import type { Usage } from "@/gen/modelhub/v1/system_pb";
import { cn } from "@/lib/cn";
import { bytes, percent, plural, share } from "@/lib/format";
import type { Tone } from "../ui/badge";
import { Panel } from "../ui/panel";
import { Parts, Progress } from "../ui/progress";

const dots: Record<Tone, string> = {
  neutral: "bg-muted",
  good: "bg-good",
  warn: "bg-warn-bar",
  bad: "bg-bad",
  info: "bg-info",
  accent: "bg-bar",
};

const largestFirst = (formats: readonly Usage[]) => [...formats].sort((a, b) => Number(b.bytes - a.bytes));

export function StorageSummary({
  storage,
  shared,
}: {
  storage: GetStorageResponse;
  /** How many more bytes there would be if every repository had its own copy of its files. */
  shared: bigint | undefined;
}) {
  const total = storage.diskTotal;
  const store = storage.bytes;
  const arriving = storage.partialBytes + storage.quarantineBytes;
  const used = total > storage.diskFree ? total - storage.diskFree : 0n;
  const other = used > store + arriving ? used - store - arriving : 0n;
  const parts: { name: string; value: bigint; tone: Tone; note?: string }[] = [
    { name: "Stored files", value: store, tone: "accent" },
    {
      name: "Incomplete and quarantined",
      value: arriving,
      tone: "warn",
      note:
        storage.quarantineBytes > 0n
          ? `${bytes(storage.quarantineBytes)} quarantined because the content did not match its hash`
          : undefined,
    },
    { name: "Other files on this disk", value: other, tone: "neutral" },
  ];
  const limit = storage.limit;
  const counted = storage.usedBytes;
  // Close to the limit is where a store lives that keeps within it.
  const over = limit > 0n && counted > limit;
  return (
    <div className="grid gap-4 lg:grid-cols-[minmax(0,1.4fr)_minmax(0,1fr)]">
      <Panel title="Disk" note={total > 0n ? `${bytes(storage.diskFree)} of ${bytes(total)} free` : undefined}>
        <div className="flex flex-col gap-4">
          <Parts
            label="Disk usage"
            parts={parts.map((part) => ({ share: share(part.value, total), tone: part.tone }))}
            className="h-2.5"
          />
          <ul className="grid gap-x-6 gap-y-1.5 text-sm sm:grid-cols-2">
            {parts.map((part) => (
              <li key={part.name} className="flex items-center gap-2" title={part.note}>
                <span className={cn("size-2 rounded-full", dots[part.tone])} aria-hidden />
                <span className="flex-1 text-soft">{part.name}</span>
                <span className="tabular">{bytes(part.value)}</span>
              </li>
            ))}
            <li className="flex items-center gap-2">
              <span className="size-2 rounded-full bg-line-strong" aria-hidden />
              <span className="flex-1 text-soft">Free</span>
              <span className="tabular">{bytes(storage.diskFree)}</span>
            </li>
          </ul>
          <div className="flex flex-col gap-1.5 border-t border-line pt-3 text-sm">
            {limit > 0n ? (
              <>
                <span className="flex justify-between gap-3">
                  <span className="text-soft">Store limit</span>
                  <span className={cn("tabular", over && "text-warn")}>
                    {bytes(counted)} of {bytes(limit)} ({percent(share(counted, limit))})
                  </span>
                </span>
                <Progress value={share(counted, limit)} label="Store limit usage" tone={over ? "warn" : "accent"} />
              </>
            ) : (
              <span className="text-muted">
                No store limit: the store may fill the disk, and removes nothing by itself.
              </span>
            )}
            {shared !== undefined && shared > 0n && (
              <span className="text-muted">
                Deduplication saves {bytes(shared)}: files with the same content are stored once.
              </span>
            )}
            {storage.unreferencedBytes > 0n && (
              <span className="text-muted">
                {bytes(storage.unreferencedBytes)} belongs to no listed model, for example to models removed from the
                list.
              </span>
            )}
          </div>
        </div>
      </Panel>
      <Panel title="Formats" flush>
        {storage.formats.length === 0 ? (
          <p className="p-4 text-muted">No files stored yet.</p>
        ) : (
          <ul className="flex flex-col gap-3 p-4">
            {largestFirst(storage.formats).map((format) => (
              <li
                key={format.name}
                className="grid grid-cols-[minmax(0,1fr)_auto] items-center gap-x-3 gap-y-1 text-sm"
              >
                <span className="truncate">
                  {format.name} <span className="text-xs text-muted">{plural(format.files, "file")}</span>
                </span>
                <span className="tabular">{bytes(format.bytes)}</span>
                <Progress
                  value={share(format.bytes, store)}
                  label={`Share of ${format.name}`}
                  className="col-span-2 h-1"
                />
              </li>
            ))}
          </ul>
        )}
      </Panel>
    </div>
  );
}
