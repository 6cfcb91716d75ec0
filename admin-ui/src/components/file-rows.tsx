// The file list itself: a tree grid of any length. Only rows in view are rendered; arrow keys move through all of them.
import { useWindowVirtualizer } from "@tanstack/react-virtual";
import { type KeyboardEvent, useEffect, useLayoutEffect, useRef, useState } from "react";
import { sentence } from "@/api/problem";
import { cn } from "@/lib/cn";
import { FileRow, fileGrid } from "./files/file-row";
import { RowIcons } from "./files/row-icons";
import { type Chosen, chosenBy, isFolder, type Row } from "./files/rows";
import type { FileActions } from "./files/use-file-actions";
import { Button } from "./ui/button";
import { CheckBox } from "./ui/field";
import { Skeleton } from "./ui/states";

export const rowHeight = 34;

interface Props {
  rows: readonly Row[];
  flat: boolean;
  chosen: Chosen;
  actions: FileActions;
  /** Downloaded bytes of the files that are being downloaded. */
  arriving: ReadonlyMap<string, bigint>;
  onMore: (folder: string) => void;
  onRetry: (folder: string) => void;
  allChosen: boolean;
  onChooseAll: (on: boolean) => void;
  emptyText: string;
}

export function FileRows({
  rows,
  flat,
  chosen,
  actions,
  arriving,
  onMore,
  onRetry,
  allChosen,
  onChooseAll,
  emptyText,
}: Props) {
  const body = useRef<HTMLDivElement>(null);
  const [top, setTop] = useState(0);
  const [active, setActive] = useState("");
  const wantsFocus = useRef(false);
  // biome-ignore lint/correctness/useExhaustiveDependencies: what stands above may change with the rows.
  useLayoutEffect(
    () => setTop(body.current ? body.current.getBoundingClientRect().top + window.scrollY : 0),
    [rows.length, flat],
  );
  const virtual = useWindowVirtualizer({
    count: rows.length,
    estimateSize: () => rowHeight,
    overscan: 8,
    scrollMargin: top,
    getItemKey: (index) => rows[index]?.key ?? index,
  });
  const items = virtual.getVirtualItems();

  // Pages are loaded when their row is near.
  const more = items.flatMap((item) => {
    const row = rows[item.index];
    return row?.kind === "more" ? [row.folder] : [];
  });
  const moreKey = JSON.stringify(more);
  // biome-ignore lint/correctness/useExhaustiveDependencies: also after each page that arrived.
  useEffect(() => {
    for (const folder of JSON.parse(moreKey) as string[]) onMore(folder);
  }, [moreKey, rows.length, onMore]);

  const at = Math.max(
    0,
    rows.findIndex((row) => row.key === active),
  );
  const move = (index: number) => {
    const next = rows[Math.min(rows.length - 1, Math.max(0, index))];
    if (!next) return;
    wantsFocus.current = true;
    setActive(next.key);
    virtual.scrollToIndex(Math.min(rows.length - 1, Math.max(0, index)), { align: "auto" });
  };
  useEffect(() => {
    if (!wantsFocus.current) return;
    const element = body.current?.querySelector<HTMLElement>(`[data-active="true"]`);
    if (element) {
      wantsFocus.current = false;
      element.focus({ preventScroll: true });
    }
  });

  const onKeyDown = (event: KeyboardEvent) => {
    if (!(event.target as Element).matches("[role=row]")) return;
    const row = rows[at];
    const entry = row?.kind === "entry" ? row.entry : undefined;
    const page = Math.max(1, Math.floor(window.innerHeight / rowHeight) - 4);
    switch (event.key) {
      case "ArrowDown":
        move(at + 1);
        break;
      case "ArrowUp":
        move(at - 1);
        break;
      case "PageDown":
        move(at + page);
        break;
      case "PageUp":
        move(at - page);
        break;
      case "Home":
        move(0);
        break;
      case "End":
        move(rows.length - 1);
        break;
      case "ArrowRight":
        if (row?.kind === "entry" && entry && isFolder(entry) && !row.open) actions.toggleFolder(entry);
        else move(at + 1);
        break;
      case "ArrowLeft":
        if (row?.kind === "entry" && entry && row.open) actions.toggleFolder(entry);
        else if (row && row.depth > 0) {
          let parent = at;
          while (parent > 0 && (rows[parent]?.depth ?? 0) >= row.depth) parent -= 1;
          move(parent);
        }
        break;
      case "Enter":
        if (entry) actions.open(entry);
        break;
      case " ":
        if (entry) actions.choose(entry);
        break;
      default:
        return;
    }
    event.preventDefault();
  };

  return (
    <div role="treegrid" aria-label="Files" aria-rowcount={rows.length + 1} aria-multiselectable onKeyDown={onKeyDown}>
      <RowIcons />
      <div role="rowgroup" className="sticky top-12 z-10 rounded-t-lg bg-panel lg:top-0">
        <div role="row" aria-rowindex={1} className={cn(fileGrid, "h-9 border-b border-line text-xs text-muted")}>
          <span role="columnheader">
            <CheckBox
              label="Select all"
              checked={allChosen ? true : chosen.size > 0 ? "indeterminate" : false}
              onChange={onChooseAll}
            />
          </span>
          <span role="columnheader">{flat ? "Path" : "Name"}</span>
          <span role="columnheader" className="text-right">
            Size
          </span>
          <span role="columnheader" className="hidden pl-4 md:block">
            Type
          </span>
          <span role="columnheader" className="hidden sm:block">
            Status
          </span>
          <span role="columnheader">
            <span className="sr-only">Actions</span>
          </span>
        </div>
      </div>
      <div ref={body} role="rowgroup" className="relative" style={{ height: virtual.getTotalSize() }}>
        {items.map((item) => {
          const row = rows[item.index];
          if (!row) return null;
          const style = { height: rowHeight, transform: `translateY(${item.start - top}px)` };
          if (row.kind !== "entry") {
            return (
              <div
                key={item.key}
                role="row"
                aria-rowindex={item.index + 2}
                className={cn(fileGrid, "absolute inset-x-0 top-0")}
                style={style}
              >
                <span
                  role="gridcell"
                  className="col-span-full truncate pl-8 text-muted"
                  style={{ paddingLeft: `${2 + row.depth * 1.25}rem` }}
                >
                  {row.kind === "failed" ? (
                    <span className="flex items-center gap-2 text-bad">
                      <span className="truncate">{sentence(row.error)}</span>
                      <Button small onClick={() => onRetry(row.folder)}>
                        Try again
                      </Button>
                    </span>
                  ) : row.kind === "empty" ? (
                    emptyText
                  ) : (
                    <span className="flex items-center">
                      <span className="sr-only">Loading</span>
                      <Skeleton className="w-48" />
                    </span>
                  )}
                </span>
              </div>
            );
          }
          return (
            <FileRow
              key={item.key}
              index={item.index}
              row={row}
              flat={flat}
              active={item.index === at}
              chosen={chosenBy(chosen, row.entry.filePath)}
              arriving={arriving.get(row.entry.filePath)}
              actions={actions}
              onFocus={setActive}
              top={item.start - top}
            />
          );
        })}
      </div>
    </div>
  );
}
