// Larger responses of the fake hub: the overview, the machine, the storage, the facts of models and the texts of files.
import { type Hub, type Page, problem } from "./hub.ts";
import { ended } from "./jobs.ts";
import { type FakeModel, GiB, MiB } from "./model.ts";
import { quarantineBytes } from "./quarantine.ts";
import { hash } from "./random.ts";
import { commitOf, iso, type Json } from "./views.ts";

export function overview(hub: Hub): Json {
  const stored = hub.models.reduce((sum, model) => sum + model.summary.bytesHere, 0);
  const count = (...states: string[]) => String(hub.jobs.list.filter((job) => states.includes(job.status)).length);
  const full = hub.models.length > 0;
  return {
    models: String(hub.models.length),
    blobs: full ? "38120" : "0",
    bytes_stored: String(stored),
    bytes_used: String(stored + quarantineBytes(hub)),
    bytes_shared: full ? String(41 * GiB) : "0",
    bytes_saved: full ? String(17_203 * GiB) : "0",
    bytes_to_clients: full ? String(21_877 * GiB) : "0",
    bytes_from_upstream: full ? String(4_674 * GiB) : "0",
    hit_ratio: full ? 0.8734 : 0,
    jobs_active: count("running"),
    jobs_waiting: count("pending", "paused"),
    jobs_failed: String(hub.jobs.list.filter((job) => job.status === "failed" && !job.dismissed).length),
    upstream: { url: "https://huggingface.co", state: hub.settings.offline ? "offline" : "ok", limited_until: null },
    disk_free: String(9_812 * GiB),
    disk_total: String(92_160 * GiB),
    recent: [
      ...hub.activity,
      ...hub.jobs.list
        .filter((job) => job.finished && !hub.activity.some((one) => one.job_id === job.id))
        .slice(0, 30)
        .map((job) => ({
          at: iso(job.finished),
          kind: `job.${job.status}`,
          text: ended(job),
          repo_id: job.model?.repoId ?? "",
          job_id: job.id,
        })),
    ].slice(0, 40),
    endpoint: "http://127.0.0.1:8484",
    version: "0.4.0",
    uptime_seconds: "1048211",
  };
}

const gpus = [
  {
    index: 0,
    uuid: "GPU-0c8f",
    name: "NVIDIA H100 80GB HBM3",
    total: 79.6,
    used: 61.2,
    util: 87,
    temp: 62,
    watts: 541,
    limit: 700,
    processes: 2,
  },
  {
    index: 1,
    uuid: "GPU-91aa",
    name: "NVIDIA H100 80GB HBM3",
    total: 79.6,
    used: 0.5,
    util: 0,
    temp: 34,
    watts: 71,
    limit: 700,
    processes: 0,
  },
];

export function system(): Json {
  const wave = Math.round(6 * Math.sin(Date.now() / 7000));
  return {
    hostname: "hub-01",
    os: "Debian GNU/Linux 12",
    kernel: "6.1.0-28-amd64",
    cpu: "AMD EPYC 9354 32-Core Processor",
    cores: 64,
    load_average: [3.41, 2.98, 2.7],
    memory_total: String(503 * GiB),
    memory_available: String(411 * GiB),
    uptime_seconds: "2938411",
    disks: [
      {
        mount_point: "/var/lib/modelhub",
        device: "/dev/nvme1n1",
        filesystem: "xfs",
        total: String(92_160 * GiB),
        available: String(9_812 * GiB),
        store: true,
      },
      {
        mount_point: "/",
        device: "/dev/nvme0n1p2",
        filesystem: "ext4",
        total: String(438 * GiB),
        available: String(301 * GiB),
        store: false,
      },
      {
        mount_point: "/mnt/array",
        device: "/dev/md0",
        filesystem: "xfs",
        total: String(184_320 * GiB),
        available: String(184_102 * GiB),
        store: false,
      },
    ],
    gpus: gpus.map((gpu) => ({
      index: gpu.index,
      uuid: gpu.uuid,
      name: gpu.name,
      memory_total: String(Math.round(gpu.total * GiB)),
      memory_used: String(Math.round(gpu.used * GiB)),
      memory_free: String(Math.round((gpu.total - gpu.used) * GiB)),
      utilisation_percent: gpu.util ? gpu.util + wave : 0,
      temperature_celsius: gpu.temp,
      power_watts: gpu.watts + wave * 8,
      power_limit_watts: gpu.limit,
      compute_capability: "9.0",
      processes: gpu.processes,
      mig: false,
    })),
    driver_version: "570.86.15",
    cuda_version: "12.8",
    gpu_problem: "",
    workers: [
      {
        id: "hub-0",
        address: "",
        hostname: "hub-01",
        started_at: iso(Date.now() - 1048211000),
        seen_at: iso(Date.now() - 1200),
        running: 2,
        alive: true,
      },
      {
        id: "worker-7f",
        address: "10.0.0.12:8486",
        hostname: "gpu-07",
        started_at: iso(Date.now() - 86_400_000),
        seen_at: iso(Date.now() - 420_000),
        running: 0,
        alive: false,
      },
    ],
    version: "0.4.0",
    database: "sqlite",
  };
}

