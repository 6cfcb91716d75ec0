// Every dialog by keyboard alone, on the real hub: it opens with the focus inside, keeps Tab inside, closes by Escape, and
// gives the focus back to what opened it.
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Browser, Locator, Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { open, settled, startBrowser, type Watched } from "./browser.ts";
import { aliceToken, ask, type RealHub, startRealHub, until } from "./hub.ts";

let browser: Browser;
let hub: RealHub;
let watched: Watched | undefined;

const api = (method: string, path: string, body?: object) => ask(hub, method, path, body);

beforeAll(async () => {
  [browser, hub] = await Promise.all([startBrowser(), startRealHub()]);
  await api("PATCH", "settings", { hf_token: aliceToken });
  const quarantine = join(hub.folder, "data", "quarantine");
  mkdirSync(quarantine, { recursive: true });
  writeFileSync(join(quarantine, `${"a".repeat(64)}.${Date.now()}`), "not what it should be");
  for (const repo_id of ["demo/tiny-llama", "acme/parts"]) await api("POST", "models", { repo_id });
  for (const name of ["demo/tiny-llama", "acme/parts"])
    await until(async () => (await api("GET", `models/${name}`)).status, "synced");
  const small = await api("POST", "models/demo/tiny-llama/download", {});
  await until(async () => (await api("GET", `jobs/${small.id}`)).status, "completed");
  // A job that can be cancelled, and stays so.
  const large = await api("POST", "models/acme/parts/download", {});
  await api("POST", `jobs/${large.id}/pause`, {});
});
afterAll(async () => {
  await browser.close();
  await hub.end();
});

type Find = (page: Page) => Locator;
const button =
  (name: string | RegExp): Find =>
  (page) =>
    page.getByRole("button", { name, exact: true });
const row =
  (name: RegExp): Find =>
  (page) =>
    page.getByRole("treegrid", { name: "Files" }).getByRole("row", { name });

/** From the row in the tree, Tab leads to the buttons of the row. */
const inRow = (name: string, file: RegExp) => async (page: Page) => {
  await row(file)(page).focus();
  for (let at = 0; at < 4; at += 1) {
    if (await button(name)(page).evaluate((one) => one === document.activeElement)) return;
    await page.keyboard.press("Tab");
  }
  throw new Error(`Tab did not lead from the row to ${name}`);
};

/** Opens a menu with the keyboard and chooses an entry. */
const choose = (entry: RegExp) => async (page: Page) => {
  const item = page.getByRole("menuitem", { name: entry });
  await item.waitFor();
  await expect
    .poll(async () => {
      if (await item.evaluate((one) => one === document.activeElement)) return true;
      await page.keyboard.press("ArrowDown");
      return false;
    })
    .toBe(true);
  await page.keyboard.press("Enter");
};

interface Way {
  dialog: string | RegExp;
  path: string;
  opener: Find;
  /** How the keyboard gets to the opener; by default it is there. */
  reach?: (page: Page) => Promise<void>;
  key?: string;
  /** What else has to be pressed until the dialog is there. */
  after?: (page: Page) => Promise<void>;
  width?: number;
}

