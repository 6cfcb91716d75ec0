// Requests and failures of the API.
import { afterEach, expect, test, vi } from "vitest";
import { RegisterModelRequestSchema } from "@/gen/modelhub/v1/hub_service_pb";
import { ModelRepo_Download, ModelRepoSchema } from "@/gen/modelhub/v1/model_pb";
import { call, get, modelPath, queryString } from "./client";
import { ApiError } from "./problem";
import { adminToken, isSignedOut, signIn } from "./session";

const answer = (body: unknown, status = 200) =>
  new Response(typeof body === "string" ? body : JSON.stringify(body), { status });
afterEach(() => void vi.unstubAllGlobals());

test("addresses", () => {
  expect(queryString({ a: 1, b: "", c: undefined, d: ["x", "y"], e: false })).toBe("?a=1&d=x&d=y&e=false");
  expect(modelPath("dataset/org/a b")).toBe("/v1/models/dataset/org/a%20b");
});

test("messages are read from JSON with 64-bit numbers as strings and names for enums", async () => {
  vi.stubGlobal("fetch", async () =>
    answer({ repo_id: "a/b", bytes: "9007199254740993", download: "partial", of_the_future: 1 }),
  );
  const model = await get(ModelRepoSchema, "/v1/models/a/b");
  expect(model).toMatchObject({ repoId: "a/b", bytes: 9007199254740993n, download: ModelRepo_Download.partial });
});

test("messages are sent with the original field names", async () => {
  const fetch = vi.fn(async (_path: string, _init: RequestInit) => answer({}));
  vi.stubGlobal("fetch", fetch);
  await call(
    "POST",
    "/v1/models",
    RegisterModelRequestSchema,
    { repoId: "a/b", syncEverySeconds: 60n },
    ModelRepoSchema,
  );
  expect(JSON.parse(String(fetch.mock.calls[0]?.[1].body))).toEqual({ repo_id: "a/b", sync_every_seconds: "60" });
});

test("a problem says what the hub says", async () => {
  vi.stubGlobal("fetch", async () => answer({ title: "Not found", detail: "unknown model a/b", status: 404 }, 404));
  const error = await get(ModelRepoSchema, "/v1/models/a/b").catch((thrown) => thrown);
  expect(error).toBeInstanceOf(ApiError);
  expect(error).toMatchObject({ status: 404, message: "unknown model a/b", isNotFound: true });
});

test("no response, and one that is not JSON, are problems too", async () => {
  vi.stubGlobal("fetch", async () => Promise.reject(new TypeError("failed")));
  expect(await get(ModelRepoSchema, "/x").catch((thrown) => thrown)).toMatchObject({ status: 0, isUnreachable: true });
  vi.stubGlobal("fetch", async () => answer("<html>gateway</html>", 502));
  expect(await get(ModelRepoSchema, "/x").catch((thrown) => thrown)).toMatchObject({ status: 502 });
});

test("a refusal signs out, unless the token has changed meanwhile", async () => {
  signIn("old");
  vi.stubGlobal("fetch", async () => {
    signIn("new");
    return answer({ title: "Unauthorized" }, 401);
  });
  await get(ModelRepoSchema, "/x").catch(() => {});
  expect(isSignedOut()).toBe(false);
  vi.stubGlobal("fetch", async () => answer({ title: "Unauthorized" }, 401));
  await get(ModelRepoSchema, "/x").catch(() => {});
  expect([isSignedOut(), adminToken()]).toEqual([true, "new"]);
});
