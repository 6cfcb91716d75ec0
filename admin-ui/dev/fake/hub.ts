// What the responses of the fake hub are made from, and what a response is. It stands below the modules that answer, so
// that none of them needs the server, which needs them all.
import type { Jobs } from "./jobs.ts";
import type { FakeModel } from "./model.ts";
import type { Json } from "./views.ts";

export interface Hub {
  readonly models: FakeModel[];
  readonly jobs: Jobs;
  readonly activity: Json[];
  readonly settings: Json;
  /** The files in quarantine, newest first. */
  readonly quarantine: Json[];
  find(name: string): FakeModel | undefined;
  /** The id of the job that is running or waiting for a model; empty if there is none. */
  active(model: FakeModel): string;
}

export type Answer = { status?: number; body: unknown };

/** Cuts the page out of a list that the request asks for. */
export type Page = <T>(list: T[], fallback?: number) => { items: T[]; next: string };

export function problem(status: number, detail: string): Answer {
  return {
    status,
    body: {
      type: "about:blank",
      title:
        { 400: "Invalid request", 403: "Access denied", 404: "Not found", 409: "Not possible right now" }[status] ??
        "Error",
      status,
      detail,
    },
  };
}