const model = "models/demo/tiny-llama";
const selectAll = async (page: Page) => {
  await page.getByRole("checkbox", { name: "Select all on this page" }).focus();
  await page.keyboard.press("Space");
};
const menuOf = button("More actions");
const ways: Record<string, Way> = {
  shortcuts: { dialog: "Keyboard shortcuts", path: "", opener: button("Shortcuts") },
  palette: { dialog: "Search or run a command", path: "", opener: button(/^Search or run a command…/) },
  "palette by its shortcut": {
    dialog: "Search or run a command",
    path: "models",
    opener: button("Register"),
    key: "Control+k",
  },
  menu: { dialog: "Menu", path: "", opener: button("Open menu"), width: 700 },
  connect: { dialog: "Connect a client", path: "", opener: button("Connect a client") },
  register: { dialog: "Register a model", path: "models", opener: button("Register") },
  "download models": { dialog: /^Download 2 models/, path: "models", opener: button("Download"), reach: selectAll },
  "remove models": { dialog: /^Remove the files of/, path: "models", opener: button("Remove"), reach: selectAll },
  download: { dialog: "Download tiny-llama", path: model, opener: button("Download…") },
  "remove all files": {
    dialog: /^Remove all files/,
    path: model,
    opener: menuOf,
    after: choose(/^Remove all files/),
  },
  "remove from the list": {
    dialog: /from the list\?$/,
    path: model,
    opener: menuOf,
    after: choose(/^Remove from list/),
  },
  "one file": { dialog: "config.json", path: model, opener: row(/^Select config\.json/) },
  "download a file": {
    dialog: /^Download files from parts/,
    path: "models/acme/parts",
    opener: button("Download weights"),
    reach: inRow("Download weights", /^Select weights/),
  },
  "remove a file": {
    dialog: "Remove config.json from disk?",
    path: model,
    opener: button("More actions for config.json"),
    reach: inRow("More actions for config.json", /^Select config\.json/),
    after: choose(/^Remove from disk/),
  },
  "cancel a job": { dialog: /^Cancel download of/, path: "jobs", opener: button(/^Cancel download of/) },
  import: { dialog: "Import a folder", path: "storage", opener: button("Import a folder") },
  verify: { dialog: "Verify entire store", path: "storage", opener: button("Verify") },
  "free space": { dialog: "Free disk space", path: "storage", opener: button("Free space") },
  "empty the quarantine": { dialog: "Empty the quarantine?", path: "storage", opener: button("Empty") },
  "a quarantined file": { dialog: /^Remove this file/, path: "storage", opener: button(/^Remove a{64}/) },
  "move the store": { dialog: "Move the store", path: "settings", opener: button("Move the store…") },
  "go offline": {
    dialog: "Go offline?",
    path: "settings",
    opener: (page) => page.getByRole("switch", { name: "Offline mode" }),
  },
  "remove the token": { dialog: "Remove the token?", path: "settings", opener: button("Remove") },
};

const focused = (one: Locator) => one.evaluate((element) => element === document.activeElement);
const holdsFocus = (one: Locator) => one.evaluate((element) => element.contains(document.activeElement));

test.each(Object.entries(ways))("%s", async (_, { dialog: name, path, opener: find, reach, key, after, width }) => {
  watched ??= await open(browser, `${hub.admin}/ui/`);
  const { page, clean } = watched;
  await page.setViewportSize({ width: width ?? 1280, height: 800 });
  await page.goto(`${hub.admin}/ui/${path}`);
  const opener = find(page).first();
  await settled(page);
  await reach?.(page);
  await opener.focus();
  await page.keyboard.press(key ?? "Enter");
  await after?.(page);
  const dialog = page.getByRole("dialog", { name });
  await dialog.waitFor();
  await expect.poll(() => holdsFocus(dialog)).toBe(true);
  // Once around, forwards and backwards, also when what has arrived meanwhile is more.
  await settled(page);
  for (const tab of ["Tab", "Shift+Tab"]) {
    const seen = new Set<string>();
    for (let at = 0; at < 40; at += 1) {
      await page.keyboard.press(tab);
      expect(await holdsFocus(dialog), `${tab} left the dialog at step ${at + 1}`).toBe(true);
      const where = await page.evaluate(() => document.activeElement?.outerHTML ?? "");
      if (seen.has(where) && seen.size > 1) break;
      seen.add(where);
    }
  }
  await page.keyboard.press("Escape");
  await dialog.waitFor({ state: "detached" });
  await expect.poll(() => focused(opener)).toBe(true);
  clean();
});

test("a dialog that the address opened gives the focus to the page", async () => {
  watched ??= await open(browser, `${hub.admin}/ui/`);
  const { page, clean } = watched;
  await page.goto(`${hub.admin}/ui/${model}?download=true`);
  const dialog = page.getByRole("dialog", { name: "Download tiny-llama" });
  await dialog.waitFor();
  await expect.poll(() => holdsFocus(dialog)).toBe(true);
  await page.keyboard.press("Escape");
  await dialog.waitFor({ state: "detached" });
  await expect.poll(() => focused(page.getByRole("main"))).toBe(true);
  clean();
});
