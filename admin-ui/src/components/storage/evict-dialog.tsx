// Frees space: asks how much, and shows exactly what would be removed before anything is.
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { evictStore, planEviction, useAction } from "@/api/actions";
import { sentence } from "@/api/problem";
import { cn } from "@/lib/cn";
import { bytes, parseBytes, plural } from "@/lib/format";
import { useDebounced } from "@/lib/hooks";
import { usageName } from "@/lib/paths";
import type { StorageSearch } from "@/lib/search";
import { Button } from "../ui/button";
import { Dialog } from "../ui/dialog";
import { Field, Input, Select } from "../ui/field";
import { Note, SkeletonLines } from "../ui/states";
import { Bytes, When } from "../ui/values";
import { Unrecoverable } from "./unrecoverable";

const day = 86_400n;
const usual = "100 GiB";

interface Props {
  /** How much, as typed, and unused for how many days; from the address. */
  free: string | undefined;
  unused: StorageSearch["unused"];
  onChange: (free: string | undefined, unused: StorageSearch["unused"]) => void;
  onClose: () => void;
}

export function EvictDialog({ free, unused, onChange, onClose }: Props) {
  const [wanted, setWanted] = useState(free ?? usual);
  const [included, setIncluded] = useState(false);
  const text = useDebounced(wanted, 250);
  const size = parseBytes(text);
  const typedSize = parseBytes(wanted);
  // biome-ignore lint/correctness/useExhaustiveDependencies: the address follows what is typed, not the other way round.
  useEffect(() => {
    const next = text === usual ? undefined : text;
    if (next !== free) onChange(next, unused);
  }, [text]);
  const request = {
    freeBytes: size ?? 0n,
    unusedSeconds: BigInt(unused ?? 0) * day,
    includeUnrecoverable: included,
  };
  const plan = useQuery({
    queryKey: ["eviction", String(size), unused ?? "", included],
    queryFn: ({ signal }) => planEviction(request, signal),
    enabled: size !== undefined && size > 0n,
    placeholderData: keepPreviousData,
    retry: false,
  });
  const action = useAction({
    run: () => evictStore(request),
    done: (job) => ({ text: `Freeing ${bytes(plan.data?.bytes)}`, to: { label: "Show", href: `/jobs/${job.id}` } }),
    failed: "Could not free space",
    refresh: [["jobs"], ["overview"], ["storage"]],
    after: onClose,
  });
  const data = plan.data;
  const settled = text === wanted && data !== undefined && !plan.isPlaceholderData;
  const short = data && size !== undefined && data.bytes < size;
  const losers = data?.models.filter((one) => one.files > 0n).length ?? 0;
  return (
    <Dialog
      open
      onClose={onClose}
      wide
      title="Free disk space"
      description="Removes the least recently used models first. Pinned models and shared files are kept."
      footer={
        <>
          <Button onClick={onClose}>Cancel</Button>
          <Button
            look="danger"
            busy={action.busy}
            disabled={!settled || data.bytes === 0n}
            onClick={() => action.go(undefined)}
          >
            {settled && data.bytes > 0n ? `Remove ${bytes(data.bytes)}` : "Remove"}
          </Button>
        </>
      }
    >
      <div className="flex flex-col gap-4">
        <div className="grid gap-4 sm:grid-cols-2">
          <Field label="Free at least" problem={typedSize === undefined ? "Enter a size, such as 100 GiB." : undefined}>
            {(ids) => <Input {...ids} value={wanted} onChange={(event) => setWanted(event.target.value)} />}
          </Field>
          <Field label="Keep models used within">
            {(ids) => (
              <Select
                {...ids}
                className="w-full"
                value={unused ?? ""}
                onChange={(event) => onChange(free, (event.target.value || undefined) as StorageSearch["unused"])}
              >
                <option value="">no minimum</option>
                <option value="1">the last 24 hours</option>
                <option value="7">the last 7 days</option>
                <option value="30">the last 30 days</option>
                <option value="90">the last 90 days</option>
              </Select>
            )}
          </Field>
        </div>
        {plan.isError ? (
          <Note tone="bad" title="Could not plan the eviction">
            {sentence(plan.error)}
          </Note>
        ) : !data ? (
          <SkeletonLines />
        ) : (
          <div className={cn("flex flex-col gap-3 transition-opacity", !settled && "opacity-60")}>
            <p className="text-sm">
              {data.bytes === 0n ? (
                "Nothing to remove: everything is pinned, in use, used too recently, or cannot be downloaded again."
              ) : (
                <>
                  <strong className="font-semibold">{bytes(data.bytes)}</strong> in {plural(data.files, "file")} of{" "}
                  {plural(losers, "model")} would be removed.
                </>
              )}
            </p>
            {short && data.bytes > 0n && <Note tone="warn">Only {bytes(data.bytes)} can be freed.</Note>}
            <Unrecoverable plan={data} included={included} onInclude={setIncluded} />
            {data.models.length > 0 && (
              <div className="max-h-72 overflow-y-auto rounded-md border border-line" tabIndex={0}>
                <table className="w-full text-sm">
                  <thead className="sticky top-0 bg-panel text-xs text-muted">
                    <tr className="border-b border-line">
                      <th className="px-3 py-1.5 text-left font-normal">Model</th>
                      <th className="px-3 py-1.5 text-right font-normal">Frees</th>
                      <th className="px-3 py-1.5 text-right font-normal">Lost for good</th>
                      <th className="px-3 py-1.5 text-right font-normal">Kept</th>
                      <th className="px-3 py-1.5 text-right font-normal max-sm:hidden">Last used</th>
                    </tr>
                  </thead>
                  <tbody className="divide-y divide-line">
                    {data.models.map((one) => (
                      <tr key={one.modelId || one.name}>
                        <td className="px-3 py-1.5">{usageName(one.name)}</td>
                        <td className="px-3 py-1.5 text-right">
                          <Bytes value={one.ownBytes || one.bytes} />
                        </td>
                        <td className="px-3 py-1.5 text-right text-bad">
                          {one.unrecoverableBytes > 0n && <Bytes value={one.unrecoverableBytes} />}
                        </td>
                        <td className="px-3 py-1.5 text-right text-muted">
                          {one.keptBytes > 0n && <Bytes value={one.keptBytes} />}
                        </td>
                        <td className="px-3 py-1.5 text-right text-muted max-sm:hidden">
                          <When at={one.lastUsedAt} />
                        </td>
                      </tr>
                    ))}
                  </tbody>
                </table>
              </div>
            )}
          </div>
        )}
      </div>
    </Dialog>
  );
}
