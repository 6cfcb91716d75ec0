// The dashboard as built into the program, against the real hub with a mock upstream.
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { open, serious, settled, startBrowser } from "./browser.ts";
import { aliceToken, ask, type RealHub, startRealHub, until } from "./hub.ts";

describe("the real hub", () => {
  let browser: Browser;
  let hub: RealHub;
  beforeAll(async () => {
    [browser, hub] = await Promise.all([startBrowser(), startRealHub()]);
  });
  afterAll(async () => {
    await browser.close();
    await hub.end();
  });

  test("a fresh hub says what to do first, and / leads to it", async () => {
    const { page, clean, close } = await open(browser, `${hub.admin}/`);
    await page.getByRole("heading", { name: "The hub is ready" }).waitFor();
    expect(new URL(page.url()).pathname).toBe("/ui/");
    await page.getByText(`export HF_ENDPOINT=${hub.hub}`).first().waitFor();
    expect(await serious(page)).toEqual([]);
    clean();
    await close();
  });

  test("addresses with dots in names of models are pages, absent files are not", async () => {
    const page = await fetch(`${hub.admin}/ui/models/Wan-AI/Wan2.1-T2V-1.3B`);
    expect([page.status, page.headers.get("content-type")]).toEqual([200, "text/html; charset=utf-8"]);
    expect((await fetch(`${hub.admin}/ui/assets/absent.js`)).status).toBe(404);
  });

  test("register, sync, download a model, watch it arrive, and get it from the hub", async () => {
    const { page, clean, close } = await open(browser, `${hub.admin}/ui/models?register=`);
    const dialog = page.getByRole("dialog", { name: "Register a model" });
    await dialog.getByLabel("Repository").fill("demo/sharded");
    await dialog.getByText("36 MiB in 10 files").waitFor();
    await dialog.getByRole("button", { name: "Register", exact: true }).click();
    await page.waitForURL("**/ui/models/demo/sharded");
    await page
      .getByRole("row", { name: /model-00001-of-00003/ })
      .getByText("Remote")
      .waitFor();
    await page.getByRole("button", { name: "Download…", exact: true }).click();
    await page
      .getByRole("dialog")
      .getByRole("button", { name: /^Download \d/ })
      .click();
    await page.getByRole("progressbar", { name: "Progress of demo/sharded" }).waitFor();
    await page.getByText("Downloaded", { exact: true }).waitFor({ timeout: 45_000 });
    await page
      .getByRole("row", { name: /model-00003-of-00003/ })
      .getByText("Local")
      .waitFor();
    const served = await fetch(`${hub.hub}/demo/sharded/resolve/main/model-00001-of-00003.safetensors`);
    expect(served.status).toBe(200);
    expect((await served.arrayBuffer()).byteLength).toBeGreaterThan(10_000_000);
    await page.getByRole("tab", { name: "Metadata" }).click();
    await page.getByText("LlamaForCausalLM").first().waitFor();
    await page.getByRole("radio", { name: "Tensors" }).click();
    await page
      .getByText(/model\.\S+\.weight/)
      .first()
      .waitFor();
    await page.getByRole("tab", { name: "Card" }).click();
    await page.locator(".prose").waitFor();
    await page.getByRole("tab", { name: "Activity" }).click();
    const used = page.getByRole("list", { name: "Recently used files" });
    // A client got one; the download ahead is no use.
    await expect.poll(() => used.getByRole("listitem").count()).toBe(1);
    const weights = used.getByRole("listitem").filter({ hasText: "model-00001-of-00003.safetensors" });
    expect(await weights.locator("time").getAttribute("title")).toMatch(/^\d+ \w+ \d{4}, \d\d:\d\d:\d\d$/);
    await weights.getByRole("link").click();
    await page
      .getByRole("dialog", { name: "model-00001-of-00003.safetensors" })
      .getByText("Local", { exact: true })
      .waitFor();
    clean();
    await close();
  });

  test("a folder is downloaded: its progress moves, the rest stays remote, and the hub serves it", async () => {
    const { page, clean, close } = await open(browser, `${hub.admin}/ui/models?register=acme/parts`);
    await page.getByRole("dialog").getByText("191 MiB in 4 files").waitFor();
    await page
      .getByRole("dialog")
      .getByText(/pickle/)
      .first()
      .waitFor();
    await page.getByRole("dialog").getByRole("button", { name: "Register", exact: true }).click();
    await page.waitForURL("**/ui/models/acme/parts");
    await page.getByRole("link", { name: "2 pickle files can run code" }).waitFor();
    const folder = page.getByRole("row", { name: /^Select weights/ });
    await folder.getByText("Remote").waitFor();
    // Every value that the progress bar of the job shows.
    await page.evaluate(() => {
      const seen: number[] = [];
      Object.assign(window, { seen });
      new MutationObserver(() => {
        const bar = document.querySelector('[role=progressbar][aria-label="Progress of acme/parts"]');
        const value = Number(bar?.getAttribute("aria-valuenow") ?? Number.NaN);
        if (value > (seen.at(-1) ?? 0)) seen.push(value);
      }).observe(document.body, { subtree: true, childList: true, attributes: true });
    });
    await page.getByRole("button", { name: "Download weights" }).click();
    await page
      .getByRole("dialog")
      .getByRole("button", { name: /^Download 134 MiB/ })
      .click();
    await folder.getByText("Local").waitFor({ timeout: 45_000 });
    const seen = await page.evaluate(() => (window as unknown as { seen: number[] }).seen);
    expect(seen.length, `the bar showed ${seen}`).toBeGreaterThanOrEqual(2);
    await page
      .getByRole("row", { name: /^Select vae/ })
      .getByText("Remote")
      .waitFor();
    await page.getByText("Partial", { exact: true }).waitFor();
    const served = await fetch(`${hub.hub}/acme/parts/resolve/main/weights/part-2.bin`);
    expect([served.status, (await served.arrayBuffer()).byteLength]).toEqual([200, 40_000_000]);
    clean();
    await close();
  });

  test("closing the tab does not stop the download", async () => {
    const first = await open(browser, `${hub.admin}/ui/models/acme/parts?download=true`);
    await first.page
      .getByRole("dialog")
      .getByRole("button", { name: /^Download \d/ })
      .click();
    await first.page.getByRole("progressbar", { name: "Progress of acme/parts" }).waitFor();
    await first.close();
    const { page, clean, close } = await open(browser, `${hub.admin}/ui/models/acme/parts`);
    await page.getByText("Downloaded", { exact: true }).waitFor({ timeout: 45_000 });
    clean();
    await close();
  });

  test("one file of a folder of a dataset", async () => {
    const { page, clean, close } = await open(
      browser,
      `${hub.admin}/ui/models?register=${encodeURIComponent(`${hub.mock}/datasets/demo/squad-mini`)}`,
    );
    await page.getByRole("dialog").getByText("demo/squad-mini").waitFor();
    await page.getByRole("dialog").getByRole("button", { name: "Register", exact: true }).click();
    await page.waitForURL("**/ui/models/dataset/demo/squad-mini");
    await page.getByRole("row", { name: /README/ }).waitFor();
    await page.getByRole("button", { name: "Download README.md" }).click();
    await page
      .getByRole("dialog")
      .getByRole("button", { name: /^Download \d/ })
      .click();
    await page
      .getByRole("row", { name: /README/ })
      .getByText("Local")
      .waitFor({ timeout: 20_000 });
    clean();
    await close();
  });

  test("a job that failed says why; with the right token it runs", async () => {
    const { page, clean, close } = await open(browser, `${hub.admin}/ui/settings`);
    await fetch(`${hub.admin}/v1/models`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: '{"repo_id":"demo/gated"}',
    });
    await page.goto(`${hub.admin}/ui/jobs?status=failed`);
    await page
      .getByRole("table", { name: "Jobs" })
      .getByRole("link", { name: "demo/gated" })
      .click({ timeout: 20_000 });
    await page.getByRole("heading", { name: "What went wrong" }).waitFor();
    const failed = page.url();
    // The error leads to the setting that helps.
    await page.getByRole("alert").getByRole("link", { name: "Hugging Face token" }).click();
    await page.waitForURL("**/ui/settings#token");
    await page.getByLabel("Token", { exact: true }).fill(aliceToken);
    await page.getByRole("button", { name: "Test" }).click();
    await page.getByText(/belongs to alice/).waitFor();
    await page.locator("#token").getByRole("button", { name: "Save" }).click();
    await page.getByText("Token saved").waitFor();
    expect(await page.content()).not.toContain(aliceToken);
    await page.goto(failed);
    await page.getByRole("button", { name: "Retry" }).click();
    await page.getByText("Completed", { exact: true }).waitFor({ timeout: 20_000 });
    clean();
    await close();
  });

  test("a folder of this machine is imported", async () => {
    const folder = join(hub.folder, "import");
    const target = join(folder, "demo", "tiny-llama");
    mkdirSync(target, { recursive: true });
    for (const name of ["config.json", "model.safetensors"]) {
      const file = await fetch(`${hub.mock}/demo/tiny-llama/resolve/main/${name}`);
      writeFileSync(join(target, name), Buffer.from(await file.arrayBuffer()));
    }
    const { page, clean, close } = await open(browser, `${hub.admin}/ui/storage?dialog=import`);
    await page.getByLabel("Folder on this machine").fill(folder);
    await page.getByRole("button", { name: "Preview" }).click();
    await page.getByRole("dialog").getByText("demo/tiny-llama", { exact: true }).waitFor();
    await page.getByRole("button", { name: /^Import \d/ }).click();
    await page.getByRole("button", { name: "Show" }).click();
    await page.getByText("Completed", { exact: true }).waitFor({ timeout: 30_000 });
    await page.goto(`${hub.admin}/ui/models/demo/tiny-llama`);
    await page
      .getByRole("row", { name: /model\.safetensors/ })
      .getByText("Local")
      .waitFor({ timeout: 20_000 });
    clean();
    await close();
  });

  test("searches and filters by address", async () => {
    const { page, clean, close } = await open(browser, `${hub.admin}/ui/models?q=demo&download=complete`);
    await page.getByRole("link", { name: "demo/sharded" }).waitFor();
    expect(await page.getByRole("link", { name: "demo/gated" }).count()).toBe(0);
    await page.getByRole("combobox", { name: "Kind" }).selectOption("dataset");
    await page.getByText("No models match").waitFor();
    await page.reload();
    await page.getByText("No models match").waitFor();
    clean();
    await close();
  });

  test("space is freed line by line: what is old, and what exists nowhere else only by name and words", async () => {
    const own = join(hub.folder, "own", "acme", "own");
    mkdirSync(own, { recursive: true });
    writeFileSync(join(own, "config.json"), "{}");
    writeFileSync(join(own, "pytorch_model.bin"), Buffer.alloc(3_000_000, 7));
    const { id } = await ask(hub, "POST", "scans", { path: join(hub.folder, "own") });
    await until(async () => (await ask(hub, "GET", `jobs/${id}`)).status, "completed");
    const { page, clean, close } = await open(browser, `${hub.admin}/ui/storage?dialog=evict`);
    const dialog = page.getByRole("dialog");
    const remove = dialog.getByRole("button", { name: /^Remove/ });
    // All of it was used today.
    await dialog.getByText(/^Nothing to remove/).waitFor();
    await dialog.getByLabel("Not used for").selectOption("0");
    await dialog.getByText("Enter a size, or how long models were not used.").waitFor();
    await dialog.getByLabel("Free at least").fill("1 TiB");
    await dialog.getByText("Nothing that may be removed would be left").waitFor();
    expect(await remove.isDisabled()).toBe(true);
    const plan = await ask(hub, "POST", "storage/evict/plan", { free_bytes: "1099511627776" });
    const models = (plan.models as unknown as { name: string; files: string }[]).filter((one) => one.files !== "0");
    const names = () => dialog.getByRole("row").locator("td:nth-child(2)").allTextContents();
    expect(await names()).toEqual(models.map((one) => one.name.replace(/^model\//, "")));
    expect(await names()).not.toContain("acme/own");
    expect(await serious(page)).toEqual([]);
    // One model, and the one that exists nowhere else.
    await dialog.getByRole("checkbox", { name: "All models" }).uncheck();
    await dialog.getByRole("checkbox", { name: "Also remove what cannot be downloaded again" }).check();
    await dialog.getByRole("checkbox", { name: "Remove acme/own" }).check();
    await dialog.getByRole("checkbox", { name: "Remove acme/parts" }).check();
    await dialog.getByRole("list", { name: "Lost for good" }).getByText("acme/own, 2.86 MiB").waitFor();
    expect(await remove.isDisabled()).toBe(true);
    await dialog.getByLabel("Type remove for good to confirm").fill("remove for good");
    expect(await serious(page)).toEqual([]);
    await remove.click();
    await page.getByRole("button", { name: "Show" }).click();
    await page.getByText("Completed", { exact: true }).waitFor({ timeout: 20_000 });
    const here = async (model: string) => (await ask(hub, "GET", `models/${model}`)).download;
    expect(await Promise.all(["acme/own", "acme/parts", "demo/sharded"].map(here))).toEqual([
      "none",
      "none",
      "complete",
    ]);
    clean();
    await close();
  });

  test("the page says when the hub is gone, and recovers when it is back", async () => {
    const { page, clean, close } = await open(browser, `${hub.admin}/ui/jobs`);
    await page.locator("[data-connection=live]").first().waitFor();
    await hub.stop();
    await page.getByText("The hub is not responding.", { exact: false }).first().waitFor();
    await hub.start();
    await page.locator("[data-connection=live]").first().waitFor({ timeout: 30_000 });
    await fetch(`${hub.admin}/v1/models/demo/sharded/sync`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: "{}",
    });
    await page
      .getByRole("table", { name: "Jobs" })
      .getByRole("row", { name: /demo\/sharded.*(just now|seconds? ago)/ })
      .first()
      .waitFor({ timeout: 20_000 });
    clean(/ERR_CONNECTION|ERR_INCOMPLETE|ERR_EMPTY|ERR_ABORTED|Failed to load resource/);
    await close();
  });

  test.each([
    ["light", 1280],
    ["dark", 360],
  ] as const)("axe finds nothing serious, %s at %i pixels", async (colorScheme, width) => {
    const { page, clean, close } = await open(browser, `${hub.admin}/ui/`, {
      colorScheme,
      viewport: { width, height: 800 },
    });
    for (const path of [
      "",
      "models",
      "models/demo/sharded",
      "models/demo/sharded?tab=metadata",
      "models/demo/sharded?tab=activity",
      "models/demo/gated",
      "jobs",
      "storage",
      "settings",
    ]) {
      await page.goto(`${hub.admin}/ui/${path}`);
      await page.getByRole("heading", { level: 1 }).waitFor();
      await settled(page);
      expect(await serious(page), path).toEqual([]);
      const over = await page.evaluate(
        () => document.documentElement.scrollWidth - document.documentElement.clientWidth,
      );
      expect(over, `${path}: pixels that stick out to the right`).toBeLessThanOrEqual(0);
    }
    clean();
    await close();
  });
});
