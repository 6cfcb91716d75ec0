// Results of actions, for some seconds, at the edge. Our own few lines, because the usual packages write
// a <style> element, which the page's policy refuses.

import { useRouter } from "@tanstack/react-router";
import { CircleCheck, CircleX, X } from "lucide-react";
import { useSyncExternalStore } from "react";

interface Message {
  text: string;
  detail?: string;
  to?: { label: string; href: string };
}
interface Toast extends Message {
  id: number;
  tone: "good" | "bad";
}

let toasts: readonly Toast[] = [];
let nextId = 1;
const listeners = new Set<() => void>();
const timers = new Map<number, ReturnType<typeof setTimeout>>();

function set(next: readonly Toast[]) {
  toasts = next;
  for (const listener of listeners) listener();
}

function start(toast: Toast) {
  clearTimeout(timers.get(toast.id));
  timers.set(
    toast.id,
    setTimeout(() => dismiss(toast.id), toast.tone === "bad" ? 12_000 : 6_000),
  );
}

function dismiss(id: number) {
  clearTimeout(timers.get(id));
  timers.delete(id);
  set(toasts.filter((toast) => toast.id !== id));
}

function show(tone: Toast["tone"], message: Message) {
  const toast = { ...message, tone, id: nextId++ };
  set([...toasts, toast].slice(-4));
  start(toast);
}

export const toast = {
  success: (message: Message) => show("good", message),
  error: (message: Message) => show("bad", message),
};

export function Toasts() {
  const router = useRouter();
  const shown = useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => toasts,
  );
  return (
    <section
      aria-label="Notifications"
      aria-live="polite"
      data-toasts
      className="pointer-events-none fixed right-3 bottom-3 left-3 z-50 flex flex-col items-end gap-2 sm:left-auto"
    >
      {shown.map((one) => (
        <output
          key={one.id}
          data-toast={one.tone}
          onMouseEnter={() => clearTimeout(timers.get(one.id))}
          onMouseLeave={() => start(one)}
          className="appear pointer-events-auto flex w-full items-start gap-2.5 rounded-lg border border-line bg-raised py-2.5 pr-2 pl-3 shadow-pop sm:w-96"
        >
          {one.tone === "good" ? (
            <CircleCheck className="mt-0.5 size-4 shrink-0 text-good" aria-hidden />
          ) : (
            <CircleX className="mt-0.5 size-4 shrink-0 text-bad" aria-hidden />
          )}
          <div className="min-w-0 flex-1">
            <p className="font-medium">{one.text}</p>
            {one.detail && <p className="text-xs text-soft">{one.detail}</p>}
          </div>
          {one.to && (
            <button
              type="button"
              className="shrink-0 rounded px-1.5 text-sm font-medium text-accent hover:bg-hover"
              onClick={() => {
                router.history.push(router.basepath + (one.to?.href ?? ""));
                dismiss(one.id);
              }}
            >
              {one.to.label}
            </button>
          )}
          <button
            type="button"
            aria-label="Dismiss"
            className="grid size-5 shrink-0 place-items-center rounded text-muted hover:bg-hover hover:text-text"
            onClick={() => dismiss(one.id)}
          >
            <X className="size-3.5" aria-hidden />
          </button>
        </output>
      ))}
    </section>
  );
}
