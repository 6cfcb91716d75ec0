// Nothing jumps while a screen fills: what is somewhere stays there when something else arrives. Responses take a while
// here, as over a network, so that everything has been drawn without them first.
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { settled, startBrowser } from "./browser.ts";
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

interface Shift extends PerformanceEntry {
  value: number;
  sources: { node: Node | null; previousRect: DOMRect; currentRect: DOMRect }[];
}

/** Makes the API slow; the returned function waits until all requests have been answered. */
async function slowly(page: Page) {
  const open = new Set<unknown>();
  const ours = (url: string) => url.includes("/v1/") && !url.includes("/v1/events");
  page.on("request", (request) => ours(request.url()) && open.add(request));
  page.on("requestfinished", (request) => open.delete(request));
  page.on("requestfailed", (request) => open.delete(request));
  await page.route("**/v1/**", async (route) => {
    if (ours(route.request().url())) await new Promise((resolve) => setTimeout(resolve, 200));
    // The page may be gone by now.
    await route.continue().catch(() => {});
  });
  return async () => {
    await settled(page);
    await expect.poll(() => open.size, { timeout: 10_000 }).toBe(0);
    await settled(page);
  };
}

const model = "/models/Qwen/Qwen3-8B";
const screens = [
  "/",
  "/models",
  model,
  `${model}?tab=metadata`,
  `${model}?tab=card`,
  `${model}?tab=activity`,
  "/jobs",
  "/jobs?status=failed",
  "/storage",
  "/settings",
];

describe.each([1280, 360])("at %i pixels", (width) => {
  test.each(["a fresh hub", ...screens])("%s", async (screen) => {
    const url = screen === "a fresh hub" ? `${fresh.url}/ui/` : `${hub.url}/ui${screen}`;
    const context = await browser.newContext({ viewport: { width, height: 800 }, reducedMotion: "reduce" });
    const page = await context.newPage();
    await page.addInitScript(() => {
      const shifts: { value: number; what: string[] }[] = [];
      Object.assign(window, { shifts });
      new PerformanceObserver((list) => {
        for (const entry of list.getEntries() as Shift[])
          shifts.push({
            value: entry.value,
            what: entry.sources.map(
              ({ node, previousRect, currentRect }) =>
                `${node?.textContent?.slice(0, 40)}: ${Math.round(previousRect.y)} to ${Math.round(currentRect.y)}`,
            ),
          });
      }).observe({ type: "layout-shift", buffered: true });
    });
    const filled = await slowly(page);
    await page.goto(url);
    await filled();
    const shifts = await page.evaluate(() => (window as unknown as { shifts: { value: number }[] }).shifts);
    const sum = shifts.reduce((all, shift) => all + shift.value, 0);
    // 0.1 counts as good; this is as still as it looks.
    expect(sum, JSON.stringify(shifts, null, 1)).toBeLessThan(0.03);
    await context.close();
  });
});
