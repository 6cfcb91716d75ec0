// What can be changed: one function per API call, and `useAction`, which runs one, refreshes what it touched and shows
// the result in a toast. A second click while the first request is in flight does nothing.

import type { MessageInitShape } from "@bufbuild/protobuf";
import { type QueryKey, useMutation, useQueryClient } from "@tanstack/react-query";
import { useRef } from "react";
import { toast } from "@/components/ui/toast";
import {
  CancelJobRequestSchema,
  DeleteModelRequestSchema,
  DeleteModelResponseSchema,
  DeleteQuarantinedFileRequestSchema,
  DismissFailedJobsRequestSchema,
  DismissFailedJobsResponseSchema,
  DismissJobRequestSchema,
  DownloadModelRequestSchema,
  EmptyQuarantineRequestSchema,
  EmptyQuarantineResponseSchema,
  EvictModelRequestSchema,
  EvictStoreRequestSchema,
  ListJobsResponseSchema,
  PauseJobRequestSchema,
  PinModelRequestSchema,
  PlanEvictionResponseSchema,
  PreviewScanResponseSchema,
  RegisterModelRequestSchema,
  ResumeJobRequestSchema,
  RetryJobRequestSchema,
  ScanStorageRequestSchema,
  SyncModelRequestSchema,
  TestTokenRequestSchema,
  TestTokenResponseSchema,
  UpdateSettingsRequestSchema,
  VerifyModelRequestSchema,
  VerifyStoreRequestSchema,
} from "@/gen/modelhub/v1/hub_service_pb";
import { JobSchema } from "@/gen/modelhub/v1/job_pb";
import { DownloadPlanSchema, type ModelRepo, ModelRepoSchema } from "@/gen/modelhub/v1/model_pb";
import { SettingsSchema } from "@/gen/modelhub/v1/system_pb";
import { call, get, modelPath } from "./client";
import { sentence } from "./problem";

type Init<T extends Parameters<typeof call>[2]> = MessageInitShape<T>;
type DownloadInit = Omit<Init<typeof DownloadModelRequestSchema>, "$typeName">;
type EvictStoreInit = Init<typeof EvictStoreRequestSchema>;
type EvictModelInit = Init<typeof EvictModelRequestSchema>;
type ScanInit = Init<typeof ScanStorageRequestSchema>;

export const registerModel = (value: Init<typeof RegisterModelRequestSchema>) =>
  call("POST", "/v1/models", RegisterModelRequestSchema, value, ModelRepoSchema);

export const deleteModel = (model: string) =>
  call("DELETE", modelPath(model), DeleteModelRequestSchema, { model }, DeleteModelResponseSchema);

export const syncModel = (model: string, revision = "") =>
  call("POST", `${modelPath(model)}/sync`, SyncModelRequestSchema, { revision }, JobSchema);

/** A repository that was closed is open: what failed at that runs again, and its files are listed. */
export async function reopen(model: ModelRepo) {
  const query = { model: model.id, status: "failed", kind: "download", page_size: 10 };
  const { jobs } = await get(ListJobsResponseSchema, "/v1/jobs", query);
  await syncModel(model.id);
  const [last] = jobs.filter((job) => !job.dismissedAt);
  if (last) await jobActions.retry(last.id);
}

export const pinModel = (model: string, value: { pinned?: boolean; syncEverySeconds?: bigint }) =>
  call("POST", `${modelPath(model)}/pin`, PinModelRequestSchema, value, ModelRepoSchema);

export const planDownload = (model: string, value: DownloadInit, signal?: AbortSignal) =>
  call("POST", `${modelPath(model)}/plan`, DownloadModelRequestSchema, value as never, DownloadPlanSchema, signal);

export const downloadModel = (model: string, value: DownloadInit) =>
  call("POST", `${modelPath(model)}/download`, DownloadModelRequestSchema, value as never, JobSchema);

export const verifyModel = (model: string, revision: string, paths: string[]) =>
  call("POST", `${modelPath(model)}/verify`, VerifyModelRequestSchema, { revision, selection: { paths } }, JobSchema);

export const evictModel = (model: string, value: EvictModelInit) =>
  call("POST", `${modelPath(model)}/evict`, EvictModelRequestSchema, value, JobSchema);

export const planModelEviction = (model: string, value: EvictModelInit, signal?: AbortSignal) =>
  call("POST", `${modelPath(model)}/evict/plan`, EvictModelRequestSchema, value, PlanEvictionResponseSchema, signal);

