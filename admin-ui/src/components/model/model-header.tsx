// The header of a model: what it is, how much of it is on disk, and the actions on the whole model.
import { Link, useNavigate } from "@tanstack/react-router";
import {
  ChevronRight,
  CloudDownload,
  Ellipsis,
  ExternalLink,
  EyeOff,
  Lock,
  Pin,
  RefreshCw,
  ShieldCheck,
  Trash2,
  TriangleAlert,
} from "lucide-react";
import { useState } from "react";
import { deleteModel, pinModel, useAction, verifyModel } from "@/api/actions";
import { type ModelFacts, type ModelRepo, ModelRepo_Download } from "@/gen/modelhub/v1/model_pb";
import { cn } from "@/lib/cn";
import { bytes, count, plural, share } from "@/lib/format";
import { capital, everyWords, modelState, sentenceOf, syncWords } from "@/lib/words";
import { RemoveFiles } from "../files/remove-files";
import { Badge } from "../ui/badge";
import { Button, IconButton } from "../ui/button";
import { Confirm } from "../ui/dialog";
import { Menu } from "../ui/menu";
import { Progress } from "../ui/progress";
import { Note } from "../ui/states";
import { Tip } from "../ui/tip";
import { When } from "../ui/values";
import { Gate, isClosed } from "./gate";
import { PickleNote } from "./pickle-note";
import { RevisionPicker } from "./revision-picker";

interface Props {
  model: ModelRepo;
  facts: ModelFacts | undefined;
  revision: string;
  onDownload: () => void;
  onSync: () => void;
  syncing: boolean;
}