export function storage(hub: Hub): Json {
  const models = hub.models
    .filter((model) => model.summary.bytesHere > 0)
    .map((model) => ({
      name: `${model.kind}/${model.repoId}`,
      model_id: model.id,
      files: String(model.summary.filesHere),
      bytes: String(model.summary.bytesHere),
      own_bytes: String(Math.round(model.summary.bytesHere * (hash(model.repoId) % 5 === 0 ? 0.6 : 1))),
      pinned: model.pinned,
      last_used_at: iso(model.used ?? model.created),
    }))
    .sort((a, b) => Number(b.bytes) - Number(a.bytes))
    .slice(0, 1000);
  const total = hub.models.reduce((sum, model) => sum + model.summary.bytesHere, 0);
  const format = (name: string, part: number, files: number) => ({
    name,
    files: String(files),
    bytes: String(Math.round(total * part)),
    own_bytes: String(Math.round(total * part)),
  });
  return {
    bytes: String(total),
    blobs: "38120",
    disk_free: String(9_812 * GiB),
    disk_total: String(92_160 * GiB),
    limit: hub.settings.store_limit_bytes,
    partial_bytes: String(Math.round(7.4 * GiB)),
    quarantine_bytes: String(quarantineBytes(hub)),
    used_bytes: String(total + quarantineBytes(hub)),
    models,
    formats: [
      format("safetensors", 0.64, 18210),
      format("gguf", 0.14, 320),
      format("parquet", 0.19, 1342),
      format("pickle (.bin, .pt)", 0.02, 88),
      format("other", 0.01, 18160),
    ],
    unreferenced_bytes: String(Math.round(3.1 * GiB)),
  };
}

export function factsOf(model: FakeModel, wanted: number, path = ""): Json {
  const file = path ? model.files().find((one) => one.path === path) : undefined;
  const quant = file && /(I?Q\d\w*|BF16)\.gguf$/.exec(file.path)?.[1];
  const facts = quant ? { ...model.facts, quantisation: quant } : (model.facts ?? {});
  const parameters = Number(facts.parameters ?? 0);
  const longest = Number(facts.context_length ?? 0);
  const context = wanted || Math.min(longest || 0, 8192);
  const perToken = 2 * Number(facts.layers ?? 0) * Number(facts.kv_heads ?? 0) * 128 * 2;
  const bytesPer = facts.quantisation
    ? 0.61
    : String((facts.dtypes as Json[] | undefined)?.[0]?.name) === "F32"
      ? 4
      : 2;
  const weights = quant && file ? file.size : parameters * bytesPer;
  const memory = parameters ? Math.round(weights + perToken * context + 0.6 * GiB) : 0;
  return {
    commit: commitOf(model),
    ...facts,
    weight_bytes: String(Math.round(weights)),
    kv_cache_bytes: memory ? String(perToken * context) : undefined,
    memory_bytes: String(memory),
    context: String(context),
    fits: memory
      ? gpus.map((gpu) => ({
          gpu: gpu.index,
          fits: memory < (gpu.total - gpu.used) * GiB,
          memory_free: String(Math.round((gpu.total - gpu.used) * GiB)),
          memory_total: String(Math.round(gpu.total * GiB)),
        }))
      : [],
    read: model.facts ? ["config.json", "tokenizer_config.json", "README.md"] : [],
    problems: model.facts ? [] : ["config.json not found on disk or upstream"],
  };
}

