// The last hours of the node: what it has kept, a point a minute, before anybody looked.

import { hours } from "./chart.js";
import { h, put } from "./dom.js";
import { bytes, clock, count, duration, plural } from "./words.js";

// Seconds between two looks for a new minute; and that are shown.
const EVERY = 30;
const SHOWN = 86_400;
const COLUMNS = ["lag", "resident", "processes", "turns", "calls", "tokens"];

const whole = (value) => count(Math.round(value));
const CHARTS = [
  ["lag", "Loop was late at worst", duration, { least: 0.01 }],
  ["resident", "Memory", bytes, {}],
  ["turns", "Turns that ended", whole, { sums: true, least: 2 }],
  ["calls", "Calls of models", whole, { sums: true, least: 2 }],
  ["tokens", "Tokens", whole, { sums: true, least: 2 }],
  ["processes", "Processes", whole, {}],
];

export function history({ wire, on, every }) {
  const told = h("p", { class: "quiet" }, "…");
  const charts = h("div", { class: "cards hours" });
  let points = [];
  let began = 0;
  let asked = 0;

  async function look() {
    const own = ++asked;
    try {
      const since = points.at(-1)?.at ?? 0;
      const found = await wire.shell("look.history", { since });
      if (own !== asked) return;
      if (points.length && found.began !== began) {
        points = []; // it was begun anew: what it has is asked for again
        look();
        return;
      }
      began = found.began;
      if (found.at.length || !charts.firstChild) take(found);
    } catch (error) {
      if (own === asked && error.code !== "LOST") told.textContent = error.message;
    }
  }

  function take({ every: apart, at, errors, ...columns }) {
    const fresh = at.map((time, place) => ({
      at: time,
      ...Object.fromEntries(COLUMNS.map((name) => [name, columns[name][place]])),
      errors: Object.fromEntries(Object.entries(errors).map(([provider, each]) => [provider, each[place]])),
    }));
    const oldest = (fresh.at(-1)?.at ?? 0) - SHOWN;
    points = [...points, ...fresh].filter((each) => each.at > oldest);
    told.textContent = `One point a minute since ${clock(began * 1000)}, for a day at most: ${points.length ? plural(points.length, "point") : "the first minute is not over yet"}.`;
    if (points.length) draw(apart);
  }

  function draw(apart) {
    const failing = [...new Set(points.flatMap((each) => Object.keys(each.errors)))].sort();
    const chart = (name, words, of, more) => hours(points.map((each) => [each.at, of(each)]), name, words, { apart, ...more });
    const failures = (name, of) => chart(name, whole, of, { sums: true, least: 2 });
    put(
      charts,
      CHARTS.map(([key, name, words, more]) => chart(name, words, (each) => each[key], more)),
      failing.map((provider) => failures(`Errors of ${provider}`, (each) => each.errors[provider] ?? 0)),
      !failing.length && failures("Errors of providers", () => 0),
    );
  }

  on("again", look);
  every(EVERY, look);
  look();
  return h("section", { class: "past", "aria-label": "The last hours" }, h("h2", {}, "The last hours"), told, charts);
}
