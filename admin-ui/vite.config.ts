/// <reference types="vitest/config" />
// How the dashboard is built. It is served under /ui/ by the admin listener, which refuses inline scripts and styles;
// so nothing may be inlined, and one dependency that writes a <style> element is replaced (see remove-scroll.tsx).
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";
import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import tailwindcss from "@tailwindcss/vite";
import react from "@vitejs/plugin-react";
import { defineConfig, type Plugin } from "vite";
import { createFake } from "./dev/fake/middleware.ts";

const at = (path: string) => fileURLToPath(new URL(path, import.meta.url));

/** The policy that the hub sends, so that the built dashboard runs under the same rules. */
const policy = "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'";

/** `MODELHUB_FAKE=1`: answers /v1 from memory, so that the dashboard can be worked on without a hub. */
function fake(): Plugin {
  return {
    name: "modelhub-fake",
    configureServer: (server) => void server.middlewares.use(createFake()),
    configurePreviewServer: (server) => {
      server.middlewares.use((_request, response, next) => {
        response.setHeader("content-security-policy", policy);
        next();
      });
      server.middlewares.use(createFake());
    },
  };
}

/**
 * The messages' descriptors, without the services that the dashboard has no use for, and as text: base64 hides from the
 * compression that they are names, mostly.
 */
function descriptors(): Plugin {
  return {
    name: "modelhub-descriptors",
    apply: "build",
    transform(code, id) {
      if (!/\/gen\/.*_pb\.ts$/.test(id)) return;
      return code.replace(/fileDesc\("([^"]+)"/, (_, base64: string) => {
        const file = fromBinary(FileDescriptorProtoSchema, Buffer.from(base64, "base64"));
        file.service = [];
        const text = Buffer.from(toBinary(FileDescriptorProtoSchema, file)).toString("latin1");
        return `fileDesc(btoa(${JSON.stringify(text)})`;
      });
    },
  };
}

/** Writes what is text once more, compressed as well as it can be: the hub serves these files as they are. */
function compressed(): Plugin {
  return {
    name: "modelhub-compressed",
    apply: "build",
    closeBundle() {
      const dist = at("./dist");
      for (const name of readdirSync(dist, { recursive: true, encoding: "utf8" })) {
        if (!/\.(html|js|css|svg)$/.test(name)) continue;
        const text = readFileSync(join(dist, name));
        // What is smaller fits into a packet as it is.
        if (text.length < 1024) continue;
        const size = { [constants.BROTLI_PARAM_SIZE_HINT]: text.length };
        writeFileSync(join(dist, `${name}.br`), brotliCompressSync(text, { params: size }));
        writeFileSync(join(dist, `${name}.gz`), gzipSync(text, { level: 9 }));
      }
    },
  };
}

const hub = process.env.MODELHUB_ADMIN_URL ?? "http://127.0.0.1:8485";

export default defineConfig({
  base: "/ui/",
  plugins: [react(), tailwindcss(), descriptors(), compressed(), ...(process.env.MODELHUB_FAKE ? [fake()] : [])],
  resolve: {
    alias: {
      "@": at("./src"),
      "react-remove-scroll": at("./src/lib/remove-scroll.tsx"),
    },
  },
  build: {
    target: "es2022",
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 700,
    rolldownOptions: {
      output: {
        // Few files: what the first screen needs is one, what later screens share another, and not one for each module.
        codeSplitting: {
          groups: [
            { name: "first", tags: ["$initial"], priority: 2 },
            // Also on the first screen, where a job runs: it may not bring what all screens share.
            { name: "job-card", test: /components\/job-(card|controls)\.tsx$/, priority: 1 },
            { name: "shared", minShareCount: 2 },
          ],
        },
      },
    },
  },
  server: { proxy: { "/v1": { target: hub, changeOrigin: true } } },
  preview: { proxy: process.env.MODELHUB_FAKE ? {} : { "/v1": { target: hub, changeOrigin: true } } },
  test: { environment: "jsdom", include: ["src/**/*.test.{ts,tsx}"], setupFiles: ["src/lib/test-setup.ts"] },
});
