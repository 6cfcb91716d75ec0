// What can be read, as options of TanStack Query: key, request and how long a response stays fresh. Screens use these with
// useQuery and the router prefetches with them, so one place decides what is cached under which name.
import { infiniteQueryOptions, keepPreviousData, type QueryClient, queryOptions } from "@tanstack/react-query";
import {
  GetStorageResponseSchema,
  ListFilesResponseSchema,
  ListJobLogResponseSchema,
  ListJobsResponseSchema,
  type ListModelsResponse,
  ListModelsResponseSchema,
  ListQuarantineResponseSchema,
  ListRevisionsResponseSchema,
  ListTensorsResponseSchema,
  ListUsesResponseSchema,
  LookUpModelRequestSchema,
  LookUpModelResponseSchema,
  ReadFileResponseSchema,
} from "@/gen/modelhub/v1/hub_service_pb";
import { type Job, JobSchema } from "@/gen/modelhub/v1/job_pb";
import { ModelFactsSchema, type ModelRepo, ModelRepoSchema } from "@/gen/modelhub/v1/model_pb";
import { OverviewSchema, SettingsSchema, SystemSchema } from "@/gen/modelhub/v1/system_pb";
import { call, get, modelPath } from "./client";

/** A repository by its name, address or a pasted command, as upstream shows it now. */
export const lookUp = (source: string, signal?: AbortSignal) =>
  call("POST", "/v1/lookup", LookUpModelRequestSchema, { source }, LookUpModelResponseSchema, signal);

export const overviewQuery = () =>
  queryOptions({
    queryKey: ["overview"],
    queryFn: ({ signal }) => get(OverviewSchema, "/v1/overview", {}, signal),
    staleTime: 5_000,
    refetchInterval: 15_000,
  });

export const systemQuery = () =>
  queryOptions({
    queryKey: ["system"],
    queryFn: ({ signal }) => get(SystemSchema, "/v1/system", {}, signal),
    staleTime: 4_000,
    refetchInterval: 5_000,
  });

export const storageQuery = () =>
  queryOptions({
    queryKey: ["storage"],
    queryFn: ({ signal }) => get(GetStorageResponseSchema, "/v1/storage", {}, signal),
    staleTime: 10_000,
  });

export const quarantineQuery = () =>
  queryOptions({
    queryKey: ["storage", "quarantine"],
    queryFn: ({ signal }) => get(ListQuarantineResponseSchema, "/v1/storage/quarantine", {}, signal),
    staleTime: 10_000,
  });

export const settingsQuery = () =>
  queryOptions({
    queryKey: ["settings"],
    queryFn: ({ signal }) => get(SettingsSchema, "/v1/settings", {}, signal),
    staleTime: 10_000,
  });

export interface ModelFilter {
  search?: string;
  kind?: string;
  status?: string;
  download?: string;
  pinned?: boolean;
  order?: string;
}

export const modelsPageSize = 100;

/**
 * Page `page` of the models. The API's pages are chained by tokens; so a page is reached through the ones before it,
 * which are cached. This lets the URL say `page=7`, which stays true after a restart, where a token may not.
 */
export const modelsQuery = (client: QueryClient, filter: ModelFilter, page: number) =>
  queryOptions({
    queryKey: ["models", filter, page],
    queryFn: async ({ signal }): Promise<ListModelsResponse> => {
      let pageToken = "";
      if (page > 1) {
        const before = await client.ensureQueryData(modelsQuery(client, filter, page - 1));
        if (!before.nextPageToken) return before;
        pageToken = before.nextPageToken;
      }
      const query = { ...filter, page_size: modelsPageSize, page_token: pageToken };
      return get(ListModelsResponseSchema, "/v1/models", query, signal);
    },
    placeholderData: keepPreviousData,
    staleTime: 5_000,
  });

/** A handful of models for the command palette. */
export const modelSearchQuery = (search: string) =>
  queryOptions({
    queryKey: ["models", "search", search],
    queryFn: ({ signal }) =>
      get(ListModelsResponseSchema, "/v1/models", { search, page_size: 8, order: "-used" }, signal),
    placeholderData: keepPreviousData,
    staleTime: 10_000,
  });

export const modelQuery = (model: string) =>
  queryOptions({
    queryKey: ["model", model],
    queryFn: ({ signal }) => get(ModelRepoSchema, modelPath(model), {}, signal),
    staleTime: 5_000,
  });

/**
 * The most recently used files. The key is below that of the model, so that what refetches the model refetches this
 * too; and it is stale at once, because uses cause no event.
 */
export const usesQuery = (model: string, revision: string) =>
  queryOptions({
    queryKey: ["model", model, "uses", revision],
    queryFn: ({ signal }) =>
      get(ListUsesResponseSchema, `${modelPath(model)}/uses`, { revision, page_size: 20 }, signal),
    staleTime: 0,
  });

