// The head of a model: what it is, how much of it is here, and what can be done with all of it.
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
import { capital, everyWords, modelState, sentenceOf } from "@/lib/words";
import { RemoveFiles } from "../files/remove-files";
import { Badge } from "../ui/badge";
import { Button, IconButton } from "../ui/button";
import { Confirm } from "../ui/dialog";
import { Menu } from "../ui/menu";
import { Progress } from "../ui/progress";
import { Note } from "../ui/states";
import { Tip } from "../ui/tip";
import { When } from "../ui/values";
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
  const [forgetting, setForgetting] = useState(false);
  const state = modelState(model);
  const pin = useAction({
    run: (value: { pinned?: boolean; syncEverySeconds?: bigint }) => pinModel(model.id, value),
    done: (next, value) =>
      value.pinned === undefined
        ? `Synced ${everyWords(next.syncEverySeconds)} from now on`
        : next.pinned
          ? "Pinned: it stays when space is freed"
          : "The pin is gone",
    failed: "That could not be changed",
    refresh: [["model"], ["models"]],
  });
  const verify = useAction({
    run: () => verifyModel(model.id, revision, []),
    done: (job) => ({ text: "Verifying all that is here", to: { label: "Show", href: `/jobs/${job.id}` } }),
    failed: "The model could not be verified",
    refresh: [["jobs"], ["overview"]],
  });
  const forget = useAction({
    run: () => deleteModel(model.id),
    done: () => `${model.repoId} is forgotten`,
    failed: "The model could not be forgotten",
    refresh: [["models"], ["overview"]],
    after: () => void navigate({ to: "/models" }),
  });
  const complete = model.download === ModelRepo_Download.complete;
  const schedules = [0n, 3600n, 86400n, 604800n] as const;
  return (
    <header className="mb-4 flex flex-col gap-2.5">
      <nav aria-label="Where you are" className="flex items-center gap-1 text-sm text-muted">
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
            label={model.pinned ? "Pinned: press to take the pin away" : "Pin: it stays when space is freed"}
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
              <IconButton label="More" look="plain" className="size-8">
                <Ellipsis className="size-4" aria-hidden />
              </IconButton>
            }
            items={[
              {
                label: "Verify what is here",
                icon: <ShieldCheck aria-hidden />,
                disabled: model.bytesHere === 0n,
                onSelect: () => verify.go(undefined),
              },
              "line",
              ...schedules.map((seconds) => ({
                label: `Sync ${everyWords(seconds)}`,
                icon: model.syncEverySeconds === seconds ? <RefreshCw aria-hidden /> : <span className="size-4" />,
                hint: model.syncEverySeconds === seconds ? "now" : undefined,
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
                label: "Forget this model…",
                icon: <EyeOff aria-hidden />,
                danger: true,
                onSelect: () => setForgetting(true),
              },
            ]}
          />
        </div>
      </div>
      <div className="tabular flex flex-wrap content-start items-center gap-x-3 gap-y-1 text-sm text-muted max-sm:min-h-17">
        <span>
          {model.syncedAt ? "Synced " : ""}
          <When at={model.syncedAt} none="Never synced" />, {everyWords(model.syncEverySeconds)}
        </span>
        <span>
          Last used <When at={model.lastUsedAt} />
        </span>
        {model.url && (
          <a
            href={model.url}
            target="_blank"
            rel="noreferrer"
            className="inline-flex items-center gap-1 rounded text-accent hover:underline"
          >
            On the Hub
            <ExternalLink className="size-3.5" aria-label="opens in a new tab" />
          </a>
        )}
        {/* What comes later stands last, so that nothing before it moves. */}
        {facts?.licence && <span>Licence {facts.licence}</span>}
        {facts?.task && <span>{facts.task}</span>}
        <PickleNote model={model} revision={revision} />
      </div>
      {model.files > 0n && (
        <div className="flex flex-wrap items-center gap-x-4 gap-y-1.5 text-sm">
          <Progress
            value={share(model.bytesHere, model.bytes)}
            label="Part of the model that is here"
            tone={complete ? "good" : "accent"}
            className="max-w-64 min-w-32 flex-1"
          />
          <span className="tabular text-soft">
            {bytes(model.bytesHere)} of {bytes(model.bytes)} here
            <span className="text-muted">
              {" "}
              · {count(model.filesHere)} of {plural(model.files, "file")}
            </span>
          </span>
        </div>
      )}
      {model.problem && (
        <Note
          tone="bad"
          icon={<TriangleAlert aria-hidden />}
          title="The last sync failed"
          action={
            <Button small onClick={onSync} busy={syncing}>
              Try again
            </Button>
          }
        >
          {capital(sentenceOf(model.problem))}
          {model.bytesHere > 0n && " What is here is still served."}
        </Note>
      )}
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
        open={forgetting}
        onClose={() => setForgetting(false)}
        title={`Forget ${model.repoId}?`}
        action="Forget it"
        busy={forget.busy}
        onConfirm={() => forget.go(undefined)}
      >
        <p>It leaves the list of models, and is no longer synced.</p>
        <p>
          Its {bytes(model.bytesHere)} stay on the disk until space is freed under Storage. Clients that ask for it
          bring it back.
        </p>
      </Confirm>
    </header>
  );
}
