// The models of the fake hub: some that look like well-known ones, and thousands of small ones.
import { hash, hex, seeded } from "./random.ts";

export interface FakeFile {
  path: string;
  size: number;
  here: number;
  verified?: number;
}
export interface FakeModel {
  id: string;
  kind: string;
  repoId: string;
  status: "registered" | "synced" | "error";
  problem: string;
  visibility: string;
  pinned: boolean;
  registered?: number;
  created: number;
  synced?: number;
  used?: number;
  every: number;
  files: () => FakeFile[];
  summary: { files: number; filesHere: number; bytes: number; bytesHere: number };
  facts?: Record<string, unknown>;
  card?: string;
  config?: Record<string, unknown>;
  license?: string;
}

export const GiB = 1024 ** 3;
export const MiB = 1024 ** 2;
const day = 86_400_000;
const start = Date.now();

export const fileType = (path: string) => {
  const ending = path.slice(path.lastIndexOf(".") + 1).toLowerCase();
  if (/^(safetensors|gguf|bin|pt|pth|ckpt|onnx|h5|msgpack|ot)$/.test(ending)) return "model";
  if (/tokenizer|vocab|merges|special_tokens|added_tokens/.test(path)) return "tokenizer";
  if (/^(parquet|arrow|jsonl|csv)$/.test(ending)) return "dataset";
  if (ending === "json" || ending === "yaml") return "config";
  if (/^(py|ipynb|sh)$/.test(ending)) return "code";
  if (/^(png|jpg|jpeg|mp4|gif|webp|wav)$/.test(ending)) return "media";
  if (/^(md|txt|pdf)$/.test(ending) || /LICENSE/.test(path)) return "document";
  return "other";
};

export const runsCode = (path: string) => /\.(bin|pt|pth|ckpt|pkl)$/.test(path);

function make(
  kind: string,
  repoId: string,
  files: [string, number, number?][] | (() => FakeFile[]),
  more: Partial<FakeModel> = {},
): FakeModel {
  let list: FakeFile[] | undefined;
  const load = () => {
    list ??= Array.isArray(files)
      ? files.map(([path, size, part = 0]) => ({
          path,
          size: Math.round(size),
          here: Math.round(size * part),
          verified: part === 1 ? start - (hash(path) % 20) * day : undefined,
        }))
      : files();
    return list;
  };
  const summarise = () => {
    const all = load();
    return {
      files: all.length,
      filesHere: all.filter((file) => file.here >= file.size).length,
      bytes: all.reduce((sum, file) => sum + file.size, 0),
      bytesHere: all.reduce((sum, file) => sum + file.here, 0),
    };
  };
  return {
    id: `0193${hex(kind + repoId, 4)}-${hex(repoId, 4)}-7${hex(`a${repoId}`, 3)}-9${hex(`b${repoId}`, 3)}-${hex(`c${repoId}`, 12)}`,
    kind,
    repoId,
    status: "synced",
    problem: "",
    visibility: "public",
    pinned: false,
    registered: start - 12 * day,
    created: start - 12 * day,
    synced: start - 3 * 3_600_000,
    used: start - 2 * 3_600_000,
    every: 0,
    files: load,
    get summary() {
      return summarise();
    },
    ...more,
  };
}

const tokenizer: [string, number, number?][] = [
  [".gitattributes", 1570, 1],
  ["README.md", 16800, 1],
  ["LICENSE", 11343, 1],
  ["config.json", 728, 1],
  ["generation_config.json", 239, 1],
  ["merges.txt", 1671853, 1],
  ["tokenizer.json", 11422654, 1],
  ["tokenizer_config.json", 9732, 1],
  ["vocab.json", 2776833, 1],
];

const shards = (count: number, size: number, here: number): [string, number, number?][] =>
  Array.from({ length: count }, (_, index) => [
    `model-${String(index + 1).padStart(5, "0")}-of-${String(count).padStart(5, "0")}.safetensors`,
    size - index * 3_000_000,
    index < here ? 1 : index === here ? 0.36 : 0,
  ]);

