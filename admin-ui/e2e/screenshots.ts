// Screenshots of every screen, light and dark, wide and narrow, with the fake hub's data: `npm run screenshots [FOLDER]`.
// They are made to be looked at, and some of them are in the README.
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { Page } from "playwright-core";
import { servedAt, speedAt } from "../dev/fake/traffic.ts";
import { settled, startBrowser } from "./browser.ts";
import { startFakeHub } from "./server.ts";

const folder = process.env.SCREENSHOTS ?? "screenshots";
mkdirSync(folder, { recursive: true });

const model = "/models/Qwen/Qwen3-8B";
const screens: { name: string; path: string; act?: (page: Page) => Promise<void> }[] = [
  { name: "models", path: "/models?order=-used" },
  { name: "register", path: "/models?register=Qwen/Qwen3-32B-GGUF" },
  { name: "files", path: "/models/Wan-AI/Wan2.1-T2V-1.3B-Diffusers?open=%5B%22text_encoder%22%5D" },
  {
    name: "download",
    path: "/models/bartowski/Qwen3-30B-A3B-GGUF?download=true",
    act: async (page) => {
      await page.getByRole("radio", { name: /One quantisation/ }).click();
      await page.getByRole("radio", { name: /^Q5_K_M/ }).click();
      await page.getByRole("button", { name: /^Download 2\d/ }).waitFor();
    },
  },
  { name: "metadata", path: `${model}?tab=metadata` },
  { name: "config", path: `${model}?tab=metadata&part=config` },
  { name: "tensors", path: `${model}?tab=metadata&part=tensors` },
  { name: "card", path: `${model}?tab=card` },
  { name: "activity", path: `${model}?tab=activity` },
  { name: "jobs", path: "/jobs" },
  {
    name: "job",
    path: "/jobs?status=failed&kind=download",
    act: (page) => page.getByRole("table", { name: "Jobs" }).getByRole("link").first().click(),
  },
  { name: "storage", path: "/storage" },
  { name: "evict", path: "/storage?dialog=evict" },
  { name: "import", path: "/storage?dialog=import&folder=/data/models" },
  { name: "settings", path: "/settings" },
  {
    name: "settings-2",
    path: "/settings#storage",
    act: (page) => page.getByRole("heading", { name: "Storage" }).scrollIntoViewIfNeeded(),
  },
  { name: "move", path: "/settings?move=true&folder=/mnt/array/modelhub" },
  {
    name: "connect",
    path: "/?connect=true&place=python",
    act: (page) => page.getByText("snapshot_download").first().waitFor(),
  },
  {
    name: "palette",
    path: "/",
    act: async (page) => {
      await page.keyboard.press("Control+k");
      await page.getByRole("combobox").fill("qwen");
      await page.getByRole("option").nth(1).waitFor();
    },
  },
  { name: "dashboard", path: "/" },
];

const browser = await startBrowser();
const hub = await startFakeHub();
const first = await startFakeHub(true);

/** The five minutes before now. */
function past(busy: boolean) {
  const now = Math.floor(Date.now() / 1000);
  return Array.from({ length: 299 }, (_, index) => {
    const at = now - 299 + index;
    const fetched = index < 55 ? 0 : speedAt(at * 1000, 1) + (index < 130 ? 0 : speedAt(at * 1000, 4));
    return { at, toClients: busy ? servedAt(at * 1000) : 0, fromUpstream: busy ? fetched : 0 };
  });
}

async function shoot(
  url: string,
  name: string,
  colorScheme: "light" | "dark",
  width: number,
  act?: (page: Page) => Promise<void>,
) {
  const context = await browser.newContext({
    colorScheme,
    viewport: { width, height: width < 500 ? 780 : 900 },
    deviceScaleFactor: width < 500 ? 2 : 1.5,
    reducedMotion: "reduce",
  });
  // The chart shows what the tab has seen: this one has been open for a while.
  await context.addInitScript(([key, points]) => sessionStorage.setItem(key, points), [
    "modelhub.traffic",
    JSON.stringify(past(url.startsWith(hub.url))),
  ] as const);
  const page = await context.newPage();
  await page.goto(url);
  await settled(page);
  await act?.(page);
  await settled(page);
  await page.screenshot({ path: join(folder, `${name}.png`) });
  await context.close();
}

for (const { name, path, act } of screens) {
  const url = `${hub.url}/ui${path}`;
  await Promise.all([shoot(url, `${name}-light`, "light", 1440, act), shoot(url, `${name}-dark`, "dark", 1440, act)]);
  await shoot(url, `${name}-narrow`, "light", 360, name === "palette" ? undefined : act);
}
await shoot(`${first.url}/ui/`, "first-run-light", "light", 1440);
await shoot(`${first.url}/ui/`, "first-run-dark", "dark", 1440);
await browser.close();
await hub.stop();
await first.stop();
process.exit(0);
