// Small charts, drawn as SVG out of numbers; each says in words what it shows.

import { h, svg } from "./dom.js";
import { clock, duration } from "./words.js";

const WIDE = 240;
const HIGH = 72;

// How something went: the latest value is at the right.
export function line(values, name, words, { least = 0 } = {}) {
  const most = Math.max(least, ...values, 1e-9);
  const now = values.at(-1) ?? 0;
  const step = WIDE / Math.max(1, values.length - 1);
  const points = values.map((value, at) => [at * step, HIGH - (value / most) * (HIGH - 6)]);
  const path = points.map(([x, y], at) => `${at ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`).join("");
  const label = `${name}: now ${words(now)}, at most ${words(Math.max(0, ...values))}`;
  return h(
    "section",
    { class: "card" },
    h("h2", { class: "quiet" }, name),
    h("p", { class: "figure" }, words(now)),
    svg(
      "svg",
      { class: "chart", viewBox: `0 0 ${WIDE} ${HIGH + 4}`, role: "img", "aria-label": label },
      [0, 0.5, 1].map((share) => svg("line", { class: "grid", x1: 0, x2: WIDE, y1: HIGH - share * (HIGH - 6), y2: HIGH - share * (HIGH - 6) })),
      values.length > 1 && svg("path", { class: "area", d: `${path}L${WIDE} ${HIGH}L0 ${HIGH}Z` }),
      values.length > 1 && svg("path", { class: "path", d: path }),
      svg("text", { x: 2, y: 17 }, words(most)),
    ),
  );
}

// More points than that are not told from each other on a small chart.
const APART = 160;

// Neighbours in one: what they add up to, or the largest of them.
function grouped(points, seconds, sums) {
  const groups = new Map();
  for (const [at, value] of points) {
    const place = Math.floor((at - points[0][0]) / seconds + 1e-6);
    const [, before] = groups.get(place) ?? [at, null];
    const both = value === null || before === null ? (value ?? before) : sums ? before + value : Math.max(before, value);
    groups.set(place, [at, both]);
  }
  return [...groups.values()];
}

// How something went for hours. `minutes`: [seconds since the epoch, value or null], of which
// there is one `apart` so many seconds, unless the node stood still; `sums`: they add up.
export function hours(minutes, name, words, { apart, least = 0, sums = false }) {
  const wide = 320;
  const high = 96;
  const size = Math.ceil(minutes.length / APART);
  const every = apart * size;
  const points = size > 1 ? grouped(minutes, every, sums) : minutes;
  const known = points.filter(([, value]) => value !== null);
  const [peak, top] = known.reduce((best, each) => (each[1] > best[1] ? each : best), known[0] ?? [0, 0]);
  const most = Math.max(least, top, 1e-9);
  const from = points[0][0] - every;
  const until = points.at(-1)[0];
  const x = (at) => ((at - from) / (until - from)) * wide;
  const y = (value) => high - (value / most) * (high - 18);
  const parts = [];
  for (const [place, [at, value]] of points.entries()) {
    if (value === null) continue;
    const before = points[place - 1];
    const goesOn = before && before[1] !== null && at - before[0] < 2.5 * every;
    // The first of a part is as long as a minute: else nobody saw one that stands alone.
    if (!goesOn) parts.push([[x(Math.max(from, at - every)), y(value)]]);
    parts.at(-1).push([x(at), y(value)]);
  }
  const drawn = parts.map((part) => `M${part.map(([left, down]) => `${left.toFixed(1)} ${down.toFixed(1)}`).join("L")}`);
  const shaded = parts.map((part, at) => `${drawn[at]}L${part.at(-1)[0].toFixed(1)} ${high}L${part[0][0].toFixed(1)} ${high}Z`);
  const sum = known.reduce((total, [, value]) => total + value, 0);
  const last = minutes.findLast(([, value]) => value !== null)?.[1];
  const now = sums ? `${words(sum)} in all` : known.length ? `${words(last)} at last` : "not known";
  const highest = top > 0 ? `, at most ${words(top)}${sums ? ` in ${duration(every)}` : ""} at ${clock(peak * 1000)}` : "";
  const label = `${name}, from ${clock(from * 1000)} to ${clock(until * 1000)}: ${now}${highest}`;
  const times = [[from, "start"], [(from + until) / 2, "middle"], [until, "end"]];
  return h(
    "section",
    { class: "card" },
    h("h3", {}, name),
    h("p", { class: "quiet" }, `${now}${highest}`),
    svg(
      "svg",
      { class: "chart hours", viewBox: `0 0 ${wide} ${high + 18}`, role: "img", "aria-label": label },
      [0, 0.5, 1].map((share) => svg("line", { class: "grid", x1: 0, x2: wide, y1: y(share * most), y2: y(share * most) })),
      svg("path", { class: "area", d: shaded.join("") }),
      svg("path", { class: "path", d: drawn.join("") }),
      svg("text", { x: 2, y: 13 }, words(most)),
      times.map(([at, anchor]) => svg("text", { x: x(at), y: high + 15, "text-anchor": anchor }, clock(at * 1000))),
    ),
  );
}

