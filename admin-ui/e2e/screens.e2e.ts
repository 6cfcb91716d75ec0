// Every screen, light and dark, wide and narrow: it shows its content, axe finds nothing serious, nothing overflows,
// the console stays empty and no request leaves the machine.
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { catalogue } from "../dev/fake/catalogue.ts";
import { open, serious, settled, startBrowser } from "./browser.ts";
import { type FakeHub, startFakeHub } from "./server.ts";

let browser: Browser;
let hub: FakeHub;
beforeAll(async () => {
  [browser, hub] = await Promise.all([startBrowser(), startFakeHub()]);
});
afterAll(async () => {
  await browser.close();
  await hub.stop();
});

const model = "/models/Qwen/Qwen3-8B";
/** None of its files are stored. */
const unused = catalogue().find(
  (one) => one.status === "synced" && one.kind === "model" && one.summary.filesHere === 0,
);
const screens: [name: string, path: string, shows: string][] = [
  ["dashboard", "/", "Saved by the cache"],
  ["models", "/models", "01-ai/"],
  ["models, nothing found", "/models?q=nosuchmodel", "No models match"],
  ["register", "/models?register=Qwen/Qwen3-30B-A3B-GGUF-x", "Quantisations"],
  ["files", model, ".gitattributes"],
  ["files of 100 000", "/models/dataset/HuggingFaceFW/fineweb?view=flat", "README.md"],
  ["one file", `${model}?file=config.json`, "max_position_embeddings"],
  ["download", "/models/bartowski/Qwen3-30B-A3B-GGUF?download=true", "One quantisation"],
  ["metadata", `${model}?tab=metadata`, "Attention heads"],
  ["config", `${model}?tab=metadata&part=config`, "rope_theta"],
  ["tensors", `${model}?tab=metadata&part=tensors`, "model.embed_tokens.weight"],
  ["card", `${model}?tab=card`, "Highlights"],
  ["activity of a model", `${model}?tab=activity`, "Jobs for this model"],
  ["recently used files", "/models/Wan-AI/Wan2.1-T2V-1.3B-Diffusers?tab=activity", "text_encoder/"],
  ["no files used yet", `/models/${unused?.repoId}?tab=activity`, "No files used yet"],
  ["model with a problem", "/models/meta-llama/Llama-3.1-8B-Instruct", "This hub's token has no access"],
  ["unknown model", "/models/no/such", "Unknown model"],
  ["jobs", "/jobs", "History"],
  ["failed jobs", "/jobs?status=failed", "Running and waiting"],
  ["storage", "/storage", "Store limit"],
  ["free space", "/storage?dialog=evict", "would be removed"],
  ["import", "/storage?dialog=import&folder=/data/models", "stabilityai/sdxl-turbo"],
  ["settings", "/settings", "Download window"],
  ["cache times", "/settings#upstream", "7 days"],
  ["move the store", "/settings?move=true&folder=/mnt/models/modelhub", "sudo rsync"],
  ["connect a client", "/?connect=true&place=systemd", "Environment=HF_ENDPOINT"],
  ["nowhere", "/no/such/screen", "Page not found"],
];

describe.each([
  ["light", 1280],
  ["dark", 1280],
  ["light", 360],
] as const)("%s at %i pixels", (colorScheme, width) => {
  test.each(screens)("%s", async (_name, path, shows) => {
    const { page, clean, close } = await open(browser, `${hub.url}/ui${path}`, {
      colorScheme,
      viewport: { width, height: 800 },
    });
    await page.getByText(shows, { exact: false }).first().waitFor();
    await settled(page);
    expect(await serious(page)).toEqual([]);
    const over = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    expect(over, "pixels that stick out to the right").toBeLessThanOrEqual(0);
    for (const dialog of await page.getByRole("dialog").all()) {
      const box = await dialog.boundingBox();
      expect((box?.x ?? 0) + (box?.width ?? 0), "the dialog's right edge").toBeLessThanOrEqual(width);
    }
    expect(await page.title()).toContain("modelhub");
    clean(/status of 404/);
    await close();
  });
});

test("a job that failed says why and can run again", async () => {
  const { page, clean, close } = await open(browser, `${hub.url}/ui/jobs?status=failed&kind=download`);
  await page.getByRole("table", { name: "Jobs" }).getByRole("link").first().click();
  await page.getByRole("heading", { name: "What went wrong" }).waitFor();
  expect(await serious(page)).toEqual([]);
  await page.getByRole("button", { name: "Retry" }).click();
  await page.getByText(/^Retrying download of/).waitFor();
  clean();
  await close();
});

test("a fresh hub says what to do first", async () => {
  const fresh = await startFakeHub(true);
  const { page, clean, close } = await open(browser, `${fresh.url}/ui/`);
  await page.getByRole("heading", { name: "The hub is ready" }).waitFor();
  for (const place of ["Python", "Docker", "systemd"]) {
    await page.getByRole("radio", { name: place }).click();
    await page.getByText("HF_ENDPOINT").first().waitFor();
  }
  expect(await serious(page)).toEqual([]);
  await page.getByRole("link", { name: /Import existing models/ }).click();
  await page.getByRole("dialog", { name: "Import a folder" }).waitFor();
  clean();
  await close();
  await fresh.stop();
});
