// The arithmetic of the throughput chart: round steps for its axes and lines through its points.

/** Round steps in binary units from 0 up to `max`, at most five lines. */
export function steps(max: number): number[] {
  let step = 1024;
  while (max / step > 5) step *= 2;
  const out: number[] = [];
  for (let value = 0; value <= max; value += step) out.push(value);
  return out;
}

/** The top of the axis: a little above the largest value, so that lines do not touch the edge. */
export function ceiling(values: readonly number[]): number {
  return Math.max(1024 ** 2, ...values) * 1.12;
}

export interface Point {
  at: number;
  value: number;
}

export interface Scale {
  x: (at: number) => number;
  y: (value: number) => number;
}

/** An SVG path through the points; a gap of more than `gap` seconds starts a new line. */
export function linePath(points: readonly Point[], { x, y }: Scale, gap = 4): string {
  let path = "";
  let before: number | undefined;
  for (const point of points) {
    const begins = before === undefined || point.at - before > gap;
    path += `${begins ? "M" : "L"}${x(point.at).toFixed(1)} ${y(point.value).toFixed(1)}`;
    before = point.at;
  }
  return path;
}

/** The area under the points, in pieces where they have gaps. */
export function areaPath(points: readonly Point[], scale: Scale, gap = 4): string {
  let path = "";
  let piece: Point[] = [];
  const close = () => {
    const first = piece[0];
    const last = piece.at(-1);
    if (first && last && piece.length > 1) {
      const floor = scale.y(0).toFixed(1);
      path += `${linePath(piece, scale, Number.POSITIVE_INFINITY)}L${scale.x(last.at).toFixed(1)} ${floor}L${scale.x(first.at).toFixed(1)} ${floor}Z`;
    }
    piece = [];
  };
  for (const point of points) {
    const last = piece.at(-1);
    if (last && point.at - last.at > gap) close();
    piece.push(point);
  }
  close();
  return path;
}
