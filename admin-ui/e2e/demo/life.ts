// A hub with some life in it: models that are here, in part or not at all, clients that download, and jobs that run, wait,
// have ended and failed.
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { RealHub } from "../hub.ts";
import { dataset, image, quantised, small, text, unknown } from "./repositories.ts";

const MiB = 1024 ** 2;

async function call(hub: RealHub, method: string, path: string, body?: object): Promise<Record<string, string>> {
  const headers = { "content-type": "application/json" };
  const response = await fetch(`${hub.admin}/v1/${path}`, { method, headers, body: body && JSON.stringify(body) });
  const said = await response.text();
  if (!response.ok) throw new Error(`${method} ${path}: ${said}`);
  return JSON.parse(said);
}

async function until(is: () => Promise<boolean>) {
  while (!(await is())) await new Promise((resolve) => setTimeout(resolve, 200));
}

/** Fills the hub; what is left running takes some minutes. */
export async function live(hub: RealHub) {
  const api = (method: string, path: string, body?: object) => call(hub, method, path, body);
  const done = async (path: string, body: object = {}) => {
    const { id } = await api("POST", path, body);
    await until(async () => (await api("GET", `jobs/${id}`)).status === "completed");
  };
  const models = [...small, text, quantised, image];
  // The mock has them when it has hashed them.
  for (const path of [...models, unknown].map((name) => `models/${name}`).concat(`datasets/${dataset}`))
    await until(async () => (await fetch(`${hub.mock}/api/${path}`)).ok);
  // The last one stays closed: its sync fails.
  for (const repo_id of [...models, "demo/gated"]) await api("POST", "models", { repo_id });
  await api("POST", "models", { repo_id: dataset, kind: "dataset" });
  for (const name of [...models, `dataset/${dataset}`])
    await until(async () => (await api("GET", `models/${name}`)).status === "synced");
  for (const name of [...small, `dataset/${dataset}`]) await done(`models/${name}/download`);
  await done(`models/${image}/download`, { selection: { include: ["vae/*", "text_encoder/*", "*.json"] } });
  await done(`models/${quantised}/download`, { selection: { quantisation: "Q4_K_M" } });
  await done(`models/${small[2]}/verify`);
  await api("POST", `models/${text}/pin`, { pinned: true });

  // A folder that can be imported, and a client for each of some files.
  const own = join(hub.folder, "models", "acme", "house-style-lora");
  mkdirSync(own, { recursive: true });
  writeFileSync(join(own, "adapter_config.json"), JSON.stringify({ peft_type: "LORA", base_model_name_or_path: text }));
  writeFileSync(join(own, "adapter_model.safetensors"), Buffer.alloc(24 * MiB, 1));

  const slowly = (mib: number, selection: object = {}) => ({ bytes_per_second: mib * MiB, selection });
  const { id } = await api("POST", `models/${text}/download`, slowly(6));
  await api("POST", `models/${image}/download`, slowly(4));
  await api("POST", `models/${quantised}/download`, slowly(3, { quantisation: "Q8_0" }));
  const arrived = async () => (await api("GET", `jobs/${id}`)).progress as unknown as { bytes_done: string };
  await until(async () => Number((await arrived()).bytes_done) > 120 * MiB);
}

/** Clients that download what is here, until they are stopped. */
export function clients(hub: RealHub): () => void {
  const files = [
    `${small[0]}/resolve/main/model.safetensors`,
    `${small[1]}/resolve/main/model.safetensors`,
    `${image}/resolve/main/vae/diffusion_pytorch_model.safetensors`,
    `datasets/${dataset}/resolve/main/data/train-00000-of-00003.parquet`,
  ];
  const stop = new AbortController();
  const read = async () => {
    for (let turn = 0; !stop.signal.aborted; turn += 1) {
      // Busier and quieter by turns.
      const size = Math.round((18 + 14 * Math.sin(turn / 9) + 8 * Math.sin(turn / 2.3)) * MiB);
      const headers = { range: `bytes=0-${size}` };
      await fetch(`${hub.hub}/${files[turn % files.length]}`, { headers, signal: stop.signal })
        .then((response) => response.arrayBuffer())
        .catch(() => {});
      await new Promise((resolve) => setTimeout(resolve, 250));
    }
  };
  void read();
  return () => stop.abort();
}
