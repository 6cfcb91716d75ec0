// The usual choices: everything, safetensors only, one GGUF quantisation. Only what the repository has is offered.
import { RadioGroup } from "radix-ui";
import type { ReactNode } from "react";
import type { DownloadPlan, Quantisation } from "@/gen/modelhub/v1/model_pb";
import { cn } from "@/lib/cn";
import { bytes, plural } from "@/lib/format";
import type { Choice, Preset } from "@/lib/selection";

interface Props {
  choice: Choice;
  onChange: (choice: Choice) => void;
  quants: readonly Quantisation[];
  safetensors: boolean;
  otherWeights: boolean;
  all: DownloadPlan | undefined;
}

export function DownloadPresets({ choice, onChange, quants, safetensors, otherWeights, all }: Props) {
  const offerSafetensors = safetensors && otherWeights;
  const offerGguf = quants.length > 1;
  if (!offerSafetensors && !offerGguf) return null;
  return (
    <div className="flex flex-col gap-3">
      <RadioGroup.Root
        aria-label="Files to download"
        value={choice.preset}
        onValueChange={(preset) =>
          onChange({
            ...choice,
            preset: preset as Preset,
            quantisation: preset === "gguf" ? choice.quantisation || (middle(quants)?.name ?? "") : "",
          })
        }
        className="grid gap-2 sm:grid-flow-col sm:auto-cols-fr"
      >
        <Card value="all" title="Everything">
          {all ? `${plural(all.files, "file")}, ${bytes(all.bytes)}` : " "}
        </Card>
        {offerSafetensors && (
          <Card value="safetensors" title="Safetensors only">
            Skips other forms of the same weights
          </Card>
        )}
        {offerGguf && (
          <Card value="gguf" title="One quantisation">
            {quants.length} available
          </Card>
        )}
      </RadioGroup.Root>
      {choice.preset === "gguf" && (
        <RadioGroup.Root
          aria-label="Quantisation"
          value={choice.quantisation}
          onValueChange={(quantisation) => onChange({ ...choice, quantisation })}
          className="flex flex-wrap gap-1.5"
        >
          {quants.map((one) => (
            <RadioGroup.Item
              key={one.name}
              value={one.name}
              className="flex items-baseline gap-1.5 rounded-md border border-line-strong/70 px-2 py-1 text-sm hover:bg-hover data-[state=checked]:border-accent data-[state=checked]:bg-accent-soft data-[state=checked]:text-accent"
            >
              <span className="font-medium">{one.name}</span>
              <span className="tabular text-xs text-muted">{bytes(one.bytes)}</span>
            </RadioGroup.Item>
          ))}
        </RadioGroup.Root>
      )}
    </div>
  );
}

/** The one that most people choose: about four bits, or else the middle one. */
function middle(quants: readonly Quantisation[]): Quantisation | undefined {
  return quants.find((one) => one.name.endsWith("Q4_K_M")) ?? quants[Math.floor(quants.length / 2)];
}

function Card({ value, title, children }: { value: Preset; title: string; children: ReactNode }) {
  return (
    <RadioGroup.Item
      value={value}
      className={cn(
        "rounded-md border border-line-strong/70 px-3 py-2 text-left hover:bg-hover",
        "data-[state=checked]:border-accent data-[state=checked]:bg-accent-soft data-[state=checked]:hover:bg-accent-soft",
      )}
    >
      <span className="block text-sm font-medium">{title}</span>
      <span className="block text-xs text-muted">{children}</span>
    </RadioGroup.Item>
  );
}
