// The rows of the file list, from folders or from a flat listing: their order, their depth, and what is selected.
import { type ModelArtifact, ModelArtifact_Entry } from "@/gen/modelhub/v1/model_pb";

export type Row =
  | { kind: "entry"; key: string; depth: number; entry: ModelArtifact; open: boolean }
  /** Stands for the entries of `folder` while they load. */
  | { kind: "loading"; key: string; depth: number; folder: string }
  /** Stands for further pages of `folder`; they are loaded when this row comes into view. */
  | { kind: "more"; key: string; depth: number; folder: string }
  | { kind: "failed"; key: string; depth: number; folder: string; error: unknown }
  | { kind: "empty"; key: string; depth: number; folder: string };

export interface FolderPages {
  pages: readonly { files: readonly ModelArtifact[] }[] | undefined;
  hasMore: boolean;
  error: unknown;
}

export const isFolder = (entry: ModelArtifact) => entry.entry === ModelArtifact_Entry.folder;

/** The rows of the tree under `root`. */
export function treeRows(
  root: string,
  open: ReadonlySet<string>,
  folder: (path: string) => FolderPages | undefined,
): Row[] {
  const rows: Row[] = [];
  const walk = (path: string, depth: number) => {
    const known = folder(path);
    if (known?.error && !known.pages) {
      rows.push({ kind: "failed", key: `!${path}`, depth, folder: path, error: known.error });
      return;
    }
    if (!known?.pages) {
      rows.push({ kind: "loading", key: `…${path}`, depth, folder: path });
      return;
    }
    let any = false;
    for (const page of known.pages) {
      for (const entry of page.files) {
        any = true;
        const isOpen = isFolder(entry) && open.has(entry.filePath);
        rows.push({ kind: "entry", key: entry.filePath, depth, entry, open: isOpen });
        if (isOpen) walk(entry.filePath, depth + 1);
      }
    }
    if (known.hasMore) rows.push({ kind: "more", key: `+${path}`, depth, folder: path });
    else if (!any) rows.push({ kind: "empty", key: `0${path}`, depth, folder: path });
  };
  walk(root, 0);
  return rows;
}

/** The rows of a flat listing. */
export function flatRows(pages: FolderPages): Row[] {
  const flat = (pages.pages ?? []).flatMap((page) =>
    page.files.map((entry): Row => ({ kind: "entry", key: entry.filePath, depth: 0, entry, open: false })),
  );
  if (pages.error && !pages.pages) return [{ kind: "failed", key: "!", depth: 0, folder: "", error: pages.error }];
  if (!pages.pages) return [{ kind: "loading", key: "…", depth: 0, folder: "" }];
  if (pages.hasMore) flat.push({ kind: "more", key: "+", depth: 0, folder: "" });
  else if (flat.length === 0) flat.push({ kind: "empty", key: "0", depth: 0, folder: "" });
  return flat;
}

/** The folders above a path, outermost first. */
export function ancestors(path: string): string[] {
  const parts = path.split("/");
  return parts.slice(0, -1).map((_, index) => parts.slice(0, index + 1).join("/"));
}

export type Chosen = ReadonlyMap<string, ModelArtifact>;

/** Whether a path is selected itself, through a folder above it, or not. */
export function chosenBy(chosen: Chosen, path: string): "self" | "above" | undefined {
  if (chosen.size === 0) return undefined;
  if (chosen.has(path)) return "self";
  return ancestors(path).some((one) => chosen.has(one)) ? "above" : undefined;
}

/** Adds or removes an entry. A folder stands for everything below it, which needs no entries of its own. */
export function toggle(chosen: Chosen, entry: ModelArtifact): Map<string, ModelArtifact> {
  const next = new Map(chosen);
  if (next.delete(entry.filePath)) return next;
  if (isFolder(entry)) {
    for (const path of next.keys()) if (path.startsWith(`${entry.filePath}/`)) next.delete(path);
  }
  next.set(entry.filePath, entry);
  return next;
}

export interface Totals {
  files: number;
  bytes: bigint;
  here: bigint;
}

export function totals(entries: Iterable<ModelArtifact>): Totals {
  const sum: Totals = { files: 0, bytes: 0n, here: 0n };
  for (const entry of entries) {
    sum.files += isFolder(entry) ? Number(entry.files) : 1;
    sum.bytes += entry.sizeBytes;
    sum.here += entry.bytesHere;
  }
  return sum;
}
