import { expect, test } from "vitest";
import { pickleWords } from "./pickle-note";

test("pickles are warned of, with the safe format where there is one", () => {
  const bin = { filePath: "pytorch_model.bin", canRunCode: true };
  const safe = { filePath: "model.safetensors", canRunCode: false };
  expect(pickleWords([safe])).toBeUndefined();
  expect(pickleWords([])).toBeUndefined();
  expect(pickleWords([bin, safe])?.long).toMatch(/safe format/);
  expect(pickleWords([bin, bin])?.short).toBe("2 pickle files can run code");
  expect(pickleWords([bin])?.long).toMatch(/trust/);
});
