// A table of any length: TanStack Table keeps columns and selection, TanStack Virtual renders only the rows in view.
// Rows are a grid, so that columns can be dropped on narrow screens; the roles say that it is a table.
import { useNavigate } from "@tanstack/react-router";
import {
  type ColumnDef,
  type RowSelectionState,
  rowSelectionFeature,
  tableFeatures,
  useTable,
} from "@tanstack/react-table";
import { useWindowVirtualizer } from "@tanstack/react-virtual";
import { ArrowDown, ArrowUp } from "lucide-react";
import { type ReactNode, useEffect, useLayoutEffect, useRef, useState } from "react";
import { cn } from "@/lib/cn";
import { CheckBox } from "./ui/field";
import { Skeleton } from "./ui/states";

const features = tableFeatures({ rowSelectionFeature });

export interface Column<T extends object> {
  id: string;
  header: string;
  cell: (row: T) => ReactNode;
  /** A track of CSS grid, e.g. `7rem` or `minmax(10rem,2fr)`. */
  width: string;
  align?: "right";
  /** The narrowest window, in pixels, in which the column is shown. */
  from?: number;
  /** What to sort by when the header is clicked; without it, the column cannot be sorted. */
  sort?: string;
}

interface Props<T extends object> {
  label: string;
  rows: readonly T[];
  columns: readonly Column<T>[];
  rowId: (row: T) => string;
  rowHeight?: number;
  /** Where a click on a row leads. */
  href?: (row: T) => { to: string; params?: Record<string, string> };
  order?: string;
  onOrder?: (order: string) => void;
  selected?: ReadonlySet<string>;
  onSelect?: (selected: Set<string>) => void;
  selectLabel?: (row: T) => string;
  /** Called when the end of the rows is near. */
  onEnd?: () => void;
  loading?: boolean;
  /** The rows belong to the previous query; they are dimmed until the response arrives. */
  stale?: boolean;
}

function useWindowWidth() {
  const [width, setWidth] = useState(window.innerWidth);
  useEffect(() => {
    const listen = () => setWidth(window.innerWidth);
    window.addEventListener("resize", listen);
    return () => window.removeEventListener("resize", listen);
  }, []);
  return width;
}

