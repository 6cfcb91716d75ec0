// Which file the facts of a choice are requested for.
import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { QuantisationSchema } from "@/gen/modelhub/v1/model_pb";
import { everything } from "@/lib/selection";
import { holdsSeveral, weightsPath } from "./gpu-fit";

const quants = [
  create(QuantisationSchema, { name: "Q4_K_M", files: 1n, bytes: 40n, filePath: "a-Q4_K_M.gguf" }),
  create(QuantisationSchema, { name: "Q8_0", files: 2n, bytes: 80n, filePath: "Q8_0/a-00001-of-00002.gguf" }),
];

test("a quantisation's facts are those of the file that the hub names", () => {
  const chosen = (quantisation: string) => weightsPath({ ...everything, preset: "gguf", quantisation }, quants);
  expect(chosen("Q4_K_M")).toBe("a-Q4_K_M.gguf");
  expect(chosen("Q8_0")).toBe("Q8_0/a-00001-of-00002.gguf");
  expect(chosen("Q5_K_M")).toBe("");
  expect(weightsPath({ ...everything, paths: ["b.gguf"] }, quants)).toBe("b.gguf");
  expect(weightsPath(everything, quants)).toBe("");
});

test("everything of several quantisations has no estimate: it would be that of the smallest", () => {
  expect(holdsSeveral(everything, quants)).toBe(true);
  expect(holdsSeveral(everything, quants.slice(1))).toBe(false);
  expect(holdsSeveral({ ...everything, preset: "gguf", quantisation: "Q8_0" }, quants)).toBe(false);
  expect(holdsSeveral({ ...everything, paths: ["a.gguf"] }, quants)).toBe(false);
});
