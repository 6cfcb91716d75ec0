// All addresses of the dashboard: the query parameters of each, what it fetches first, and which screen renders it.
// Screens are loaded when they are needed, except the first.
import { QueryClient } from "@tanstack/react-query";
import { createRootRouteWithContext, createRoute, createRouter, lazyRouteComponent } from "@tanstack/react-router";
import { ApiError } from "./api/problem";
import {
  activeJobsQuery,
  jobQuery,
  modelQuery,
  overviewQuery,
  settingsQuery,
  storageQuery,
  systemQuery,
} from "./api/queries";
import { NotFound, RouteFailure } from "./components/not-found";
import { Shell } from "./components/shell";
import { dashboardSearch, jobsSearch, modelSearch, modelsSearch, settingsSearch, storageSearch } from "./lib/search";
import { Dashboard } from "./routes/dashboard";

export const queryClient = new QueryClient({
  defaultOptions: {
    queries: {
      // Trying again does not change a refusal; a hub that is away may come back.
      retry: (failures, error) => (error instanceof ApiError ? error.status >= 500 && failures < 2 : failures < 1),
      retryDelay: (attempt) => Math.min(4_000, 500 * 2 ** attempt),
      refetchOnWindowFocus: true,
    },
  },
});

const root = createRootRouteWithContext<{ client: QueryClient }>()({
  component: Shell,
  notFoundComponent: NotFound,
  errorComponent: RouteFailure,
});

const dashboard = createRoute({
  getParentRoute: () => root,
  path: "/",
  validateSearch: dashboardSearch,
  loader: ({ context: { client } }) => {
    void client.prefetchQuery(overviewQuery());
    void client.prefetchQuery(systemQuery());
    void client.prefetchQuery(settingsQuery());
    void client.prefetchQuery(activeJobsQuery());
  },
  component: Dashboard,
});

// The list is the index of /models and not /models itself: otherwise a model without a name would take its place.
const modelsRoot = createRoute({ getParentRoute: () => root, path: "/models" });

const models = createRoute({
  getParentRoute: () => modelsRoot,
  path: "/",
  validateSearch: modelsSearch,
  component: lazyRouteComponent(() => import("./routes/models"), "Models"),
});

const model = createRoute({
  getParentRoute: () => modelsRoot,
  path: "$",
  validateSearch: modelSearch,
  loader: ({ context: { client }, params }) => {
    if (params._splat) void client.prefetchQuery(modelQuery(params._splat));
    void client.prefetchQuery(activeJobsQuery());
  },
  component: lazyRouteComponent(() => import("./routes/model"), "Model"),
});

const jobs = createRoute({
  getParentRoute: () => root,
  path: "/jobs",
  validateSearch: jobsSearch,
  loader: ({ context: { client } }) => void client.prefetchQuery(activeJobsQuery()),
  component: lazyRouteComponent(() => import("./routes/jobs"), "Jobs"),
});

const job = createRoute({
  getParentRoute: () => root,
  path: "/jobs/$id",
  loader: ({ context: { client }, params }) => void client.prefetchQuery(jobQuery(params.id)),
  component: lazyRouteComponent(() => import("./routes/job"), "JobDetail"),
});

const storage = createRoute({
  getParentRoute: () => root,
  path: "/storage",
  validateSearch: storageSearch,
  loader: ({ context: { client } }) => void client.prefetchQuery(storageQuery()),
  component: lazyRouteComponent(() => import("./routes/storage"), "Storage"),
});

const settings = createRoute({
  getParentRoute: () => root,
  path: "/settings",
  validateSearch: settingsSearch,
  loader: ({ context: { client } }) => void client.prefetchQuery(settingsQuery()),
  component: lazyRouteComponent(() => import("./routes/settings"), "SettingsPage"),
});

export const router = createRouter({
  routeTree: root.addChildren([dashboard, modelsRoot.addChildren([models, model]), jobs, job, storage, settings]),
  basepath: "/ui",
  context: { client: queryClient },
  defaultPreload: "intent",
  defaultPreloadStaleTime: 0,
  scrollRestoration: true,
});

declare module "@tanstack/react-router" {
  interface Register {
    router: typeof router;
  }
}
