// Thousands of models that nobody looks at closely, for tables that have to stay fast.
import { day, type FakeFile, type FakeModel, GiB, make, start } from "./model.ts";
import { seeded } from "./random.ts";
import { tokenizer } from "./samples.ts";

export function many(count: number): FakeModel[] {
  // Who publishes what; the last two publish everybody's again.
  const own: Record<string, string[]> = {
    mistralai: ["Mistral-Small", "Ministral"],
    google: ["gemma-3"],
    microsoft: ["phi-4"],
    stabilityai: ["sdxl", "stable-code"],
    "deepseek-ai": ["DeepSeek-R1-Distill"],
    nvidia: ["Nemotron"],
    "ibm-granite": ["granite-3.3"],
    allenai: ["OLMo-2"],
    tiiuae: ["Falcon3"],
    intfloat: ["e5"],
    "sentence-transformers": ["MiniLM"],
    facebook: ["opt"],
    openai: ["whisper", "gpt-oss"],
    CohereLabs: ["aya"],
    internlm: ["internlm3"],
    "01-ai": ["Yi-1.5"],
    HuggingFaceTB: ["SmolLM3"],
    "black-forest-labs": ["FLUX.1"],
  };
  const everybody = Object.values(own).flat();
  const vendors = [...Object.keys(own), "unsloth", "lmstudio-community"];
  const topics = ["math", "code", "dialogue", "web", "speech", "reasoning", "preferences", "evaluation"];
  const sizes = ["1b", "3b", "7b", "8b", "12b", "24b", "27b", "32b", "70b"];
  const suffixes = ["", "-Instruct", "-it", "-base", "-GGUF", "-AWQ", "-chat", "-v2"];
  const random = seeded(42);
  const pick = <T>(list: readonly T[]) => list[Math.floor(random() * list.length)] as T;
  const seen = new Set<string>();
  const out: FakeModel[] = [];
  while (out.length < count) {
    const kind = random() < 0.06 ? "dataset" : "model";
    const size = pick(sizes);
    const vendor = pick(vendors);
    const family = pick(own[vendor] ?? everybody);
    let repoId = `${vendor}/${family}-${kind === "dataset" ? `${pick(topics)}-data` : `${size}${pick(suffixes)}`}`;
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
    const model = make(kind, repoId, files, {
      pinned: random() < 0.02,
      status: random() < 0.01 ? "error" : random() < 0.02 ? "registered" : "synced",
      used: part > 0 ? start - Math.floor(random() ** 2 * 200 * day) : undefined,
      registered: random() < 0.6 ? start - Math.floor(random() * 300 * day) : undefined,
    });
    if (model.status === "error") model.problem = "Upstream did not respond within 30 seconds.";
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
