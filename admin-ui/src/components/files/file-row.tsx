// One row of the file list. It is rendered often while scrolling, so it is light: plain buttons, titles instead of
// tooltips, and a menu that exists only once it has been opened.
import { memo, useState } from "react";
import { type ModelArtifact, ModelArtifact_DownloadStatus as Status } from "@/gen/modelhub/v1/model_pb";
import { cn } from "@/lib/cn";
import { bytes, count, exactBytes, percent, plural, share } from "@/lib/format";
import { baseName, folderOf } from "@/lib/paths";
import { exact, toDate } from "@/lib/time";
import { buttonClass } from "../ui/button";
import { CheckBox } from "../ui/field";
import { Progress } from "../ui/progress";
import { FileMenu } from "./file-menu";
import { RowIcon, type RowIconName } from "./row-icons";
import { isFolder, type Row } from "./rows";
import type { FileActions } from "./use-file-actions";

export const fileGrid =
  "grid items-center gap-x-2 px-3 sm:gap-x-3 sm:px-4 grid-cols-[1rem_minmax(0,1fr)_4.25rem_1.75rem] sm:grid-cols-[1rem_minmax(0,1fr)_4.75rem_8.5rem_3.75rem] md:grid-cols-[1rem_minmax(0,1fr)_5rem_7rem_9rem_3.75rem]";

const types: Record<string, { word: string; icon: RowIconName }> = {
  model: { word: "Weights", icon: "package" },
  config: { word: "Config", icon: "config" },
  tokenizer: { word: "Tokenizer", icon: "tokenizer" },
  dataset: { word: "Data", icon: "package" },
  code: { word: "Code", icon: "code" },
  media: { word: "Media", icon: "media" },
  document: { word: "Document", icon: "text" },
  other: { word: "Other", icon: "file" },
};
export const typeWord = (type: string) => types[type]?.word ?? "Other";

interface Props {
  row: Extract<Row, { kind: "entry" }>;
  index: number;
  flat: boolean;
  active: boolean;
  chosen: "self" | "above" | undefined;
  arriving: bigint | undefined;
  actions: FileActions;
  onFocus: (key: string) => void;
  top: number;
}

