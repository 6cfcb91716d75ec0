// Quantisations in names of GGUF files.
import { expect, test } from "vitest";
import { quantisationOf, quantisations } from "./quantisation";

test.each([
  ["Qwen3-8B-Q4_K_M.gguf", "Q4_K_M"],
  ["llama-2-7b.Q8_0.gguf", "Q8_0"],
  ["Qwen3-30B-A3B-IQ3_XXS.gguf", "IQ3_XXS"],
  ["BF16/Qwen3-BF16-00001-of-00002.gguf", "BF16"],
  ["model-UD-Q2_K_XL.gguf", "UD-Q2_K_XL"],
  ["gpt-oss-20b-mxfp4.gguf", "MXFP4"],
  ["tinyllama-f16.gguf", "F16"],
  ["Qwen3-8B.gguf", undefined],
  ["model-Q4_K_M.safetensors", undefined],
])("%s is %s", (path, name) => expect(quantisationOf(path)).toBe(name));

test("split files are one, projectors are none, the smallest comes first", () => {
  const file = (filePath: string, size: number) => ({ filePath, sizeBytes: BigInt(size) });
  const found = quantisations([
    file("a-Q8_0-00001-of-00002.gguf", 50),
    file("a-Q8_0-00002-of-00002.gguf", 30),
    file("a-Q4_K_M.gguf", 40),
    file("mmproj-F16.gguf", 1),
  ]);
  expect(found).toEqual([
    { name: "Q4_K_M", files: 1, bytes: 40 },
    { name: "Q8_0", files: 2, bytes: 80 },
  ]);
});
