// What people do with the dashboard, from the first click to the last notification.
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Json } from "../dev/fake/views.ts";
import { open, serious, startBrowser } from "./browser.ts";
import { type FakeHub, startFakeHub } from "./server.ts";

let browser: Browser;
let hub: FakeHub;
beforeAll(async () => {
  [browser, hub] = await Promise.all([startBrowser(), startFakeHub()]);
  hub.fake.jobs.atOnce = 9;
});
afterAll(async () => {
  await browser.close();
  await hub.stop();
});

test("register, see the sync, download, watch it arrive", async () => {
  const { page, clean, close } = await open(browser, `${hub.url}/ui/models`);
  await page.getByRole("button", { name: "Register" }).click();
  const dialog = page.getByRole("dialog", { name: "Register a model" });
  await dialog.getByLabel("Repository").fill('hf download acme/tiny-model --include "*.json"');
  await dialog.getByText("acme/tiny-model").waitFor();
  await dialog.getByText("Download the files selected by the command now").waitFor();
  // Clicked twice, registered once.
  await dialog.getByRole("button", { name: "Register", exact: true }).dblclick();
  await page.waitForURL("**/ui/models/acme/tiny-model");
  expect(hub.fake.models.filter((model) => model.repoId === "acme/tiny-model")).toHaveLength(1);
  await page.getByText("tokenizer_config.json").waitFor();

  await page.getByRole("checkbox", { name: "Select config.json" }).click();
  await page.getByRole("region", { name: "Selection" }).getByText("1 file selected").waitFor();
  await page.getByRole("button", { name: "Clear selection" }).click();

  await page.getByRole("button", { name: "Download…", exact: true }).click();
  await page.getByRole("dialog").getByText("Free after download").waitFor();
  await page
    .getByRole("dialog")
    .getByRole("button", { name: /^Download \d/ })
    .click();
  await page.getByRole("progressbar", { name: "Progress of acme/tiny-model" }).waitFor();
  await page.getByText("Downloaded", { exact: true }).waitFor({ timeout: 30_000 });
  await page
    .getByRole("row", { name: /model-00005-of-00005/ })
    .getByText("Local")
    .waitFor();
  clean();
  await close();
});

test("after a lost connection and a double click, there is one job with the selection", async () => {
  const { page, clean, close } = await open(browser, `${hub.url}/ui/models/bartowski/Qwen3-30B-A3B-GGUF?download=true`);
  const dialog = page.getByRole("dialog");
  await dialog.getByRole("radio", { name: /One quantisation/ }).click();
  await dialog.getByRole("radio", { name: /^Q6_K/ }).click();
  await page.waitForURL(/preset=gguf&quant=Q6_K/);
  const jobs = () => hub.fake.jobs.list.filter((job) => (job.payload.selection as Json)?.quantisation === "Q6_K");
  const before = jobs().length;
  await page.route("**/download", (route) => route.abort());
  await dialog.getByRole("button", { name: "Download 25.1 GiB" }).click();
  await dialog.getByText("Could not start the download").waitFor();
  await page.unroute("**/download");
  // The selection is kept, also after a reload.
  await page.reload();
  await dialog.getByRole("button", { name: "Download 25.1 GiB" }).dblclick();
  await page.getByText(/^Downloading 25.1 GiB/).waitFor();
  expect(jobs().length).toBe(before + 1);
  clean(/ERR_FAILED/);
  await close();
});

