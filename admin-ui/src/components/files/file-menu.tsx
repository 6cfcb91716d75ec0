// Everything that can be done with one file or folder.
import { ClipboardCopy, Download, Ellipsis, FolderTree, Info, ShieldCheck, Trash2 } from "lucide-react";
import { useState } from "react";
import { type ModelArtifact, ModelArtifact_DownloadStatus as Status } from "@/gen/modelhub/v1/model_pb";
import { cn } from "@/lib/cn";
import { bytes } from "@/lib/format";
import { buttonClass } from "../ui/button";
import { Menu } from "../ui/menu";
import { toast } from "../ui/toast";
import { isFolder } from "./rows";
import type { FileActions } from "./use-file-actions";

export function FileMenu({
  entry,
  actions,
  tabIndex,
}: {
  entry: ModelArtifact;
  actions: FileActions;
  tabIndex: number;
}) {
  const [open, setOpen] = useState(true);
  const here = entry.bytesHere > 0n;
  const folder = isFolder(entry);
  return (
    <Menu
      open={open}
      onOpen={setOpen}
      trigger={
        <button
          type="button"
          tabIndex={tabIndex}
          // biome-ignore lint/a11y/noAutofocus: it takes the place of the button that was pressed and had the focus.
          autoFocus
          aria-label={`More actions for ${entry.filePath}`}
          className={cn(buttonClass("quiet", true), "size-7 px-0")}
        >
          <Ellipsis className="size-4" aria-hidden />
        </button>
      }
      items={[
        entry.downloadStatus !== Status.completed && {
          label: "Download…",
          icon: <Download aria-hidden />,
          onSelect: () => actions.download([entry]),
        },
        folder
          ? { label: "Open folder as root", icon: <FolderTree aria-hidden />, onSelect: () => actions.enter(entry) }
          : { label: "Details", icon: <Info aria-hidden />, onSelect: () => actions.open(entry) },
        {
          label: "Copy path",
          icon: <ClipboardCopy aria-hidden />,
          onSelect: () =>
            void navigator.clipboard
              ?.writeText(entry.filePath)
              .then(() => toast.success({ text: "Path copied" }))
              .catch(() => toast.error({ text: "Could not copy" })),
        },
        here && "line",
        here && { label: "Verify", icon: <ShieldCheck aria-hidden />, onSelect: () => actions.verify([entry]) },
        here && {
          label: "Remove from disk…",
          icon: <Trash2 aria-hidden />,
          danger: true,
          hint: bytes(entry.bytesHere),
          onSelect: () => actions.remove([entry]),
        },
      ]}
    />
  );
}
