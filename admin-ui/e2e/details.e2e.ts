// What single screens of the real hub say, each once said wrongly or not at all.
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { open, serious, settled, startBrowser } from "./browser.ts";
import { aliceToken, ask, type RealHub, startRealHub, until } from "./hub.ts";

let browser: Browser;
let hub: RealHub;

const api = (method: string, path: string, body?: object) => ask(hub, method, path, body);

beforeAll(async () => {
  [browser, hub] = await Promise.all([startBrowser(), startRealHub()]);
});
afterAll(async () => {
  await browser.close();
  await hub.end();
});

test.each([360, 700, 1000, 1279])(
  "the first screen of a fresh hub fits into %i pixels and leaves no hole",
  async (width) => {
    const { page, clean, close } = await open(browser, `${hub.admin}/ui/`, { viewport: { width, height: 800 } });
    await page.getByRole("heading", { name: "The hub is ready" }).waitFor();
    await settled(page);
    const out = await page.evaluate(() => {
      const main = document.querySelector("main");
      // What scrolls inside itself may be wider.
      const inside = [...(main?.querySelectorAll("*") ?? [])].filter((one) => !one.closest("pre"));
      return inside.filter((one) => one.getBoundingClientRect().right > innerWidth + 0.5).map((one) => one.outerHTML);
    });
    expect(out).toEqual([]);
    const over = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    expect(over, "pixels that stick out to the right").toBeLessThanOrEqual(0);
    const strip = page.getByRole("region", { name: "Overview" });
    const frame = await strip.boundingBox();
    const last = await strip.getByRole("link").last().boundingBox();
    expect((last?.x ?? 0) + (last?.width ?? 0)).toBeGreaterThan((frame?.x ?? 0) + (frame?.width ?? 0) - 3);
    clean();
    await close();
  },
);

test.each([
  ["jobs/abc", "Job not found"],
  ["jobs/01a2299c-c94b-70d0-ad89-57305d90c88d", "Job not found"],
  ["models/no/such", "Unknown model no/such"],
  ["models/a%20b", "Page not found"],
  ["nowhere", "Page not found"],
])("/ui/%s is not found, and there is nothing to try again", async (path, words) => {
  const { page, clean, close } = await open(browser, `${hub.admin}/ui/${path}`);
  await page.getByText(words).waitFor();
  expect(await page.getByRole("button", { name: "Try again" }).count()).toBe(0);
  expect(await serious(page)).toEqual([]);
  clean(/status of 40[04]/);
  await close();
});

test("a gated model says what is missing, and what was asked for runs once the hub has the token", async () => {
  const { page, clean, close } = await open(browser, `${hub.admin}/ui/models?register=demo/gated`);
  const dialog = page.getByRole("dialog", { name: "Register a model" });
  await dialog.getByText("This hub has no token").waitFor();
  const request = dialog.getByRole("link", { name: /^Request access on/ });
  expect(await request.getAttribute("href")).toBe(`${hub.mock}/demo/gated`);
  expect(await request.getAttribute("rel")).toBe("noreferrer");
  await dialog.getByRole("checkbox", { name: "Download its files once the hub has access" }).check();
  await dialog.getByRole("button", { name: "Register and download" }).click();
  await page.waitForURL("**/ui/models/demo/gated");
  const main = page.getByRole("main");
  await main.getByText("This hub has no token").waitFor();
  await main.getByRole("link", { name: /^Request access on/ }).waitFor();
  expect(await serious(page)).toEqual([]);
  const failed = async () => (await api("GET", "overview")).jobs_failed;
  await until(failed, "2");

  await main.getByRole("link", { name: "Set a token" }).click();
  await page.waitForURL("**/ui/settings#token");
  await page.getByLabel("Token", { exact: true }).fill(aliceToken);
  await page.locator("#token").getByRole("button", { name: "Save" }).click();
  await page.getByText("Token saved").waitFor();
  await page.goBack();
  await page.getByText("Access to demo/gated granted; retrying").waitFor();
  await page.getByText("Downloaded", { exact: true }).waitFor({ timeout: 20_000 });
  expect(await main.getByText("This hub has no token").count()).toBe(0);
  clean(/status of 40[13]/);
  await close();
});

