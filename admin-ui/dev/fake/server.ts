// A hub that exists in memory only: the admin API for working on the dashboard and for its tests. It responds like the
// real one, with thousands of models, a repository of 100 000 files and jobs that progress.
import type { IncomingMessage, ServerResponse } from "node:http";
import { factsOf, lookUp, overview, previewScan, readText, storage, system, tensors } from "./answers.ts";
import { catalogue } from "./catalogue.ts";
import { planEviction } from "./eviction.ts";
import { type Answer, type Hub, type Page, problem } from "./hub.ts";
import { history, Jobs } from "./jobs.ts";
import { listJobs, listModels, listUses } from "./lists.ts";
import { type FakeModel, fileType, GiB } from "./model.ts";
import { quarantine, quarantineList, removeQuarantined } from "./quarantine.ts";
import { settings } from "./settings.ts";
import { servedAt } from "./traffic.ts";
import {
  commitOf,
  fileView,
  folderView,
  iso,
  type Json,
  leftOutOf,
  modelView,
  quantisationsOf,
  selected,
} from "./views.ts";

export class Fake implements Hub {
  readonly models = catalogue();
  readonly jobs = new Jobs((kind, body) => this.emit(kind, body));
  readonly activity: Json[] = [];
  readonly settings = settings();
  readonly quarantine: Json[];
  private events: { id: number; kind: string; text: string }[] = [];
  private lastEvent = Date.now();
  private readonly listeners = new Set<ServerResponse>();

  constructor(readonly empty = false) {
    if (empty) this.models.length = 0;
    this.quarantine = quarantine(this.models);
    if (!empty) {
      history(this.jobs, this.models);
      const [qwen, gguf, wan] = this.models as [FakeModel, FakeModel, FakeModel];
      this.jobs.create("download", qwen, { selection: { preset: "safetensors" } }, { created: Date.now() - 61_000 });
      this.jobs.create("download", wan, {}, { created: Date.now() - 30_000 });
      this.jobs.create(
        "download",
        gguf,
        { selection: { preset: "gguf", quantisation: "Q8_0" } },
        { created: Date.now() - 20_000 },
      );
      this.jobs.create("verify", undefined, {}, { total: 900 * GiB, filesTotal: 3120, created: Date.now() - 90_000 });
    }
    const timer = setInterval(() => this.jobs.tick(0.5), 500);
    const traffic = setInterval(() => {
      const served = this.models.length === 0 ? 0 : servedAt(Date.now());
      const fetched = this.jobs.traffic * 2;
      this.emit("traffic", {
        traffic: {
          bytes_to_clients: String(Math.round(served)),
          bytes_from_upstream: String(Math.round(fetched)),
          requests: "41",
          hits: "38",
          flights: "2",
        },
      });
    }, 1000);
    timer.unref();
    traffic.unref();
  }

  emit(kind: string, body: Json) {
    const id = ++this.lastEvent;
    if (kind === "activity") this.activity.unshift(body.activity as Json);
    const data = JSON.stringify({ id: String(id), at: iso(Date.now()), kind, ...body });
    const text = `id: ${id}\nevent: ${kind}\ndata: ${data}\n\n`;
    this.events.push({ id, kind, text });
    if (this.events.length > 2000) this.events = this.events.slice(-1000);
    for (const listener of this.listeners) listener.write(text);
  }

  find(name: string): FakeModel | undefined {
    const decoded = name.split("/").map(decodeURIComponent);
    const text = decoded.join("/");
    return this.models.find(
      (model) =>
        model.id === text ||
        `${model.kind}/${model.repoId}` === text ||
        (model.kind === "model" && model.repoId === text),
    );
  }

  active(model: FakeModel): string {
    return (
      this.jobs.list.find((job) => job.model === model && (job.status === "running" || job.status === "pending"))?.id ??
      ""
    );
  }

  watch(request: IncomingMessage, response: ServerResponse) {
    response.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-store" });
    response.write(": hello\n\n");
    const after = Number(request.headers["last-event-id"] ?? 0);
    if (after > 0) for (const event of this.events) if (event.id > after) response.write(event.text);
    this.listeners.add(response);
    request.on("close", () => this.listeners.delete(response));
  }