// One bar per day or thing; `rows`: [name, value].
export function bars(rows, name, words) {
  const top = Math.max(0, ...rows.map(([, value]) => value));
  const most = top || 1;
  const wide = 640;
  const high = 130;
  const each = wide / Math.max(rows.length, 7);
  const sum = rows.reduce((total, [, value]) => total + value, 0);
  const every = Math.ceil(rows.length / 8);
  return svg(
    "svg",
    { class: "chart bars", viewBox: `0 0 ${wide} ${high + 22}`, role: "img", "aria-label": `${name}: ${words(sum)} in all, at most ${words(top)}` },
    svg("line", { class: "grid", x1: 0, x2: wide, y1: high, y2: high }),
    svg("text", { x: 2, y: 11 }, words(top)),
    rows.map(([label, value], at) => {
      const tall = Math.max(value ? 2 : 0, (value / most) * (high - 20));
      return [
        svg("rect", { x: at * each + each * 0.15, y: high - tall, width: each * 0.7, height: tall, rx: 3 }, svg("title", {}, `${label}: ${words(value)}`)),
        at % every === 0 && svg("text", { x: at * each + each / 2, y: high + 16, "text-anchor": "middle" }, label),
      ];
    }),
  );
}

// Where the time of a turn went; spans as the shell's `turn` has them.
export function waterfall(spans, seconds, words) {
  const row = 26;
  const left = 210;
  const wide = 760;
  const room = wide - left - 70;
  const scale = room / Math.max(seconds, 1e-6);
  const label = spans.map((span) => `${span.kind} ${span.what}: ${words(span.seconds)}, ${span.outcome}`).join("; ");
  return svg(
    "svg",
    { class: "chart fall", viewBox: `0 0 ${wide} ${spans.length * row + 6}`, role: "img", "aria-label": label },
    spans.map((span, at) => {
      const x = left + span.after * scale;
      const width = Math.max(2, span.seconds * scale);
      const name = `${span.kind}: ${span.what}`;
      return svg(
        "g",
        {},
        svg("title", {}, `${name}, ${words(span.seconds)}, ${span.outcome}`),
        svg("text", { x: 0, y: at * row + 17 }, name.length > 34 ? `${name.slice(0, 33)}…` : name),
        svg("line", { class: "grid", x1: left, x2: left + room, y1: at * row + 13, y2: at * row + 13 }),
        svg("rect", { class: span.kind, x, y: at * row + 5, width, height: 16, rx: 3 }),
        svg("text", { x: Math.min(x + width + 6, wide - 60), y: at * row + 17 }, words(span.seconds)),
      );
    }),
  );
}
