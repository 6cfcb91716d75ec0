// Times as people read them.
import { expect, test } from "vitest";
import { relative, took } from "./time";

const now = new Date("2026-11-25T20:00:00Z");
const before = (seconds: number) => relative(new Date(now.getTime() - seconds * 1000), now);

test("relative times", () => {
  expect(before(3)).toBe("just now");
  expect(before(-9)).toBe("just now");
  expect(before(-30)).toBe("in 30 seconds");
  expect(before(45)).toBe("45 seconds ago");
  expect(before(3_000)).toBe("50 minutes ago");
  expect(before(90_000)).toBe("yesterday");
  expect(before(40 * 86_400)).toBe("last month");
});

test("how long something took, or takes until now", () => {
  expect(took(undefined, undefined, now)).toBeUndefined();
  expect(took(new Date(now.getTime() - 65_000), undefined, now)).toBe("1 min 5 s");
});
