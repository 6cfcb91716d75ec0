// Tensors with their shapes; thousands of them, so only those in view are drawn.
import { useVirtualizer } from "@tanstack/react-virtual";
import { useEffect, useRef } from "react";
import type { Tensor } from "@/gen/modelhub/v1/model_pb";
import { cn } from "@/lib/cn";
import { bytes } from "@/lib/format";

const grid =
  "grid grid-cols-[minmax(0,1fr)_5.5rem_4.5rem] items-center gap-x-3 px-4 sm:grid-cols-[minmax(0,1fr)_10rem_4.5rem_5rem]";

export function TensorList({ rows, onEnd }: { rows: readonly Tensor[]; onEnd: () => void }) {
  const box = useRef<HTMLDivElement>(null);
  const virtual = useVirtualizer({
    count: rows.length,
    getScrollElement: () => box.current,
    estimateSize: () => 30,
    overscan: 20,
  });
  const items = virtual.getVirtualItems();
  const last = items.at(-1)?.index ?? -1;
  // biome-ignore lint/correctness/useExhaustiveDependencies: it depends on what is in sight.
  useEffect(() => {
    if (last >= rows.length - 40) onEnd();
  }, [last, rows.length]);
  return (
    <div role="table" aria-label="Tensors" aria-rowcount={rows.length + 1}>
      <div role="rowgroup">
        <div role="row" aria-rowindex={1} className={cn(grid, "h-8 border-b border-line text-xs text-muted")}>
          <span role="columnheader">Name</span>
          <span role="columnheader" className="text-right">
            Shape
          </span>
          <span role="columnheader" className="pl-3">
            Data type
          </span>
          <span role="columnheader" className="text-right max-sm:hidden">
            Size
          </span>
        </div>
      </div>
      <div ref={box} role="rowgroup" tabIndex={0} className="max-h-[60vh] overflow-y-auto -outline-offset-2">
        <div role="presentation" className="relative" style={{ height: virtual.getTotalSize() }}>
          {items.map((item) => {
            const tensor = rows[item.index];
            if (!tensor) return null;
            return (
              <div
                key={tensor.name}
                role="row"
                aria-rowindex={item.index + 2}
                className={cn(grid, "absolute inset-x-0 top-0 h-[30px] border-b border-line/60 text-xs")}
                style={{ transform: `translateY(${item.start}px)` }}
              >
                <span role="cell" className="truncate font-mono" title={tensor.name}>
                  {tensor.name}
                </span>
                <span role="cell" className="tabular truncate text-right font-mono text-soft">
                  {tensor.shape.length > 0 ? tensor.shape.join(" × ") : "scalar"}
                </span>
                <span role="cell" className="pl-3 text-soft">
                  {tensor.dtype}
                </span>
                <span role="cell" className="tabular text-right text-muted max-sm:hidden">
                  {tensor.sizeBytes > 0n ? bytes(tensor.sizeBytes) : "–"}
                </span>
              </div>
            );
          })}
        </div>
      </div>
    </div>
  );
}