  answer(method: string, path: string, query: URLSearchParams, body: Json): Answer {
    const page: Page = (list, fallback = 100) => {
      const size = Math.min(1000, Number(query.get("page_size") ?? 0) || fallback);
      const from = Number(query.get("page_token") || 0);
      return { items: list.slice(from, from + size), next: from + size < list.length ? String(from + size) : "" };
    };
    const job = (one: ReturnType<Jobs["create"]>): Answer => ({ body: this.jobs.view(one) });
    const route = `${method} ${path}`;
    switch (route) {
      case "GET /v1/overview":
        return { body: overview(this) };
      case "GET /v1/system":
        return { body: system() };
      case "GET /v1/storage":
        return { body: storage(this) };
      case "GET /v1/storage/quarantine":
        return quarantineList(this);
      case "DELETE /v1/storage/quarantine":
        return removeQuarantined(this);
      case "GET /v1/settings":
        return { body: this.settings };
      case "PATCH /v1/settings": {
        const { hf_token: token, ...rest } = body;
        if (rest.download_hours && !/^\d\d:\d\d-\d\d:\d\d$/.test(String(rest.download_hours)))
          return problem(400, "download_hours must be a time range such as 22:00-06:00.");
        Object.assign(this.settings, rest);
        if (token !== undefined)
          Object.assign(this.settings, { hf_token_set: token !== "", hf_token_source: token ? "settings" : "" });
        return { body: this.settings };
      }
      case "POST /v1/settings/test-token": {
        const token = String(body.token ?? "");
        const good = token ? token.startsWith("hf_") : this.settings.hf_token_set === true;
        return {
          body: {
            valid: good,
            account: good ? "ada-lovelace" : "",
            problem: good ? "" : "Upstream does not recognise this token.",
          },
        };
      }
      case "POST /v1/lookup":
        return lookUp(this, String(body.source ?? ""));
      case "GET /v1/models":
        return listModels(this, query, page);
      case "POST /v1/models":
        return this.register(body);
      case "POST /v1/scans/preview":
        return previewScan(String(body.path ?? ""));
      case "POST /v1/scans":
        return job(
          this.jobs.create(
            "scan",
            undefined,
            { path: body.path, placement: body.placement },
            { total: 24 * GiB, filesTotal: 57 },
          ),
        );
      case "POST /v1/storage/verify":
        return job(this.jobs.create("verify", undefined, {}, { total: 300 * GiB, filesTotal: 3120 }));
      case "POST /v1/storage/evict":
        return job(this.jobs.create("evict", undefined, { free_bytes: body.free_bytes }));
      case "POST /v1/storage/evict/plan":
        return { body: planEviction(this, body) };
      case "POST /v1/jobs/dismiss": {
        const failed = this.jobs.list.filter((one) => one.status === "failed" && !one.dismissed);
        for (const one of failed) this.jobs.act(one, "dismiss");
        return { body: { dismissed: String(failed.length) } };
      }
      case "GET /v1/jobs":
        return listJobs(this, query, page);
    }
    const quarantined = /^\/v1\/storage\/quarantine\/([^/]+)$/.exec(path);
    if (quarantined && method === "DELETE") return removeQuarantined(this, decodeURIComponent(quarantined[1] ?? ""));
    const jobMatch = /^\/v1\/jobs\/([^/]+)(?:\/(\w+))?$/.exec(path);
    if (jobMatch) {
      const one = this.jobs.list.find((candidate) => candidate.id === jobMatch[1]);
      if (!one) return problem(404, "Job not found.");
      if (jobMatch[2] === "log") {
        const after = Number(query.get("after") ?? 0);
        const lines = one.log.filter((line) => Number(line.number) > after);
        return { body: { lines: lines.slice(0, 1000), more: lines.length > 1000 } };
      }
      if (method === "POST") {
        const wrong = this.jobs.act(one, jobMatch[2] ?? "");
        if (wrong) return problem(409, wrong);
      }
      return job(one);
    }
    const modelMatch =
      /^\/v1\/models\/(.+?)(?:\/(files|content|revisions|facts|tensors|uses|sync|evict\/plan|plan|download|pin|verify|evict))?$/.exec(
        path,
      );
    const model = modelMatch ? this.find(modelMatch[1] ?? "") : undefined;
    if (!modelMatch) return problem(404, "Not found.");
    if (!model) return problem(404, `Unknown model ${decodeURIComponent(modelMatch[1] ?? "")}; register it first.`);
    return this.ofModel(method, model, modelMatch[2] ?? "", query, body, page);
  }