test("the guide to moving the store says how much, whether it fits, and which commands to run", async () => {
  const { page, clean, close } = await open(browser, `${hub.url}/ui/settings#storage`);
  await page.getByRole("button", { name: "Move the store…" }).click();
  const dialog = page.getByRole("dialog", { name: "Move the store" });
  const field = dialog.getByLabel("New folder");
  await field.fill("/var/lib/modelhub/new");
  await dialog.getByText("This is inside the folder being moved.").waitFor();
  await field.fill("/srv/models");
  await dialog.getByText(/Not enough space: .* TiB to move, 301 GiB free on \//).waitFor();
  await field.fill("/mnt/array/models");
  await dialog.getByText(/TiB to move; 180 TiB free on \/mnt\/array/).waitFor();
  await page.waitForURL(/folder=/);
  await page.reload();
  await dialog.getByText("sudo systemctl stop modelhub").waitFor();
  await dialog.getByRole("radio", { name: "in a shell" }).click();
  await dialog.getByText("MODELHUB_DATA_DIR=/mnt/array/models modelhub serve").waitFor();
  expect(await dialog.getByRole("listitem").count()).toBe(4);
  expect(await serious(page)).toEqual([]);
  await dialog.getByRole("link", { name: "Verify the store" }).click();
  await page.getByRole("dialog", { name: "Verify entire store" }).waitFor();
  clean();
  await close();
});

test("a gated model says why it cannot be downloaded", async () => {
  const { page, clean, close } = await open(
    browser,
    `${hub.url}/ui/models/meta-llama/Llama-3.1-8B-Instruct?download=true`,
  );
  await page
    .getByRole("dialog")
    .getByRole("button", { name: /^Download \d/ })
    .click();
  await page.getByText("Could not start the download").waitFor();
  await page
    .getByRole("dialog")
    .getByText(/request access on Hugging Face first/)
    .waitFor();
  clean(/403/);
  await close();
});

test("a failed download is retried and resumes", async () => {
  const { page, clean, close } = await open(browser, `${hub.url}/ui/models?register=acme/trouble`);
  await page.getByRole("dialog").getByRole("button", { name: "Register", exact: true }).click();
  await page.getByRole("button", { name: "Download…", exact: true }).click();
  await page
    .getByRole("dialog")
    .getByRole("button", { name: /^Download \d/ })
    .click();
  await page.getByRole("tab", { name: "Activity" }).click();
  await page.getByRole("link", { name: "Download", exact: true }).first().click();
  await page.getByRole("heading", { name: "What went wrong" }).waitFor({ timeout: 30_000 });
  await page.getByText("a retry resumes from there", { exact: false }).first().waitFor();
  await page.getByRole("button", { name: "Retry" }).click();
  await page.getByText("Completed", { exact: true }).waitFor({ timeout: 30_000 });
  clean();
  await close();
});

test("the address carries searches, filters, order and pages", async () => {
  const { page, clean, close } = await open(browser, `${hub.url}/ui/models`);
  await page.getByRole("table", { name: "Models" }).waitFor();
  await page.keyboard.press("/");
  await page.keyboard.type("phi-4");
  await page.waitForURL(/q=phi-4/);
  await page.getByRole("combobox", { name: "Status" }).selectOption("complete");
  await page.getByRole("columnheader", { name: "On disk", exact: true }).getByRole("button").click();
  await page.waitForURL(/order=-size/);
  const url = page.url();
  await page.reload();
  expect(page.url()).toBe(url);
  expect(await page.getByRole("textbox", { name: "Search by name" }).inputValue()).toBe("phi-4");
  const rows = page.getByRole("table", { name: "Models" }).getByRole("row");
  await rows.nth(1).waitFor();
  for (const text of (await rows.allInnerTexts()).slice(1, 5)) expect(text).toMatch(/phi-4.*Downloaded/s);

  await page.goto(`${hub.url}/ui/models?page=31`);
  await page.getByText(/Page 31 of 5\d/).waitFor();
  await page.getByRole("button", { name: "Next" }).click();
  await page.waitForURL(/page=32/);
  clean();
  await close();
});

test("the tokenizer is shown, and a model is pinned", async () => {
  const { page, clean, close } = await open(browser, `${hub.url}/ui/models/Qwen/Qwen3-8B?tab=metadata`);
  await page.getByText("<|im_end|>").first().waitFor();
  await page.getByText("7 tokens").click();
  await page.getByText("<|box_end|>").waitFor();
  await page.getByText(/^1\d\d characters$/).click();
  await page.getByText("for message in messages").waitFor();
  expect(await serious(page)).toEqual([]);
  const pin = page.getByRole("button", { name: /^Pin: / });
  await pin.click();
  await page.getByRole("button", { name: /^Pinned: press/, pressed: true }).waitFor();
  clean();
  await close();
});

test("several models at once", async () => {
  const { page, clean, close } = await open(browser, `${hub.url}/ui/models?q=falcon3-1b`);
  await page.getByRole("checkbox", { name: "Select all on this page" }).click();
  await page.getByRole("region", { name: "Selection" }).getByRole("button", { name: "Pin" }).click();
  await page.getByText(/^Pinned \d+ models$/).waitFor();
  await page.getByRole("button", { name: "Pinned", exact: true }).click();
  await page.waitForURL(/pinned=true/);
  await page.getByRole("checkbox", { name: "Select all on this page" }).click();
  await page.getByRole("region", { name: "Selection" }).getByRole("button", { name: "Remove" }).click();
  await page
    .getByRole("dialog")
    .getByText(/keeps? (its|their) files/)
    .waitFor();
  expect(await serious(page)).toEqual([]);
  await page.keyboard.press("Escape");
  clean();
  await close();
});

test("an eviction keeps what could not be downloaded again, until that is included", async () => {
  const { page, clean, close } = await open(browser, `${hub.url}/ui/storage?dialog=evict&free=10 TiB`);
  const dialog = page.getByRole("dialog");
  await dialog.getByText(/stay: they could not be downloaded again/).waitFor();
  const box = dialog.getByRole("checkbox", { name: "Also remove what cannot be downloaded again" });
  expect(await box.isChecked()).toBe(false);
  await box.check();
  await dialog.getByText(/^[\d.]+ [GT]iB cannot be downloaded again$/).waitFor();
  expect(await dialog.getByText(/stay: they/).count()).toBe(0);
  expect(await serious(page)).toEqual([]);
  clean();
  await close();
});

test("the quarantine is shown, and emptied after a question", async () => {
  const { page, clean, close } = await open(browser, `${hub.url}/ui/storage`);
  const files = page.getByRole("list", { name: "Quarantined files" });
  await files.getByText("tokenizer.json").waitFor();
  await page.getByText(/^12 MiB in 3 files$/).waitFor();
  expect(await serious(page)).toEqual([]);
  const dialog = page.getByRole("dialog");
  // One of them; nothing goes without the answer.
  await files.getByRole("button", { name: /^Remove b+\./ }).click();
  await dialog.getByText("Remove this file from quarantine?").waitFor();
  await dialog.getByRole("button", { name: "Cancel" }).click();
  expect(await files.getByText("tokenizer.json").count()).toBe(1);
  await files.getByRole("button", { name: /^Remove b+\./ }).click();
  await dialog.getByRole("button", { name: "Remove", exact: true }).click();
  await page.getByText("Removed 1 quarantined file, 3 MiB").waitFor();
  await files.getByText("tokenizer.json").waitFor({ state: "detached" });
  // The rest, except what is not the hub's.
  await page.getByRole("button", { name: "Empty", exact: true }).click();
  await dialog.getByText("Empty the quarantine?").waitFor();
  expect(await serious(page)).toEqual([]);
  await dialog.getByRole("button", { name: "Empty", exact: true }).click();
  await page.getByText("Removed 1 quarantined file, 9 MiB").waitFor();
  await files.getByText("safetensors").waitFor({ state: "detached" });
  await files.getByText("Not the hub’s: it is never removed").waitFor();
  expect(await page.getByRole("button", { name: "Empty", exact: true }).isDisabled()).toBe(true);
  clean();
  await close();
});

test("the tree by keyboard, kept in the address", async () => {
  const { page, clean, close } = await open(browser, `${hub.url}/ui/models/Wan-AI/Wan2.1-T2V-1.3B-Diffusers`);
  const tree = page.getByRole("treegrid", { name: "Files" });
  await tree.getByText("text_encoder").waitFor();
  await tree.getByRole("row").nth(1).focus();
  for (const key of ["ArrowDown", "ArrowDown", "ArrowRight"]) await page.keyboard.press(key);
  await page.waitForURL(/open=.*text_encoder/);
  await tree.getByText("model-00001-of-00003.safetensors").waitFor();
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("Space");
  await page.getByText("1 file selected").waitFor();
  await page.keyboard.press("Enter");
  await page
    .getByRole("dialog")
    .getByText("max_position_embeddings", { exact: false })
    .or(page.getByRole("dialog").getByText("text_encoder/config.json"))
    .first()
    .waitFor();
  await page.keyboard.press("Escape");
  await page.reload();
  await tree.getByText("model-00001-of-00003.safetensors").waitFor();
  clean();
  await close();
});

test("select all of a long search selects all of it, not what was scrolled to", async () => {
  const { page, clean, close } = await open(
    browser,
    `${hub.url}/ui/models/dataset/HuggingFaceFW/fineweb?view=flat&q=CC-MAIN-2013`,
  );
  await page
    .getByRole("row", { name: /^Select \d/ })
    .first()
    .waitFor();
  const all = hub.fake.find("dataset/HuggingFaceFW/fineweb")?.files() ?? [];
  const found = all.filter((file) => file.path.includes("CC-MAIN-2013")).length;
  expect(found).toBeGreaterThan(500);
  await page.getByRole("checkbox", { name: "Select all" }).click();
  await page
    .getByRole("region", { name: "Selection" })
    .getByText(`${found.toLocaleString("en")} files selected`)
    .waitFor();
  clean();
  await close();
});

test("the palette finds models and runs commands", async () => {
  const { page, clean, close } = await open(browser, `${hub.url}/ui/`);
  await page.getByText("Saved by the cache").waitFor();
  await page.keyboard.press("Control+k");
  const field = page.getByRole("combobox", { name: "Search models and commands" });
  await field.waitFor();
  expect(await serious(page)).toEqual([]);
  await field.fill("qwen3-8b");
  await page.getByRole("option", { name: /Qwen\/Qwen3-8B/ }).waitFor();
  await page.keyboard.press("Enter");
  await page.waitForURL("**/models/Qwen/Qwen3-8B");
  await page.getByRole("heading", { level: 1 }).waitFor();
  await page.keyboard.press("Control+k");
  await field.fill("dark");
  await page.keyboard.press("Enter");
  await page.waitForFunction(() => document.documentElement.dataset.theme === "dark");
  await page.reload();
  expect(await page.evaluate(() => document.documentElement.dataset.theme)).toBe("dark");
  await page.getByRole("heading", { level: 1 }).waitFor();
  await page.keyboard.press("?");
  await page.getByRole("dialog", { name: "Keyboard shortcuts" }).waitFor();
  clean();
  await close();
});

test("settings: the token is tested, set and never shown; wrong values are explained", async () => {
  const { page, clean, close } = await open(browser, `${hub.url}/ui/settings`);
  const token = page.getByLabel("Replace token");
  await token.fill("wrong");
  await page.getByRole("button", { name: "Test" }).click();
  await page.getByText("Upstream does not recognise this token.").waitFor();
  await token.fill("hf_right");
  await page.getByRole("button", { name: "Test" }).click();
  await page.getByText("ada-lovelace").waitFor();
  await page.locator("#token").getByRole("button", { name: "Save" }).click();
  await page.getByText("Token saved").waitFor();
  expect(await token.inputValue()).toBe("");
  expect(await page.content()).not.toContain("hf_right");
  const hours = page.getByLabel("Download window");
  await hours.fill("nightly");
  await page.getByText("Enter a time range, such as 22:00-06:00.").waitFor();
  await hours.fill("22:00-06:00");
  await hours.press("Enter");
  await page.getByText("Saved: download window").waitFor();
  await page.getByRole("switch", { name: "Offline mode" }).click();
  await page.getByRole("button", { name: "Go offline" }).click();
  await page.getByRole("complementary").getByText("Offline mode").waitFor();
  await page.getByRole("switch", { name: "Offline mode" }).click();
  await page.getByRole("complementary").getByText("Hugging Face reachable").waitFor();
  clean();
  await close();
});

test("a folder is previewed, then imported", async () => {
  const { page, clean, close } = await open(browser, `${hub.url}/ui/storage?dialog=import`);
  await page.getByLabel("Folder on this machine").fill("/data/models");
  await page.getByRole("button", { name: "Preview" }).click();
  await page.getByText("1 item will be skipped").waitFor();
  await page.getByRole("button", { name: /^Import 57 files/ }).click();
  await page.getByText("Importing /data/models").waitFor();
  await page.getByRole("button", { name: "Show" }).click();
  await page.getByRole("heading", { name: "Import of /data/models" }).waitFor();
  clean();
  await close();
});

test("the page says when the hub is gone, and recovers when it is back", async () => {
  const { page, clean, close } = await open(browser, `${hub.url}/ui/`);
  await page.locator("[data-connection=live]").first().waitFor();
  await hub.stop();
  await page.getByText("The hub is not responding.", { exact: false }).waitFor();
  await hub.start();
  await page.locator("[data-connection=live]").first().waitFor({ timeout: 30_000 });
  expect(await page.getByText("The hub is not responding.", { exact: false }).count()).toBe(0);
  clean(/ERR_CONNECTION|ERR_INCOMPLETE|ERR_EMPTY|ERR_ABORTED|Failed to load resource/);
  await close();
});

test("a hub that requires a token gets one", async () => {
  const { page, clean, close } = await open(browser, `${hub.url}/ui/`);
  await page.route("**/v1/**", async (route) => {
    if (route.request().headers().authorization === "Bearer right") return route.continue();
    return route.fulfill({
      status: 401,
      contentType: "application/problem+json",
      body: JSON.stringify({ title: "Sign in", detail: "The admin token is missing or wrong." }),
    });
  });
  await page.reload();
  const field = page.getByLabel("Admin token");
  await field.fill("wrong");
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByText("Token rejected.").waitFor();
  expect(await serious(page)).toEqual([]);
  await field.fill("right");
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByText("Saved by the cache").waitFor();
  await page.locator("[data-connection=live]").first().waitFor();
  clean(/401/);
  await close();
});
