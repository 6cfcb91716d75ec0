// Bytes of each second, to clients and from upstream, as they flow. uPlot draws; the numbers come with the events.
import { useEffect, useMemo, useRef } from "react";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { trafficSeconds, useTraffic } from "@/api/live";
import { speed } from "@/lib/format";
import { useIsDark } from "@/lib/theme";

const height = 196;

function colour(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

function options(width: number): uPlot.Options {
  const grid = { stroke: colour("--c-line"), width: 1 };
  const axis = { stroke: colour("--c-muted"), font: "11px Geist, sans-serif", grid, ticks: { show: false } };
  const series = (label: string, token: string): uPlot.Series => ({
    label,
    stroke: colour(token),
    width: 1.75,
    fill: `color-mix(in oklch, ${colour(token)} 14%, transparent)`,
    points: { show: false },
  });
  return {
    width,
    height,
    cursor: { y: false, points: { size: 6 } },
    legend: { show: false },
    scales: {
      x: { time: true, range: () => [Date.now() / 1000 - trafficSeconds, Date.now() / 1000] },
      y: { range: (_, __, max) => [0, Math.max(1024 ** 2, max * 1.12)] },
    },
    series: [{}, series("To clients", "--c-bar"), series("From upstream", "--c-warn-bar")],
    axes: [
      {
        ...axis,
        space: 80,
        values: (_, ticks) =>
          ticks.map((tick) =>
            new Date(tick * 1000).toLocaleTimeString("en-GB", {
              hour: "2-digit",
              minute: "2-digit",
              second: "2-digit",
            }),
          ),
      },
      {
        ...axis,
        size: 78,
        splits: (_, __, ___, max) => steps(max),
        values: (_, ticks) => ticks.map((tick) => speed(tick)),
      },
    ],
  };
}

/** Round steps in binary units, at most five. */
export function steps(max: number): number[] {
  let step = 1024;
  while (max / step > 5) step *= 2;
  const out: number[] = [];
  for (let value = 0; value <= max; value += step) out.push(value);
  return out;
}

export function TrafficChart() {
  const points = useTraffic();
  const dark = useIsDark();
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const data = useMemo<uPlot.AlignedData>(
    () => [
      points.map((point) => point.at),
      points.map((point) => point.toClients),
      points.map((point) => point.fromUpstream),
    ],
    [points],
  );
  const latest = useRef(data);
  latest.current = data;

  // biome-ignore lint/correctness/useExhaustiveDependencies: the theme decides the colours, so a change draws anew.
  useEffect(() => {
    const element = box.current;
    if (!element) return;
    const made = new uPlot(options(element.clientWidth), latest.current, element);
    plot.current = made;
    const observer = new ResizeObserver(() => made.setSize({ width: element.clientWidth, height }));
    observer.observe(element);
    return () => {
      observer.disconnect();
      made.destroy();
      plot.current = null;
    };
  }, [dark]);

  useEffect(() => plot.current?.setData(data), [data]);

  const last = points.at(-1);
  return (
    <figure className="px-2 pt-3 pb-1" aria-label="Throughput of the last five minutes">
      <figcaption className="tabular flex flex-wrap gap-x-5 gap-y-1 px-2 pb-2 text-xs text-muted">
        <Legend className="bg-bar" name="To clients" value={last ? speed(last.toClients) : "–"} />
        <Legend className="bg-warn-bar" name="From upstream" value={last ? speed(last.fromUpstream) : "–"} />
        {points.length === 0 && <span>Waiting for the first second of traffic…</span>}
      </figcaption>
      <div ref={box} className="min-w-0 overflow-hidden" style={{ height }} />
    </figure>
  );
}

function Legend({ className, name, value }: { className: string; name: string; value: string }) {
  return (
    <span className="flex items-center gap-1.5">
      <span className={`h-0.5 w-3 rounded-full ${className}`} aria-hidden />
      {name}
      <span className="min-w-16 font-medium text-text">{value}</span>
    </span>
  );
}
