// Frees space: shows exactly what a rule would remove, in the order in which it would go, and removes what stays ticked.
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { evictStore, planEviction, useAction } from "@/api/actions";
import { sentence } from "@/api/problem";
import type { GetStorageResponse } from "@/gen/modelhub/v1/hub_service_pb";
import { cn } from "@/lib/cn";
import { choiceOf, isCut, linesOf } from "@/lib/eviction";
import { bytes, parseBytes, plural } from "@/lib/format";
import { useDebounced } from "@/lib/hooks";
import { type StorageSearch, usualUnused } from "@/lib/search";
import { Button } from "../ui/button";
import { Dialog } from "../ui/dialog";
import { CheckBox, Field, Input, Select } from "../ui/field";
import { Note, SkeletonLines } from "../ui/states";
import { isTyped } from "../ui/typed";
import { EvictLines } from "./evict-lines";
import { Unrecoverable } from "./unrecoverable";

const day = 86_400n;
/** More than any store has. */
const all = 1n << 62n;
const none: ReadonlySet<string> = new Set();

interface Props {
  storage: GetStorageResponse | undefined;
  /** How much, as typed, and unused for how many days; from the address. */
  free: string | undefined;
  unused: StorageSearch["unused"];
  onChange: (free: string | undefined, unused: StorageSearch["unused"]) => void;
  onClose: () => void;
}

