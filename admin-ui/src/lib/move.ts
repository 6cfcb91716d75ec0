// Moving the store: which disk a folder is on, whether everything fits there, and which commands to run. The hub cannot
// do it itself, because it keeps files of the store open while it runs.
import type { Disk } from "@/gen/modelhub/v1/system_pb";

/** The disk that a folder is on, or will be on once it exists: the one with the longest mount point above it. */
export function diskOf(disks: readonly Disk[], folder: string): Disk | undefined {
  const below = (mount: string) => mount === "/" || folder === mount || folder.startsWith(`${mount}/`);
  return disks
    .filter((disk) => below(disk.mountPoint))
    .sort((a, b) => b.mountPoint.length - a.mountPoint.length)
    .at(0);
}

/** What is wrong with a target folder, as a sentence; nothing if it is fine. */
export function folderProblem(from: string, to: string): string | undefined {
  if (!to.startsWith("/")) return "Enter an absolute path, such as /mnt/models/modelhub.";
  if (/[\n\r]/.test(to)) return "A path cannot contain line breaks.";
  if (/(^|\/)\.\.?(\/|$)/.test(to)) return "The path cannot contain . or .. segments.";
  const clean = tidyFolder(to);
  if (clean === "/") return "Choose a folder below /.";
  const old = tidyFolder(from);
  if (clean === old) return "The store is already there.";
  if (clean.startsWith(`${old}/`)) return "This is inside the folder being moved.";
  return undefined;
}

/** Without doubled and trailing slashes. */
export function tidyFolder(folder: string): string {
  return folder
    .trim()
    .replace(/\/+/g, "/")
    .replace(/(.)\/$/, "$1");
}

/** Quoted as one word for a shell. */
export function quoted(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}

/** A drop-in for the unit, written by commands that can be pasted as they are. */
function systemdStart(folder: string): string {
  // In units a percent sign begins a specifier, and quotes and backslashes are the unit's own.
  const inUnit = folder.replace(/["\\]/g, "\\$&").replaceAll("%", "%%");
  const lines = ["[Service]", `Environment="MODELHUB_DATA_DIR=${inUnit}"`, `ReadWritePaths="${inUnit}"`];
  const dir = "/etc/systemd/system/modelhub.service.d";
  return [
    `sudo mkdir -p ${dir}`,
    `printf '%s\\n' ${lines.map(quoted).join(" ")} | sudo tee ${dir}/data-dir.conf`,
    "sudo systemctl daemon-reload && sudo systemctl start modelhub",
  ].join("\n");
}

export type Service = "systemd" | "shell";

export interface MoveStep {
  title: string;
  /** What happens in the meantime. */
  text: string;
  code: string;
  /** Comes with a link to the verification of the store. */
  verify?: true;
}

const stopped = "Clients are not served until the hub is back. Jobs then resume where they left off.";

/**
 * The steps in their order. To another disk everything is copied while the hub still serves; what changed since is
 * copied again while it is stopped, which is quick. The old folder stays until the new one was verified. On the same
 * disk the folder is renamed, which takes no time and no space.
 */
export function moveSteps(from: string, to: string, service: Service, sameDisk: boolean): MoveStep[] {
  const [old, next] = [tidyFolder(from), tidyFolder(to)].map(quoted) as [string, string];
  const sudo = service === "systemd" ? "sudo " : "";
  const stop = service === "systemd" ? "sudo systemctl stop modelhub" : "# Press Ctrl-C in the hub's terminal, then";
  const start: MoveStep = {
    title: "Start the hub with the new folder",
    text: "If the configuration file sets store.data_dir, change it there instead.",
    code: service === "systemd" ? systemdStart(tidyFolder(to)) : `MODELHUB_DATA_DIR=${next} modelhub serve`,
  };
  if (sameDisk) {
    const parent = quoted(tidyFolder(to).replace(/\/[^/]*$/, "") || "/");
    return [
      {
        title: "Stop the hub and rename the folder",
        text: stopped,
        code: `${stop}\n${sudo}mkdir -p ${parent}\n${sudo}mv -T ${old} ${next}`,
      },
      start,
    ];
  }
  const copy = `${sudo}rsync -aHS --delete --info=progress2 ${old}/ ${next}/`;
  return [
    {
      title: "Copy while the hub runs",
      text: "Clients are served as usual. This step takes longest; it can be interrupted and started again.",
      code: `${sudo}mkdir -p ${next}\n${copy}`,
    },
    { title: "Stop the hub and copy what has changed since", text: stopped, code: `${stop}\n${copy}` },
    start,
    {
      title: "Verify the store, then remove the old folder",
      text: "Every file is read and checked against its hash. Keep the old folder until this has completed.",
      code: `${sudo}rm -r ${old}`,
      verify: true,
    },
  ];
}
