// What could not be downloaded again after an eviction: what stays for that reason, and the box that includes it. What is
// included is named, and goes only after a word that is typed.
import type { PlanEvictionResponse } from "@/gen/modelhub/v1/hub_service_pb";
import { lineId, lineName } from "@/lib/eviction";
import { bytes, plural } from "@/lib/format";
import { CheckBox } from "../ui/field";
import { Note } from "../ui/states";
import { Typed } from "../ui/typed";

interface Props {
  plan: PlanEvictionResponse;
  included: boolean;
  onInclude: (included: boolean) => void;
  /** What was typed to confirm. */
  typed: string;
  onType: (typed: string) => void;
}

export function Unrecoverable({ plan, included, onInclude, typed, onType }: Props) {
  if (!included && plan.keptFiles === 0n) return null;
  const lost = [...plan.models, ...(plan.unreferenced ? [plan.unreferenced] : [])].filter(
    (line) => line.unrecoverableBytes > 0n,
  );
  return (
    <>
      {plan.keptFiles > 0n && (
        <Note tone="info">
          {bytes(plan.keptBytes)} in {plural(plan.keptFiles, "imported file")} stay: they could not be downloaded again.
        </Note>
      )}
      <CheckBox visible label="Also remove what cannot be downloaded again" checked={included} onChange={onInclude} />
      {plan.unrecoverableFiles > 0n && (
        <>
          <Note tone="bad" title={`${bytes(plan.unrecoverableBytes)} cannot be downloaded again`}>
            <p>{plural(plan.unrecoverableFiles, "imported file")} that upstream does not have, as far as is known:</p>
            <ul
              aria-label="Lost for good"
              className="max-h-32 overflow-y-auto"
              tabIndex={lost.length > 5 ? 0 : undefined}
            >
              {lost.map((line) => (
                <li key={lineId(line)}>
                  <span className="font-medium">{lineName(line)}</span>, {bytes(line.unrecoverableBytes)}
                </li>
              ))}
            </ul>
          </Note>
          <Typed value={typed} onChange={onType} />
        </>
      )}
    </>
  );
}
