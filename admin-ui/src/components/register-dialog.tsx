// Registers a repository. Takes a name, a URL or a pasted command, looks it up upstream, and shows the result before
// anything happens.
import { useQuery } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { CircleCheck, FileWarning, Lock } from "lucide-react";
import { type FormEvent, useEffect, useState } from "react";
import { downloadModel, registerModel, useAction } from "@/api/actions";
import { sentence } from "@/api/problem";
import { lookUp, settingsQuery } from "@/api/queries";
import type { LookUpModelResponse } from "@/gen/modelhub/v1/hub_service_pb";
import { bytes, plural } from "@/lib/format";
import { useDebounced } from "@/lib/hooks";
import { modelSlug, shortCommit } from "@/lib/paths";
import { GateNote } from "./model/gate";
import { Badge } from "./ui/badge";
import { Button } from "./ui/button";
import { Dialog } from "./ui/dialog";
import { CheckBox, Field, Input, Select } from "./ui/field";
import { Facts } from "./ui/panel";
import { Note, Skeleton } from "./ui/states";

interface Props {
  /** From the address, which follows what is looked up. */
  source: string;
  onSource: (source: string) => void;
  onClose: () => void;
}

export function RegisterDialog({ source, onSource, onClose }: Props) {
  const navigate = useNavigate();
  const [text, setText] = useState(source);
  const [every, setEvery] = useState("0");
  const [download, setDownload] = useState(false);
  const wanted = useDebounced(text.trim(), 350);
  // biome-ignore lint/correctness/useExhaustiveDependencies: the address follows what is typed.
  useEffect(() => {
    if (wanted !== source) onSource(wanted);
  }, [wanted]);
  const found = useQuery({
    queryKey: ["lookup", wanted],
    queryFn: ({ signal }) => lookUp(wanted, signal),
    enabled: wanted.length > 1,
    staleTime: 60_000,
    retry: false,
  });
  const current = wanted === text.trim() && wanted.length > 1;
  const result = current ? found.data : undefined;
  const known = result?.modelId;
  const narrowed =
    result?.selection &&
    (result.selection.include.length > 0 || result.selection.paths.length > 0 || result.selection.exclude.length > 0);

  const action = useAction({
    run: async (result: LookUpModelResponse) => {
      const model = await registerModel({
        repoId: result.repoId,
        kind: result.kind,
        // A source without a revision leaves that of a registered model unchanged.
        revision: result.revision === "main" ? "" : result.revision,
        syncEverySeconds: BigInt(every),
      });
      if (download) await downloadModel(model.id, { revision: result.revision, selection: result.selection });
      return model;
    },
    done: (model) => (download ? `Registered ${model.repoId} and started the download` : `Registered ${model.repoId}`),
    refresh: [["models"], ["overview"], ["jobs"]],
    after: (model) => void navigate({ to: "/models/$", params: { _splat: modelSlug(model) } }),
  });

  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (!result) return;
    if (known) void navigate({ to: "/models/$", params: { _splat: modelSlug(result) } });
    else action.go(result);
  };

  return (
    <Dialog
      open
      onClose={onClose}
      title="Register a model"
      description="The repository is looked up first; nothing is downloaded until you confirm."
      footer={
        <>
          <Button onClick={onClose}>Cancel</Button>
          <Button look="primary" type="submit" form="register" busy={action.busy} disabled={!result}>
            {known ? "Open model" : download ? "Register and download" : "Register"}
          </Button>
        </>
      }
    >
      <form id="register" onSubmit={submit} className="flex flex-col gap-4">
        <Field
          label="Repository"
          hint="A repository name, a Hugging Face URL, or an hf download command."
          problem={current && found.isError ? sentence(found.error) : undefined}
        >
          {(ids) => (
            <Input
              {...ids}
              value={text}
              onChange={(event) => setText(event.target.value)}
              placeholder="Qwen/Qwen3-8B"
              spellCheck={false}
              autoComplete="off"
              className="h-9 font-mono"
            />
          )}
        </Field>
        <div className="min-h-40">
          {current && found.isPending ? (
            <div className="flex flex-col gap-3 pt-1">
              <Skeleton className="w-1/2" />
              <Skeleton className="w-2/3" />
              <Skeleton className="w-1/3" />
            </div>
          ) : result ? (
            <Found result={result} />
          ) : (
            <Examples onPick={setText} />
          )}
        </div>
        {result && !known && (
          <div className="flex flex-col gap-3 border-t border-line pt-4">
            <Field label="Sync">
              {(ids) => (
                <Select
                  {...ids}
                  value={every}
                  onChange={(event) => setEvery(event.target.value)}
                  className="self-start"
                >
                  <option value="0">Manually</option>
                  <option value="3600">Every hour</option>
                  <option value="86400">Every day</option>
                  <option value="604800">Every week</option>
                </Select>
              )}
            </Field>
            <CheckBox
              visible
              checked={download}
              onChange={setDownload}
              label={
                isClosed(result)
                  ? "Download its files once the hub has access"
                  : narrowed
                    ? "Download the files selected by the command now"
                    : `Download all ${plural(result.files, "file")} now (${bytes(result.bytes)})`
              }
            />
          </div>
        )}
        {action.error && (
          <Note tone="bad" title="Could not register the model">
            {sentence(action.error)}
          </Note>
        )}
      </form>
    </Dialog>
  );
}