test("folders come before files, and a pinned model is unpinned before its files go", async () => {
  await api("POST", "models", { repo_id: "acme/parts" });
  await until(async () => (await api("GET", "models/acme/parts")).status, "synced");
  const { page, clean, close } = await open(browser, `${hub.admin}/ui/models/acme/parts`);
  const rows = page.getByRole("treegrid", { name: "Files" }).getByRole("row");
  await page.getByRole("row", { name: /^Select weights/ }).waitFor();
  const kinds = await rows.evaluateAll((all) =>
    all.slice(1).map((one) => (one.hasAttribute("aria-expanded") ? "folder" : "file")),
  );
  expect(kinds).toEqual(["folder", "folder", "file"]);

  await page.goto(`${hub.admin}/ui/models/demo/gated`);
  await page.getByRole("button", { name: /^Pin: / }).click();
  await page.getByRole("button", { name: /^Pinned: press/ }).waitFor();
  await page.getByRole("button", { name: "More actions", exact: true }).click();
  await page.getByRole("menuitem", { name: /^Remove all files/ }).click();
  const dialog = page.getByRole("dialog");
  expect(await dialog.getByRole("button", { name: /^Remove/ }).count()).toBe(0);
  await dialog.getByRole("button", { name: "Unpin" }).click();
  await dialog.getByRole("button", { name: /^Remove \d/ }).click();
  await page.getByText(/^Removing/).waitFor();
  clean();
  await close();
});

test("what a paused download has got is on disk, and looking at a model is no use of it", async () => {
  const { id } = await api("POST", "models/acme/parts/download", {});
  const done = async () =>
    Number(((await api("GET", `jobs/${id}`)).progress as unknown as { bytes_done: string }).bytes_done);
  await vi.waitFor(async () => expect(await done()).toBeGreaterThan(1e6), { timeout: 20_000, interval: 50 });
  await api("POST", `jobs/${id}/pause`, {});
  await until(async () => (await api("GET", `jobs/${id}`)).status, "paused");
  const { page, clean, close } = await open(browser, `${hub.admin}/ui/models/acme/parts?view=flat`);
  const row = page.getByRole("row", { name: /^Select part-1\.bin/ });
  await row.getByRole("progressbar").waitFor();
  expect(await row.getByText("Remote").count()).toBe(0);
  const used = (await api("GET", "models/acme/parts")).last_used_at;
  await page.getByRole("tab", { name: "Metadata" }).click();
  await page.getByRole("radiogroup").first().waitFor();
  await page.getByRole("tab", { name: "Card" }).click();
  await settled(page);
  expect((await api("GET", "models/acme/parts")).last_used_at).toBe(used);
  await api("POST", `jobs/${id}/cancel`, {});
  clean();
  await close();
});

test("to cancel is one thing and to keep another; jobs are shown by the time that they are sorted by", async () => {
  const { id } = await api("POST", "models/acme/parts/download", {});
  await api("POST", `jobs/${id}/pause`, {});
  // Ordered later, and ended before it.
  const later = await api("POST", "models/acme/parts/sync", {});
  await until(async () => (await api("GET", `jobs/${later.id}`)).status, "completed");
  const { page, clean, close } = await open(browser, `${hub.admin}/ui/jobs/${id}`);
  await page.getByRole("button", { name: "Cancel", exact: true }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByText(/it can be retried later/).waitFor();
  const names = await dialog.getByRole("button").evaluateAll((all) => all.map((one) => one.textContent));
  expect(names.filter(Boolean)).toEqual(["Keep job", "Cancel job"]);
  await dialog.getByRole("button", { name: "Cancel job" }).click();
  await page.getByText("Cancelled", { exact: true }).waitFor();
  await page.goto(`${hub.admin}/ui/jobs`);
  const table = page.getByRole("table", { name: "Jobs" });
  await table.getByRole("columnheader", { name: "Finished" }).waitFor();
  await expect.poll(() => table.locator("time").count()).toBeGreaterThan(2);
  await table.getByRole("row").nth(1).getByText("Cancelled").waitFor();
  const times = await table.locator("time").evaluateAll((all) => all.map((one) => one.getAttribute("datetime")));
  expect(times).toEqual([...times].sort().reverse());
  clean();
  await close();
});

test("what the store keeps is shown with where it was set", async () => {
  await hub.stop();
  await hub.start({ MODELHUB_STORE_PIN: "acme/*,demo/gated", MODELHUB_STORE_KEEP_FREE: "1MiB" });
  const { page, clean, close } = await open(browser, `${hub.admin}/ui/settings#storage`);
  const kept = page.getByRole("region", { name: "What is kept" });
  await kept.getByText("acme/*, demo/gated (set in MODELHUB_STORE_PIN)").waitFor();
  await kept.getByText("1MiB (set in MODELHUB_STORE_KEEP_FREE)").waitFor();
  await kept.getByText("10m").waitFor();
  clean();
  await close();
});

test("the bar of the store shows the store, of its limit where it has one, and the disk's other files apart", async () => {
  const { page, clean, close } = await open(browser, `${hub.admin}/ui/`);
  await page.getByRole("img", { name: /^The store uses .+ of the disk, other files .+$/ }).waitFor();
  await api("PATCH", "settings", { store_limit_bytes: "1073741824" });
  await page.reload();
  await page.getByRole("img", { name: /^The store uses .+ of its limit$/ }).waitFor();
  await page.getByText(/of 1 GiB/).waitFor();
  clean();
  await close();
});
