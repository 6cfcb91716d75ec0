// What is shown in place of data: a skeleton while it loads, a sentence when there is none, and the reason when it
// could not be read, with a way to try again.
import { CircleAlert, RotateCw } from "lucide-react";
import type { ReactNode } from "react";
import { ApiError, sentence } from "@/api/problem";
import { cn } from "@/lib/cn";
import { Button } from "./button";

export const Skeleton = ({ className }: { className?: string }) => (
  <div className={cn("skeleton h-4 rounded", className)} aria-hidden />
);

/** Lines of varying length, for a panel that is loading. */
export function SkeletonLines({ count = 4, className }: { count?: number; className?: string }) {
  const widths = ["w-3/4", "w-1/2", "w-5/6", "w-2/3", "w-2/5"];
  return (
    <div className={cn("flex flex-col gap-3", className)}>
      <span className="sr-only">Loading</span>
      {Array.from({ length: count }, (_, index) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: placeholders have no identity.
        <Skeleton key={index} className={widths[index % widths.length]} />
      ))}
    </div>
  );
}

interface EmptyProps {
  icon?: ReactNode;
  title: ReactNode;
  children?: ReactNode;
  action?: ReactNode;
  className?: string;
}

export function Empty({ icon, title, children, action, className }: EmptyProps) {
  return (
    <div className={cn("flex flex-col items-center gap-1.5 px-6 py-10 text-center", className)}>
      {icon && <div className="mb-1 text-muted [&_svg]:size-6 [&_svg]:stroke-[1.5]">{icon}</div>}
      <p className="font-medium">{title}</p>
      {children && <div className="max-w-md text-sm text-balance text-muted">{children}</div>}
      {action && <div className="mt-3 flex flex-wrap justify-center gap-2">{action}</div>}
    </div>
  );
}

export function Failure({ error, retry, className }: { error: unknown; retry?: () => void; className?: string }) {
  const title = error instanceof ApiError ? error.title : "Could not load this";
  const detail = sentence(error);
  return (
    <div role="alert" className={cn("flex flex-col items-center gap-1.5 px-6 py-10 text-center", className)}>
      <CircleAlert className="mb-1 size-6 stroke-[1.5] text-bad" aria-hidden />
      <p className="font-medium">{title}</p>
      {detail !== title && <p className="max-w-lg text-sm text-muted">{detail}</p>}
      {retry && (
        <Button className="mt-3" small onClick={retry} icon={<RotateCw className="size-3.5" aria-hidden />}>
          Try again
        </Button>
      )}
    </div>
  );
}

/** A note inside a page: a warning, an error, a hint. */
export function Note({
  tone = "neutral",
  icon,
  title,
  children,
  action,
  className,
}: {
  tone?: "neutral" | "warn" | "bad" | "info";
  icon?: ReactNode;
  title?: ReactNode;
  children?: ReactNode;
  action?: ReactNode;
  className?: string;
}) {
  const tones = {
    neutral: "border-line bg-sunken",
    warn: "border-warn/30 bg-warn-soft",
    bad: "border-bad/30 bg-bad-soft",
    info: "border-info/30 bg-info-soft",
  };
  const marks = { neutral: "text-muted", warn: "text-warn", bad: "text-bad", info: "text-info" };
  return (
    <div className={cn("flex items-start gap-2.5 rounded-md border px-3 py-2 text-sm", tones[tone], className)}>
      {icon && <span className={cn("mt-0.5 shrink-0 [&_svg]:size-4", marks[tone])}>{icon}</span>}
      <div className="min-w-0 flex-1">
        {title && <p className="font-medium">{title}</p>}
        {children && <div className="text-soft">{children}</div>}
      </div>
      {action}
    </div>
  );
}
