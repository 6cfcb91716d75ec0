// Models and jobs of the fake hub, searched, filtered, sorted and paged.
import type { Answer, Hub, Page } from "./hub.ts";
import type { FakeModel } from "./model.ts";
import { hash } from "./random.ts";
import { commitOf, iso, type Json, modelView } from "./views.ts";

export function listModels(hub: Hub, query: URLSearchParams, page: Page): Answer {
  const search = (query.get("search") ?? "").toLowerCase();
  const views = hub.models
    .filter(
      (model) =>
        (!search || model.repoId.toLowerCase().includes(search)) &&
        (!query.get("kind") || model.kind === query.get("kind")) &&
        (!query.get("status") || model.status === query.get("status")) &&
        (!query.has("pinned") || String(model.pinned) === query.get("pinned")),
    )
    .map((model) => modelView(model, hub.active(model)))
    .filter((view) => !query.get("download") || view.download === query.get("download"));
  const order = query.get("order") || "name";
  const key = order.replace("-", "");
  const value = (view: Json): string | number =>
    key === "size"
      ? Number(view.bytes_here)
      : key === "used"
        ? String(view.last_used_at ?? "")
        : key === "created"
          ? String(view.created_at)
          : String(view.repo_id).toLowerCase();
  views.sort((a, b) => (value(a) < value(b) ? -1 : 1) * (order.startsWith("-") ? -1 : 1));
  const { items, next } = page(views);
  return { body: { models: items, next_page_token: next, total: String(views.length) } };
}

export function listJobs(hub: Hub, query: URLSearchParams, page: Page): Answer {
  const status = query.getAll("status");
  const kind = query.getAll("kind");
  const search = (query.get("search") ?? "").toLowerCase();
  const model = query.get("model") ? hub.find(query.get("model") ?? "") : undefined;
  const after = query.get("finished_after");
  const found = hub.jobs.list.filter(
    (job) =>
      (status.length === 0 || status.includes(job.status)) &&
      (kind.length === 0 || kind.includes(job.kind)) &&
      (!query.get("model") || job.model === model) &&
      (!search || `${job.model?.repoId} ${job.error} ${job.outcome}`.toLowerCase().includes(search)) &&
      (!after || (job.finished ?? 0) > new Date(after).getTime()),
  );
  if (query.get("order") === "-finished") found.sort((a, b) => (b.finished ?? 0) - (a.finished ?? 0));
  const { items, next } = page(found);
  return { body: { jobs: items.map((job) => hub.jobs.view(job)), next_page_token: next } };
}

/** The most recently used of the files on disk. */
export function listUses(model: FakeModel, page: Page): Answer {
  const { used } = model;
  const files = used === undefined ? [] : model.files().filter((file) => file.here >= file.size);
  const uses = files.map((file) => ({ file, at: Math.max(model.created, (used ?? 0) - ago(file.path)) }));
  uses.sort((a, b) => b.at - a.at || (a.file.path < b.file.path ? -1 : 1));
  return {
    body: {
      uses: page(uses).items.map(({ file, at }) => ({
        file_path: file.path,
        size_bytes: String(file.size),
        used_at: iso(at),
      })),
      commit: commitOf(model),
    },
  };
}

/** How long before the model's last use a file was used: what a program loads within seconds, the rest hours or days. */
function ago(path: string): number {
  if (/(^|\/)(config|tokenizer)/.test(path) || /\.(safetensors|gguf|bin|parquet)$/.test(path))
    return hash(path) % 9_000;
  return (hash(path) % 8) ** 3 * 1_800_000;
}
