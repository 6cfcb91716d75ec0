// Whether the model fits on a GPU of this machine, for a selectable context length.
import { useQuery } from "@tanstack/react-query";
import { CircleCheck, CircleX } from "lucide-react";
import { useState } from "react";
import { factsQuery, systemQuery } from "@/api/queries";
import type { ModelRepo, Quantisation } from "@/gen/modelhub/v1/model_pb";
import { bytes, count, parameters, share } from "@/lib/format";
import type { Choice } from "@/lib/selection";
import { Select } from "../ui/field";
import { Parts } from "../ui/progress";
import { Skeleton } from "../ui/states";

const lengths = [2048, 4096, 8192, 16_384, 32_768, 65_536, 131_072, 262_144];

/** The weights that the facts are requested for: the chosen quantisation's file, or the first of them. */
export function weightsPath(choice: Choice, quants: readonly Quantisation[]): string {
  if (choice.preset === "gguf" && choice.quantisation) {
    return quants.find((one) => one.name === choice.quantisation)?.filePath ?? "";
  }
  const [only] = choice.paths;
  return choice.paths.length === 1 && only && /\.(gguf|safetensors)$/.test(only) ? only : "";
}

/** Whether the choice holds more than one form of the model: no single estimate is true of it. */
export const holdsSeveral = (choice: Choice, quants: readonly Quantisation[]) =>
  choice.preset === "all" && choice.paths.length === 0 && quants.length > 1;

export function GpuFit({
  model,
  revision,
  choice,
  quants,
}: {
  model: ModelRepo;
  revision: string;
  choice: Choice;
  quants: readonly Quantisation[];
}) {
  const [context, setContext] = useState(0);
  const path = weightsPath(choice, quants);
  const several = holdsSeveral(choice, quants);
  const facts = useQuery({ ...factsQuery(model.id, revision, context, path), enabled: !several });
  const system = useQuery(systemQuery());
  const data = facts.data;
  if (several) {
    return (
      <p className="text-xs text-muted">
        Contains {quants.length} quantisations; choose one to see whether it fits on a GPU.
      </p>
    );
  }
  if (facts.isPending || system.isPending) return <Skeleton className="h-10 w-full" />;
  const gpus = system.data?.gpus ?? [];
  if (!data || data.memoryBytes === 0n) return null;
  if (gpus.length === 0 || data.fits.length === 0) {
    return (
      <p className="text-xs text-muted">
        Needs about {bytes(data.memoryBytes)} of GPU memory
        {data.context > 0n && ` with a context of ${count(data.context)} tokens`}. This machine has no GPU.
      </p>
    );
  }
  const longest = Number(data.contextLength);
  const offered = lengths.filter((length) => longest === 0 || length <= longest);
  if (longest > 0 && !offered.includes(longest)) offered.push(longest);
  return (
    <section className="flex flex-col gap-2.5" aria-label="GPU fit">
      <div className="flex flex-wrap items-center gap-x-3 gap-y-1">
        <h3 className="text-sm font-medium">Does it fit on a GPU?</h3>
        <span className="text-xs text-muted">
          about {bytes(data.memoryBytes)}
          {data.parameters > 0n && ` for ${parameters(data.parameters)} parameters`}
          {data.quantisation ? `, ${data.quantisation}` : data.dtypes[0] ? `, ${data.dtypes[0].name}` : ""}
        </span>
        {data.layers > 0n && offered.length > 1 && (
          <label className="ml-auto flex items-center gap-2 text-xs text-muted">
            with a context of
            <Select
              className="h-7 text-xs"
              value={context || Number(data.context)}
              onChange={(event) => setContext(Number(event.target.value))}
            >
              {!offered.includes(Number(data.context)) && data.context > 0n && (
                <option value={Number(data.context)}>{count(data.context)} tokens</option>
              )}
              {offered.map((length) => (
                <option key={length} value={length}>
                  {count(length)} tokens
                </option>
              ))}
            </Select>
          </label>
        )}
      </div>
      <ul className="flex flex-col gap-2">
        {data.fits.map((fit) => {
          const gpu = gpus.find((one) => one.index === fit.gpu);
          const used = share(fit.memoryTotal - fit.memoryFree, fit.memoryTotal);
          const needs = Math.min(1 - used, share(data.memoryBytes, fit.memoryTotal));
          return (
            <li
              key={fit.gpu}
              className="grid grid-cols-[1rem_minmax(0,1fr)] items-center gap-x-2 gap-y-1 text-sm sm:grid-cols-[1rem_10rem_minmax(0,1fr)_15rem]"
            >
              {fit.fits ? (
                <CircleCheck className="size-4 text-good" aria-hidden />
              ) : (
                <CircleX className="size-4 text-bad" aria-hidden />
              )}
              <span className="min-w-0 truncate">
                GPU {fit.gpu} <span className="text-muted">{gpu?.name.replace(/^NVIDIA /, "")}</span>
              </span>
              <Parts
                label={`GPU ${fit.gpu} memory: in use, and needed by the model`}
                parts={[
                  { share: used, tone: "neutral" },
                  { share: needs, tone: fit.fits ? "good" : "bad" },
                ]}
                className="max-sm:col-span-2"
              />
              <span className="tabular text-xs text-muted max-sm:col-span-2 sm:text-right">
                {fit.fits ? "Fits" : "Does not fit"}: {bytes(fit.memoryFree)} of {bytes(fit.memoryTotal)} free
              </span>
            </li>
          );
        })}
      </ul>
      {data.gpusNeeded > 1 && <p className="text-xs text-muted">Fits on {data.gpusNeeded} GPUs together.</p>}
    </section>
  );
}
