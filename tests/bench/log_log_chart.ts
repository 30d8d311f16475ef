/** A small chart with logarithmic axes, as SVG. */

export interface Curve {
  readonly name: string;
  /** Pairs of x and y, both above 0, x rising. */
  readonly points: [number, number][];
}

const width = 720;
const height = 420;
const margin = { left: 80, right: 220, top: 24, bottom: 56 };
const colours = ["#1f6feb", "#d1242f", "#1a7f37"];

/** Curves over powers of ten on both axes. */
export function logLogChart(
  curves: readonly Curve[],
  labels: { readonly x: string; readonly y: string },
): string {
  const xs = curves.flatMap(({ points }) => points.map(([x]) => Math.log10(x)));
  const ys = curves.flatMap(({ points }) => points.map(([, y]) => Math.log10(y)));
  const left = Math.floor(Math.min(...xs));
  const right = Math.ceil(Math.max(...xs));
  const low = Math.floor(Math.min(...ys));
  const high = Math.ceil(Math.max(...ys));
  const atX = (exponent: number) =>
    margin.left + (exponent - left) / (right - left) * (width - margin.left - margin.right);
  const atY = (exponent: number) =>
    height - margin.bottom -
    (exponent - low) / (high - low) * (height - margin.top - margin.bottom);
  const parts: string[] = [];
  for (let exponent = left; exponent <= right; exponent++) {
    parts.push(line(atX(exponent), atY(low), atX(exponent), atY(high)));
    parts.push(text(atX(exponent), height - margin.bottom + 20, power(exponent), "middle"));
  }
  for (let exponent = low; exponent <= high; exponent++) {
    parts.push(line(atX(left), atY(exponent), atX(right), atY(exponent)));
    parts.push(text(margin.left - 8, atY(exponent) + 4, power(exponent), "end"));
  }
  parts.push(text((atX(left) + atX(right)) / 2, height - 12, labels.x, "middle"));
  parts.push(text(margin.left, margin.top - 8, labels.y, "end"));
  for (const [index, { name, points }] of curves.entries()) {
    const colour = colours[index % colours.length] ?? "black";
    const path = points.map(([x, y]) =>
      `${round(atX(Math.log10(x)))},${round(atY(Math.log10(y)))}`
    );
    parts.push(
      `<polyline points="${path.join(" ")}" fill="none" stroke="${colour}" stroke-width="2"/>`,
    );
    for (const place of path) {
      const [x, y] = place.split(",");
      parts.push(`<circle cx="${x}" cy="${y}" r="3" fill="${colour}"/>`);
    }
    const last = Math.log10(points.at(-1)?.[1] ?? 1);
    parts.push(text(atX(right) + 10, atY(last) + 4, name, "start", colour));
  }
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" ` +
    `font-family="sans-serif" font-size="13">\n` +
    `<rect width="${width}" height="${height}" fill="white"/>\n${parts.join("\n")}\n</svg>\n`;
}

function line(x1: number, y1: number, x2: number, y2: number): string {
  return `<line x1="${round(x1)}" y1="${round(y1)}" x2="${round(x2)}" y2="${round(y2)}" ` +
    `stroke="#d0d7de"/>`;
}

function text(x: number, y: number, words: string, anchor: string, colour = "#1f2328"): string {
  return `<text x="${round(x)}" y="${round(y)}" text-anchor="${anchor}" fill="${colour}">${words}` +
    `</text>`;
}

function power(exponent: number): string {
  return `10<tspan dy="-5" font-size="10">${exponent}</tspan>`;
}

function round(value: number): string {
  return value.toFixed(1);
}
