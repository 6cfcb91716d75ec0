import { expect, test } from "vitest";
import { adviceOn } from "./advice";

test("errors lead to the screen that helps", () => {
  expect(adviceOn("demo/gated is gated, and this hub's token has no access to it")?.hash).toBe("token");
  expect(adviceOn("Repository not found")?.hash).toBe("token");
  expect(adviceOn("No space: the file needs 4.6 GiB")?.search).toEqual({ dialog: "evict" });
  expect(adviceOn("this hub is offline")?.hash).toBe("upstream");
  expect(adviceOn("The body did not match its hash")).toBeUndefined();
  expect(adviceOn("tokenizer.json: 503")).toBeUndefined();
});
