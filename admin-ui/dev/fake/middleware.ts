// The fake hub as middleware.
import type { IncomingMessage, ServerResponse } from "node:http";
import { Fake } from "./server.ts";
import type { Json } from "./views.ts";

type Next = () => void;

/** Middleware for Vite's servers and for node:http. */
export function createFake(hub = new Fake(process.env.MODELHUB_FAKE === "empty")) {
  return (request: IncomingMessage, response: ServerResponse, next: Next) => {
    const url = new URL(request.url ?? "/", "http://fake");
    if (!url.pathname.startsWith("/v1/")) return next();
    if (url.pathname === "/v1/events") return hub.watch(request, response);
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const text = Buffer.concat(chunks).toString();
      const { status = 200, body } = hub.answer(
        request.method ?? "GET",
        url.pathname,
        url.searchParams,
        text ? (JSON.parse(text) as Json) : {},
      );
      response.writeHead(status, { "content-type": status < 400 ? "application/json" : "application/problem+json" });
      response.end(JSON.stringify(body));
    });
  };
}