const card = (name: string) => `---
license: apache-2.0
pipeline_tag: text-generation
language: [en, de, zh]
tags: [conversational, reasoning]
---

# ${name}

<div align="center"><img src="https://example.org/logo.png" onerror="alert(1)"></div>
<script>alert("never")</script>

**${name}** is the latest generation of large language models in the series, offering a comprehensive suite of dense and
mixture-of-experts models. It supports *seamless switching* between thinking and non-thinking mode.

## Highlights

- Significantly enhanced reasoning, surpassing previous models on mathematics, code and logic
- Human preference alignment for creative writing and multi-turn dialogues
- Support of **100+ languages**

![Benchmark](https://example.org/benchmark.png)

## Quickstart

\`\`\`python
from transformers import AutoModelForCausalLM, AutoTokenizer

model_name = "${name}"
tokenizer = AutoTokenizer.from_pretrained(model_name)
model = AutoModelForCausalLM.from_pretrained(model_name, torch_dtype="auto", device_map="auto")
\`\`\`

## Evaluation

| Benchmark | Before | Now |
|---|---:|---:|
| MMLU-Redux | 75.4 | **87.5** |
| MATH-500 | 83.6 | **97.4** |
| LiveCodeBench | 29.1 | **57.5** |

> For deployment you can use any server that speaks the OpenAI protocol.

See [the documentation](https://example.org/docs) and [config](config.json). [A trap](javascript:alert(1)).
`;

const qwenConfig = {
  architectures: ["Qwen3ForCausalLM"],
  attention_bias: false,
  bos_token_id: 151643,
  eos_token_id: 151645,
  head_dim: 128,
  hidden_act: "silu",
  hidden_size: 4096,
  intermediate_size: 12288,
  max_position_embeddings: 40960,
  model_type: "qwen3",
  num_attention_heads: 32,
  num_hidden_layers: 36,
  num_key_value_heads: 8,
  rms_norm_eps: 1e-6,
  rope_scaling: null,
  rope_theta: 1000000,
  tie_word_embeddings: false,
  torch_dtype: "bfloat16",
  transformers_version: "4.51.0",
  vocab_size: 151936,
};

const llm = (architecture: string, parameters: number, layers: number, hidden: number) => ({
  architecture,
  model_type: architecture.replace("ForCausalLM", "").toLowerCase(),
  parameters: String(parameters),
  dtypes: [{ name: "BF16", parameters: String(parameters) }],
  context_length: "40960",
  layers: String(layers),
  hidden_size: String(hidden),
  attention_heads: "32",
  kv_heads: "8",
  vocab_size: "151936",
  tokenizer: "Qwen2Tokenizer (byte-level BPE)",
  chat_template: true,
  licence: "apache-2.0",
  task: "text-generation",
  tags: ["conversational", "reasoning", "transformers"],
});

function bigDataset(): FakeFile[] {
  const files: FakeFile[] = [
    { path: ".gitattributes", size: 2300, here: 2300 },
    { path: "README.md", size: 41200, here: 41200 },
  ];
  const random = seeded(7);
  for (let crawl = 0; crawl < 78; crawl += 1) {
    const folder = `data/CC-MAIN-${2013 + Math.floor(crawl / 6)}-${String(10 + (crawl % 6) * 7).padStart(2, "0")}`;
    for (let part = 0; part < 1000; part += 1) {
      const size = Math.round((1.6 + random() * 0.9) * GiB);
      const name = `${String(Math.floor(part / 20)).padStart(3, "0")}_${String(part % 20).padStart(5, "0")}.parquet`;
      files.push({ path: `${folder}/${name}`, size, here: crawl === 0 || (crawl === 1 && part < 340) ? size : 0 });
    }
  }
  for (let part = 0; part < 21_998; part += 1) {
    files.push({
      path: `sample/10BT/${String(part).padStart(5, "0")}.parquet`,
      size: Math.round((1.9 + random()) * MiB),
      here: 0,
    });
  }
  return files;
}

const quant = (name: string, size: number, here = 0): [string, number, number?] => [
  `Qwen3-30B-A3B-${name}.gguf`,
  size * GiB,
  here,
];

