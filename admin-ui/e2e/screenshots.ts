// Screenshots of every screen, light and dark, wide and narrow, of the real hub with mock-hf behind it:
// `npm run screenshots [FOLDER]`. They are made to be looked at, and some of them are in the README.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Page } from "playwright-core";
import { settled, startBrowser } from "./browser.ts";
import { clients, live } from "./demo/life.ts";
import { image, quantised, text, unknown, writeRepositories } from "./demo/repositories.ts";
import { startRealHub } from "./hub.ts";

const folder = process.env.SCREENSHOTS ?? "screenshots";
mkdirSync(folder, { recursive: true });

const screens: { name: string; path: string; act?: (page: Page) => Promise<void> }[] = [
  // What is in the README first, while everything runs.
  { name: "jobs", path: "/jobs" },
  { name: "files", path: `/models/${image}?open=%5B%22text_encoder%22%2C%22unet%22%2C%22vae%22%5D` },
  {
    name: "download",
    path: `/models/${quantised}?download=true`,
    act: async (page) => {
      await page.getByRole("radio", { name: /One quantisation/ }).click();
      await page.getByRole("radio", { name: /^Q5_K_M/ }).click();
      await page.getByRole("button", { name: /^Download \d/ }).waitFor();
      await page.getByRole("region", { name: "GPU fit" }).waitFor();
    },
  },
  { name: "models", path: "/models?order=-used" },
  { name: "register", path: `/models?register=${unknown}` },
  { name: "metadata", path: `/models/${text}?tab=metadata` },
  { name: "config", path: `/models/${text}?tab=metadata&part=config` },
  { name: "tensors", path: `/models/${text}?tab=metadata&part=tensors` },
  { name: "card", path: `/models/${text}?tab=card` },
  { name: "activity", path: `/models/${text}?tab=activity` },
  {
    name: "job",
    path: "/jobs?status=failed",
    act: (page) => page.getByRole("table", { name: "Jobs" }).getByRole("link").first().click(),
  },
  { name: "storage", path: "/storage" },
  { name: "evict", path: "/storage?dialog=evict&unused=0&free=1 GiB" },
  { name: "import", path: "/storage?dialog=import&folder=FOLDER/models" },
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
      await page.getByRole("combobox").fill("atlas");
      await page.getByRole("option").nth(1).waitFor();
    },
  },
];

const repositories = mkdtempSync(join(tmpdir(), "modelhub-demo-"));
writeRepositories(repositories);
const gpus = join(repositories, "gpus.json");
writeFileSync(gpus, JSON.stringify(machine()));
const settings = {
  MODELHUB_GPU_FILE: gpus,
  MODELHUB_JOBS_MAX_DOWNLOADS: "3",
  MODELHUB_STORE_LIMIT: "8GiB",
  MODELHUB_STORE_PIN: "acme/house-*",
};
const [browser, hub, first] = await Promise.all([
  startBrowser(),
  startRealHub(settings, ["--repos", repositories]),
  startRealHub({ MODELHUB_GPU_FILE: gpus }),
]);

/** A machine with GPUs, which the one that takes the pictures need not have. */
function machine() {
  const gpu = (index: number, used: number, percent: number) => ({
    index,
    name: "NVIDIA L4",
    memory_total: 24 * 1024 ** 3,
    memory_used: Math.round(used * 1024 ** 3),
    memory_free: Math.round((24 - used) * 1024 ** 3),
    utilisation_percent: percent,
    temperature_celsius: 45 + Math.round(percent / 5),
    power_watts: 30 + percent / 3,
    power_limit_watts: 72,
    compute_capability: "8.9",
  });
  return { driver_version: "570.124.06", cuda_version: "12.8", gpus: [gpu(0, 21.5, 84), gpu(1, 3.2, 12)] };
}

function pageOf(colorScheme: "light" | "dark", width: number) {
  return browser.newPage({
    colorScheme,
    viewport: { width, height: width < 500 ? 780 : 900 },
    deviceScaleFactor: width < 500 ? 2 : 1.5,
    reducedMotion: "reduce",
  });
}

const save = async (page: Page, name: string) => {
  await settled(page);
  await page.screenshot({ path: join(folder, `${name}.png`) });
  await page.close();
};

async function shoot(
  url: string,
  name: string,
  look: "light" | "dark",
  width: number,
  act?: (page: Page) => Promise<void>,
) {
  const page = await pageOf(look, width);
  await page.goto(url);
  await settled(page);
  await act?.(page);
  await save(page, name);
}

// The chart shows what a tab has seen: these are open all the time.
const dashboards = await Promise.all(
  (["light", "dark"] as const).map(async (look) => {
    const page = await pageOf(look, 1440);
    await page.goto(`${hub.admin}/ui/`);
    return [page, look] as const;
  }),
);
await live(hub);
const leave = clients(hub);
for (const { name, path, act } of screens) {
  const url = `${hub.admin}/ui${path.replace("FOLDER", hub.folder)}`;
  await Promise.all([shoot(url, `${name}-light`, "light", 1440, act), shoot(url, `${name}-dark`, "dark", 1440, act)]);
  await shoot(url, `${name}-narrow`, "light", 360, name === "palette" ? undefined : act);
}
await shoot(`${hub.admin}/ui/`, "dashboard-narrow", "light", 360);
for (const [page, look] of dashboards) await save(page, `dashboard-${look}`);
await shoot(`${first.admin}/ui/`, "first-run-light", "light", 1440);
await shoot(`${first.admin}/ui/`, "first-run-dark", "dark", 1440);
leave();
await browser.close();
await Promise.all([hub.end(), first.end()]);
rmSync(repositories, { recursive: true });
process.exit(0);
