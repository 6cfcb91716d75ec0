// Bytes per second as a function of time, so that a chart can be shown with a past.
import { MiB } from "./model.ts";

/** To clients: a tide, and bursts when somebody loads a model. */
export function servedAt(milliseconds: number): number {
  const t = milliseconds / 1000;
  const tide = 90 + 40 * Math.sin(t / 71) + 18 * Math.sin(t / 23 + 1);
  const burst = Math.max(0, Math.sin(t / 37) * Math.sin(t / 13 + 2) - 0.35) * 620;
  const flicker = 1 + 0.09 * Math.sin(t * 2.3) + 0.07 * Math.sin(t * 5.1 + 1);
  return Math.max(0, (tide + burst) * flicker) * MiB;
}

/** One download's speed. */
export function speedAt(milliseconds: number, seed: number): number {
  const t = milliseconds / 1000;
  const drift = 9 * Math.sin(t / 41 + seed) + 6 * Math.sin(t / 17 + seed * 3);
  const flicker = 4 * Math.sin(t * 1.7 + seed) + 4 * Math.sin(t * 3.9) * Math.sin(t / 7);
  return (112 + drift + flicker) * MiB;
}
