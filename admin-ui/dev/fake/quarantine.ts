// Files of the fake hub whose content did not match their hash, and what removes them.
import { type Answer, type Hub, problem } from "./hub.ts";
import { type FakeModel, MiB } from "./model.ts";
import { iso, type Json } from "./views.ts";

const day = 86_400_000;

export function quarantine(models: readonly FakeModel[]): Json[] {
  const [first, second] = models;
  if (!first || !second) return [];
  const hash = (digit: string) => digit.repeat(64);
  const file = (digit: string, size: number, days: number, model: FakeModel, path: string): Json => ({
    name: `${hash(digit)}.${Date.now() - days * day}`,
    content_hash: `sha256:${hash(digit)}`,
    size_bytes: String(size),
    quarantined_at: iso(Date.now() - days * day),
    expires_at: iso(Date.now() + (14 - days) * day),
    named_by: [{ model_id: model.id, kind: model.kind, repo_id: model.repoId, file_path: path }],
  });
  return [
    file("a", 9 * MiB, 1, first, "model-00001-of-00005.safetensors"),
    file("b", 3 * MiB, 6, second, "tokenizer.json"),
    { name: "notes.txt", content_hash: "", size_bytes: "512", named_by: [] },
  ];
}

export const quarantineBytes = (hub: Hub) => hub.quarantine.reduce((sum, file) => sum + Number(file.size_bytes), 0);

export const quarantineList = (hub: Hub): Answer => ({
  body: { files: hub.quarantine, total: String(hub.quarantine.length), bytes: String(quarantineBytes(hub)) },
});

/** Removes one file, or without a name all that are the hub's. */
export function removeQuarantined(hub: Hub, name?: string): Answer {
  const gone = hub.quarantine.filter((file) => file.content_hash !== "" && (name === undefined || file.name === name));
  if (name !== undefined && gone.length === 0) return problem(404, `${name} not found in quarantine`);
  for (const file of gone) hub.quarantine.splice(hub.quarantine.indexOf(file), 1);
  const bytes = gone.reduce((sum, file) => sum + Number(file.size_bytes), 0);
  return { body: { files: String(gone.length), bytes: String(bytes) } };
}
