// Numbers as people read them: sizes in binary units, counts with separators, shares, speeds and durations.

const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"] as const;

/** `1.5 GiB`; three significant digits, no decimals for bytes. */
export function bytes(value: bigint | number | undefined): string {
  let rest = Number(value ?? 0);
  let unit = 0;
  while (rest >= 1024 && unit < units.length - 1) {
    rest /= 1024;
    unit += 1;
  }
  // 1023.7 KiB would round to 1,024 KiB: go one unit up.
  if (unit > 0 && Math.round(rest) >= 1024 && unit < units.length - 1) {
    rest /= 1024;
    unit += 1;
  }
  const digits = unit === 0 || rest >= 100 ? 0 : rest >= 10 ? 1 : 2;
  return `${trimZeros(rest.toFixed(digits))} ${units[unit]}`;
}

function trimZeros(text: string): string {
  return text.includes(".") ? text.replace(/\.?0+$/, "") : text;
}

/** The exact number of bytes, for a hover. */
export function exactBytes(value: bigint | number | undefined): string {
  return `${count(value)} bytes`;
}

export function speed(bytesPerSecond: bigint | number | undefined): string {
  return `${bytes(bytesPerSecond)}/s`;
}

const counts = new Intl.NumberFormat("en-US");

export function count(value: bigint | number | undefined): string {
  return counts.format(value ?? 0);
}

/** `1 file`, `2 files`. */
export function plural(value: bigint | number | undefined, one: string, many = `${one}s`): string {
  return `${count(value)} ${Number(value ?? 0) === 1 ? one : many}`;
}

/** `8.19 B` parameters, as the field says them. */
export function parameters(value: bigint | number): string {
  const number = Number(value);
  if (number === 0) return "unknown";
  for (const [size, name] of [
    [1e12, "T"],
    [1e9, "B"],
    [1e6, "M"],
    [1e3, "K"],
  ] as const) {
    if (number >= size) return `${trimZeros((number / size).toFixed(number / size >= 100 ? 0 : 2))}${name}`;
  }
  return String(number);
}

/** A share of a whole between 0 and 1; 0 when the whole is nothing. */
export function share(part: bigint | number | undefined, whole: bigint | number | undefined): number {
  const all = Number(whole ?? 0);
  if (all <= 0) return 0;
  return Math.min(1, Math.max(0, Number(part ?? 0) / all));
}

/** `42 %`. Never 100 before it is whole, never 0 once it began. */
export function percent(ratio: number): string {
  const value = ratio * 100;
  if (value > 0 && value < 1) return "<1%";
  if (value > 99 && value < 100) return "99%";
  return `${Math.round(value)}%`;
}

/** `2 h 5 min`, `41 s`: the two largest parts. */
export function duration(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  const parts: string[] = [];
  let rest = whole;
  for (const [size, name] of [
    [86_400, "d"],
    [3_600, "h"],
    [60, "min"],
    [1, "s"],
  ] as const) {
    const value = Math.floor(rest / size);
    rest -= value * size;
    if (value > 0) parts.push(`${value} ${name}`);
    else if (parts.length > 0) break;
    if (parts.length === 2) break;
  }
  return parts.join(" ") || "0 s";
}

/** `1 h`, `7 days`: a time that somebody set, so mostly a round one. */
export function span(seconds: bigint | number): string {
  const days = Number(seconds) / 86_400;
  return days >= 1 && Number.isInteger(days) ? plural(days, "day") : duration(Number(seconds));
}

/** Reads `500 GiB`, `1.5t`, `80m` or a plain number; undefined if it is none. Units are binary, as they are shown. */
export function parseBytes(text: string): bigint | undefined {
  const match = /^\s*(\d+(?:[.,]\d+)?)\s*([kmgtp]?)(?:i?b)?\s*$/i.exec(text);
  if (!match) return undefined;
  const power = ["", "k", "m", "g", "t", "p"].indexOf((match[2] ?? "").toLowerCase());
  const value = Number((match[1] ?? "").replace(",", ".")) * 1024 ** power;
  return Number.isFinite(value) && value < 2 ** 63 ? BigInt(Math.round(value)) : undefined;
}
