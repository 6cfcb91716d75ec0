// What an eviction from the store of the fake hub would remove. Some models came from a folder, and cannot be downloaded
// again.
import { storage } from "./answers.ts";
import type { Hub } from "./hub.ts";
import { hash } from "./random.ts";
import type { Json } from "./views.ts";

const imported = (name: unknown) => hash(String(name)) % 4 === 0;

export function planEviction(hub: Hub, body: Json): Json {
  let rest = Number(body.free_bytes ?? 0) || Number.POSITIVE_INFINITY;
  const before = Date.now() - Number(body.unused_seconds ?? 0) * 1000;
  const only = (body.only as { model_ids?: string[] } | undefined)?.model_ids;
  const sums: Record<string, number> = {};
  const models: Json[] = [];
  const stored = (storage(hub).models as Json[])
    .filter((one) => !one.pinned && new Date(String(one.last_used_at)).getTime() < before)
    .filter((one) => !only || only.includes(String(one.model_id)))
    .sort((a, b) => (String(a.last_used_at) < String(b.last_used_at) ? -1 : 1));
  for (const one of stored) {
    if (rest <= 0) break;
    const [files, bytes] = [Number(one.files), Number(one.own_bytes)];
    const kept = imported(one.name) && !body.include_unrecoverable;
    const lost = imported(one.name) && !kept;
    const of = (whether: boolean) => ({ files: whether ? files : 0, bytes: whether ? bytes : 0 });
    const line = {
      files: of(!kept).files,
      bytes: of(!kept).bytes,
      unrecoverable_files: of(lost).files,
      unrecoverable_bytes: of(lost).bytes,
      kept_files: of(kept).files,
      kept_bytes: of(kept).bytes,
    };
    rest -= line.bytes;
    for (const [name, number] of Object.entries(line)) sums[name] = (sums[name] ?? 0) + number;
    models.push({ ...one, ...texts({ ...line, own_bytes: line.bytes }) });
  }
  // Those that only keep come last, as they lose nothing.
  models.sort((a, b) => Number(a.files === "0") - Number(b.files === "0"));
  return { ...texts(sums), models: models.slice(0, 1000) };
}

/** 64-bit numbers are texts in JSON. */
const texts = (numbers: Record<string, number>): Json =>
  Object.fromEntries(Object.entries(numbers).map(([name, number]) => [name, String(number)]));
