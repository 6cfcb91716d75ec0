// What could not be downloaded again after an eviction: what stays for that reason, and the box that includes it.
import type { PlanEvictionResponse } from "@/gen/modelhub/v1/hub_service_pb";
import { bytes, plural } from "@/lib/format";
import { CheckBox } from "../ui/field";
import { Note } from "../ui/states";

interface Props {
  plan: PlanEvictionResponse;
  included: boolean;
  onInclude: (included: boolean) => void;
}

export function Unrecoverable({ plan, included, onInclude }: Props) {
  if (!included && plan.keptFiles === 0n) return null;
  return (
    <>
      {plan.keptFiles > 0n && (
        <Note tone="info">
          {bytes(plan.keptBytes)} in {plural(plan.keptFiles, "imported file")} stay: they could not be downloaded again.
        </Note>
      )}
      <CheckBox visible label="Also remove what cannot be downloaded again" checked={included} onChange={onInclude} />
      {plan.unrecoverableFiles > 0n && (
        <Note tone="bad" title={`${bytes(plan.unrecoverableBytes)} cannot be downloaded again`}>
          {plural(plan.unrecoverableFiles, "imported file")} that upstream does not have, as far as is known.
        </Note>
      )}
    </>
  );
}
