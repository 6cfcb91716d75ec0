// Cards are written by strangers: nothing in them may run or be fetched.

import { create } from "@bufbuild/protobuf";
import { createMemoryHistory, createRootRoute, createRouter, RouterProvider } from "@tanstack/react-router";
import { render, waitFor } from "@testing-library/react";
import { expect, test } from "vitest";
import { ModelRepoSchema } from "@/gen/modelhub/v1/model_pb";
import { SafeMarkdown, safeAddress } from "./card";

const model = create(ModelRepoSchema, { kind: "model", repoId: "org/name" });

async function show(text: string) {
  const root = createRootRoute({ component: () => <SafeMarkdown text={text} model={model} /> });
  const router = createRouter({ routeTree: root, history: createMemoryHistory() });
  const { container } = render(<RouterProvider router={router as never} />);
  await waitFor(() => expect(container.textContent).not.toBe(""));
  return container;
}

test("scripts, frames, images and handlers do not come through", async () => {
  const box = await show(
    'Hello\n\n<script>alert(1)</script>\n\n<iframe src="https://evil.example"></iframe>\n\n<img src=x onerror=alert(1)>\n\n![logo](https://evil.example/p.png)\n\n<b onclick="alert(1)">bold</b>\n\n<style>body{display:none}</style>',
  );
  expect(box.querySelector("script, iframe, img, style, [onclick], [onerror], [src]")).toBeNull();
  expect(box.textContent).toContain("Image: logo");
  expect(box.textContent).toContain("Hello");
});

test("links lead to the web or to files of the model, and nowhere else", async () => {
  const box = await show(
    "[a](javascript:alert(1)) [b](data:text/html,x) [c](https://good.example) [d](config.json) [e](vbscript:x)",
  );
  const links = [...box.querySelectorAll("a")];
  expect(links.map((link) => link.textContent)).toEqual(["c", "d"]);
  expect(links[0]?.getAttribute("rel")).toContain("noreferrer");
  expect(links[1]?.getAttribute("href")).toContain("file=config.json");
  expect(safeAddress("JAVASCRIPT:alert(1)")).toBeUndefined();
  expect(safeAddress("mailto:a@b.example")).toBeDefined();
});
