// The plan of an eviction as lines that can be chosen: one for each model that would lose something, in the order in which
// they would go, and one for what no model has any more.
import type { PlanEvictionResponse } from "@/gen/modelhub/v1/hub_service_pb";
import type { Usage } from "@/gen/modelhub/v1/system_pb";
import { plural } from "./format";
import { usageName } from "./paths";

/** A plan names no more models than these. */
const most = 1000;

/** The line of what no model has: it has no id. */
const nobody = "";

export const lineId = (line: Usage) => line.modelId;
export const lineName = (line: Usage) => (lineId(line) === nobody ? "Files of no model" : usageName(line.name));

export function linesOf(plan: PlanEvictionResponse): Usage[] {
  const lines = plan.models.filter((line) => line.files > 0n);
  return plan.unreferenced && plan.unreferenced.files > 0n ? [...lines, plan.unreferenced] : lines;
}

export const isCut = (plan: PlanEvictionResponse) => plan.models.length >= most;

/** These lines and no others, whatever may have become old meanwhile. */
export function choiceOf(lines: readonly Usage[], left: ReadonlySet<string>) {
  const ids = lines.map(lineId).filter((id) => !left.has(id));
  return { modelIds: ids.filter((id) => id !== nobody), unreferenced: ids.includes(nobody) };
}

/** `3 of 8 files`, where it is known how many are stored. */
export function partOf(line: Usage, stored: Usage | undefined): string {
  if (!stored || stored.files <= line.files) return plural(line.files, "file");
  return `${line.files} of ${plural(stored.files, "file")}`;
}
