// Times as people read them: relative ones that keep counting, with the exact one on hover.
import type { Timestamp } from "@bufbuild/protobuf/wkt";
import { duration } from "./format";

export function toDate(timestamp: Timestamp | undefined): Date | undefined {
  return timestamp ? new Date(Number(timestamp.seconds) * 1000 + timestamp.nanos / 1e6) : undefined;
}

const steps = [
  [60, 1, "second"],
  [3_600, 60, "minute"],
  [86_400, 3_600, "hour"],
  [7 * 86_400, 86_400, "day"],
  [30 * 86_400, 7 * 86_400, "week"],
  [365 * 86_400, 30 * 86_400, "month"],
  [Number.POSITIVE_INFINITY, 365 * 86_400, "year"],
] as const;

const words = new Intl.RelativeTimeFormat("en", { numeric: "auto", style: "long" });

/** `just now`, `3 minutes ago`, `in 2 hours`. */
export function relative(date: Date, now: Date): string {
  const seconds = (date.getTime() - now.getTime()) / 1000;
  const distance = Math.abs(seconds);
  // The page's clock ticks every ten seconds, so what just happened may seem to lie ahead of it.
  if (distance < 10 || (seconds > 0 && seconds < 15)) return "just now";
  for (const [limit, size, unit] of steps) {
    if (distance < limit) return words.format(Math.trunc(seconds / size), unit);
  }
  return "";
}

const exactFormat = new Intl.DateTimeFormat("en-GB", {
  dateStyle: "medium",
  timeStyle: "medium",
});

/** `25 Nov 2026, 20:10:02`, in the reader's time zone. */
export function exact(date: Date): string {
  return exactFormat.format(date);
}

/** How long something took, or has taken until now. */
export function took(from: Date | undefined, to: Date | undefined, now: Date): string | undefined {
  if (!from) return undefined;
  const seconds = ((to ?? now).getTime() - from.getTime()) / 1000;
  return seconds < 0.5 ? "<1 s" : duration(seconds);
}