export function EvictDialog({ storage, free = "", unused, onChange, onClose }: Props) {
  const days = unused ?? usualUnused;
  const [wanted, setWanted] = useState(free);
  const [included, setIncluded] = useState(false);
  const [typed, setTyped] = useState("");
  const [left, setLeft] = useState(none);
  // Of which plan somebody has said that everything may go.
  const [sure, setSure] = useState<bigint>();
  const text = useDebounced(wanted, 250).trim();
  // biome-ignore lint/correctness/useExhaustiveDependencies: the address follows what is typed, not the other way round.
  useEffect(() => {
    if (text !== free) onChange(text || undefined, unused);
  }, [text]);
  const problem = sizeProblem(wanted, days);
  const size = text ? parseBytes(text) : 0n;
  const rule = {
    freeBytes: size ?? 0n,
    unusedSeconds: BigInt(days) * day,
    includeUnrecoverable: included,
  };
  const ready = sizeProblem(text, days) === undefined;
  const plan = usePlan(rule, ready);
  const lines = plan.data ? linesOf(plan.data) : [];
  const only = choiceOf(lines, left);
  const chosen = only.modelIds.length + (only.unreferenced ? 1 : 0);
  // A plan is of all models, also of those that it does not name.
  const isPart = chosen > 0 && (chosen < lines.length || (plan.data !== undefined && isCut(plan.data)));
  const part = usePlan({ ...rule, only }, ready && isPart);
  const most = usePlan({ freeBytes: all, includeUnrecoverable: included }, true);
  const now = isPart ? part : plan;
  const settled = text === wanted.trim() && ready && !plan.isPlaceholderData && !now.isPlaceholderData && !!now.data;
  const data = now.data;
  const total = chosen > 0 && data ? data.bytes : 0n;
  const everything = total > 0n && most.data !== undefined && total >= most.data.bytes;
  const lost = chosen > 0 && (data?.unrecoverableFiles ?? 0n) > 0n;
  const action = useAction({
    run: () => evictStore({ ...rule, only }),
    done: (job) => ({ text: `Freeing ${bytes(total)}`, to: { label: "Show", href: `/jobs/${job.id}` } }),
    failed: "Could not free space",
    refresh: [["jobs"], ["overview"], ["storage"]],
    after: onClose,
  });
  return (
    <Dialog
      open
      onClose={onClose}
      wide
      title="Free disk space"
      description="Removes files from disk, the least recently used first. Pinned models and what they share stay."
      footer={
        <>
          <Button onClick={onClose}>Cancel</Button>
          <Button
            look="danger"
            busy={action.busy}
            disabled={
              !settled || total === 0n || !most.data || (everything && sure !== total) || (lost && !isTyped(typed))
            }
            onClick={() => action.go(undefined)}
          >
            {settled && total > 0n ? `Remove ${bytes(total)}` : "Remove"}
          </Button>
        </>
      }
    >
      <div className="flex flex-col gap-4">
        <div className="grid gap-4 sm:grid-cols-2">
          <Field label="Not used for">
            {(ids) => (
              <Select
                {...ids}
                className="w-full"
                value={days}
                onChange={({ target }) =>
                  onChange(
                    free || undefined,
                    target.value === usualUnused ? undefined : (target.value as typeof unused),
                  )
                }
              >
                <option value="1">24 hours</option>
                <option value="7">7 days</option>
                <option value="30">30 days</option>
                <option value="90">90 days</option>
                <option value="0">any time</option>
              </Select>
            )}
          </Field>
          <Field label="Free at least" problem={problem} hint="Optional: stops when this much is freed.">
            {(ids) => (
              <Input
                {...ids}
                value={wanted}
                placeholder="everything unused"
                onChange={(event) => setWanted(event.target.value)}
              />
            )}
          </Field>
        </div>
        {!ready ? null : plan.isError || now.isError ? (
          <Note tone="bad" title="Could not plan the eviction">
            {sentence(plan.error ?? now.error)}
          </Note>
        ) : !plan.data ? (
          <SkeletonLines />
        ) : (
          <div className={cn("flex flex-col gap-3 transition-opacity", !settled && "opacity-60")}>
            <p className="text-sm" aria-live="polite">
              {lines.length === 0 ? (
                "Nothing to remove: everything is pinned, in use, used too recently, or cannot be downloaded again."
              ) : (
                <>
                  <strong className="font-semibold">{bytes(total)}</strong> in{" "}
                  {plural(chosen > 0 ? data?.files : 0n, "file")} of {plural(only.modelIds.length, "model")} would be
                  removed.
                </>
              )}
            </p>
            {size !== undefined && total > 0n && total < size && (
              <Note tone="warn">Only {bytes(total)} would be freed.</Note>
            )}
            {isCut(plan.data) && <Note>The first 1,000 models are shown; no others are removed.</Note>}
            {lines.length > 0 && (
              <EvictLines
                lines={lines}
                chosen={data ? linesOf(data) : lines}
                stored={storage?.models ?? []}
                left={left}
                onLeave={setLeft}
              />
            )}
            <Unrecoverable
              plan={data ?? plan.data}
              included={included}
              onInclude={setIncluded}
              typed={typed}
              onType={setTyped}
            />
            {everything && (
              <Note tone="warn" title="Nothing that may be removed would be left">
                <p className="mb-1.5">Clients will have to download every model again that is not pinned.</p>
                <CheckBox
                  visible
                  label={`Remove everything, ${bytes(total)}`}
                  checked={sure === total}
                  onChange={(checked) => setSure(checked ? total : undefined)}
                />
              </Note>
            )}
          </div>
        )}
      </div>
    </Dialog>
  );
}

const usePlan = (rule: Parameters<typeof planEviction>[0], enabled: boolean) =>
  useQuery({
    queryKey: ["eviction", JSON.stringify(rule, (_, value) => (typeof value === "bigint" ? String(value) : value))],
    queryFn: ({ signal }) => planEviction(rule, signal),
    enabled,
    placeholderData: keepPreviousData,
    staleTime: 0,
    retry: false,
  });

/** What is wrong with a size, if anything is. */
function sizeProblem(text: string, days: string): string | undefined {
  if (text.trim() === "") return days === "0" ? "Enter a size, or how long models were not used." : undefined;
  const size = parseBytes(text);
  return size === undefined || size === 0n ? "Enter a size, such as 100 GiB." : undefined;
}
