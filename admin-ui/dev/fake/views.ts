// The fake hub's models and files as responses of the API.
import { type FakeFile, type FakeModel, fileType, runsCode } from "./model.ts";
import { hex } from "./random.ts";

export type Json = Record<string, unknown>;
export const iso = (time: number | undefined) => (time === undefined ? null : new Date(time).toISOString());

export const commitOf = (model: FakeModel) => hex(`commit${model.repoId}`, 40);

export function modelView(model: FakeModel, activeJob = ""): Json {
  const slash = model.repoId.indexOf("/");
  const { files, filesHere, bytes, bytesHere } =
    model.status === "registered" ? { files: 0, filesHere: 0, bytes: 0, bytesHere: 0 } : model.summary;
  const prefix = { model: "", dataset: "datasets/", space: "spaces/" }[model.kind];
  return {
    id: model.id,
    kind: model.kind,
    vendor: slash < 0 ? "" : model.repoId.slice(0, slash),
    name: model.repoId.slice(slash + 1),
    repo_id: model.repoId,
    source: "huggingface",
    status: model.status,
    problem: model.problem,
    visibility: model.visibility,
    pinned: model.pinned,
    registered_at: iso(model.registered),
    revision: "main",
    commit: commitOf(model),
    files: String(files),
    files_here: String(filesHere),
    bytes: String(bytes),
    bytes_here: String(bytesHere),
    download: bytesHere === 0 ? "none" : filesHere === files ? "complete" : "partial",
    created_at: iso(model.created),
    synced_at: iso(model.status === "registered" ? undefined : model.synced),
    last_used_at: iso(model.used),
    sync_every_seconds: String(model.every),
    active_job_id: activeJob,
    url: `https://huggingface.co/${prefix}${model.repoId}`,
  };
}

export function fileView(model: FakeModel, file: FakeFile, downloading: boolean): Json {
  const complete = file.here >= file.size;
  return {
    id: hex(model.repoId + file.path, 20),
    model_repo_id: model.id,
    commit: commitOf(model),
    file_path: file.path,
    entry: "file",
    file_type: fileType(file.path),
    size_bytes: String(file.size),
    content_hash:
      complete || file.size > 1e7 ? `sha256:${hex(`sha${file.path}${model.repoId}`, 64)}` : `git:${hex(file.path, 40)}`,
    download_status: complete ? "completed" : downloading ? "downloading" : "pending",
    bytes_here: String(file.here),
    local_path: complete
      ? `/var/lib/modelhub/blobs/sha256/${hex(file.path, 2)}/${hex(`sha${file.path}${model.repoId}`, 64)}`
      : "",
    last_verified_at: iso(file.verified),
    can_run_code: runsCode(file.path),
  };
}

/** The entries of one folder: its folders with totals, then its files. */
export function folderView(model: FakeModel, path: string, downloading: (path: string) => boolean): Json[] {
  const prefix = path ? `${path}/` : "";
  const folders = new Map<string, { files: number; here: number; size: number; sizeHere: number }>();
  const files: Json[] = [];
  for (const file of model.files()) {
    if (!file.path.startsWith(prefix)) continue;
    const rest = file.path.slice(prefix.length);
    const slash = rest.indexOf("/");
    if (slash < 0) {
      files.push(fileView(model, file, downloading(file.path)));
      continue;
    }
    const name = rest.slice(0, slash);
    const one = folders.get(name) ?? { files: 0, here: 0, size: 0, sizeHere: 0 };
    one.files += 1;
    one.size += file.size;
    one.sizeHere += file.here;
    if (file.here >= file.size) one.here += 1;
    folders.set(name, one);
  }
  const rows = [...folders]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, one]) => ({
      id: hex(model.repoId + prefix + name, 20),
      model_repo_id: model.id,
      commit: commitOf(model),
      file_path: prefix + name,
      entry: "folder",
      file_type: "other",
      size_bytes: String(one.size),
      download_status: one.here === one.files ? "completed" : one.sizeHere > 0 ? "partial" : "pending",
      bytes_here: String(one.sizeHere),
      files: String(one.files),
      files_here: String(one.here),
    }));
  return [...rows, ...files.sort((a, b) => (String(a.file_path) < String(b.file_path) ? -1 : 1))];
}

const glob = (pattern: string) =>
  new RegExp(
    `^${pattern
      .replace(/[.+^${}()|\\]/g, "\\$&")
      .replace(/\*/g, ".*")
      .replace(/\?/g, ".")}$`,
  );

/** The quantisation of one of this fake's own files. The hub knows many more forms of names (`gguf_file.rs`). */
const quantisationOf = (path: string) => /-(I?Q\d\w*|BF16)(?:-\d+-of-\d+)?\.gguf$/.exec(path)?.[1];

/** As the hub's plan tells them: the smallest first. */
export function quantisationsOf(files: readonly FakeFile[]) {
  const found = new Map<string, { name: string; files: number; bytes: number; file_path: string }>();
  for (const file of files) {
    const name = quantisationOf(file.path);
    if (!name) continue;
    const one = found.get(name) ?? { name, files: 0, bytes: 0, file_path: file.path };
    found.set(name, { ...one, files: one.files + 1, bytes: one.bytes + file.size });
  }
  const sorted = [...found.values()].sort((a, b) => a.bytes - b.bytes);
  return sorted.map((one) => ({ ...one, files: String(one.files), bytes: String(one.bytes) }));
}

/** What a selection's preset does not take of its files. */
export function leftOutOf(model: FakeModel, selection: Json | undefined) {
  const taken = new Set(selected(model, selection).map((file) => file.path));
  const left = selected(model, { ...selection, preset: "", quantisation: "" }).filter((file) => !taken.has(file.path));
  const kinds = { "other quantisations": /\.gguf$/, "weights in other formats": /(?<!\.gguf)$/ };
  return Object.entries(kinds).flatMap(([reason, pattern]) => {
    const files = left.filter((file) => pattern.test(file.path));
    const bytes = files.reduce((sum, file) => sum + file.size, 0);
    return files.length > 0 ? [{ reason, files: String(files.length), bytes: String(bytes) }] : [];
  });
}

/** The files that a selection matches. */
export function selected(model: FakeModel, selection: Json | undefined): FakeFile[] {
  const paths = (selection?.paths as string[] | undefined) ?? [];
  const include = ((selection?.include as string[] | undefined) ?? []).map(glob);
  const exclude = ((selection?.exclude as string[] | undefined) ?? []).map(glob);
  const preset = String(selection?.preset ?? "");
  const all = model.files();
  const wanted = String(selection?.quantisation ?? "") || quantisationsOf(all)[0]?.name;
  return all.filter((file) => {
    const path = file.path;
    if (paths.length > 0 && !paths.some((one) => path === one || path.startsWith(`${one}/`))) return false;
    if (include.length > 0 && !include.some((one) => one.test(path))) return false;
    if (exclude.some((one) => one.test(path))) return false;
    const weights = fileType(path) === "model";
    if (preset === "safetensors" && weights) return path.endsWith(".safetensors");
    if (preset === "gguf" && weights) return quantisationOf(path) === wanted;
    return true;
  });
}