/** Upstream says that it is there, and not what is in it. */
const isClosed = (result: LookUpModelResponse) => result.visibility === "gated" && result.files === 0n;

function Found({ result }: { result: LookUpModelResponse }) {
  const settings = useQuery(settingsQuery()).data;
  const closed = isClosed(result);
  return (
    <div className="flex flex-col gap-3">
      <div className="flex flex-wrap items-center gap-2">
        <CircleCheck className="size-4 text-good" aria-hidden />
        <span className="font-medium">{result.repoId}</span>
        {result.kind !== "model" && <Badge>{result.kind}</Badge>}
        {result.visibility !== "public" && (
          <Badge tone="warn">
            <Lock className="size-3" aria-hidden />
            {result.visibility}
          </Badge>
        )}
        {result.modelId && <Badge tone="info">already registered</Badge>}
      </div>
      <Facts
        items={[
          !closed && ["Size", `${bytes(result.bytes)} in ${plural(result.files, "file")}`],
          ["Revision", `${result.revision || "main"}, commit ${shortCommit(result.commit)}`],
          result.task !== "" && ["Task", result.task],
          result.licence !== "" && ["Licence", result.licence],
          result.formats.length > 0 && [
            "Weights",
            result.formats.map((format) => `${format.name} ${bytes(format.bytes)}`).join(", "),
          ],
          result.quantisations.length > 0 && [
            "Quantisations",
            <span key="q" className="flex flex-wrap gap-1">
              {result.quantisations.map((one) => (
                <Badge key={one.name}>
                  {one.name} <span className="font-normal text-muted">{bytes(one.bytes)}</span>
                </Badge>
              ))}
            </span>,
          ],
        ]}
      />
      {closed && settings && (
        <GateNote
          gated
          settings={settings}
          url={`${settings.upstreamUrl}/${result.kind === "model" ? "" : `${result.kind}s/`}${result.repoId}`}
        />
      )}
      {(closed ? [] : result.warnings).map((warning) => (
        <Note key={warning} tone="warn" icon={<FileWarning aria-hidden />}>
          {warning}
        </Note>
      ))}
    </div>
  );
}

const examples = [
  "Qwen/Qwen3-8B",
  "https://huggingface.co/datasets/HuggingFaceFW/fineweb",
  'hf download bartowski/Qwen3-30B-A3B-GGUF --include "*Q4_K_M*"',
];

function Examples({ onPick }: { onPick: (text: string) => void }) {
  return (
    <div className="flex flex-col gap-1.5">
      <p className="text-xs text-muted">Examples</p>
      {examples.map((example) => (
        <button
          key={example}
          type="button"
          onClick={() => onPick(example)}
          className="rounded-md border border-line bg-sunken px-2.5 py-1.5 text-left font-mono text-xs text-soft hover:border-line-strong hover:text-text"
        >
          {example}
        </button>
      ))}
    </div>
  );
}
