// Joins class names. Of two classes that set the same thing, the later one wins; only for what our components let
// others override, so a few names are enough and no table of all of Tailwind is needed.
import { type ClassValue, clsx } from "clsx";

const pattern = /^((?:[^\s:[\]]+:|\[[^\]]*\]:)*)(size|h|w|px|py|p|max-w|max-h|grid-cols|bg|pl|pr)-/;
const covers: Record<string, readonly string[]> = { size: ["h", "w"], p: ["px", "py", "pl", "pr"], px: ["pl", "pr"] };

const known = new Map<string, string>();

export function cn(...classes: ClassValue[]): string {
  const text = clsx(classes);
  // The same few hundred texts come again and again, for each row of a list.
  const before = known.get(text);
  if (before !== undefined) return before;
  const result = resolve(text);
  if (known.size > 2_000) known.clear();
  known.set(text, result);
  return result;
}

function resolve(text: string): string {
  const tokens = text.split(" ");
  const taken = new Set<string>();
  const kept: string[] = [];
  for (const token of tokens.reverse()) {
    const match = pattern.exec(token);
    if (match) {
      const [, variants = "", name = ""] = match;
      if (taken.has(variants + name)) continue;
      taken.add(variants + name);
      for (const other of covers[name] ?? []) taken.add(variants + other);
    }
    kept.push(token);
  }
  return kept.reverse().join(" ");
}
