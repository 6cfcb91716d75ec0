// How far a job is, in words: never more than there is, whatever the hub counted.
import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { Job_Kind, Job_Status, JobSchema } from "@/gen/modelhub/v1/job_pb";
import { percent } from "@/lib/format";
import { jobShare, progressWords } from "./job-card";

test.each([
  [1n, 1n, "25%", ["1 GiB of 4 GiB", "1 of 2 files"]],
  [5n, 3n, "100%", ["4 GiB of 4 GiB", "2 of 2 files"]],
])("%d GiB and %d files of 4 GiB and 2 files", (gib, files, shown, words) => {
  const progress = { bytesDone: gib << 30n, bytesTotal: 4n << 30n, filesDone: files, filesTotal: 2n };
  const job = create(JobSchema, { kind: Job_Kind.download, status: Job_Status.running, progress });
  expect(percent(jobShare(job) ?? 0)).toBe(shown);
  expect(progressWords(job)).toEqual(words);
});
