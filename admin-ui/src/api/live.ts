// What an event of the stream means for the caches: jobs are patched in place, and lists that cannot be patched are
// refetched, at most once a second each. Traffic goes into a ring of the last minutes for the dashboard's chart.
import type { QueryClient, QueryKey } from "@tanstack/react-query";
import { useSyncExternalStore } from "react";
import type { ListJobsResponse } from "@/gen/modelhub/v1/hub_service_pb";
import { type Job, Job_Status } from "@/gen/modelhub/v1/job_pb";
import type { Event, Overview, Traffic } from "@/gen/modelhub/v1/system_pb";
import { activeJobsQuery, jobQuery, newerJob, overviewQuery } from "./queries";

export const isActive = (status: Job_Status) =>
  status === Job_Status.running || status === Job_Status.pending || status === Job_Status.paused;

const waiting = new Map<string, { key: QueryKey; due: number }>();
let timer: ReturnType<typeof setTimeout> | undefined;

/** Marks something to be refetched soon; many marks within that time are one request. */
function soon(key: QueryKey, milliseconds: number) {
  const name = JSON.stringify(key);
  if (!waiting.has(name)) waiting.set(name, { key, due: Date.now() + milliseconds });
}

/** Starts the refetches that are due, and a timer for the others. */
export function flush(client: QueryClient) {
  if (timer || waiting.size === 0) return;
  const next = Math.min(...[...waiting.values()].map((one) => one.due));
  timer = setTimeout(
    () => {
      timer = undefined;
      const now = Date.now();
      for (const [name, one] of waiting) {
        if (one.due > now) continue;
        waiting.delete(name);
        renew(client, { queryKey: one.key });
      }
      flush(client);
    },
    Math.max(0, next - Date.now()),
  );
}

/** After a gap, everything on the screen may be out of date. */
export function readAgain(client: QueryClient) {
  renew(client, {});
}

/** Refetches what is on the screen; and what is being fetched for the first time, which is not restarted, once it is here. */
function renew(client: QueryClient, filter: { queryKey?: QueryKey }) {
  const coming = client.getQueryCache().findAll({ ...filter, type: "active", fetchStatus: "fetching" });
  void client.invalidateQueries(filter);
  for (const query of coming.filter((query) => query.state.data === undefined))
    query.promise?.then(
      () => client.invalidateQueries({ queryKey: query.queryKey, exact: true }),
      () => {},
    );
}

export function applyEvent(client: QueryClient, event: Event) {
  switch (event.kind) {
    case "job":
    case "progress":
      if (event.job) applyJob(client, event.job, event.kind === "job");
      break;
    case "activity": {
      const activity = event.activity;
      if (!activity) break;
      client.setQueryData<Overview>(overviewQuery().queryKey, (old) =>
        old ? { ...old, recent: [activity, ...old.recent].slice(0, 50) } : old,
      );
      break;
    }
    case "traffic":
      if (event.traffic) pushTraffic(event.traffic);
      break;
    case "model":
      soon(["models"], 1_000);
      soon(["model"], 300);
      if (event.modelId) {
        soon(["model-files", event.modelId], 1_500);
        soon(["model-part", event.modelId], 1_500);
      }
      soon(["overview"], 1_000);
      soon(["storage"], 3_000);
      break;
    case "lost":
      readAgain(client);
      break;
  }
}

function applyJob(client: QueryClient, job: Job, stateChanged: boolean) {
  client.setQueryData<Job>(jobQuery(job.id).queryKey, (old) => newerJob(old, job));
  client.setQueryData<ListJobsResponse>(activeJobsQuery().queryKey, (old) => {
    if (!old) return old;
    const at = old.jobs.findIndex((one) => one.id === job.id);
    if (!isActive(job.status)) return at < 0 ? old : { ...old, jobs: old.jobs.filter((one) => one.id !== job.id) };
    if (at < 0) return { ...old, jobs: [job, ...old.jobs] };
    return { ...old, jobs: old.jobs.with(at, newerJob(old.jobs[at], job)) };
  });
  if (!stateChanged) return;
  // The active ones too: a response that was in flight when this event came is older, and would stay.
  soon(["jobs"], 700);
  soon(["job-log", job.id], 500);
  soon(["overview"], 700);
  soon(["models"], 1_500);
  if (job.modelId) {
    soon(["model"], 500);
    soon(["model-files", job.modelId], 700);
  }
  if (!isActive(job.status)) {
    soon(["storage"], 1_500);
    if (job.modelId) soon(["model-part", job.modelId], 1_000);
  }
}

/** Seconds of traffic that the chart can show. */
export const trafficSeconds = 300;
export interface TrafficPoint {
  at: number;
  toClients: number;
  fromUpstream: number;
}
/** The last minutes survive a reload of the tab, so that the chart does not start over. */
const trafficKey = "modelhub.traffic";
let points: readonly TrafficPoint[] = kept();

export function kept(): readonly TrafficPoint[] {
  try {
    const from = Date.now() / 1000 - trafficSeconds;
    const read: unknown = JSON.parse(sessionStorage.getItem(trafficKey) ?? "[]");
    return (Array.isArray(read) ? read : []).filter(
      (one): one is TrafficPoint =>
        [one?.at, one?.toClients, one?.fromUpstream].every((value) => typeof value === "number") && one.at > from,
    );
  } catch {
    return [];
  }
}

window.addEventListener("pagehide", () => {
  try {
    sessionStorage.setItem(trafficKey, JSON.stringify(points));
  } catch {
    // Without storage the chart starts over, as on the first visit.
  }
});
const trafficListeners = new Set<() => void>();

function pushTraffic(traffic: Traffic) {
  const at = Math.floor(Date.now() / 1000);
  const next = {
    at,
    toClients: Number(traffic.bytesToClients),
    fromUpstream: Number(traffic.bytesFromUpstream),
  };
  points = [...points.filter((point) => point.at > at - trafficSeconds && point.at < at), next];
  for (const listener of trafficListeners) listener();
}

export const useTraffic = () =>
  useSyncExternalStore(
    (listener) => {
      trafficListeners.add(listener);
      return () => trafficListeners.delete(listener);
    },
    () => points,
  );
