// What the first screen costs on the wire, measured in the browser's network stack with the real hub behind it.
import { get } from "node:http";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { open, settled, startBrowser } from "./browser.ts";
import { type RealHub, startRealHub } from "./hub.ts";

let browser: Browser;
let hub: RealHub;
beforeAll(async () => {
  [browser, hub] = await Promise.all([startBrowser(), startRealHub()]);
  for (const repo_id of ["demo/tiny-llama", "demo/sharded"])
    await fetch(`${hub.admin}/v1/models`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ repo_id }),
    });
});
afterAll(async () => {
  await browser.close();
  await hub.end();
});

interface Sent {
  path: string;
  bytes: number;
}

/** Loads a screen in a browser that has seen nothing of the hub, and tells what went over the wire. */
async function load(path: string): Promise<Sent[]> {
  const { page, clean, close } = await open(browser, `${hub.admin}/ui/icon.svg`);
  const wire = await page.context().newCDPSession(page);
  await wire.send("Network.enable");
  const sent = new Map<string, Sent>();
  wire.on("Network.requestWillBeSent", ({ requestId, request }) => {
    const { pathname, search } = new URL(request.url);
    sent.set(requestId, { path: pathname + search, bytes: 0 });
  });
  wire.on("Network.responseReceived", ({ requestId, response }) => {
    const one = sent.get(requestId);
    if (one) one.bytes = response.encodedDataLength;
  });
  wire.on("Network.loadingFinished", ({ requestId, encodedDataLength }) => {
    const one = sent.get(requestId);
    if (one) one.bytes = encodedDataLength;
  });
  await page.goto(`${hub.admin}/ui/${path}`);
  await page.locator("[data-connection=live]").first().waitFor();
  await settled(page);
  // What the page asks for a little later, after the stream of events has begun, belongs to it too.
  await page.waitForTimeout(2_000);
  // Of the page before, which has no icon of its own.
  clean(/status of 404/);
  await close();
  return [...sent.values()];
}

test.each(["", "models", "jobs", "storage", "settings"])(
  "/ui/%s: few requests, few bytes, each question once",
  async (path) => {
    const sent = await load(path);
    const bytes = sent.reduce((sum, one) => sum + one.bytes, 0);
    const list = sent.map((one) => `${one.bytes} ${one.path}`).join("\n");
    console.log(`/ui/${path}: ${sent.length} requests, ${(bytes / 1000).toFixed(1)} kB`);
    expect(sent.length, list).toBeLessThanOrEqual(20);
    if (path === "") expect(bytes, list).toBeLessThanOrEqual(200_000);
    const paths = sent.map((one) => one.path);
    expect(
      paths.filter((one, at) => paths.indexOf(one) !== at),
      "asked twice",
    ).toEqual([]);
  },
);

test("files of the dashboard come compressed for who takes that, and are not sent twice", async () => {
  const html = await (await fetch(`${hub.admin}/ui/`)).text();
  const script = /src="(\/ui\/assets\/first-[^"]+\.js)"/.exec(html)?.[1] ?? "";
  const ask = (headers: Record<string, string>, path = script) =>
    new Promise<{ status: number; headers: Record<string, unknown>; bytes: number }>((resolve, reject) => {
      get(`${hub.admin}${path}`, { headers }, async (response) => {
        let bytes = 0;
        for await (const chunk of response) bytes += chunk.length;
        resolve({ status: response.statusCode ?? 0, headers: response.headers, bytes });
      }).on("error", reject);
    });
  const plain = await ask({});
  const brotli = await ask({ "accept-encoding": "gzip, deflate, br" });
  const gzip = await ask({ "accept-encoding": "gzip, br;q=0" });
  expect(plain.headers["content-encoding"]).toBeUndefined();
  expect([brotli.headers["content-encoding"], gzip.headers["content-encoding"]]).toEqual(["br", "gzip"]);
  expect(brotli.bytes).toBeLessThan(gzip.bytes);
  expect(gzip.bytes * 3).toBeLessThan(plain.bytes);
  const answers = [plain, brotli, gzip];
  for (const one of answers) expect(one.headers.vary).toContain("accept-encoding");
  expect(new Set(answers.map((one) => one.headers.etag)).size).toBe(3);
  for (const path of [script, "/ui/"]) {
    const before = await ask({ "accept-encoding": "br" }, path);
    const again = await ask({ "accept-encoding": "br", "if-none-match": String(before.headers.etag) }, path);
    expect([again.status, again.bytes, again.headers.etag]).toEqual([304, 0, before.headers.etag]);
  }
});
