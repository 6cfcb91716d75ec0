// The lines of a plan to free space, in the order in which they would go, each with a box to leave it out.
import type { Usage } from "@/gen/modelhub/v1/system_pb";
import { cn } from "@/lib/cn";
import { lineId, lineName, partOf } from "@/lib/eviction";
import { bytes } from "@/lib/format";
import { CheckBox } from "../ui/field";
import { Bytes, When } from "../ui/values";

interface Props {
  lines: readonly Usage[];
  /** What the chosen lines come to: less than the plan says of all, where they share files with others. */
  chosen: readonly Usage[];
  /** What is stored of each model. */
  stored: readonly Usage[];
  left: ReadonlySet<string>;
  onLeave: (left: Set<string>) => void;
}

export function EvictLines({ lines, chosen, stored, left, onLeave }: Props) {
  const now = new Map(chosen.map((line) => [lineId(line), line]));
  const all = new Map(stored.map((line) => [lineId(line), line]));
  const taken = lines.filter((line) => !left.has(lineId(line))).length;
  const leave = (ids: string[], goes: boolean) => {
    const next = new Set(left);
    for (const id of ids) goes ? next.delete(id) : next.add(id);
    onLeave(next);
  };
  return (
    <div className="max-h-72 overflow-y-auto rounded-md border border-line" tabIndex={0}>
      <table className="w-full text-sm" aria-label="What would be removed">
        <thead className="sticky top-0 z-10 bg-panel text-xs text-muted">
          <tr className="border-b border-line">
            <th className="w-8 py-1.5 pl-3 text-left font-normal">
              <CheckBox
                label="All models"
                checked={taken === lines.length || (taken > 0 && "indeterminate")}
                onChange={(goes) => leave(lines.map(lineId), goes)}
              />
            </th>
            <th className="px-3 py-1.5 text-left font-normal">Model</th>
            <th className="px-3 py-1.5 text-right font-normal max-sm:hidden">Files</th>
            <th className="px-3 py-1.5 text-right font-normal">Size</th>
            <th className="px-3 py-1.5 text-right font-normal max-sm:hidden">Last used</th>
          </tr>
        </thead>
        <tbody className="divide-y divide-line">
          {lines.map((line) => {
            const id = lineId(line);
            const goes = !left.has(id);
            const shown = (goes && now.get(id)) || line;
            return (
              <tr key={id} className={cn(!goes && "text-muted")}>
                <td className="py-1.5 pl-3">
                  <CheckBox
                    label={`Remove ${lineName(line)}`}
                    checked={goes}
                    onChange={(checked) => leave([id], checked)}
                  />
                </td>
                <td className="px-3 py-1.5 [overflow-wrap:anywhere]">{lineName(line)}</td>
                <td className="tabular px-3 py-1.5 text-right whitespace-nowrap text-muted max-sm:hidden">
                  {partOf(shown, all.get(id))}
                </td>
                <td className="px-3 py-1.5 text-right">
                  <span
                    title={
                      shown.ownBytes < shown.bytes
                        ? `${bytes(shown.bytes - shown.ownBytes)} of it shared with other models in this list`
                        : undefined
                    }
                  >
                    <Bytes value={shown.bytes} />
                  </span>
                </td>
                <td className="px-3 py-1.5 text-right text-muted max-sm:hidden">
                  {id && <When at={line.lastUsedAt} />}
                </td>
              </tr>
            );
          })}
        </tbody>
      </table>
    </div>
  );
}
