// The chosen theme: light, dark or the system's. `public/theme.js` sets it before the first paint; this changes it.
import { useSyncExternalStore } from "react";

export type Theme = "system" | "light" | "dark";
const key = "modelhub.theme";
const listeners = new Set<() => void>();
const system = typeof matchMedia === "function" ? matchMedia("(prefers-color-scheme: dark)") : undefined;

export function chosenTheme(): Theme {
  try {
    const value = localStorage.getItem(key);
    return value === "light" || value === "dark" ? value : "system";
  } catch {
    return "system";
  }
}

function apply() {
  const theme = chosenTheme();
  const dark = theme === "dark" || (theme === "system" && system?.matches === true);
  document.documentElement.dataset.theme = dark ? "dark" : "light";
  for (const listener of listeners) listener();
}

export function setTheme(theme: Theme) {
  try {
    if (theme === "system") localStorage.removeItem(key);
    else localStorage.setItem(key, theme);
  } catch {
    document.documentElement.dataset.theme = theme === "dark" ? "dark" : "light";
  }
  apply();
}

system?.addEventListener("change", apply);

function subscribe(listener: () => void) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

export const useTheme = () => useSyncExternalStore(subscribe, chosenTheme);
export const useIsDark = () => useSyncExternalStore(subscribe, () => document.documentElement.dataset.theme === "dark");
