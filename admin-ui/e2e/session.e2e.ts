// Signing in and out on a real hub that wants a token, in one tab and in several.
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { open, serious, startBrowser } from "./browser.ts";
import { type RealHub, startRealHub } from "./hub.ts";

const first = "the-first-admin-token-0123456789-abcdef";
const second = "the-second-admin-token-0123456789-abcde";

let browser: Browser;
let hub: RealHub;
beforeAll(async () => {
  [browser, hub] = await Promise.all([startBrowser(), startRealHub({ MODELHUB_ADMIN_TOKEN: first })]);
});
afterAll(async () => {
  await browser.close();
  await hub.end();
});

const field = (page: Page) => page.getByLabel("Admin token");
const signedIn = (page: Page) => page.locator("[data-connection=live]").first();

/** Types where the focus is: the form has it. */
async function signIn(page: Page, token: string) {
  await field(page).waitFor();
  await expect.poll(() => field(page).evaluate((one) => one === document.activeElement)).toBe(true);
  await page.keyboard.type(token);
  await page.keyboard.press("Enter");
}

test("the form has the focus, says what was wrong, and the token serves every tab until it is signed out", async () => {
  const { page, clean, close } = await open(browser, `${hub.admin}/ui/`);
  await signIn(page, "wrong");
  await page.getByText("Token rejected.").waitFor();
  expect(await serious(page)).toEqual([]);
  await field(page).fill("");
  await signIn(page, first);
  await signedIn(page).waitFor();
  await page.getByRole("heading", { name: "The hub is ready" }).waitFor();

  const other = await page.context().newPage();
  await other.goto(`${hub.admin}/ui/models`);
  await other.getByText("No models yet").waitFor();
  await signedIn(other).waitFor();
  await other.reload();
  await other.getByText("No models yet").waitFor();

  await other.getByRole("button", { name: "Sign out" }).click();
  for (const one of [page, other]) await field(one).waitFor();
  expect(await other.evaluate(() => JSON.stringify([sessionStorage, localStorage]))).not.toContain(first);
  await page.reload();
  // In one tab again, and so in the other.
  await signIn(page, first);
  for (const one of [page, other]) await signedIn(one).waitFor();
  clean(/status of 401/);
  await close();
});

test("after the token changed on the server, the form comes at once", async () => {
  const { page, clean, close } = await open(browser, `${hub.admin}/ui/models`);
  await signIn(page, first);
  await page.getByText("No models yet").waitFor();
  await signedIn(page).waitFor();
  await hub.stop();
  await hub.start({ MODELHUB_ADMIN_TOKEN: second });
  // The stream comes back within some seconds of the hub, and then there is nothing to wait for.
  await page.getByText("The hub no longer accepts the previous token.").waitFor({ timeout: 11_000 });
  expect(await page.getByText("The hub is not responding").count()).toBe(0);
  await signIn(page, second);
  await page.getByText("No models yet").waitFor();
  expect(new URL(page.url()).pathname).toBe("/ui/models");
  await signedIn(page).waitFor();
  clean(/ERR_CONNECTION|ERR_INCOMPLETE|ERR_EMPTY|ERR_ABORTED|Failed to load resource|status of 401/);
  await close();
});