export function readText(model: FakeModel, path: string) {
  const file = model.files().find((one) => one.path === path);
  if (!file) return problem(404, `${path} does not exist in this revision.`);
  let text = `# ${path}\n`;
  if (path === "README.md") text = model.card ?? `# ${model.repoId}\n\nNo description.\n`;
  else if (path === "config.json" || path === "model_index.json")
    text = JSON.stringify(model.config ?? { model_type: "unknown", hidden_size: 2048 }, null, 2);
  else if (path.endsWith("tokenizer_config.json"))
    text = JSON.stringify(
      {
        add_bos_token: false,
        bos_token: null,
        eos_token: "<|im_end|>",
        model_max_length: 131072,
        pad_token: "<|endoftext|>",
        tokenizer_class: "Qwen2Tokenizer",
        added_tokens_decoder: Object.fromEntries(
          ["endoftext", "im_start", "im_end", "object_ref_start", "object_ref_end", "box_start", "box_end"].map(
            (name, index) => [151643 + index, { content: `<|${name}|>`, special: true }],
          ),
        ),
        chat_template:
          "{%- for message in messages %}\n{{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' }}\n{%- endfor %}",
      },
      null,
      2,
    );
  else if (path.endsWith(".json"))
    text = JSON.stringify(
      { do_sample: true, temperature: 0.6, top_k: 20, top_p: 0.95, eos_token_id: [151645, 151643] },
      null,
      2,
    );
  return {
    body: { file_path: path, commit: commitOf(model), size_bytes: String(file.size), text, truncated: file.size > MiB },
  };
}

export function tensors(model: FakeModel, query: URLSearchParams, page: Page) {
  const file = model.files().find((one) => one.path === query.get("path"));
  if (!file || file.here < file.size)
    return problem(409, "The header of this file is not on disk. Download the file to see its tensors.");
  const gguf = file.path.endsWith(".gguf");
  const names = [
    "self_attn.q_proj.weight",
    "self_attn.k_proj.weight",
    "self_attn.v_proj.weight",
    "self_attn.o_proj.weight",
    "mlp.gate_proj.weight",
    "mlp.up_proj.weight",
    "mlp.down_proj.weight",
    "input_layernorm.weight",
    "post_attention_layernorm.weight",
  ];
  const list = [
    {
      name: "model.embed_tokens.weight",
      dtype: "BF16",
      shape: ["151936", "4096"],
      size_bytes: String(151936 * 4096 * 2),
    },
  ];
  for (let layer = 0; layer < (gguf ? 48 : 36); layer += 1)
    for (const name of names)
      list.push({
        name: `model.layers.${layer}.${name}`,
        dtype: gguf ? "Q4_K" : "BF16",
        shape: name.includes("norm") ? ["4096"] : ["4096", name.includes("mlp") ? "12288" : "4096"],
        size_bytes: String(name.includes("norm") ? 8192 : 4096 * 4096 * 2),
      });
  const { items, next } = page(list);
  const metadata = gguf
    ? [
        ["general.architecture", "qwen3moe"],
        ["general.name", "Qwen3 30B A3B"],
        ["general.file_type", "15 (Q4_K_M)"],
        ["qwen3moe.context_length", "40960"],
        ["qwen3moe.block_count", "48"],
        ["tokenizer.ggml.model", "gpt2"],
        ["tokenizer.ggml.tokens", "array of 151936 strings"],
      ]
    : [["format", "pt"]];
  return {
    body: {
      tensors: items,
      metadata: query.get("page_token") ? [] : metadata.map(([key, value]) => ({ key, value })),
      next_page_token: next,
      total: String(list.length),
    },
  };
}

