// Small hooks that several screens share.
import { useEffect, useRef, useState, useSyncExternalStore } from "react";

/** The value once it has not changed for a while; for searches while somebody is typing. */
export function useDebounced<T>(value: T, milliseconds = 200): T {
  const [late, setLate] = useState(value);
  useEffect(() => {
    const timer = setTimeout(() => setLate(value), milliseconds);
    return () => clearTimeout(timer);
  }, [value, milliseconds]);
  return late;
}

let now = new Date();
const clockListeners = new Set<() => void>();
let clock: ReturnType<typeof setInterval> | undefined;

function subscribeClock(listener: () => void) {
  clockListeners.add(listener);
  clock ??= setInterval(() => {
    now = new Date();
    for (const one of clockListeners) one();
  }, 10_000);
  return () => {
    clockListeners.delete(listener);
    if (clockListeners.size === 0) {
      clearInterval(clock);
      clock = undefined;
    }
  };
}

/** The time, to within some seconds: one clock for all relative times on the page. */
export function useNow(): Date {
  return useSyncExternalStore(subscribeClock, () => {
    if (clockListeners.size === 0 && Date.now() - now.getTime() > 1000) now = new Date();
    return now;
  });
}

/** True once `waiting` has lasted `milliseconds`: so that quick answers do not flash a skeleton. */
export function useSlow(waiting: boolean, milliseconds = 120): boolean {
  const [slow, setSlow] = useState(false);
  useEffect(() => {
    if (!waiting) {
      setSlow(false);
      return;
    }
    const timer = setTimeout(() => setSlow(true), milliseconds);
    return () => clearTimeout(timer);
  }, [waiting, milliseconds]);
  return slow;
}

/** Sets the tab's title while the screen is shown. */
export function useTitle(title: string | undefined) {
  useEffect(() => {
    document.title = title ? `${title} · modelhub` : "modelhub";
  }, [title]);
}

/** Calls the latest handler for matching keys. */
export function useHotkey(match: (event: KeyboardEvent) => boolean, handler: () => void) {
  const latest = useRef({ match, handler });
  latest.current = { match, handler };
  useEffect(() => {
    const listen = (event: KeyboardEvent) => {
      if (!latest.current.match(event)) return;
      event.preventDefault();
      latest.current.handler();
    };
    window.addEventListener("keydown", listen);
    return () => window.removeEventListener("keydown", listen);
  }, []);
}

/** Whether the key was typed into a field, where it is text and not a shortcut. */
export function inField(event: KeyboardEvent): boolean {
  const target = event.target;
  return (
    target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName))
  );
}
