// What to download and what that means: files, bytes, disk space, and whether the model fits on a GPU of this machine.
// Nothing starts before the plan is on the screen.
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { TriangleAlert } from "lucide-react";
import { useState } from "react";
import { downloadModel, planDownload, useAction } from "@/api/actions";
import { sentence } from "@/api/problem";
import type { ModelRepo } from "@/gen/modelhub/v1/model_pb";
import { bytes, parseBytes } from "@/lib/format";
import { useDebounced } from "@/lib/hooks";
import type { ModelSearch } from "@/lib/search";
import { type Choice, everything, hasPartOf, selectionOf } from "@/lib/selection";
import { Gate, isClosed } from "../model/gate";
import { Button } from "../ui/button";
import { Dialog } from "../ui/dialog";
import { Field, Input, Select } from "../ui/field";
import { Note } from "../ui/states";
import { DownloadPlanView } from "./download-plan";
import { DownloadPresets } from "./download-presets";
import { GpuFit } from "./gpu-fit";

interface Props {
  model: ModelRepo;
  revision: string;
  pick: readonly string[] | undefined;
  /** From the address, which follows what is chosen. */
  preset: ModelSearch["preset"];
  quant: string | undefined;
  onPreset: (preset: ModelSearch["preset"], quant: string | undefined) => void;
  onClose: () => void;
}

export function DownloadDialog({ model, revision, pick, preset, quant, onPreset, onClose }: Props) {
  const [choice, choose] = useState<Choice>({
    ...everything,
    paths: pick ?? [],
    preset: preset ?? "all",
    quantisation: quant ?? "",
  });
  const setChoice = (next: Choice) => {
    choose(next);
    if (next.preset !== choice.preset || next.quantisation !== choice.quantisation)
      onPreset(next.preset === "all" ? undefined : next.preset, next.quantisation || undefined);
  };
  const [priority, setPriority] = useState("50");
  const [limit, setLimit] = useState("");
  const late = useDebounced(choice, 200);
  const selection = selectionOf(late);
  const all = useQuery({
    queryKey: ["plan", model.id, revision, selectionOf({ ...everything, paths: choice.paths })],
    queryFn: ({ signal }) =>
      planDownload(model.id, { revision, selection: selectionOf({ ...everything, paths: choice.paths }) }, signal),
  });
  const plan = useQuery({
    queryKey: ["plan", model.id, revision, selection],
    queryFn: ({ signal }) => planDownload(model.id, { revision, selection }, signal),
    placeholderData: keepPreviousData,
    retry: false,
  });
  const files = all.data?.largest ?? [];
  const quants = all.data?.quantisations ?? [];
  const speedLimit = limit.trim() === "" ? 0n : parseBytes(limit);
  const action = useAction({
    run: () =>
      downloadModel(model.id, {
        revision,
        selection: selectionOf(choice),
        priority: Number(priority),
        bytesPerSecond: speedLimit ?? 0n,
      }),
    done: (job) => ({
      text: `Downloading ${bytes(plan.data?.bytesToFetch)} of ${model.repoId}`,
      to: { label: "Show", href: `/jobs/${job.id}` },
    }),
    refresh: [["jobs"], ["overview"], ["model"]],
    after: onClose,
  });
  const nothing = plan.data?.bytesToFetch === 0n;
  const settled = late === choice && !plan.isPlaceholderData && plan.data !== undefined;

  return (
    <Dialog
      open
      onClose={onClose}
      wide
      title={`Download ${choice.paths.length > 0 ? "files from " : ""}${model.name}`}
      description={choice.paths.length > 0 ? pathWords(choice.paths) : undefined}
      footer={
        <>
          <Button onClick={onClose}>Cancel</Button>
          <Button
            look="primary"
            busy={action.busy}
            disabled={!settled || nothing || speedLimit === undefined}
            onClick={() => action.go(undefined)}
          >
            {plan.data && !nothing ? `Download ${bytes(plan.data.bytesToFetch)}` : "Download"}
          </Button>
        </>
      }
    >
      <div className="flex flex-col gap-5">
        <DownloadPresets
          choice={choice}
          onChange={setChoice}
          quants={quants}
          safetensors={hasPartOf(files, /\.safetensors$/i)}
          otherWeights={hasPartOf(files, /\.(bin|pt|pth|ckpt|h5|msgpack|onnx|gguf|ot)$/i)}
          all={all.data}
        />
        {plan.error && isClosed(model) ? (
          <Gate model={model} acts={false} />
        ) : (
          <DownloadPlanView plan={plan.data} error={plan.error} stale={!settled} />
        )}
        <GpuFit model={model} revision={revision} choice={choice} quants={quants} />
        <details className="group">
          <summary className="w-fit rounded text-sm font-medium text-soft hover:text-text">Advanced selection</summary>
          <div className="mt-3 grid gap-4 sm:grid-cols-2">
            <Field label="Include" hint="Globs, separated by spaces; * also matches /.">
              {(ids) => (
                <Input
                  {...ids}
                  className="font-mono text-xs"
                  placeholder="*.json vae/*"
                  value={choice.include}
                  onChange={(event) => setChoice({ ...choice, include: event.target.value })}
                />
              )}
            </Field>
            <Field label="Exclude">
              {(ids) => (
                <Input
                  {...ids}
                  className="font-mono text-xs"
                  placeholder="*.bin onnx/*"
                  value={choice.exclude}
                  onChange={(event) => setChoice({ ...choice, exclude: event.target.value })}
                />
              )}
            </Field>
            <Field label="Priority">
              {(ids) => (
                <Select
                  {...ids}
                  className="w-full"
                  value={priority}
                  onChange={(event) => setPriority(event.target.value)}
                >
                  <option value="90">High</option>
                  <option value="50">Normal</option>
                  <option value="10">Low</option>
                </Select>
              )}
            </Field>
            <Field
              label="Speed limit"
              hint="Per second. Empty: no limit for this download."
              problem={speedLimit === undefined ? "Enter a size, such as 80 MiB." : undefined}
            >
              {(ids) => (
                <Input {...ids} placeholder="80 MiB" value={limit} onChange={(event) => setLimit(event.target.value)} />
              )}
            </Field>
          </div>
        </details>
        {action.error && (
          <Note tone="bad" icon={<TriangleAlert aria-hidden />} title="Could not start the download">
            {sentence(action.error)}
          </Note>
        )}
      </div>
    </Dialog>
  );
}

function pathWords(paths: readonly string[]): string {
  return paths.length <= 3 ? paths.join(", ") : `${paths.slice(0, 2).join(", ")} and ${paths.length - 2} more`;
}
