// Lines of a plan, and what is chosen of them.
import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { PlanEvictionResponseSchema } from "@/gen/modelhub/v1/hub_service_pb";
import { UsageSchema } from "@/gen/modelhub/v1/system_pb";
import { choiceOf, lineName, linesOf, partOf } from "./eviction";

const plan = create(PlanEvictionResponseSchema, {
  models: [
    { modelId: "1", name: "model/org/a", files: 2n },
    { modelId: "2", name: "dataset/org/b", files: 1n },
    { modelId: "3", name: "model/org/kept", keptFiles: 1n },
  ],
  unreferenced: { files: 4n },
});

test("what only keeps is no line, and what no model has is one", () => {
  expect(linesOf(plan).map(lineName)).toEqual(["org/a", "dataset/org/b", "Files of no model"]);
  const { unreferenced: _, ...rest } = plan;
  expect(linesOf(rest)).toHaveLength(2);
});

test("a choice names its lines, also where all are chosen", () => {
  const lines = linesOf(plan);
  expect(choiceOf(lines, new Set())).toEqual({ modelIds: ["1", "2"], unreferenced: true });
  expect(choiceOf(lines, new Set(["1", ""]))).toEqual({ modelIds: ["2"], unreferenced: false });
});

test("a part says of how many files, where it is one", () => {
  const line = create(UsageSchema, { files: 1n });
  expect([partOf(line, create(UsageSchema, { files: 3n })), partOf(line, line), partOf(line, undefined)]).toEqual([
    "1 of 3 files",
    "1 file",
    "1 file",
  ]);
});