export function ModelHeader({ model, facts, revision, onDownload, onSync, syncing }: Props) {
  const navigate = useNavigate();
  const [removing, setRemoving] = useState(false);
  const [unlisting, setUnlisting] = useState(false);
  const state = modelState(model);
  const pin = useAction({
    run: (value: { pinned?: boolean; syncEverySeconds?: bigint }) => pinModel(model.id, value),
    done: (next, value) =>
      value.pinned === undefined ? capital(syncWords(next.syncEverySeconds)) : next.pinned ? "Pinned" : "Unpinned",
    failed: "Could not save the change",
    refresh: [["model"], ["models"]],
  });
  const verify = useAction({
    run: () => verifyModel(model.id, revision, []),
    done: (job) => ({ text: "Verifying the files on disk", to: { label: "Show", href: `/jobs/${job.id}` } }),
    failed: "Could not verify the model",
    refresh: [["jobs"], ["overview"]],
  });
  const unlist = useAction({
    run: () => deleteModel(model.id),
    done: () => `Removed ${model.repoId} from the list`,
    failed: "Could not remove the model from the list",
    refresh: [["models"], ["overview"]],
    after: () => void navigate({ to: "/models" }),
  });
  const complete = model.download === ModelRepo_Download.complete;
  const schedules = [0n, 3600n, 86400n, 604800n] as const;
  return (
    <header className="mb-4 flex flex-col gap-2.5">
      <nav aria-label="Breadcrumb" className="flex items-center gap-1 text-sm text-muted">
        <Link to="/models" className="rounded hover:text-text hover:underline">
          Models
        </Link>
        {model.vendor && (
          <>
            <ChevronRight className="size-3.5" aria-hidden />
            <Link to="/models" search={{ q: `${model.vendor}/` }} className="rounded hover:text-text hover:underline">
              {model.vendor}
            </Link>
          </>
        )}
      </nav>
      <div className="flex flex-wrap items-start gap-x-4 gap-y-3">
        <div className="min-w-0 flex-1 basis-80">
          <h1 className="flex flex-wrap items-center gap-x-2.5 gap-y-1 text-xl font-semibold tracking-tight">
            <span className="min-w-0">{model.name}</span>
            <Tip text={state.detail}>
              <span className="inline-flex">
                <Badge tone={state.tone}>{state.word}</Badge>
              </span>
            </Tip>
            {model.kind !== "model" && <Badge>{model.kind}</Badge>}
            {model.visibility !== "public" && model.visibility !== "" && (
              <Badge tone="warn">
                <Lock className="size-3" aria-hidden />
                {model.visibility}
              </Badge>
            )}
          </h1>
        </div>
        <div className="flex flex-wrap items-center gap-2">
          <RevisionPicker model={model} revision={revision} />
          <Button onClick={onSync} busy={syncing} icon={<RefreshCw className="size-4" aria-hidden />}>
            Sync
          </Button>
          <IconButton
            label={model.pinned ? "Pinned: press to unpin" : "Pin: keep when space is freed"}
            look="plain"
            aria-pressed={model.pinned}
            disabled={pin.busy}
            onClick={() => pin.go({ pinned: !model.pinned })}
            className={cn("size-8", model.pinned && "border-accent bg-accent-soft text-accent hover:bg-accent-soft")}
          >
            <Pin className="size-4" aria-hidden />
          </IconButton>
          <Button
            look={complete ? "plain" : "primary"}
            onClick={onDownload}
            icon={<CloudDownload className="size-4" aria-hidden />}
          >
            Download…
          </Button>
          <Menu
            trigger={
              <IconButton label="More actions" look="plain" className="size-8">
                <Ellipsis className="size-4" aria-hidden />
              </IconButton>
            }
            items={[
              {
                label: "Verify files on disk",
                icon: <ShieldCheck aria-hidden />,
                disabled: model.bytesHere === 0n,
                onSelect: () => verify.go(undefined),
              },
              "line",
              ...schedules.map((seconds) => ({
                label: `Sync ${everyWords(seconds)}`,
                icon: model.syncEverySeconds === seconds ? <RefreshCw aria-hidden /> : <span className="size-4" />,
                hint: model.syncEverySeconds === seconds ? "current" : undefined,
                onSelect: () => pin.go({ syncEverySeconds: seconds }),
              })),
              "line",
              {
                label: "Remove all files from disk…",
                icon: <Trash2 aria-hidden />,
                danger: true,
                disabled: model.bytesHere === 0n,
                hint: bytes(model.bytesHere),
                onSelect: () => setRemoving(true),
              },
              {
                label: "Remove from list…",
                icon: <EyeOff aria-hidden />,
                danger: true,
                onSelect: () => setUnlisting(true),
              },
            ]}
          />
        </div>
      </div>
      <div className="tabular flex flex-wrap content-start items-center gap-x-3 gap-y-1 text-sm text-muted max-sm:min-h-17">
        <span>
          {model.syncedAt ? "Synced " : ""}
          <When at={model.syncedAt} none="Never synced" /> · {syncWords(model.syncEverySeconds)}
        </span>
        <span>
          {model.lastUsedAt ? "Last used " : ""}
          <When at={model.lastUsedAt} none="Never used" />
        </span>
        {model.url && (
          <a
            href={model.url}
            target="_blank"
            rel="noreferrer"
            className="inline-flex items-center gap-1 rounded text-accent hover:underline"
          >
            View on Hugging Face
            <ExternalLink className="size-3.5" aria-label="opens in a new tab" />
          </a>
        )}
        {/* What arrives later comes last, so that nothing before it moves. */}
        {facts?.licence && <span>Licence {facts.licence}</span>}
        {facts?.task && <span>{facts.task}</span>}
        <PickleNote model={model} revision={revision} />
      </div>
      {model.files > 0n && (
        <div className="flex flex-wrap items-center gap-x-4 gap-y-1.5 text-sm">
          <Progress
            value={share(model.bytesHere, model.bytes)}
            label="Share of the model on disk"
            tone={complete ? "good" : "accent"}
            className="max-w-64 min-w-32 flex-1"
          />
          <span className="tabular text-soft">
            {bytes(model.bytesHere)} of {bytes(model.bytes)} on disk
            <span className="text-muted">
              {" "}
              · {count(model.filesHere)} of {plural(model.files, "file")}
            </span>
          </span>
        </div>
      )}
      {isClosed(model) ? (
        <Gate model={model} />
      ) : model.problem ? (
        <Note
          tone="bad"
          icon={<TriangleAlert aria-hidden />}
          title="Last sync failed"
          action={
            <Button small onClick={onSync} busy={syncing}>
              Try again
            </Button>
          }
        >
          {capital(sentenceOf(model.problem))}
          {model.bytesHere > 0n && " Cached files are still served."}
        </Note>
      ) : null}
      {removing && (
        <RemoveFiles
          model={model}
          revision=""
          entries={[]}
          onClose={() => setRemoving(false)}
          onDone={() => setRemoving(false)}
        />
      )}
      <Confirm
        open={unlisting}
        onClose={() => setUnlisting(false)}
        title={`Remove ${model.repoId} from the list?`}
        action="Remove from list"
        busy={unlist.busy}
        onConfirm={() => unlist.go(undefined)}
      >
        <p>The model disappears from the list and is no longer synced.</p>
        <p>
          Its files ({bytes(model.bytesHere)}) stay on disk until space is freed under Storage. It reappears when a
          client requests it.
        </p>
      </Confirm>
    </header>
  );
}
