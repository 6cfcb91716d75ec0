// Numbers as people read them: sizes in binary units, counts with separators, shares, speeds and durations.

const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"] as const;

/**
 * `512 B`, `1 MiB`, `1.07 GiB`: three significant digits without trailing zeros, as the hub itself and its command line
 * show sizes (`src/domain/size.rs`).
 */
export function bytes(value: bigint | number | undefined): string {
  const size = typeof value === "bigint" ? value : BigInt(Math.round(value ?? 0));
  // In whole numbers, so that halves round up here as they do there.
  const rounded = (unit: number, scale: bigint) => {
    const one = 1n << BigInt(10 * unit);
    return (2n * scale * size + one) / (2n * one);
  };
  let unit = 0;
  while (unit < units.length - 1 && rounded(unit, 1n) >= 1024n) unit += 1;
  const whole = size >> BigInt(10 * unit);
  const digits = whole < 10n ? 2 : whole < 100n ? 1 : 0;
  return `${trimZeros((Number(rounded(unit, 10n ** BigInt(digits))) / 10 ** digits).toFixed(digits))} ${units[unit]}`;
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

/** `8.19B` parameters, as is usual in the field. */
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

/** A share of a whole, from 0 to 1; 0 when the whole is 0. */
export function share(part: bigint | number | undefined, whole: bigint | number | undefined): number {
  const all = Number(whole ?? 0);
  if (all <= 0) return 0;
  return Math.min(1, Math.max(0, Number(part ?? 0) / all));
}

/** `42%`. Never 100 before it is complete, never 0 once it has started. */
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

/** `1 h`, `7 days`: a time that somebody has set, so usually a round one. */
export function span(seconds: bigint | number): string {
  const days = Number(seconds) / 86_400;
  return days >= 1 && Number.isInteger(days) ? plural(days, "day") : duration(Number(seconds));
}

/** Reads `500 GiB`, `1.5t`, `80m` or a plain number; undefined if it is not a size. Units are binary, as they are shown. */
export function parseBytes(text: string): bigint | undefined {
  const match = /^\s*(\d+(?:[.,]\d+)?)\s*([kmgtp]?)(?:i?b)?\s*$/i.exec(text);
  if (!match) return undefined;
  const power = ["", "k", "m", "g", "t", "p"].indexOf((match[2] ?? "").toLowerCase());
  const value = Number((match[1] ?? "").replace(",", ".")) * 1024 ** power;
  return Number.isFinite(value) && value < 2 ** 63 ? BigInt(Math.round(value)) : undefined;
}
