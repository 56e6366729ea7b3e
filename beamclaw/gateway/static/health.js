// How the node is, and was: lateness of its loop, memory, throughput, providers, the machine.

import { line } from "./chart.js";
import { h, put } from "./dom.js";
import { history } from "./hours.js";
import { facts, table } from "./parts.js";
import { bytes, count, duration, plural } from "./words.js";

const EVERY = 1;
const KEPT = 180;

export function open(main, context) {
  const { wire } = context;
  const charts = h("div", { class: "cards charts" });
  const providers = h("section", { class: "card" });
  const slow = h("section", { class: "card" });
  const machine = h("section", { class: "card" });
  const state = h("span", { class: "quiet" }, "…");
  const seen = [];
  let end = () => {};
  main.append(h("div", { class: "view", tabindex: "0", role: "region", "aria-label": "Health" }, h("header", {}, h("h1", {}, "Health"), state), charts, history(context), providers, slow, machine));

  function watch() {
    end();
    end = wire.stream("look.top", { every: EVERY, rows: 1 }, ({ totals }) => {
      seen.push(totals);
      if (seen.length > KEPT) seen.shift();
      draw();
    });
  }

  function draw() {
    const of = (name) => seen.map((each) => each[name] ?? 0);
    put(
      charts,
      line(of("lag"), "Loop is late by", duration, { least: 0.01 }),
      line(of("resident"), "Memory", bytes),
      line(of("rate"), "Messages per second", (value) => count(Math.round(value)), { least: 10 }),
      line(of("cpu").map((share) => share * 100), "Of one core", (value) => `${value.toFixed(0)} %`, { least: 100 }),
      line(of("processes"), "Processes", (value) => count(Math.round(value))),
      line(of("messages"), "Messages that wait", (value) => count(Math.round(value)), { least: 10 }),
    );
    const now = seen.at(-1);
    state.textContent = `up ${duration(now.uptime)} · ${count(now.restarts)} restarts · at worst ${duration(now.worst_lag ?? 0)} late`;
  }

  async function look() {
    try {
      const [limits, late, info] = await Promise.all([wire.shell("look.limits"), wire.shell("look.slow"), wire.ask("system.info")]);
      drawProviders(limits.providers);
      drawSlow(late);
      drawMachine(info);
    } catch (error) {
      if (error.code !== "LOST") put(machine, h("p", { class: "bad" }, error.message));
    }
  }

  function drawProviders(found) {
    const heads = [["Provider"], ["State"], ["In use", "num"], ["Waiting", "num"], ["Calls", "num"], ["Errors", "num"], ["Last error"]];
    const rows = Object.entries(found).map(([name, each]) => {
      if (each.unavailable) return h("tr", {}, h("td", {}, name), h("td", { class: "bad", colspan: 6 }, each.unavailable));
      const paused = each.blocked_for > 0 ? `pauses ${duration(each.blocked_for)}` : each.breaker === "closed" ? "well" : `${each.breaker}, asked again in ${duration(each.opens_in)}`;
      return h(
        "tr",
        {},
        h("td", {}, name),
        h("td", { class: paused === "well" ? "good" : "warn" }, paused),
        h("td", { class: "num" }, `${each.in_use} of ${each.limit}`),
        [each.waiting, each.calls, each.errors].map((value) => h("td", { class: "num" }, count(value))),
        h("td", {}, each.last_error),
      );
    });
    put(providers, h("h2", {}, "Providers"), rows.length ? table("providers", heads, rows) : h("p", { class: "quiet" }, "No provider is configured."));
  }

  function drawSlow(late) {
    put(
      slow,
      h("h2", {}, "Who held up the loop"),
      late.culprits.length
        ? h("ul", {}, late.culprits.slice(0, 8).map((each) => h("li", {}, h("b", {}, each.who), ` ${plural(each.times, "time")}, ${duration(each.seconds)} in all, at worst ${duration(each.worst)}, ${duration(each.ago)} ago`)))
        : h("p", { class: "quiet" }, `Nobody did, for longer than ${duration(late.threshold)}.`),
    );
  }

  function drawMachine(info) {
    const known = [
      ["machine", `${info.osLabel}, ${info.arch}, ${info.cpuCount} cores`],
      ["load", info.loadAverage.map((each) => each.toFixed(2)).join(" · ")],
      ["memory", `${bytes(info.memoryFreeBytes)} of ${bytes(info.memoryTotalBytes)} free`],
      ["disk", info.diskTotalBytes && `${bytes(info.diskAvailableBytes)} of ${bytes(info.diskTotalBytes)} free`],
      ["runs on", `${info.nodeVersion}, process ${info.pid}`],
      ["version", wire.hello.server?.version],
    ];
    put(machine, h("h2", {}, "Machine"), facts(known));
  }

  watch();
  look();
  context.every(5, look);
  context.on("again", () => {
    watch();
    look();
  });
  context.off(() => end());
}
