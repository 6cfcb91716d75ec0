// Sizes and times as they appear everywhere: short to read, exact on hover.
import type { Timestamp } from "@bufbuild/protobuf/wkt";
import { cn } from "@/lib/cn";
import { bytes, exactBytes } from "@/lib/format";
import { useNow } from "@/lib/hooks";
import { exact, relative, toDate } from "@/lib/time";

export function Bytes({ value, className }: { value: bigint | number | undefined; className?: string }) {
  return (
    <span className={cn("tabular whitespace-nowrap", className)} title={exactBytes(value)}>
      {bytes(value)}
    </span>
  );
}

export function When({
  at,
  none = "never",
  className,
}: {
  at: Timestamp | undefined;
  none?: string;
  className?: string;
}) {
  const now = useNow();
  const date = toDate(at);
  if (!date) return <span className={cn("text-muted", className)}>{none}</span>;
  return (
    <time dateTime={date.toISOString()} title={exact(date)} className={cn("whitespace-nowrap", className)}>
      {relative(date, now)}
    </time>
  );
}
