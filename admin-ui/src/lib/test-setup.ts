// What the browser has and jsdom has not.
import { afterEach } from "vitest";

afterEach(() => {
  document.body.innerHTML = "";
});