export function catalogue(): FakeModel[] {
  const models: FakeModel[] = [
    make(
      "model",
      "Qwen/Qwen3-8B",
      [...tokenizer, ...shards(5, 3.99 * GiB, 2), ["model.safetensors.index.json", 32855, 1]],
      {
        facts: llm("Qwen3ForCausalLM", 8_190_735_360, 36, 4096),
        card: card("Qwen/Qwen3-8B"),
        config: qwenConfig,
        used: start - 240_000,
        every: 86_400,
      },
    ),
    make(
      "model",
      "bartowski/Qwen3-30B-A3B-GGUF",
      [
        [".gitattributes", 3200, 1],
        ["README.md", 9100, 1],
        quant("Q2_K", 11.26),
        quant("IQ3_M", 13.5),
        quant("Q3_K_M", 14.71),
        quant("Q4_K_M", 18.63, 1),
        quant("Q5_K_M", 21.74),
        quant("Q6_K", 25.1),
        quant("Q8_0", 32.48),
        ["BF16/Qwen3-30B-A3B-BF16-00001-of-00002.gguf", 46.4 * GiB],
        ["BF16/Qwen3-30B-A3B-BF16-00002-of-00002.gguf", 10.5 * GiB],
      ],
      {
        pinned: true,
        used: start - 40_000,
        facts: {
          ...llm("qwen3moe", 30_532_122_624, 48, 2048),
          quantisation: "Q4_K_M",
          dtypes: [
            { name: "Q4_K", parameters: "28100000000" },
            { name: "Q6_K", parameters: "2400000000" },
            { name: "F32", parameters: "32122624" },
          ],
        },
        card: card("Qwen3-30B-A3B-GGUF"),
      },
    ),
    make(
      "model",
      "Wan-AI/Wan2.1-T2V-1.3B-Diffusers",
      [
        [".gitattributes", 1800, 1],
        ["README.md", 17200, 1],
        ["model_index.json", 412, 1],
        ["scheduler/scheduler_config.json", 751, 1],
        ["text_encoder/config.json", 854, 1],
        ...shards(3, 4.9 * GiB, 1).map(
          ([path, size, part]) => [`text_encoder/${path}`, size, part] as [string, number, number?],
        ),
        ["tokenizer/tokenizer.json", 16.8 * MiB, 1],
        ["tokenizer/tokenizer_config.json", 61728, 1],
        ["transformer/config.json", 464, 1],
        ["transformer/diffusion_pytorch_model.safetensors", 5.29 * GiB],
        ["vae/config.json", 724, 1],
        ["vae/diffusion_pytorch_model.safetensors", 0.473 * GiB],
        ["assets/teaser.mp4", 9.8 * MiB],
      ],
      {
        used: start - 3 * day,
        facts: {
          architecture: "WanPipeline",
          model_type: "",
          parameters: "1418996800",
          dtypes: [{ name: "F32", parameters: "1418996800" }],
          components: [
            { name: "scheduler", library: "diffusers", class_name: "UniPCMultistepScheduler" },
            { name: "text_encoder", library: "transformers", class_name: "UMT5EncoderModel" },
            { name: "tokenizer", library: "transformers", class_name: "T5TokenizerFast" },
            { name: "transformer", library: "diffusers", class_name: "WanTransformer3DModel" },
            { name: "vae", library: "diffusers", class_name: "AutoencoderKLWan" },
          ],
          licence: "apache-2.0",
          task: "text-to-video",
          tags: ["diffusers", "video", "text-to-video"],
        },
        card: card("Wan-AI/Wan2.1-T2V-1.3B-Diffusers"),
        config: {
          _class_name: "WanPipeline",
          _diffusers_version: "0.33.0.dev0",
          scheduler: ["diffusers", "UniPCMultistepScheduler"],
          text_encoder: ["transformers", "UMT5EncoderModel"],
          tokenizer: ["transformers", "T5TokenizerFast"],
          transformer: ["diffusers", "WanTransformer3DModel"],
          vae: ["diffusers", "AutoencoderKLWan"],
        },
      },
    ),
    make(
      "model",
      "openai-community/gpt2",
      [
        ["README.md", 8090, 1],
        ["config.json", 665, 1],
        ["merges.txt", 456318, 1],
        ["model.safetensors", 548105171, 1],
        ["pytorch_model.bin", 548118077],
        ["onnx/decoder_model.onnx", 653665842],
        ["tf_model.h5", 497933648],
        ["tokenizer.json", 1355256, 1],
        ["vocab.json", 1042301, 1],
      ],
      {
        facts: {
          ...llm("GPT2LMHeadModel", 137_022_720, 12, 768),
          context_length: "1024",
          vocab_size: "50257",
          chat_template: false,
          licence: "mit",
        },
        card: card("gpt2"),
        used: start - 9 * day,
      },
    ),
    make(
      "model",
      "meta-llama/Llama-3.1-8B-Instruct",
      [
        ...tokenizer,
        ...shards(4, 4.6 * GiB, 0).map(([path, size]) => [path, size, 0] as [string, number, number]),
        ["original/consolidated.00.pth", 14.96 * GiB],
      ],
      {
        visibility: "gated",
        status: "error",
        problem:
          "Upstream refused: this repository is gated, and the account of the token has not been granted access yet.",
        used: undefined,
        facts: llm("LlamaForCausalLM", 8_030_261_248, 32, 4096),
      },
    ),
    make("dataset", "HuggingFaceFW/fineweb", bigDataset, { used: start - day, every: 604_800, card: card("FineWeb") }),
    make(
      "model",
      "BAAI/bge-m3",
      [
        ...tokenizer.slice(0, 5),
        ["pytorch_model.bin", 2.12 * GiB, 1],
        ["onnx/model.onnx", 0.7 * MiB],
        ["onnx/model.onnx_data", 2.11 * GiB],
      ],
      { used: start - 30 * day },
    ),
    make(
      "space",
      "acme/labelling-tool",
      [
        ["app.py", 8120, 1],
        ["requirements.txt", 210, 1],
        ["README.md", 900, 1],
      ],
      { visibility: "private", used: start - 15 * day },
    ),
  ];
  return [...models, ...many(5000 - models.length)];
}

