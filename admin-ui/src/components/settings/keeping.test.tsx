// What the store keeps, as it was configured, and where.
import { create } from "@bufbuild/protobuf";
import { render } from "@testing-library/react";
import { expect, test } from "vitest";
import { SettingsSchema } from "@/gen/modelhub/v1/system_pb";
import { Keeping } from "./keeping";

test("each setting has its values, and its place if it is not the default", () => {
  const { keeping } = create(SettingsSchema, {
    keeping: [
      { key: "store.keep_free", values: ["0"] },
      { key: "store.keep_used", values: ["10m"] },
      { key: "store.pin", values: ["org/*", "a/b"], source: "MODELHUB_STORE_PIN" },
    ],
  });
  const { container } = render(<Keeping settings={keeping} />);
  const shown = [...container.querySelectorAll("dt")].map((one) => [one.textContent, one.nextSibling?.textContent]);
  expect(shown).toEqual([
    ["Leave free on the disk", "nothing"],
    ["Keep what was used within", "10m"],
    ["Never remove", "org/*, a/b (set in MODELHUB_STORE_PIN)"],
  ]);
});