/** Whether the hub may see the files of a closed repository by now: asked while the page is looked at. */
export const gateQuery = ({ id, url }: ModelRepo) =>
  queryOptions({
    queryKey: ["gate", id],
    queryFn: ({ signal }) => lookUp(url, signal),
    staleTime: 0,
    refetchInterval: 15_000,
    refetchOnWindowFocus: "always",
    retry: false,
  });

export const revisionsQuery = (model: string) =>
  queryOptions({
    queryKey: ["model-part", model, "revisions"],
    queryFn: ({ signal }) => get(ListRevisionsResponseSchema, `${modelPath(model)}/revisions`, {}, signal),
    staleTime: 30_000,
  });

export const factsQuery = (model: string, revision: string, context = 0, path = "") =>
  queryOptions({
    queryKey: ["model-part", model, "facts", revision, context, path],
    queryFn: ({ signal }) =>
      get(ModelFactsSchema, `${modelPath(model)}/facts`, { revision, context: context || undefined, path }, signal),
    placeholderData: keepPreviousData,
    staleTime: 60_000,
  });

export const contentQuery = (model: string, revision: string, path: string) =>
  queryOptions({
    queryKey: ["model-part", model, "content", revision, path],
    queryFn: ({ signal }) => get(ReadFileResponseSchema, `${modelPath(model)}/content`, { revision, path }, signal),
    staleTime: 5 * 60_000,
    retry: false,
  });

export interface FilesFilter {
  flat?: boolean;
  path?: string;
  search?: string;
  file_type?: string;
  download_status?: string;
}

/** Half of what the API allows: loading a page must not be noticeable while scrolling. */
export const filesPageSize = 500;

/** The entries of a folder, or all files below it in a flat list; page by page. */
export const filesQuery = (model: string, revision: string, filter: FilesFilter) =>
  infiniteQueryOptions({
    queryKey: ["model-files", model, revision, filter],
    queryFn: ({ pageParam, signal }) =>
      get(
        ListFilesResponseSchema,
        `${modelPath(model)}/files`,
        { revision, ...filter, page_size: filesPageSize, page_token: pageParam },
        signal,
      ),
    initialPageParam: "",
    getNextPageParam: (last) => last.nextPageToken || undefined,
    // Comparing a hundred thousand files with the previous ones costs more than rendering the few that are in view.
    structuralSharing: false,
    staleTime: 30_000,
  });

export const tensorsQuery = (model: string, revision: string, path: string) =>
  infiniteQueryOptions({
    queryKey: ["model-part", model, "tensors", revision, path],
    queryFn: ({ pageParam, signal }) =>
      get(
        ListTensorsResponseSchema,
        `${modelPath(model)}/tensors`,
        { revision, path, page_size: 500, page_token: pageParam },
        signal,
      ),
    initialPageParam: "",
    getNextPageParam: (last) => last.nextPageToken || undefined,
    structuralSharing: false,
    staleTime: 5 * 60_000,
    retry: false,
  });

export interface JobFilter {
  status?: readonly string[];
  kind?: readonly string[];
  model?: string;
  search?: string;
  finished_after?: string;
  order?: "-created" | "-finished";
}

export const activeStates = ["running", "pending", "paused"] as const;
export const endedStates = ["completed", "failed", "cancelled"] as const;

export const activeJobsQuery = () =>
  queryOptions({
    queryKey: ["jobs", "active"],
    queryFn: ({ signal }) => get(ListJobsResponseSchema, "/v1/jobs", { status: activeStates, page_size: 200 }, signal),
    staleTime: 5_000,
    refetchInterval: 30_000,
  });

export const jobsQuery = (filter: JobFilter) =>
  infiniteQueryOptions({
    queryKey: ["jobs", "list", filter],
    queryFn: ({ pageParam, signal }) =>
      get(ListJobsResponseSchema, "/v1/jobs", { ...filter, page_size: 100, page_token: pageParam }, signal),
    initialPageParam: "",
    getNextPageParam: (last) => last.nextPageToken || undefined,
    placeholderData: keepPreviousData,
    staleTime: 5_000,
  });

/** Responses and events can overtake one another: the newer one stays. */
export const newerJob = (old: Job | undefined, job: Job) => (old && old.version > job.version ? old : job);

export const jobQuery = (id: string) =>
  queryOptions({
    queryKey: ["job", id],
    queryFn: ({ signal }) => get(JobSchema, `/v1/jobs/${encodeURIComponent(id)}`, {}, signal),
    structuralSharing: (old, job) => newerJob(old as Job | undefined, job as Job),
    staleTime: 2_000,
  });

/** Lines of a job's log, page by page after the last known line. */
export const jobLogQuery = (id: string) =>
  infiniteQueryOptions({
    queryKey: ["job-log", id],
    queryFn: ({ pageParam, signal }) =>
      get(
        ListJobLogResponseSchema,
        `/v1/jobs/${encodeURIComponent(id)}/log`,
        { after: pageParam, page_size: 1000 },
        signal,
      ),
    initialPageParam: "0",
    getNextPageParam: (last) => (last.more ? String(last.lines.at(-1)?.number ?? 0) : undefined),
    staleTime: 1_000,
  });