export const scanStorage = (value: ScanInit) => call("POST", "/v1/scans", ScanStorageRequestSchema, value, JobSchema);

export const previewScan = (value: ScanInit, signal?: AbortSignal) =>
  call("POST", "/v1/scans/preview", ScanStorageRequestSchema, value, PreviewScanResponseSchema, signal);

export const verifyStore = (bytesPerSecond = 0n) =>
  call("POST", "/v1/storage/verify", VerifyStoreRequestSchema, { bytesPerSecond }, JobSchema);

export const evictStore = (value: EvictStoreInit) =>
  call("POST", "/v1/storage/evict", EvictStoreRequestSchema, value, JobSchema);

export const planEviction = (value: EvictStoreInit, signal?: AbortSignal) =>
  call("POST", "/v1/storage/evict/plan", EvictStoreRequestSchema, value, PlanEvictionResponseSchema, signal);

export const emptyQuarantine = () =>
  call("DELETE", "/v1/storage/quarantine", EmptyQuarantineRequestSchema, {}, EmptyQuarantineResponseSchema);

export const deleteQuarantinedFile = (name: string) =>
  call(
    "DELETE",
    `/v1/storage/quarantine/${encodeURIComponent(name)}`,
    DeleteQuarantinedFileRequestSchema,
    { name },
    EmptyQuarantineResponseSchema,
  );

const jobPath = (id: string, verb: string) => `/v1/jobs/${encodeURIComponent(id)}/${verb}`;

export const jobActions = {
  cancel: (id: string) => call("POST", jobPath(id, "cancel"), CancelJobRequestSchema, { id }, JobSchema),
  retry: (id: string) => call("POST", jobPath(id, "retry"), RetryJobRequestSchema, { id }, JobSchema),
  pause: (id: string) => call("POST", jobPath(id, "pause"), PauseJobRequestSchema, { id }, JobSchema),
  resume: (id: string) => call("POST", jobPath(id, "resume"), ResumeJobRequestSchema, { id }, JobSchema),
  dismiss: (id: string) => call("POST", jobPath(id, "dismiss"), DismissJobRequestSchema, { id }, JobSchema),
};

export const dismissFailedJobs = () =>
  call("POST", "/v1/jobs/dismiss", DismissFailedJobsRequestSchema, {}, DismissFailedJobsResponseSchema);

export type JobVerb = keyof typeof jobActions;

export const updateSettings = (value: Init<typeof UpdateSettingsRequestSchema>) =>
  call("PATCH", "/v1/settings", UpdateSettingsRequestSchema, value, SettingsSchema);

export const testToken = (token: string) =>
  call("POST", "/v1/settings/test-token", TestTokenRequestSchema, { token }, TestTokenResponseSchema);

export interface Action<I, O> {
  run: (input: I) => Promise<O>;
  /** The toast after success: a sentence, or nothing. */
  done?: (output: O, input: I) => string | { text: string; to?: { label: string; href: string } } | undefined;
  /** The first words of the toast after a failure, e.g. "Could not start the download". */
  failed?: string;
  /** What to refetch. */
  refresh?: QueryKey[];
  after?: (output: O, input: I) => void;
}

/** The second click of a double click comes within this time, when the first may have been answered already. */
const doubleClick = 500;

const written = (input: unknown) =>
  JSON.stringify(input, (_, value) => (typeof value === "bigint" ? `${value}n` : value));

/** A mutation with its toast and its refreshes. `go` ignores clicks while a request is in flight, and double clicks. */
export function useAction<I, O>(action: Action<I, O>) {
  const client = useQueryClient();
  const last = useRef<{ at: number; input: string | undefined }>(undefined);
  const mutation = useMutation({
    mutationFn: action.run,
    onSuccess: (output, input) => {
      for (const queryKey of action.refresh ?? []) void client.invalidateQueries({ queryKey });
      const message = action.done?.(output, input);
      if (message) toast.success(typeof message === "string" ? { text: message } : message);
      action.after?.(output, input);
    },
    onError: (error) => {
      if (action.failed) toast.error({ text: action.failed, detail: sentence(error) });
    },
  });
  return {
    go: (input: I) => {
      const next = { at: performance.now(), input: written(input) };
      const again = last.current && next.at - last.current.at < doubleClick && next.input === last.current.input;
      if (mutation.isPending || again) return;
      last.current = next;
      mutation.mutate(input);
    },
    busy: mutation.isPending,
    error: mutation.error,
    data: mutation.data,
    reset: mutation.reset,
  };
}
