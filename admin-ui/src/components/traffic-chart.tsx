// Bytes per second, to clients and from upstream, as they flow. The numbers come with the events; the chart shows
// the last five minutes and scrolls by itself.
import { type PointerEvent, useEffect, useRef, useState } from "react";
import { type TrafficPoint, trafficSeconds, useTraffic } from "@/api/live";
import { areaPath, ceiling, linePath, steps } from "@/lib/chart";
import { speed } from "@/lib/format";

const height = 200;
const left = 68;
const right = 8;
const top = 8;
const bottom = 22;
const clock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });
const exactClock = new Intl.DateTimeFormat("en-GB", { timeStyle: "medium" });

const series = [
  { key: "toClients", name: "To clients", dot: "bg-bar", line: "stroke-bar", area: "fill-bar/15" },
  { key: "fromUpstream", name: "From upstream", dot: "bg-warn-bar", line: "stroke-warn-bar", area: "fill-warn-bar/10" },
] as const;

export function TrafficChart() {
  const points = useTraffic();
  const box = useRef<HTMLDivElement>(null);
  const [width, setWidth] = useState(0);
  const [now, setNow] = useState(() => Date.now() / 1000);
  const [at, setAt] = useState<number>();

  useEffect(() => {
    const element = box.current;
    if (!element) return;
    const observer = new ResizeObserver(() => setWidth(element.clientWidth));
    observer.observe(element);
    const timer = setInterval(() => setNow(Date.now() / 1000), 1_000);
    return () => {
      observer.disconnect();
      clearInterval(timer);
    };
  }, []);

  const from = now - trafficSeconds;
  const shown = points.filter((point) => point.at >= from);
  const max = ceiling(shown.flatMap((point) => [point.toClients, point.fromUpstream]));
  const x = (time: number) => left + ((time - from) / trafficSeconds) * (width - left - right);
  const y = (value: number) => top + (1 - value / max) * (height - top - bottom);
  const minutes: number[] = [];
  for (let minute = Math.ceil(from / 60) * 60; minute <= now; minute += 60) minutes.push(minute);

  const pointed = at === undefined ? undefined : nearest(shown, at);
  const reading = pointed ?? shown.at(-1);
  const move = (event: PointerEvent) => {
    const bounds = event.currentTarget.getBoundingClientRect();
    setAt(from + ((event.clientX - bounds.left - left) / (width - left - right)) * trafficSeconds);
  };

  return (
    <figure className="px-2 pt-3 pb-1" aria-label="Throughput over the last five minutes">
      <figcaption className="tabular flex flex-wrap gap-x-5 gap-y-1 px-2 pb-2 text-xs text-muted">
        {series.map((one) => (
          <span key={one.key} className="flex items-center gap-1.5">
            <span className={`h-0.5 w-3 rounded-full ${one.dot}`} aria-hidden />
            {one.name}
            <span className="min-w-16 font-medium text-text">{reading ? speed(reading[one.key]) : "–"}</span>
          </span>
        ))}
        {pointed && <span className="ml-auto">{exactClock.format(pointed.at * 1000)}</span>}
      </figcaption>
      <div ref={box} className="relative min-w-0 overflow-hidden" style={{ height }}>
        {points.length === 0 && (
          <p className="absolute inset-0 grid place-items-center text-xs text-muted">Waiting for traffic data…</p>
        )}
        {width > 0 && (
          <svg
            width={width}
            height={height}
            className="block"
            aria-hidden
            onPointerMove={move}
            onPointerLeave={() => setAt(undefined)}
          >
            {steps(max).map((value) => (
              <g key={value}>
                <line x1={left} x2={width - right} y1={y(value)} y2={y(value)} className="stroke-line" />
                <text x={left - 8} y={y(value) + 3.5} textAnchor="end" className="tabular fill-muted text-[11px]">
                  {speed(value)}
                </text>
              </g>
            ))}
            {minutes.map((minute) => (
              <text
                key={minute}
                x={x(minute)}
                y={height - 5}
                textAnchor="middle"
                className="tabular fill-muted text-[11px]"
              >
                {x(minute) > left + 14 && x(minute) < width - right - 14 ? clock.format(minute * 1000) : ""}
              </text>
            ))}
            {series.map((one) => {
              const line = shown.map((point) => ({ at: point.at, value: point[one.key] }));
              return (
                <g key={one.key}>
                  <path d={areaPath(line, { x, y })} className={one.area} />
                  <path
                    d={linePath(line, { x, y })}
                    className={`fill-none ${one.line}`}
                    strokeWidth={1.75}
                    strokeLinejoin="round"
                  />
                  {pointed && (
                    <circle
                      cx={x(pointed.at)}
                      cy={y(pointed[one.key])}
                      r={3.5}
                      className={`fill-panel ${one.line}`}
                      strokeWidth={1.75}
                    />
                  )}
                </g>
              );
            })}
            {pointed && (
              <line
                x1={x(pointed.at)}
                x2={x(pointed.at)}
                y1={top}
                y2={height - bottom}
                className="stroke-line-strong"
                strokeDasharray="3 3"
              />
            )}
          </svg>
        )}
      </div>
    </figure>
  );
}

function nearest(points: readonly TrafficPoint[], at: number): TrafficPoint | undefined {
  let best: TrafficPoint | undefined;
  for (const point of points) if (!best || Math.abs(point.at - at) < Math.abs(best.at - at)) best = point;
  return best && Math.abs(best.at - at) < 10 ? best : undefined;
}
