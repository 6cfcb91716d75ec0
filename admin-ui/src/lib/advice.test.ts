import { expect, test } from "vitest";
import { adviceOn } from "./advice";

test("errors lead to the screen that helps", () => {
  expect(adviceOn("demo/gated is gated, and this hub's token has no access to it")?.hash).toBe("token");
  expect(adviceOn("Repository not found")?.hash).toBe("token");
  for (const full of [
    "this hub's disk is full",
    "needs 4.6 GiB of disk space, but only 2.1 GiB is free",
    "needs 4.6 GiB, but the store limit of 10 GiB leaves only 2.1 GiB",
    "Not enough disk space: 4.6 GiB needed, 2.1 GiB free",
  ])
    expect(adviceOn(full)?.search, full).toEqual({ dialog: "evict" });
  expect(adviceOn("this hub is offline and has not cached a file")?.hash).toBe("upstream");
  expect(adviceOn("The content did not match its hash")).toBeUndefined();
  expect(adviceOn("tokenizer.json: 503")).toBeUndefined();
});