export function DataTable<T extends object>(props: Props<T>) {
  const { label, rows, columns, rowId, rowHeight = 40, href, order, onOrder, selected, onSelect, onEnd } = props;
  const navigate = useNavigate();
  const width = useWindowWidth();
  const visible = columns.filter((column) => !column.from || width >= column.from);
  const selection: RowSelectionState = {};
  for (const id of selected ?? []) selection[id] = true;
  const table = useTable({
    features,
    data: rows as T[],
    columns: visible.map((column): ColumnDef<typeof features, T> => ({ id: column.id, header: column.header })),
    getRowId: rowId,
    enableRowSelection: onSelect !== undefined,
    state: { rowSelection: selection },
    onRowSelectionChange: (update) => {
      const next = typeof update === "function" ? update(selection) : update;
      onSelect?.(new Set(Object.keys(next).filter((id) => next[id])));
    },
  });
  const model = table.getRowModel().rows;

  const body = useRef<HTMLDivElement>(null);
  const [top, setTop] = useState(0);
  // biome-ignore lint/correctness/useExhaustiveDependencies: what stands above changes when the rows do.
  useLayoutEffect(
    () => setTop(body.current ? body.current.getBoundingClientRect().top + window.scrollY : 0),
    [rows.length, width],
  );
  const virtual = useWindowVirtualizer({
    count: model.length,
    estimateSize: () => rowHeight,
    overscan: 12,
    scrollMargin: top,
  });
  const items = virtual.getVirtualItems();
  const last = items.at(-1)?.index ?? -1;
  useEffect(() => {
    if (onEnd && last >= model.length - 30) onEnd();
  }, [onEnd, last, model.length]);

  const tracks = [onSelect ? "2rem" : "", ...visible.map((column) => column.width)].filter(Boolean).join(" ");
  const grid = { gridTemplateColumns: tracks };
  const line = "grid items-center gap-x-3 px-4";
  return (
    <div
      role="table"
      aria-label={label}
      aria-rowcount={model.length + 1}
      aria-busy={props.stale || props.loading || undefined}
    >
      <div role="rowgroup">
        <div
          role="row"
          aria-rowindex={1}
          style={grid}
          className={cn(line, "h-9 border-b border-line text-xs text-muted")}
        >
          {onSelect && (
            <span role="columnheader">
              <CheckBox
                label="Select all on this page"
                checked={
                  table.getIsAllRowsSelected() && model.length > 0
                    ? true
                    : table.getIsSomeRowsSelected()
                      ? "indeterminate"
                      : false
                }
                onChange={(checked) => table.toggleAllRowsSelected(checked)}
              />
            </span>
          )}
          {visible.map((column) => (
            <Head key={column.id} column={column} order={order} onOrder={onOrder} />
          ))}
        </div>
      </div>
      {props.loading ? (
        <SkeletonRows rowHeight={rowHeight} />
      ) : (
        <div
          ref={body}
          role="rowgroup"
          className={cn("relative transition-opacity", props.stale && "opacity-60")}
          style={{ height: virtual.getTotalSize() }}
        >
          {items.map((item) => {
            const row = model[item.index];
            if (!row) return null;
            const target = href?.(row.original);
            return (
              <div
                key={row.id}
                role="row"
                aria-rowindex={item.index + 2}
                aria-selected={onSelect ? row.getIsSelected() : undefined}
                onClick={(event) => {
                  if (!target || (event.target as Element).closest("a,button,label,[role=checkbox],[role=menuitem]"))
                    return;
                  if (window.getSelection()?.toString()) return;
                  void navigate(target as never);
                }}
                className={cn(
                  line,
                  "absolute inset-x-0 top-0 border-b border-line hover:bg-hover/60",
                  item.index === model.length - 1 && "border-b-0",
                  target && "cursor-pointer",
                  row.getIsSelected() && "bg-accent-soft/60 hover:bg-accent-soft",
                )}
                style={{ ...grid, height: rowHeight, transform: `translateY(${item.start - top}px)` }}
              >
                {onSelect && (
                  <span role="cell">
                    <CheckBox
                      label={props.selectLabel?.(row.original) ?? `Select ${row.id}`}
                      checked={row.getIsSelected()}
                      onChange={(checked) => row.toggleSelected(checked)}
                    />
                  </span>
                )}
                {visible.map((column) => (
                  <div
                    key={column.id}
                    role="cell"
                    className={cn("min-w-0 truncate", column.align === "right" && "text-right")}
                  >
                    {column.cell(row.original)}
                  </div>
                ))}
              </div>
            );
          })}
        </div>
      )}
    </div>
  );
}

function Head<T extends object>({
  column,
  order,
  onOrder,
}: {
  column: Column<T>;
  order: string | undefined;
  onOrder: ((order: string) => void) | undefined;
}) {
  const sort = column.sort;
  const up = order === sort;
  const down = order === `-${sort}`;
  const sorted = sort ? (up ? "ascending" : down ? "descending" : "none") : undefined;
  return (
    <span
      role="columnheader"
      aria-sort={sorted}
      className={cn("min-w-0 truncate", column.align === "right" && "text-right")}
    >
      {sort && onOrder ? (
        <button
          type="button"
          // Names start at A, everything else with the largest or newest.
          onClick={() => onOrder(up ? `-${sort}` : down ? sort : sort === "name" ? sort : `-${sort}`)}
          className={cn(
            "-mx-1 inline-flex items-center gap-1 rounded px-1 hover:text-text",
            (up || down) && "font-medium text-text",
          )}
        >
          {column.header}
          {up && <ArrowUp className="size-3" aria-hidden />}
          {down && <ArrowDown className="size-3" aria-hidden />}
        </button>
      ) : (
        column.header
      )}
    </span>
  );
}

function SkeletonRows({ rowHeight }: { rowHeight: number }) {
  return (
    <div>
      <span className="sr-only">Loading</span>
      {Array.from({ length: 8 }, (_, index) => (
        <div
          // biome-ignore lint/suspicious/noArrayIndexKey: placeholders have no identity.
          key={index}
          className="flex items-center gap-6 border-b border-line px-4 last:border-b-0"
          style={{ height: rowHeight }}
        >
          <Skeleton className="w-1/3" />
          <Skeleton className="w-16" />
          <Skeleton className="w-24" />
        </div>
      ))}
    </div>
  );
}
