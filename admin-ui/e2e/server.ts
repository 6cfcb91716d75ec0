// Serves the built dashboard as the hub does, with its content security policy, next to the fake API.
import { existsSync, readFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { extname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { createFake } from "../dev/fake/middleware.ts";
import { Fake } from "../dev/fake/server.ts";

const dist = fileURLToPath(new URL("../dist", import.meta.url));
export const policy = "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'";
const types: Record<string, string> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript",
  ".css": "text/css",
  ".svg": "image/svg+xml",
  ".woff2": "font/woff2",
};

export interface FakeHub {
  url: string;
  fake: Fake;
  /** Stops responding, as a hub that restarts does. */
  stop: () => Promise<void>;
  /** Responds again at the same address. */
  start: () => Promise<void>;
}

export async function startFakeHub(empty = false): Promise<FakeHub> {
  if (!existsSync(join(dist, "index.html"))) throw new Error("There is no built dashboard: run `npm run build` first.");
  const fake = new Fake(empty);
  const api = createFake(fake);
  let server: Server;
  let port = 0;
  const start = () =>
    new Promise<void>((resolve) => {
      server = createServer((request, response) =>
        api(request, response, () => {
          const path = new URL(request.url ?? "/", "http://x").pathname.replace(/^\/ui\/?/, "/");
          // Names of models contain dots, so extensions say nothing: whatever is not a file is an address of the app.
          const asked = join(dist, path);
          const file = path !== "/" && existsSync(asked) ? asked : join(dist, "index.html");
          if (path.startsWith("/assets/") && file !== asked) {
            response.writeHead(404).end();
            return;
          }
          response.writeHead(200, {
            "content-type": types[extname(file)] ?? "application/octet-stream",
            "content-security-policy": policy,
          });
          response.end(readFileSync(file));
        }),
      );
      server.listen(port, "127.0.0.1", () => {
        port = (server.address() as AddressInfo).port;
        resolve();
      });
    });
  await start();
  return {
    url: `http://127.0.0.1:${port}`,
    fake,
    start,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