export const FileRow = memo(function FileRow({
  row,
  index,
  flat,
  active,
  chosen,
  arriving,
  actions,
  onFocus,
  top,
}: Props) {
  const { entry, depth, open } = row;
  const folder = isFolder(entry);
  const [menu, setMenu] = useState(false);
  const complete = entry.downloadStatus === Status.completed;
  const icon = folder ? (open ? "folder-open" : "folder") : (types[entry.fileType]?.icon ?? "file");
  const name = baseName(entry.filePath);
  const where = flat ? folderOf(entry.filePath) : "";
  return (
    <div
      role="row"
      aria-rowindex={index + 2}
      aria-level={depth + 1}
      aria-expanded={folder ? open : undefined}
      aria-selected={chosen !== undefined}
      data-active={active}
      data-path={entry.filePath}
      tabIndex={active ? 0 : -1}
      onFocus={() => onFocus(row.key)}
      onClick={(event) => {
        if ((event.target as Element).closest("button,input,[role=menu]")) return;
        if (folder) actions.toggleFolder(entry);
        else actions.open(entry);
      }}
      className={cn(
        fileGrid,
        "group absolute inset-x-0 top-0 h-[34px] cursor-pointer border-b border-line/70 -outline-offset-2 hover:bg-hover/60",
        chosen && "bg-accent-soft/60 hover:bg-accent-soft",
      )}
      style={{ transform: `translateY(${top}px)` }}
    >
      <span role="gridcell" className="flex">
        <CheckBox
          label={`Select ${name}`}
          tabIndex={active ? 0 : -1}
          checked={chosen !== undefined}
          disabled={chosen === "above"}
          onChange={() => actions.choose(entry)}
        />
      </span>
      <span
        role="gridcell"
        className="flex min-w-0 items-center gap-2"
        style={{ paddingLeft: depth > 0 ? `${depth * 1.25}rem` : undefined }}
      >
        {folder ? (
          <RowIcon
            name="chevron"
            className={cn("-ml-0.5 size-3.5 shrink-0 text-muted transition-transform", open && "rotate-90")}
          />
        ) : (
          !flat && <span className="w-3 shrink-0 max-sm:hidden" />
        )}
        <RowIcon
          name={icon}
          className={cn(
            "size-4 shrink-0",
            folder ? "text-accent" : complete ? "text-muted max-sm:text-good" : "text-muted",
          )}
        />
        <span className="min-w-0 truncate" title={entry.filePath}>
          {where && <span className="text-muted">{where}/</span>}
          {name}
        </span>
        {entry.canRunCode && (
          <span title="Pickle files can run code when loaded" className="shrink-0">
            <RowIcon name="warning" className="size-3.5 text-warn" label="Can run code when loaded" />
          </span>
        )}
        {folder && (
          <span className="tabular hidden shrink-0 text-xs text-muted lg:inline">{plural(entry.files, "file")}</span>
        )}
      </span>
      <span role="gridcell" className="tabular text-right text-soft" title={exactBytes(entry.sizeBytes)}>
        {bytes(entry.sizeBytes)}
      </span>
      <span role="gridcell" className="hidden truncate pl-4 text-muted md:block">
        {folder ? "Folder" : typeWord(entry.fileType)}
      </span>
      <span role="gridcell" className="hidden min-w-0 sm:block">
        <FileStatus entry={entry} arriving={arriving} />
      </span>
      <span role="gridcell" className="flex justify-end">
        {!complete && (
          <button
            type="button"
            tabIndex={active ? 0 : -1}
            title={`Download ${name}`}
            aria-label={`Download ${name}`}
            onClick={() => actions.download([entry])}
            className={cn(buttonClass("quiet", true), "size-7 px-0 max-sm:hidden")}
          >
            <RowIcon name="download" className="size-4" />
          </button>
        )}
        {menu ? (
          <FileMenu entry={entry} actions={actions} tabIndex={active ? 0 : -1} />
        ) : (
          <button
            type="button"
            tabIndex={active ? 0 : -1}
            title="More actions"
            aria-label={`More actions for ${name}`}
            onClick={() => setMenu(true)}
            className={cn(buttonClass("quiet", true), "size-7 px-0")}
          >
            <RowIcon name="more" className="size-4" />
          </button>
        )}
      </span>
    </div>
  );
});

/** Where the file is: on disk and verified, being downloaded, or upstream only. */
export function FileStatus({ entry, arriving }: { entry: ModelArtifact; arriving?: bigint }) {
  const part = share(arriving ?? entry.bytesHere, entry.sizeBytes);
  const status =
    arriving !== undefined && entry.downloadStatus !== Status.completed ? Status.downloading : entry.downloadStatus;
  switch (status) {
    case Status.completed: {
      const verified = toDate(entry.lastVerifiedAt);
      return (
        <span className="text-good" title={verified ? `On disk; verified ${exact(verified)}` : "On disk and verified"}>
          Local
        </span>
      );
    }
    case Status.downloading:
      return <Part value={part} tone="info" word={percent(part)} />;
    case Status.partial:
      return (
        <Part
          value={part}
          tone="warn"
          word={isFolder(entry) ? `${count(entry.filesHere)}/${count(entry.files)}` : percent(part)}
        />
      );
    case Status.failed:
      return <span className="text-bad">Failed</span>;
    default:
      return part > 0 ? (
        <Part value={part} tone="warn" word={percent(part)} />
      ) : (
        <span className="text-muted">Remote</span>
      );
  }
}

function Part({ value, tone, word }: { value: number; tone: "info" | "warn"; word: string }) {
  return (
    <span className="flex items-center gap-2">
      <Progress value={value} label={`${percent(value)} on disk`} tone={tone} className="h-1 w-14 shrink-0" />
      <span className={cn("tabular truncate text-xs", tone === "info" ? "text-info" : "text-warn")}>{word}</span>
    </span>
  );
}
