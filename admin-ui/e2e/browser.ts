// A browser, and pages that remember what must not happen: errors in the console and requests that leave the machine.
import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import type axe from "axe-core";
import { type Browser, type BrowserContextOptions, chromium, type Page } from "playwright-core";
import { expect, onTestFailed } from "vitest";

const candidates = [process.env.CHROMIUM, "/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];

export async function startBrowser(): Promise<Browser> {
  const executablePath = candidates.find((path) => path && existsSync(path));
  if (!executablePath) throw new Error("No Chromium was found. Install it, or name it in CHROMIUM.");
  return chromium.launch({
    executablePath,
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
  });
}

export interface Watched {
  page: Page;
  /** Fails if the page logged errors or contacted other hosts. `allow` matches errors that belong to the test. */
  clean: (allow?: RegExp) => void;
  close: () => Promise<void>;
}

export async function open(browser: Browser, url: string, options: BrowserContextOptions = {}): Promise<Watched> {
  const context = await browser.newContext({
    viewport: { width: 1280, height: 800 },
    reducedMotion: "reduce",
    ...options,
  });
  const page = await context.newPage();
  const complaints: string[] = [];
  const origin = new URL(url).origin;
  page.on("console", (message) => {
    if (message.type() === "error" || /Content Security Policy/.test(message.text())) complaints.push(message.text());
  });
  page.on("pageerror", (error) => complaints.push(`page error: ${error.message}`));
  page.on("request", (request) => {
    if (!request.url().startsWith(origin)) complaints.push(`foreign request: ${request.url()}`);
  });
  // A wait that timed out says what it waited for; what was shown instead, only the page knows.
  onTestFailed(async () => {
    if (page.isClosed()) return;
    const shown = await page.locator("body").innerText({ timeout: 2_000 });
    console.error(`${page.url()} showed:\n${shown}\nIt complained: ${JSON.stringify(complaints)}`);
  });
  await page.goto(url);
  return {
    page,
    clean: (allow) => expect(complaints.filter((complaint) => !allow?.test(complaint))).toEqual([]),
    close: () => context.close(),
  };
}

/** Waits until there are no placeholders on the page, and what is there has been drawn. */
export async function settled(page: Page): Promise<void> {
  await page.waitForFunction(
    () =>
      document.fonts.status === "loaded" &&
      (document.querySelector("main, [role=dialog]")?.textContent ?? "") !== "" &&
      document.querySelector(".skeleton, [aria-busy=true]") === null,
  );
  await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
}

const axeSource = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/** The serious findings of axe, as short lines. WCAG A and AA, and its best practices. */
export async function serious(page: Page): Promise<string[]> {
  // Evaluated through the debugger, to which the page's policy does not apply.
  await page.evaluate(axeSource);
  const result = await page.evaluate(async () => {
    const run = (window as unknown as { axe: typeof axe }).axe;
    return run.run(document, { resultTypes: ["violations"] });
  });
  return result.violations
    .filter((violation) => violation.impact === "serious" || violation.impact === "critical")
    .flatMap((violation) =>
      violation.nodes
        .slice(0, 3)
        .map((node) => `${violation.id}: ${node.target.join(" ")} (${node.failureSummary?.split("\n")[1]?.trim()})`),
    );
}
