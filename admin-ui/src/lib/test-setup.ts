// What browsers have and jsdom lacks.
import { afterEach } from "vitest";

afterEach(() => {
  document.body.innerHTML = "";
});
