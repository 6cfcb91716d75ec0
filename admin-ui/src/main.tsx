// Starts the dashboard: caches, router, and the stream of events that keeps the screen up to date.
import { QueryClientProvider } from "@tanstack/react-query";
import { RouterProvider } from "@tanstack/react-router";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { watchEvents } from "./api/events";
import { queryClient, router } from "./router";
import "./styles.css";

// Text is laid out once, in its own fonts: a font that arrives later moves everything below it. They are served beside
// this script; if they cannot be loaded, nobody has to wait for them.
const fonts = ["Geist", "Geist Mono"].map((family) => document.fonts.load(`1em "${family}"`));
// The stream of events begins before anything is read, so nothing has to be read again when it does.
const events = new Promise<void>((begun) => watchEvents(queryClient, begun));
const patience = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds));
await Promise.all([Promise.race([Promise.allSettled(fonts), patience(1000)]), Promise.race([events, patience(500)])]);

const root = document.getElementById("root");
if (root) {
  createRoot(root).render(
    <StrictMode>
      <QueryClientProvider client={queryClient}>
        <RouterProvider router={router} />
      </QueryClientProvider>
    </StrictMode>,
  );
}
