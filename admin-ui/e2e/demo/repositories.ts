// The repositories of the pictures, as folders that mock-hf serves. Nobody's real models: the owners are made up.
import { mkdirSync, truncateSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { gguf, safetensors, type Tensor } from "./weights.ts";

export const text = "acme/atlas-1b-instruct";
export const quantised = `${text}-GGUF`;
export const image = "fabrikam/sketch-turbo";
export const small = ["northwind/embed-base", "northwind/whisper-tiny", "contoso/rerank-mini"] as const;
export const dataset = "acme/support-tickets";
export const unknown = "northwind/embed-large";

const layers = 16;
const [hidden, inner, vocabulary] = [2_048, 8_192, 32_768];

function llama(): Tensor[] {
  const layer = (at: number): Tensor[] =>
    (
      [
        ["self_attn.q_proj", [hidden, hidden]],
        ["self_attn.k_proj", [512, hidden]],
        ["self_attn.v_proj", [512, hidden]],
        ["self_attn.o_proj", [hidden, hidden]],
        ["mlp.gate_proj", [inner, hidden]],
        ["mlp.up_proj", [inner, hidden]],
        ["mlp.down_proj", [hidden, inner]],
      ] as const
    ).map(([name, shape]) => ({ name: `model.layers.${at}.${name}.weight`, shape: [...shape] }));
  const embedding = { name: "model.embed_tokens.weight", shape: [vocabulary, hidden] };
  return [embedding, ...Array.from({ length: layers }, (_, at) => layer(at)).flat()];
}

/** Blocks of an image model, or of whatever has no shape that matters here. */
const blocks = (name: string, count: number, shape: number[]): Tensor[] =>
  Array.from({ length: count }, (_, at) => ({ name: `${name}.${at}.weight`, shape }));

const card = (title: string, task: string, words: string) =>
  `---\nlicense: apache-2.0\nlanguage: en\npipeline_tag: ${task}\n---\n\n# ${title}\n\n${words}\n`;

const config = JSON.stringify(
  {
    architectures: ["LlamaForCausalLM"],
    model_type: "llama",
    hidden_size: hidden,
    intermediate_size: inner,
    num_hidden_layers: layers,
    num_attention_heads: 32,
    num_key_value_heads: 8,
    vocab_size: vocabulary,
    max_position_embeddings: 32_768,
    rope_theta: 500_000,
    torch_dtype: "bfloat16",
  },
  null,
  2,
);

/** Writes all of them below a folder. */
export function writeRepositories(folder: string) {
  const at = (repo: string, path: string) => {
    const file = join(folder, repo, path);
    mkdirSync(dirname(file), { recursive: true });
    return file;
  };
  const write = (repo: string, path: string, words: string) => writeFileSync(at(repo, path), words);

  const tensors = llama();
  const half = Math.ceil(tensors.length / 2);
  write(text, "README.md", card("Atlas 1B Instruct", "text-generation", "A small model that follows instructions."));
  write(text, "config.json", config);
  write(text, "generation_config.json", JSON.stringify({ temperature: 0.7, top_p: 0.9 }));
  write(
    text,
    "tokenizer_config.json",
    JSON.stringify({ model_max_length: 32_768, eos_token: "</s>", bos_token: "<s>" }),
  );
  safetensors(at(text, "model-00001-of-00002.safetensors"), tensors.slice(0, half));
  safetensors(at(text, "model-00002-of-00002.safetensors"), tensors.slice(half));

  write(quantised, "README.md", card("Atlas 1B Instruct, GGUF", "text-generation", "For llama.cpp and its friends."));
  write(quantised, "config.json", config);
  for (const [name, type, mib] of [
    ["Q3_K_M", 12, 560],
    ["Q4_K_M", 15, 668],
    ["Q5_K_M", 17, 774],
    ["Q6_K", 18, 886],
    ["Q8_0", 7, 1_146],
  ] as const)
    gguf(at(quantised, `atlas-1b-instruct-${name}.gguf`), "Atlas 1B Instruct", type, mib << 20);

  write(image, "README.md", card("Sketch Turbo", "text-to-image", "Draws in one step."));
  const parts = {
    scheduler: "EulerDiscreteScheduler",
    text_encoder: "CLIPTextModel",
    unet: "UNet2DConditionModel",
    vae: "AutoencoderKL",
  };
  const index = {
    _class_name: "StableDiffusionPipeline",
    ...Object.fromEntries(Object.entries(parts).map(([part, name]) => [part, ["diffusers", name]])),
  };
  write(image, "model_index.json", JSON.stringify(index, null, 2));
  write(image, "scheduler/scheduler_config.json", JSON.stringify({ _class_name: parts.scheduler }));
  for (const part of ["text_encoder", "unet", "vae"] as const)
    write(image, `${part}/config.json`, JSON.stringify({ _class_name: parts[part] }));
  safetensors(at(image, "text_encoder/model.safetensors"), blocks("text_model.layers", 48, [1_024, 2_560]), "F16");
  safetensors(
    at(image, "unet/diffusion_pytorch_model.safetensors"),
    blocks("down_blocks", 52, [1_280, 1_280, 3, 3]),
    "F16",
  );
  safetensors(
    at(image, "vae/diffusion_pytorch_model.safetensors"),
    blocks("decoder.up_blocks", 36, [512, 512, 3, 3]),
    "F16",
  );
  write(image, "tokenizer/merges.txt", "#version: 0.2\n");
  write(image, "tokenizer/tokenizer_config.json", JSON.stringify({ model_max_length: 77 }));

  for (const [repo, count] of [
    [small[0], 110],
    [small[1], 38],
    [small[2], 22],
    [unknown, 320],
  ] as const) {
    write(repo, "README.md", card(repo, "feature-extraction", "Small and quick."));
    write(
      repo,
      "config.json",
      JSON.stringify({ architectures: ["BertModel"], model_type: "bert", hidden_size: 1_024 }),
    );
    safetensors(at(repo, "model.safetensors"), blocks(repo.replace("/", "."), count, [1_024, 1_024]));
  }

  const tickets = join("datasets", dataset);
  write(tickets, "README.md", "---\nlicense: cc-by-4.0\n---\n\n# Support tickets\n");
  for (const number of [0, 1, 2]) {
    const file = at(tickets, `data/train-0000${number}-of-00003.parquet`);
    writeFileSync(file, `PAR1${number}`);
    truncateSync(file, 90 << 20);
  }
}
