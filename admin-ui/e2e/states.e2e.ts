// What screens show when there is nothing, when something fails, and in every state of jobs and upstream.
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { open, serious, settled, startBrowser } from "./browser.ts";
import { type FakeHub, startFakeHub } from "./server.ts";

let browser: Browser;
let hub: FakeHub;
let fresh: FakeHub;
beforeAll(async () => {
  [browser, hub, fresh] = await Promise.all([startBrowser(), startFakeHub(), startFakeHub(true)]);
});
afterAll(async () => {
  await browser.close();
  await Promise.all([hub.stop(), fresh.stop()]);
});

describe("a fresh hub", () => {
  test.each([
    ["/models", "No models yet"],
    ["/jobs", "No active jobs"],
    ["/jobs", "No finished jobs yet"],
    ["/storage", "No files stored yet"],
    ["/storage?dialog=evict", "Nothing to remove"],
  ])("%s says: %s", async (path, words) => {
    const { page, clean, close } = await open(browser, `${fresh.url}/ui${path}`);
    await page.getByText(words).first().waitFor();
    expect(await serious(page)).toEqual([]);
    clean();
    await close();
  });
});

describe("an error says what it is, and offers another try", () => {
  test.each([
    ["/", "Saved by the cache"],
    ["/models", "01-ai/"],
    ["/models/Qwen/Qwen3-8B", ".gitattributes"],
    ["/models/Qwen/Qwen3-8B?tab=metadata", "Attention heads"],
    ["/models/Qwen/Qwen3-8B?tab=card", "Highlights"],
    ["/jobs", "History"],
    ["/storage", "Store limit"],
    ["/settings", "Download window"],
  ])("%s", async (path, shows) => {
    const { page, close } = await open(browser, `${hub.url}/ui/nowhere`);
    await page.route("**/v1/**", (route) =>
      route.request().url().includes("/v1/events")
        ? route.continue()
        : route.fulfill({
            status: 400,
            contentType: "application/problem+json",
            body: JSON.stringify({ title: "Not now", detail: "The database is being moved." }),
          }),
    );
    await page.goto(`${hub.url}/ui${path}`);
    await page.getByText("The database is being moved.").first().waitFor();
    expect(await serious(page)).toEqual([]);
    await page.unroute("**/v1/**");
    // Several parts of a screen may have failed, each with its own button.
    await page.getByRole("button", { name: "Try again" }).first().click();
    await page.getByText(shows, { exact: false }).first().waitFor();
    await close();
  });
});

test("the state of upstream is shown in words", async () => {
  const { page, clean, close } = await open(browser, `${hub.url}/ui/nowhere`);
  const overview = await (await page.request.get(`${hub.url}/v1/overview`)).json();
  const say = async (upstream: object, short: string, long: RegExp) => {
    // Answered at once: a handler that fetched could still be at it when the page moves on.
    const json = { ...overview, upstream: { url: "https://huggingface.co", ...upstream } };
    await page.route("**/v1/overview", (route) => route.fulfill({ json }));
    await page.goto(`${hub.url}/ui/`);
    await page.getByRole("main").getByText(short).first().waitFor();
    await page.goto(`${hub.url}/ui/settings`);
    await page.getByRole("main").getByText(long).waitFor();
    await page.unrouteAll({ behavior: "wait" });
  };
  await say({ state: "ok" }, "Hugging Face reachable", /huggingface\.co is responding/);
  await say({ state: "down" }, "Hugging Face unreachable", /is not responding\. Cached files are still served/);
  await say({ state: "offline" }, "Offline mode", /is not contacted/);
  await say(
    { state: "rate_limited", limited_until: "2026-11-25T20:10:02Z" },
    "Rate limited by Hugging Face",
    /asked the hub to wait until 2[56] Nov 2026/,
  );
  await say(
    { state: "token_refused" },
    "Hugging Face refuses the hub's token",
    /refuses the hub's own token\. Set a valid one, or none/,
  );
  clean();
  await close();
});

