// The models of the fake hub: some that look like well-known ones, and a crowd.
import { many } from "./crowd.ts";
import { day, type FakeModel, GiB, MiB, make, start } from "./model.ts";
import { bigDataset, card, llm, quant, qwenConfig, shards, tokenizer } from "./samples.ts";

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
        problem: "Gated repository: request access on Hugging Face first.",
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
