// The surfaces of a screen: a page's header, panels with a title, and rows of facts.
import type { ReactNode } from "react";
import { cn } from "@/lib/cn";

export function PageHead({ title, note, actions }: { title: ReactNode; note?: ReactNode; actions?: ReactNode }) {
  return (
    <header className="mb-4 flex flex-wrap items-center gap-x-4 gap-y-2">
      <div className="min-w-0 flex-1 basis-44">
        <h1 className="text-xl font-semibold tracking-tight">{title}</h1>
        {note && <p className="text-sm text-muted">{note}</p>}
      </div>
      {actions && <div className="flex flex-wrap items-center gap-2">{actions}</div>}
    </header>
  );
}

interface PanelProps {
  title?: ReactNode;
  note?: ReactNode;
  actions?: ReactNode;
  children: ReactNode;
  className?: string;
  /** Without padding, for lists and tables. */
  flush?: boolean;
  id?: string;
}

export function Panel({ title, note, actions, children, className, flush, id }: PanelProps) {
  return (
    <section id={id} className={cn("min-w-0 scroll-mt-16 rounded-lg border border-line bg-panel", className)}>
      {title && (
        <header className="flex min-h-11 flex-wrap items-center gap-x-3 gap-y-1 px-4 py-1.5">
          <h2 className="text-sm font-semibold">{title}</h2>
          {note && <span className="text-xs text-muted">{note}</span>}
          {actions && <div className="ml-auto flex items-center gap-1.5">{actions}</div>}
        </header>
      )}
      <div className={cn(title && "border-t border-line", !flush && "p-4")}>{children}</div>
    </section>
  );
}

/** Names and values in rows. */
export function Facts({
  items,
  className,
}: {
  items: readonly (readonly [ReactNode, ReactNode] | false)[];
  className?: string;
}) {
  return (
    <dl className={cn("grid grid-cols-[minmax(7rem,auto)_minmax(0,1fr)] gap-x-4 gap-y-1.5 text-sm", className)}>
      {items.map((item, index) =>
        item ? (
          // biome-ignore lint/suspicious/noArrayIndexKey: the rows of a list of facts keep their places.
          <div key={index} className="contents">
            <dt className="text-muted">{item[0]}</dt>
            <dd className="min-w-0">{item[1]}</dd>
          </div>
        ) : null,
      )}
    </dl>
  );
}
