// How large the first screen is, and how fast it responds with 5 000 models and 100 000 files.
import { gzipSync } from "node:zlib";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { open, startBrowser } from "./browser.ts";
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

test("the first screen needs at most 200 kB of code and styles, compressed", async () => {
  const { page, close } = await open(browser, `${hub.url}/ui/icon.svg`);
  const sizes = new Map<string, number>();
  page.on("response", async (response) => {
    const url = response.url();
    if (/\.(js|css)$/.test(url)) sizes.set(url, gzipSync(await response.body()).length);
  });
  await page.goto(`${hub.url}/ui/`);
  await page.getByText("Saved by the cache").waitFor();
  await page.waitForTimeout(500);
  const total = [...sizes.values()].reduce((sum, size) => sum + size, 0);
  console.log(`first screen: ${(total / 1000).toFixed(1)} kB in ${sizes.size} files`);
  expect(total).toBeLessThanOrEqual(200_000);
  await close();
});

/**
 * The longest time that the page was busy and could not answer, while something was done. The best of some tries: a
 * machine that does other work too interrupts the page now and then, which is not the page's fault.
 */
async function longest(page: Page, prepare: () => Promise<void>, what: () => Promise<void>): Promise<number> {
  let best = Number.POSITIVE_INFINITY;
  for (let attempt = 0; attempt < 4 && best >= limit; attempt += 1) {
    await prepare();
    best = Math.min(best, await busiest(page, what));
  }
  return best;
}

const limit = 100;

async function busiest(page: Page, what: () => Promise<void>): Promise<number> {
  await page.evaluate(() => {
    const tasks: number[] = [];
    Object.assign(window, {
      tasks,
      observer: new PerformanceObserver((list) => tasks.push(...list.getEntries().map((entry) => entry.duration))),
    });
    (window as unknown as { observer: PerformanceObserver }).observer.observe({ type: "longtask" });
  });
  await what();
  await page.waitForTimeout(100);
  return page.evaluate(() => {
    const { tasks, observer } = window as unknown as { tasks: number[]; observer: PerformanceObserver };
    observer.disconnect();
    return Math.max(0, ...tasks);
  });
}

test("the table of 5 000 models answers while somebody types, sorts and pages", async () => {
  const { page, close } = await open(browser, `${hub.url}/ui/models`);
  const begin = async () => {
    await page.goto(`${hub.url}/ui/models`);
    await page.getByRole("table", { name: "Models" }).getByRole("row").nth(5).waitFor();
  };
  const busy = await longest(page, begin, async () => {
    await page.getByRole("textbox", { name: "Search by name" }).pressSequentially("mistral", { delay: 30 });
    await page.waitForURL(/q=mistral/);
    await page.getByRole("columnheader", { name: "On disk", exact: true }).getByRole("button").click();
    await page.waitForURL(/order/);
    await page.getByRole("checkbox", { name: "Select all on this page" }).click();
    for (let at = 0; at < 10; at += 1) await page.mouse.wheel(0, 800);
  });
  console.log(`models: longest task ${busy.toFixed(0)} ms`);
  expect(busy).toBeLessThan(limit);
  await close();
});

test("100 000 files scroll, open and select without a pause", async () => {
  const { page, close } = await open(browser, `${hub.url}/ui/models/dataset/HuggingFaceFW/fineweb?view=flat`);
  const tree = page.getByRole("treegrid", { name: "Files" });
  const flat = async () => {
    await page.goto(`${hub.url}/ui/models/dataset/HuggingFaceFW/fineweb?view=flat`);
    await tree.getByRole("row").nth(5).waitFor();
  };
  const scrolled = await longest(page, flat, async () => {
    for (let at = 0; at < 60; at += 1) {
      await page.mouse.wheel(0, 6_000);
      await page.waitForTimeout(30);
    }
    await page
      .getByRole("checkbox", { name: /Select \d/ })
      .nth(3)
      .click();
  });
  const loaded = Number(await tree.getAttribute("aria-rowcount"));
  const drawn = await tree.getByRole("row").count();
  console.log(`files: ${loaded} loaded, ${drawn} drawn, longest task ${scrolled.toFixed(0)} ms`);
  expect(loaded).toBeGreaterThan(5_000);
  expect(drawn).toBeLessThan(90);
  expect(scrolled).toBeLessThan(limit);

  const closed = async () => {
    await page.goto(`${hub.url}/ui/models/dataset/HuggingFaceFW/fineweb`);
    await tree.getByText("sample").waitFor();
  };
  const opened = await longest(page, closed, async () => {
    await tree.getByRole("row", { name: /sample/ }).click();
    await tree.getByText("10BT").click();
    await tree.getByText("00010.parquet").waitFor();
    await page.keyboard.press("End");
  });
  console.log(`folder of 22 000: longest task ${opened.toFixed(0)} ms`);
  expect(opened).toBeLessThan(limit);
  await close();
});
