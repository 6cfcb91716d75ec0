// Numbers as people read them.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { bytes, duration, parameters, parseBytes, percent, plural, share, span } from "./format";

const sizes = readFileSync(join(import.meta.dirname, "../../../src/domain/size.cases"), "utf8")
  .split("\n")
  .filter((line) => line !== "" && !line.startsWith("#"))
  .map((line) => line.split(/ +(.*)/, 2) as [string, string]);

test.each(sizes)("%s bytes are shown as %s, as by the hub and its command line", (size, text) => {
  expect(bytes(BigInt(size))).toBe(text);
  if (Number.isSafeInteger(Number(size))) expect(bytes(Number(size))).toBe(text);
});

test("speeds have fractions, and what is unknown is 0", () => {
  expect(bytes(1023.4)).toBe("1023 B");
  expect(bytes(123.4 * 1024 ** 3)).toBe("123 GiB");
  expect(bytes(undefined)).toBe("0 B");
});

test("typed sizes mean the same as displayed ones", () => {
  expect(parseBytes("80 MiB")).toBe(80n * 1024n ** 2n);
  expect(parseBytes("1.5t")).toBe(BigInt(1.5 * 1024 ** 4));
  expect(parseBytes("2,5 GB")).toBe(BigInt(2.5 * 1024 ** 3));
  expect(parseBytes("12")).toBe(12n);
  expect(parseBytes("fast")).toBeUndefined();
  expect(parseBytes("-1 GiB")).toBeUndefined();
  for (const value of [1n, 1024n, 5n * 1024n ** 3n]) expect(parseBytes(bytes(value))).toBe(value);
});

test("a share is never 100% before it is complete, and never 0% once it has started", () => {
  expect(percent(0)).toBe("0%");
  expect(percent(0.0001)).toBe("<1%");
  expect(percent(0.9999)).toBe("99%");
  expect(percent(1)).toBe("100%");
  expect(share(1n, 0n)).toBe(0);
  expect(share(3n, 2n)).toBe(1);
});

test("durations show their two largest units", () => {
  expect(duration(0)).toBe("0 s");
  expect(duration(59.6)).toBe("1 min");
  expect(duration(3_725)).toBe("1 h 2 min");
  expect(duration(86_400 + 5)).toBe("1 d");
});

test("times that somebody has set", () => {
  expect(["0", "10", "60", "3600", "5400", "86400", "604800"].map((seconds) => span(BigInt(seconds)))).toEqual([
    "0 s",
    "10 s",
    "1 min",
    "1 h",
    "1 h 30 min",
    "1 day",
    "7 days",
  ]);
});

test("counts and parameters", () => {
  expect(plural(1n, "file")).toBe("1 file");
  expect(plural(1_200, "entry", "entries")).toBe("1,200 entries");
  expect(parameters(8_190_735_360n)).toBe("8.19B");
  expect(parameters(137_022_720)).toBe("137M");
});