  private ofModel(
    method: string,
    model: FakeModel,
    part: string,
    query: URLSearchParams,
    body: Json,
    page: Page,
  ): Answer {
    const busy = new Set(
      this.jobs.list
        .filter((job) => job.status === "running" && job.model === model)
        .flatMap((job) =>
          job.files
            .filter((file) => file.here < file.size)
            .slice(0, 4)
            .map((file) => file.path),
        ),
    );
    const view = () => ({ body: modelView(model, this.active(model)) });
    switch (part) {
      case "":
        if (method === "DELETE") {
          this.models.splice(this.models.indexOf(model), 1);
          this.emit("model", { model_id: model.id });
          return { body: {} };
        }
        return view();
      case "files": {
        if (query.get("flat") !== "true") {
          const { items, next } = page(folderView(model, query.get("path") ?? "", (path) => busy.has(path)));
          return { body: { files: items, next_page_token: next, commit: commitOf(model) } };
        }
        const search = (query.get("search") ?? "").toLowerCase();
        const type = query.get("file_type") ?? "";
        const status = query.get("download_status") ?? "";
        const found = model
          .files()
          .filter(
            (file) =>
              (!search || file.path.toLowerCase().includes(search)) &&
              (!type || fileType(file.path) === type) &&
              (!status || (status === "completed") === file.here >= file.size),
          );
        const { items, next } = page(found);
        return {
          body: {
            files: items.map((file) => fileView(model, file, busy.has(file.path))),
            next_page_token: next,
            commit: commitOf(model),
          },
        };
      }
      case "content":
        return readText(model, query.get("path") ?? "");
      case "revisions":
        return {
          body: {
            revisions: [
              { name: "main", commit: commitOf(model), checked_at: iso(Date.now() - 20_000), listed: true },
              {
                name: "v1.0",
                commit: "77b1e3e9d1f2c83c5a7f6a2b1c0d9e8f7a6b5c4d",
                checked_at: iso(Date.now() - 86_400_000),
                listed: false,
              },
            ],
          },
        };
      case "facts":
        return { body: factsOf(model, Number(query.get("context") ?? 0), query.get("path") ?? "") };
      case "tensors":
        return tensors(model, query, page);
      case "uses":
        return listUses(model, page);
      case "pin":
        if (body.pinned !== undefined) model.pinned = body.pinned === true;
        if (body.sync_every_seconds !== undefined) model.every = Number(body.sync_every_seconds);
        this.emit("model", { model_id: model.id });
        return view();
      case "plan": {
        const files = selected(model, body.selection as Json);
        const here = files.filter((file) => file.here >= file.size);
        const size = files.reduce((sum, file) => sum + file.size, 0);
        const fetch = files.reduce((sum, file) => sum + file.size - file.here, 0);
        const warnings = files.some((file) => /\.(bin|pth)$/.test(file.path))
          ? ["Some of these weights are in pickle files, which can run code when loaded."]
          : [];
        return {
          body: {
            model: modelView(model),
            revision: "main",
            commit: commitOf(model),
            files: String(files.length),
            bytes: String(size),
            files_here: String(here.length),
            bytes_here: String(size - fetch),
            bytes_to_fetch: String(fetch),
            disk_free: String(9_812 * GiB),
            fits: fetch < 9_812 * GiB,
            largest: [...files]
              .sort((a, b) => b.size - a.size)
              .slice(0, 1000)
              .map((file) => fileView(model, file, false)),
            warnings,
            quantisations: quantisationsOf(
              selected(model, { ...(body.selection as Json), preset: "", quantisation: "" }),
            ),
            left_out: leftOutOf(model, body.selection as Json),
          },
        };
      }
      case "evict/plan": {
        const here = selected(model, body.selection as Json).filter((file) => file.here > 0);
        const [files, size] = [here.length, here.reduce((sum, file) => sum + file.here, 0)];
        return { body: { files: String(files), bytes: String(size) } };
      }
      default: {
        if (part === "download" && /gated/i.test(model.problem)) return problem(403, model.problem);
        const size = selected(model, body.selection as Json).reduce((sum, file) => sum + file.here, 0);
        const job = this.jobs.create(
          part,
          model,
          { selection: body.selection ?? null, revision: body.revision || "main" },
          part === "verify"
            ? { total: size, filesTotal: 3 }
            : model.repoId.includes("trouble") && part === "download"
              ? { failAt: 30_000_000 }
              : {},
        );
        return { body: this.jobs.view(job) };
      }
    }
  }

  private register(body: Json): Answer {
    const repoId = String(body.repo_id || body.source_repo_id || "");
    const known = this.find(repoId);
    if (known) return { body: modelView(known, this.active(known)) };
    if (!/^[\w.-]+(\/[\w.-]+)?$/.test(repoId))
      return problem(400, `Invalid repository name "${repoId}"; expected org/name.`);
    const template = this.models[0] ?? (catalogue()[0] as FakeModel);
    const files = template
      .files()
      .map((file) => ({ ...file, size: Math.min(file.size, 90_000_000), here: 0, verified: undefined }));
    const model: FakeModel = {
      ...template,
      repoId,
      id: `0193ffff-0000-7000-8000-${String(Date.now()).slice(-12).padStart(12, "0")}`,
      kind: String(body.kind || "model"),
      status: "registered",
      pinned: false,
      every: Number(body.sync_every_seconds ?? 0),
      created: Date.now(),
      registered: Date.now(),
      used: undefined,
      synced: undefined,
      files: () => files,
      summary: { files: 0, filesHere: 0, bytes: 0, bytesHere: 0 },
    };
    Object.defineProperty(model, "summary", {
      get: () => ({
        files: files.length,
        filesHere: files.filter((file) => file.here >= file.size).length,
        bytes: files.reduce((sum, file) => sum + file.size, 0),
        bytesHere: files.reduce((sum, file) => sum + file.here, 0),
      }),
    });
    this.models.unshift(model);
    this.jobs.create("sync", model, {});
    this.emit("activity", {
      activity: {
        at: iso(Date.now()),
        kind: "model.registered",
        text: `Registered ${repoId}`,
        repo_id: repoId,
        job_id: "",
      },
    });
    return { body: modelView(model, this.active(model)) };
  }
}
