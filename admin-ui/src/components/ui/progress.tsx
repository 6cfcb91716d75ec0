// Bars: progress, and the parts of a whole.
import { cn } from "@/lib/cn";
import { percent } from "@/lib/format";
import type { Tone } from "./badge";

const fills: Record<Tone, string> = {
  neutral: "bg-muted",
  good: "bg-good",
  warn: "bg-warn-bar",
  bad: "bg-bad",
  info: "bg-info",
  accent: "bg-bar",
};

interface Props {
  /** 0 to 1; undefined while the total is unknown. */
  value: number | undefined;
  label: string;
  tone?: Tone;
  className?: string;
}

export function Progress({ value, label, tone = "accent", className }: Props) {
  const known = value !== undefined;
  return (
    <div
      role="progressbar"
      aria-label={label}
      aria-valuemin={0}
      aria-valuemax={100}
      aria-valuenow={known ? Math.floor(value * 100) : undefined}
      aria-valuetext={known ? percent(value) : "unknown"}
      className={cn("h-1.5 w-full overflow-hidden rounded-full bg-line", className)}
    >
      <div
        className={cn(
          "h-full origin-left rounded-full transition-[width] duration-300 ease-linear",
          fills[tone],
          !known && "skeleton w-full",
        )}
        style={known ? { width: `${value * 100}%` } : undefined}
      />
    </div>
  );
}

/** Parts of a whole next to each other, e.g. a disk. */
export function Parts({
  parts,
  label,
  className,
}: {
  parts: readonly { share: number; tone: Tone }[];
  label: string;
  className?: string;
}) {
  return (
    <div
      role="img"
      aria-label={label}
      className={cn("flex h-1.5 w-full gap-px overflow-hidden rounded-full bg-line", className)}
    >
      {parts.map((part, index) =>
        part.share > 0 ? (
          // biome-ignore lint/suspicious/noArrayIndexKey: parts keep their places.
          <div key={index} className={fills[part.tone]} style={{ width: `max(2px, ${part.share * 100}%)` }} />
        ) : null,
      )}
    </div>
  );
}
