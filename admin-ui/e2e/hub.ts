// A real hub with a mock of the Hub behind it: two programs, a data directory of their own, and free ports.
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, vi } from "vitest";

const at = (path: string) => fileURLToPath(new URL(path, import.meta.url));
const find = (name: string, given: string | undefined) =>
  [given, at(`../../target/debug/${name}`), at(`../../target/release/${name}`)].find(
    (path) => path && existsSync(path),
  );
const hubProgram = find("modelhub", process.env.E2E_HUB);
const mockProgram = find("mock-hf", process.env.E2E_MOCK);

const programs = hubProgram && mockProgram ? { hub: hubProgram, mock: mockProgram } : undefined;
export const aliceToken = "hf_mockAliceTokenForTestsOnly000000000001";

export interface RealHub {
  /** Where the dashboard is. */
  admin: string;
  /** Where clients go. */
  hub: string;
  mock: string;
  folder: string;
  stop: () => Promise<void>;
  /** Starts it again, with other variables of its environment if there are any. */
  start: (settings?: Record<string, string>) => Promise<void>;
  end: () => Promise<void>;
}

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer();
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      server.close(() => resolve(typeof address === "object" && address ? address.port : 0));
    });
  });
}

async function answers(url: string) {
  for (let attempt = 0; attempt < 200; attempt += 1) {
    const response = await fetch(url).catch(() => undefined);
    if (response?.ok) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`${url} does not answer`);
}

function ended(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    if (child.exitCode !== null || child.signalCode !== null) resolve();
    else child.once("exit", () => resolve());
  });
}

// Slow enough for progress to be seen, fast enough for nobody to wait.
const parts = ["vae/model.safetensors:60MB", "weights/part-1.bin:100MB", "weights/part-2.bin:40MB"];
const usual = ["--rate", "6MiB", ...parts.flatMap((part) => ["--add-random", `acme/parts:${part}`])];

/** `served` is what the mock has besides its demo, as its arguments. */
export async function startRealHub(settings: Record<string, string> = {}, served = usual): Promise<RealHub> {
  if (!programs) throw new Error("modelhub and mock-hf are not built: run `cargo build --bins`");
  const { hub: hubBinary, mock: mockBinary } = programs;
  const [hubPort, adminPort, mockPort] = await Promise.all([freePort(), freePort(), freePort()]);
  const folder = mkdtempSync(join(tmpdir(), "modelhub-ui-"));
  const mockUrl = `http://127.0.0.1:${mockPort}`;
  const mock = spawn(mockBinary, ["--demo", "--listen", `127.0.0.1:${mockPort}`, ...served], { stdio: "ignore" });
  await answers(`${mockUrl}/api/models/demo/tiny-llama`);
  // The hub rejects variables that it does not know, and those that it knows would change what is tested.
  const foreign = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("MODELHUB_")));
  let child: ChildProcess | undefined;
  const admin = `http://127.0.0.1:${adminPort}`;
  const start = async (changed: Record<string, string> = {}) => {
    child = spawn(hubBinary, ["serve"], {
      stdio: process.env.E2E_LOG ? "inherit" : "ignore",
      env: {
        ...foreign,
        MODELHUB_DATA_DIR: join(folder, "data"),
        MODELHUB_HUB_LISTEN: `127.0.0.1:${hubPort}`,
        MODELHUB_ADMIN_LISTEN: `127.0.0.1:${adminPort}`,
        MODELHUB_UPSTREAM_URL: mockUrl,
        MODELHUB_UPSTREAM_CDN_HOSTS: "127.0.0.1",
        ...settings,
        ...changed,
      },
    });
    await answers(`${admin}/readyz`);
  };
  const stop = async () => {
    if (!child) return;
    child.kill("SIGTERM");
    await ended(child);
  };
  await start();
  return {
    admin,
    hub: `http://127.0.0.1:${hubPort}`,
    mock: mockUrl,
    folder,
    start,
    stop,
    end: async () => {
      await stop();
      mock.kill("SIGTERM");
      await ended(mock);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** A call of the admin API that has to succeed. */
export async function ask(hub: RealHub, method: string, path: string, body?: object): Promise<Record<string, string>> {
  const headers = { "content-type": "application/json" };
  const response = await fetch(`${hub.admin}/v1/${path}`, { method, headers, body: body && JSON.stringify(body) });
  const text = await response.text();
  expect(response.ok, `${method} ${path}: ${text}`).toBe(true);
  return JSON.parse(text);
}

/** Waits until something is read. */
export const until = (read: () => Promise<unknown>, what: string) =>
  vi.waitFor(async () => expect(await read()).toBe(what), { timeout: 20_000, interval: 100 });
