// Pieces of well-known models: their files, config, card and facts.
import { type FakeFile, GiB, MiB } from "./model.ts";
import { seeded } from "./random.ts";

export const tokenizer: [string, number, number?][] = [
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

export const shards = (count: number, size: number, here: number): [string, number, number?][] =>
  Array.from({ length: count }, (_, index) => [
    `model-${String(index + 1).padStart(5, "0")}-of-${String(count).padStart(5, "0")}.safetensors`,
    size - index * 3_000_000,
    index < here ? 1 : index === here ? 0.36 : 0,
  ]);

export const card = (name: string) => `---
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

export const qwenConfig = {
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

export const llm = (architecture: string, parameters: number, layers: number, hidden: number) => ({
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

export function bigDataset(): FakeFile[] {
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

export const quant = (name: string, size: number, here = 0): [string, number, number?] => [
  `Qwen3-30B-A3B-${name}.gguf`,
  size * GiB,
  here,
];
