// The machine that the hub runs on.
import type { System } from "@/gen/modelhub/v1/system_pb";
import { bytes, duration, share } from "@/lib/format";
import { Facts, Panel } from "../ui/panel";
import { Progress } from "../ui/progress";
import { SkeletonLines } from "../ui/states";

export function Machine({ system, database }: { system: System | undefined; database: string }) {
  return (
    <Panel id="machine" title="This machine">
      {!system ? (
        <SkeletonLines />
      ) : (
        <Facts
          items={[
            ["Hostname", system.hostname],
            ["Operating system", [system.os, system.kernel].filter(Boolean).join(", kernel ")],
            ["Processor", `${system.cpu}, ${system.cores} cores`],
            system.loadAverage.length > 0 && [
              "Load",
              <span key="l" className="tabular">
                {system.loadAverage.map((one) => one.toFixed(2)).join("  ")}
              </span>,
            ],
            ["Memory", `${bytes(system.memoryAvailable)} of ${bytes(system.memoryTotal)} available`],
            ["Uptime", duration(Number(system.uptimeSeconds))],
            [
              "GPUs",
              system.gpus.length > 0 ? system.gpus.map((gpu) => gpu.name).join(", ") : system.gpuProblem || "none",
            ],
            ...system.disks.map(
              (disk) =>
                [
                  disk.mountPoint,
                  <span key={disk.mountPoint} className="flex flex-col gap-1">
                    <span>
                      {bytes(disk.available)} of {bytes(disk.total)} free, {disk.filesystem}
                      {disk.store && <span className="text-accent"> · contains the store</span>}
                    </span>
                    <Progress
                      value={share(disk.total - disk.available, disk.total)}
                      label={`Usage of ${disk.mountPoint}`}
                      className="max-w-64"
                    />
                  </span>,
                ] as const,
            ),
            [
              "Database",
              <span key="d">
                {database || system.database} <span className="text-muted">(set in the configuration)</span>
              </span>,
            ],
            ["modelhub", system.version],
          ]}
        />
      )}
    </Panel>
  );
}