test("a token that upstream refuses is a notice on the dashboard until the token is right", async () => {
  const { page, clean, close } = await open(browser, `${hub.url}/ui/nowhere`);
  const overview = await (await page.request.get(`${hub.url}/v1/overview`)).json();
  const notice = page.getByRole("main").getByText(/refuses the hub's own token\. Set a valid one, or none/);
  for (const state of ["token_refused", "ok", "token_refused", "ok"]) {
    const json = { ...overview, upstream: { url: "https://huggingface.co", state } };
    await page.route("**/v1/overview", (route) => route.fulfill({ json }));
    await page.goto(`${hub.url}/ui/`);
    await page.getByRole("region", { name: "Overview" }).waitFor();
    expect(await notice.count()).toBe(state === "ok" ? 0 : 1);
    await page.unrouteAll({ behavior: "wait" });
    if (state === "ok") continue;
    await settled(page);
    expect(await serious(page)).toEqual([]);
    await page.getByRole("link", { name: "Change token" }).click();
    await page.waitForURL("**/ui/settings#token");
  }
  clean();
  await close();
});

test("a job is paused, resumed, and cancelled after the dialog says what is kept", async () => {
  const { page, clean, close } = await open(browser, `${hub.url}/ui/jobs`);
  const job = page.locator("article", { hasText: "Wan-AI/Wan2.1-T2V-1.3B-Diffusers" });
  await job.getByRole("button", { name: /^Pause download/ }).click();
  await job.getByText("Paused").waitFor();
  await job.getByRole("button", { name: /^Resume download/ }).click();
  // It runs, or waits while another job has its slot.
  await job.getByRole("button", { name: /^Pause download/ }).waitFor();
  await job.getByRole("button", { name: /^Cancel download/ }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByText(/The [\d.]+ GiB downloaded so far is kept/).waitFor();
  expect(await serious(page)).toEqual([]);
  await dialog.getByRole("button", { name: "Cancel job" }).click();
  await page
    .getByRole("table", { name: "Jobs" })
    .getByRole("row", { name: /Wan2\.1.*Cancelled/ })
    .waitFor();
  clean();
  await close();
});

test("the history is searched by text, kind, status, model and time, all in the address", async () => {
  const { page, clean, close } = await open(browser, `${hub.url}/ui/jobs`);
  const table = page.getByRole("table", { name: "Jobs" });
  await table.getByRole("row").nth(3).waitFor();
  await page.keyboard.press("/");
  await page.keyboard.type("hash");
  await page.getByRole("combobox", { name: "Status" }).selectOption("failed");
  await page.getByRole("combobox", { name: "Kind" }).selectOption("download");
  await page.getByRole("combobox", { name: "Time" }).selectOption("month");
  const wanted = { q: "hash", status: "failed", kind: "download", since: "month" };
  await page.waitForURL((url) => Object.entries(wanted).every(([key, value]) => url.searchParams.get(key) === value));
  await page.reload();
  await settled(page);
  const rows = (await table.getByRole("row").allInnerTexts()).slice(1);
  expect(rows.length).toBeGreaterThan(0);
  for (const row of rows) expect(row).toMatch(/Download[\s\S]*Failed[\s\S]*hash/);
  await page.goto(`${hub.url}/ui/models/Qwen/Qwen3-8B?tab=activity`);
  await page.getByRole("link", { name: "Search jobs" }).click();
  await page.getByRole("button", { name: /^Model: Qwen\/Qwen3-8B/ }).waitFor();
  clean();
  await close();
});

test("recently used files: read on every visit, each with a link; loading and failing are shown", async () => {
  const { page, clean, close } = await open(browser, `${hub.url}/ui/models/Wan-AI/Wan2.1-T2V-1.3B-Diffusers`);
  let answer: "fail" | "late" | "none" = "fail";
  await page.route("**/uses?*", async (route) => {
    if (answer === "fail")
      return route.fulfill({
        status: 400,
        contentType: "application/problem+json",
        body: JSON.stringify({ title: "Not now", detail: "The database is being moved." }),
      });
    if (answer === "none") return route.fulfill({ json: { uses: [], commit: "" } });
    await new Promise((resolve) => setTimeout(resolve, 400));
    return route.continue();
  });
  const section = page.locator("section", { has: page.getByRole("heading", { name: "Last used" }) });
  const list = section.getByRole("list", { name: "Recently used files" });
  await page.getByRole("tab", { name: "Activity" }).click();
  await section.getByText("The database is being moved.").waitFor();
  expect(await serious(page)).toEqual([]);
  answer = "late";
  await section.getByRole("button", { name: "Try again" }).click();
  await section.locator(".skeleton").first().waitFor();
  expect(await serious(page)).toEqual([]);
  await list.waitFor();
  const lines = list.getByRole("listitem");
  // As many as were downloaded until the test above cancelled the job.
  const model = hub.fake.find("Wan-AI/Wan2.1-T2V-1.3B-Diffusers");
  expect(await lines.count()).toBe(model?.files().filter((file) => file.here >= file.size).length);
  const times = await list.locator("time").evaluateAll((all) => all.map((one) => one.getAttribute("datetime") ?? ""));
  expect(times).toEqual([...times].sort().reverse());
  expect(await lines.first().locator("time").getAttribute("title")).toMatch(/^\d+ \w+ \d{4}, \d\d:\d\d:\d\d$/);
  await list.getByRole("link", { name: "text_encoder/config.json" }).click();
  await page.waitForURL(/open=.*text_encoder/);
  await page.getByRole("dialog", { name: "text_encoder/config.json" }).waitFor();
  await page.keyboard.press("Escape");
  await page.getByRole("row", { name: /^Select model-00001-of-00003/ }).waitFor();
  answer = "none";
  await page.getByRole("tab", { name: "Activity" }).click();
  await section.getByText("No files used yet").waitFor();
  clean(/status of 400/);
  await close();
});

test("the lifetimes of the cache are shown with where they are changed", async () => {
  const { page, clean, close } = await open(browser, `${hub.url}/ui/settings`);
  const times = page.getByRole("region", { name: "Cache lifetimes" });
  await times.getByText("under [cache]; changes apply after a restart").waitFor();
  for (const time of ["1 h", "1 min", "10 s", "30 s", "7 days"]) await times.getByText(time, { exact: true }).waitFor();
  expect(await times.getByText("7 days").getAttribute("title")).toBe("offline_grace: 604,800 seconds");
  clean();
  await close();
});

test("the entire store is verified on demand, and times and sizes are exact on hover", async () => {
  const { page, clean, close } = await open(browser, `${hub.url}/ui/storage?order=used`);
  const row = page.getByRole("table").getByRole("row").nth(1);
  await expect.poll(() => row.locator("time").getAttribute("title")).toMatch(/^\d+ \w+ \d{4}, \d\d:\d\d:\d\d$/);
  await row.locator('[title$=" bytes"]').first().waitFor();
  await page.getByRole("button", { name: "Verify" }).click();
  await page
    .getByRole("dialog")
    .getByText(/Reads [\d.]+ TiB/)
    .waitFor();
  await page.getByRole("button", { name: "Verify now" }).click();
  await page.getByRole("button", { name: "Show" }).click();
  await page.getByRole("heading", { name: "Verification of the store" }).waitFor();
  clean();
  await close();
});