function many(count: number): FakeModel[] {
  const vendors = [
    "mistralai",
    "google",
    "microsoft",
    "stabilityai",
    "deepseek-ai",
    "nvidia",
    "ibm-granite",
    "allenai",
    "tiiuae",
    "unsloth",
    "lmstudio-community",
    "intfloat",
    "sentence-transformers",
    "facebook",
    "openai",
    "CohereLabs",
    "internlm",
    "01-ai",
    "HuggingFaceTB",
    "black-forest-labs",
  ];
  const families = [
    "Mistral-Small",
    "gemma-3",
    "phi-4",
    "sdxl",
    "DeepSeek-R1-Distill",
    "Nemotron",
    "granite-3.3",
    "OLMo-2",
    "Falcon3",
    "e5",
    "MiniLM",
    "whisper",
    "aya",
    "SmolLM3",
    "FLUX",
  ];
  const sizes = ["1b", "3b", "7b", "8b", "12b", "24b", "27b", "32b", "70b"];
  const suffixes = ["", "-Instruct", "-it", "-base", "-GGUF", "-AWQ", "-chat", "-v2"];
  const random = seeded(42);
  const pick = <T>(list: readonly T[]) => list[Math.floor(random() * list.length)] as T;
  const seen = new Set<string>();
  const out: FakeModel[] = [];
  while (out.length < count) {
    const size = pick(sizes);
    let repoId = `${pick(vendors)}/${pick(families)}-${size}${pick(suffixes)}`;
    while (seen.has(repoId)) repoId += `-${Math.floor(random() * 90 + 10)}`;
    seen.add(repoId);
    const total = Number.parseInt(size, 10) * 2 * GiB * (0.9 + random() * 0.2);
    const count = Math.max(1, Math.ceil(total / (4.9 * GiB)));
    const part = random() < 0.55 ? 0 : random() < 0.6 ? 1 : random();
    const bytes = Math.round(total);
    const listing = () => {
      const done = Math.round(count * part);
      return [
        ...tokenizer.map(([path, each]) => ({ path, size: each, here: part > 0 ? each : 0 })),
        ...Array.from({ length: count }, (_, index) => ({
          path: `model-${String(index + 1).padStart(5, "0")}-of-${String(count).padStart(5, "0")}.safetensors`,
          size: Math.round(total / count),
          here: index < done ? Math.round(total / count) : 0,
        })),
      ];
    };
    const cache = { files: undefined as FakeFile[] | undefined };
    const files = () => {
      cache.files ??= listing();
      return cache.files;
    };
    const kind = random() < 0.06 ? "dataset" : "model";
    const model = make(kind, repoId, files, {
      pinned: random() < 0.02,
      status: random() < 0.01 ? "error" : random() < 0.02 ? "registered" : "synced",
      used: part > 0 ? start - Math.floor(random() ** 2 * 200 * day) : undefined,
      registered: random() < 0.6 ? start - Math.floor(random() * 300 * day) : undefined,
    });
    if (model.status === "error") model.problem = "Upstream did not answer within 30 seconds.";
    const filesHere = part === 0 ? 0 : part === 1 ? count + 9 : 9 + Math.round(count * part);
    const quick = {
      files: count + 9,
      filesHere,
      bytes,
      bytesHere: Math.round(part === 0 ? 0 : bytes * (Math.round(count * part) / count)),
    };
    Object.defineProperty(model, "summary", {
      get: () =>
        cache.files
          ? {
              files: cache.files.length,
              filesHere: cache.files.filter((file) => file.here >= file.size).length,
              bytes: cache.files.reduce((sum, file) => sum + file.size, 0),
              bytesHere: cache.files.reduce((sum, file) => sum + file.here, 0),
            }
          : quick,
    });
    out.push(model);
  }
  return out;
}
