// Runs screenshots.ts through Vite, which reads TypeScript also where Node does not: node e2e/run-screenshots.mjs [FOLDER]
import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { createServer } from "vite";

if (process.argv[2]) process.env.SCREENSHOTS = resolve(process.argv[2]);
const server = await createServer({
  root: fileURLToPath(new URL("..", import.meta.url)),
  configFile: false,
  appType: "custom",
  logLevel: "error",
  optimizeDeps: { noDiscovery: true },
  server: { middlewareMode: true, hmr: false, ws: false },
});
await server.ssrLoadModule("/e2e/screenshots.ts");
