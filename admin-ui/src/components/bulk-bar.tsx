// The bar that floats at the bottom while something is selected.
import type { ReactNode } from "react";

export function BulkBar({ label, note, children }: { label: string; note?: string; children: ReactNode }) {
  return (
    <section
      aria-label="Selection"
      className="appear fixed right-3 bottom-3 left-3 z-30 mx-auto flex max-w-fit flex-wrap items-center gap-2 rounded-lg border border-line-strong/70 bg-raised px-3 py-2 shadow-pop lg:left-[14.25rem]"
    >
      <p className="tabular mr-2 text-sm" aria-live="polite">
        <span className="font-medium">{label}</span>
        {note && <span className="text-muted"> · {note}</span>}
      </p>
      {children}
    </section>
  );
}
