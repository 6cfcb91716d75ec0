// The processes that run jobs.
import type { System } from "@/gen/modelhub/v1/system_pb";
import { plural } from "@/lib/format";
import { Badge } from "../ui/badge";
import { Panel } from "../ui/panel";
import { SkeletonLines } from "../ui/states";
import { When } from "../ui/values";

export function Workers({ system }: { system: System | undefined }) {
  return (
    <Panel id="workers" title="Workers" note="processes that run jobs" flush>
      {!system ? (
        <SkeletonLines className="p-4" />
      ) : system.workers.length === 0 ? (
        <p className="p-4 text-muted">No workers yet; jobs wait until one starts.</p>
      ) : (
        <ul className="divide-y divide-line">
          {system.workers.map((worker) => (
            <li key={worker.id} className="flex flex-wrap items-center gap-x-3 gap-y-0.5 px-4 py-2.5">
              <Badge tone={worker.alive ? "good" : "bad"}>{worker.alive ? "alive" : "unresponsive"}</Badge>
              <span className="font-medium">{worker.hostname || worker.id}</span>
              <span className="text-muted">{worker.address || "in the server process"}</span>
              <span className="max-w-44 truncate font-mono text-xs text-muted max-sm:hidden" title={worker.id}>
                {worker.id}
              </span>
              <span className="tabular ml-auto text-xs text-muted">
                {plural(worker.running, "job")} running, last seen <When at={worker.seenAt} none="never" />
              </span>
            </li>
          ))}
        </ul>
      )}
    </Panel>
  );
}
