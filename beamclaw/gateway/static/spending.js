// What models took: today against the caps, by day, agent, model and session.

import { bars } from "./chart.js";
import { h, put } from "./dom.js";
import { figure, table, unseen } from "./parts.js";
import { count, duration, money, short } from "./words.js";

const RANGES = { "7d": "7 days", "30d": "30 days", "90d": "90 days" };
const MICRO = 1e6;
const TOP = 20;
// What a cap counts of other things than tokens and calls: millionths of a dollar, and milliseconds.
const OF_MEASURE = { cost: (value) => money(value / MICRO), seconds: (value) => duration(value / 1000) };

export function open(main, context) {
  const { wire } = context;
  const range = h("select", { "aria-label": "Of how many days", onchange: load }, Object.entries(RANGES).map(([value, words]) => h("option", { value }, words)));
  const measure = h("select", { "aria-label": "Measured in", onchange: load }, h("option", { value: "cost" }, "dollars"), h("option", { value: "tokens" }, "tokens"));
  const place = h("div");
  let drawn = false;
  let asked = 0;
  main.append(h("div", { class: "view", tabindex: "0", role: "region", "aria-label": "Spending" }, h("header", {}, h("h1", {}, "Limits and spending"), range, measure), place));

  async function load() {
    const own = ++asked;
    try {
      const [limits, usage] = await Promise.all([wire.shell("look.limits"), wire.ask("sessions.usage", { range: range.value, limit: TOP })]);
      // What was asked for later may be there already.
      if (own === asked) draw(limits.limits, usage);
    } catch (error) {
      if (own === asked && error.code !== "LOST") put(place, h("p", { class: "bad" }, error.message));
    }
  }

  function draw(limits, usage) {
    if (!drawn && !usage.totals.totalCost) measure.value = "tokens";
    drawn = true;
    const cost = measure.value === "cost";
    const words = cost ? money : count;
    const known = new Map((usage.aggregates.daily ?? []).map((day) => [day.date, cost ? day.cost : day.tokens]));
    const days = known.size ? dates(usage.startDate, usage.endDate).map((day) => [day.slice(5), known.get(day) ?? 0]) : [];
    const { totals } = usage;
    put(
      place,
      h(
        "div",
        { class: "cards" },
        figure("Cost", money(totals.totalCost)),
        figure("Tokens read", count(totals.input + totals.cacheRead + totals.cacheWrite)),
        figure("Tokens written", count(totals.output)),
        figure("Calls", count(totals.calls)),
      ),
      h("section", { class: "card" }, h("h2", {}, "Caps of today (UTC)"), caps(limits)),
      h("section", { class: "card" }, h("h2", {}, `By day, last ${RANGES[range.value]}`), days.length ? bars(days, "by day", words) : h("p", { class: "empty" }, "No model was asked in this time.")),
      taken("By agent", usage.aggregates.byAgent.map((row) => [row.agentId, row.totals])),
      taken("By model", usage.aggregates.byModel.map((row) => [`${row.provider}/${row.model}`, row.totals])),
      taken("By session, the dearest first", usage.sessions.map((row) => [h("a", { href: `#/sessions/${encodeURIComponent(row.key)}` }, row.label || short(row.key)), row.usage])),
    );
  }

  load();
  context.every(15, load);
  context.on("again", load);
}

// All days from one to another, as 2027-01-31.
function dates(first, last) {
  const found = [];
  for (let day = new Date(`${first}T00:00:00Z`); found.length < 400; day = new Date(day.getTime() + 86_400_000)) {
    found.push(day.toISOString().slice(0, 10));
    if (found.at(-1) >= last) break;
  }
  return found;
}

function caps(limits) {
  if (limits.unavailable) return h("p", { class: "bad" }, limits.unavailable);
  const shown = limits.caps.map((cap) => {
    const words = OF_MEASURE[cap.measure] ?? count;
    const share = cap.limit ? cap.used / cap.limit : 0;
    const name = `${cap.name}${cap.key ? `, ${cap.key}` : ""}`;
    return h(
      "tr",
      {},
      h("td", {}, name),
      h("td", {}, cap.scope),
      h("td", {}, h("meter", { min: 0, max: cap.limit, high: cap.limit * 0.8, optimum: 0, value: Math.min(cap.used, cap.limit), "aria-label": `${name}: ${words(cap.used)} of ${words(cap.limit)}` })),
      h("td", { class: share >= 1 ? "num bad" : share >= 0.8 ? "num warn" : "num" }, `${words(cap.used)} of ${words(cap.limit)}`),
    );
  });
  return [
    shown.length ? table("caps", ["Cap", "Of", "Used", unseen("figures")].map((head) => [head]), shown) : h("p", { class: "quiet" }, "No cap is configured (limits in the configuration)."),
    (limits.warnings ?? []).map((each) => h("p", { class: "warn" }, each)),
  ];
}

function taken(name, rows) {
  if (!rows.length) return null;
  const heads = [[unseen("of what")], ...["Calls", "Read", "From a cache", "Written", "Cost"].map((head) => [head, "num"])];
  const cells = (sums) => [...[sums.calls, sums.input + sums.cacheRead + sums.cacheWrite, sums.cacheRead, sums.output].map(count), money(sums.totalCost)];
  const body = rows.map(([label, sums]) => h("tr", {}, h("td", {}, label), cells(sums).map((cell) => h("td", { class: "num" }, cell))));
  return h("section", { class: "card" }, h("h2", {}, name), table(name, heads, body));
}
