// The GPUs of this machine: how much of their memory is in use, how busy and how warm they are.
import type { System } from "@/gen/modelhub/v1/system_pb";
import { bytes, share } from "@/lib/format";
import { capital, sentenceOf } from "@/lib/words";
import { Panel } from "./ui/panel";
import { Progress } from "./ui/progress";
import { SkeletonLines } from "./ui/states";

export function Gpus({ system, failed }: { system: System | undefined; failed?: boolean }) {
  const versions =
    system &&
    [system.driverVersion && `driver ${system.driverVersion}`, system.cudaVersion && `CUDA ${system.cudaVersion}`]
      .filter(Boolean)
      .join(", ");
  return (
    <Panel title="GPUs" note={versions || undefined} flush>
      {!system ? (
        failed ? (
          <p className="px-4 py-5 text-muted">Could not read system information.</p>
        ) : (
          <SkeletonLines className="p-4" />
        )
      ) : system.gpus.length === 0 ? (
        <p className="px-4 py-5 text-sm text-muted">
          {capital(sentenceOf(system.gpuProblem || "No GPUs detected on this machine"))}
        </p>
      ) : (
        <ul className="divide-y divide-line">
          {system.gpus.map((gpu) => {
            const used = share(gpu.memoryUsed, gpu.memoryTotal);
            return (
              <li key={gpu.uuid || gpu.index} className="flex flex-col gap-1.5 px-4 py-3">
                <div className="flex items-baseline gap-2">
                  <span className="tabular text-xs text-muted">{gpu.index}</span>
                  <span className="min-w-0 flex-1 truncate font-medium" title={gpu.name}>
                    {gpu.name.replace(/^NVIDIA /, "")}
                  </span>
                  <span className="tabular text-xs text-muted">
                    {[
                      gpu.temperatureCelsius !== undefined && `${gpu.temperatureCelsius} °C`,
                      gpu.powerWatts !== undefined &&
                        `${Math.round(gpu.powerWatts)}${gpu.powerLimitWatts ? ` of ${Math.round(gpu.powerLimitWatts)}` : ""} W`,
                      gpu.mig && "MIG",
                    ]
                      .filter(Boolean)
                      .join(" · ")}
                  </span>
                </div>
                {gpu.memoryTotal > 0n ? (
                  <Bar
                    label={`GPU ${gpu.index} memory`}
                    name="Memory"
                    value={used}
                    text={`${bytes(gpu.memoryUsed)} of ${bytes(gpu.memoryTotal)}`}
                  />
                ) : (
                  <p className="text-xs text-muted">The driver does not report how much memory it has.</p>
                )}
                {gpu.utilisationPercent !== undefined && (
                  <Bar
                    label={`GPU ${gpu.index} load`}
                    name="Load"
                    value={gpu.utilisationPercent / 100}
                    text={`${gpu.utilisationPercent}%`}
                  />
                )}
              </li>
            );
          })}
        </ul>
      )}
    </Panel>
  );
}

function Bar({ label, name, value, text }: { label: string; name: string; value: number; text: string }) {
  return (
    <div className="grid grid-cols-[3.5rem_minmax(0,1fr)_8.5rem] items-center gap-2 text-xs text-muted">
      <span>{name}</span>
      <Progress value={value} label={label} />
      <span className="tabular text-right whitespace-nowrap">{text}</span>
    </div>
  );
}