export function lookUp(hub: Hub, source: string) {
  const match =
    /(?:hf|huggingface-cli)\s+download\s+(\S+)|huggingface\.co\/(?:(datasets|spaces)\/)?([\w.-]+\/[\w.-]+)|^\s*([\w.-]+(?:\/[\w.-]+)?)\s*$/.exec(
      source,
    );
  const repoId = match?.[1] ?? match?.[3] ?? match?.[4];
  if (!repoId)
    return problem(400, "Not a repository; expected org/name, a Hugging Face URL, or an hf download command.");
  if (/missing/.test(repoId)) return problem(404, `Repository ${repoId} not found, or this hub's token has no access.`);
  const include = [...source.matchAll(/--include\s+["']?([^\s"']+)/g)].map((one) => one[1] ?? "");
  const known = hub.find(repoId);
  const gguf = /gguf/i.test(repoId);
  const closed = /gated/i.test(known?.problem ?? "");
  const quants = ["Q2_K:11.26", "Q4_K_M:18.63", "Q6_K:25.1", "Q8_0:32.48"].map(
    (one) => one.split(":") as [string, string],
  );
  return {
    body: {
      kind: match?.[2] === "datasets" ? "dataset" : match?.[2] === "spaces" ? "space" : "model",
      repo_id: repoId,
      revision: "main",
      commit: "9c925d64d72725edaf899c6cb9c377fd0709d9c5",
      visibility: /llama/i.test(repoId) ? "gated" : "public",
      files: closed ? "0" : "14",
      bytes: closed ? "0" : String(Math.round((gguf ? 87.5 : 16.4) * GiB)),
      formats: gguf
        ? [{ name: "gguf", files: "4", bytes: String(Math.round(87.47 * GiB)) }]
        : [
            { name: "safetensors", files: "5", bytes: String(Math.round(15.26 * GiB)) },
            { name: "pickle", files: "1", bytes: String(Math.round(1.1 * GiB)) },
          ],
      quantisations: gguf
        ? quants.map(([name, size]) => ({ name, files: "1", bytes: String(Math.round(Number(size) * GiB)) }))
        : [],
      licence: "apache-2.0",
      task: "text-generation",
      selection: include.length > 0 ? { include } : null,
      model_id: known?.id ?? "",
      warnings: gguf ? [] : ["1 weights file is a pickle, which can run code when loaded."],
    },
  };
}

export function previewScan(path: string) {
  if (!path.startsWith("/")) return problem(400, "The folder must be an absolute path, such as /data/models.");
  if (/nothing/.test(path)) return { body: { findings: [], problems: [], files: "0", bytes: "0" } };
  if (/missing/.test(path)) return problem(404, `Folder ${path} not found on this machine.`);
  const finding = (repo_id: string, layout: string, folder: string, files: number, size: number) => ({
    kind: "model",
    repo_id,
    layout,
    path: `${path}/${folder}`,
    files: String(files),
    bytes: String(Math.round(size * GiB)),
  });
  return {
    body: {
      findings: [
        finding("Qwen/Qwen2.5-7B-Instruct", "huggingface_cache", "hub/models--Qwen--Qwen2.5-7B-Instruct", 14, 15.2),
        finding("stabilityai/sdxl-turbo", "vendor_name", "stabilityai/sdxl-turbo", 31, 6.94),
        finding("", "loose_files", "checkpoints", 12, 2.1),
      ],
      problems: [
        { path: `${path}/hub/models--broken--model/snapshots`, text: "A symbolic link points to a missing blob." },
      ],
      files: "57",
      bytes: String(Math.round(24.24 * GiB)),
    },
  };
}
