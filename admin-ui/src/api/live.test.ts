// Events change what is cached, and lists are refetched no more often than needed.
import { create } from "@bufbuild/protobuf";
import { QueryClient, QueryObserver } from "@tanstack/react-query";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { ListJobsResponseSchema, ListUsesResponseSchema } from "@/gen/modelhub/v1/hub_service_pb";
import { Job_Status, JobSchema } from "@/gen/modelhub/v1/job_pb";
import { EventSchema } from "@/gen/modelhub/v1/system_pb";
import { applyEvent, flush } from "./live";
import { activeJobsQuery, jobQuery, usesQuery } from "./queries";

const job = (id: string, status: Job_Status, version = 0n) => create(JobSchema, { id, status, version, modelId: "m" });
const event = (kind: string, one: ReturnType<typeof job>) => create(EventSchema, { kind, job: one });

beforeEach(() => void vi.useFakeTimers());
afterEach(async () => {
  // What is due belongs to this test.
  await vi.advanceTimersByTimeAsync(5_000);
  vi.useRealTimers();
});

test("a job appears, moves and leaves the list of active jobs", () => {
  const client = new QueryClient();
  const key = activeJobsQuery().queryKey;
  client.setQueryData(key, create(ListJobsResponseSchema, { jobs: [] }));
  applyEvent(client, event("job", job("1", Job_Status.pending)));
  applyEvent(client, event("progress", job("1", Job_Status.running)));
  expect(client.getQueryData(key)?.jobs.map((one) => one.status)).toEqual([Job_Status.running]);
  expect(client.getQueryData(jobQuery("1").queryKey)?.status).toBe(Job_Status.running);
  applyEvent(client, event("job", job("1", Job_Status.completed)));
  expect(client.getQueryData(key)?.jobs).toEqual([]);
});

test("a hundred events are one refetch of the lists", async () => {
  const client = new QueryClient();
  const read = vi.spyOn(client, "invalidateQueries").mockResolvedValue();
  for (let at = 0; at < 100; at += 1) {
    applyEvent(client, event("job", job(String(at), Job_Status.running)));
    flush(client);
  }
  expect(read).not.toHaveBeenCalled();
  await vi.advanceTimersByTimeAsync(5_000);
  const lists = read.mock.calls.filter(([filter]) => JSON.stringify(filter?.queryKey) === '["jobs"]');
  expect(lists).toHaveLength(1);
});

test("a response that an event overtook changes nothing", async () => {
  const client = new QueryClient();
  const answers: ((response: Response) => void)[] = [];
  const answer = (at: number, body: unknown) => answers[at]?.(Response.json(body));
  vi.stubGlobal("fetch", () => new Promise<Response>((resolve) => answers.push(resolve)));
  const active = new QueryObserver(client, activeJobsQuery());
  const stop = active.subscribe(() => {});
  const reading = client.fetchQuery(jobQuery("1"));
  applyEvent(client, event("job", job("1", Job_Status.completed, 5n)));
  flush(client);
  answer(0, { jobs: [{ id: "1", status: "running", version: "4" }] });
  answer(1, { id: "1", status: "running", version: "4" });
  await reading;
  expect(client.getQueryData(jobQuery("1").queryKey)?.status).toBe(Job_Status.completed);
  // The list does not say what is not in it, so it is fetched once more.
  await vi.advanceTimersByTimeAsync(1_000);
  expect(answers).toHaveLength(3);
  answer(2, { jobs: [] });
  await vi.advanceTimersByTimeAsync(0);
  expect(active.getCurrentResult().data?.jobs).toEqual([]);
  // Nor does an old event change what was fetched after it.
  applyEvent(client, event("progress", job("1", Job_Status.running, 3n)));
  expect(client.getQueryData(jobQuery("1").queryKey)?.status).toBe(Job_Status.completed);
  stop();
  vi.unstubAllGlobals();
});

test("what refetches the model refetches the recently used files", async () => {
  for (const one of [
    create(EventSchema, { kind: "model", modelId: "m" }),
    event("job", job("1", Job_Status.completed)),
  ]) {
    const client = new QueryClient();
    const key = usesQuery("m", "").queryKey;
    client.setQueryData(key, create(ListUsesResponseSchema, {}));
    applyEvent(client, one);
    flush(client);
    await vi.advanceTimersByTimeAsync(5_000);
    expect(client.getQueryState(key)?.isInvalidated, one.kind).toBe(true);
  }
});

test("progress alone refetches nothing", async () => {
  const client = new QueryClient();
  const read = vi.spyOn(client, "invalidateQueries").mockResolvedValue();
  applyEvent(client, event("progress", job("1", Job_Status.running)));
  flush(client);
  await vi.advanceTimersByTimeAsync(5_000);
  expect(read).not.toHaveBeenCalled();
});
