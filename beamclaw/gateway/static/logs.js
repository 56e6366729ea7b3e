// The node's log, its last lines and those that come; secrets were left out by the node.

import { button, h, put, say } from "./dom.js";
import { cut } from "./words.js";

const EVERY = 1.5;
const KEPT = 2_000;
const RANKS = { debug: 0, info: 1, warning: 2, error: 3, critical: 4 };

export function open(main, context) {
  const { wire } = context;
  const least = h("select", { "aria-label": "Least level", onchange: redraw }, Object.keys(RANKS).slice(0, 4).map((name) => h("option", { value: name, ...(name === "info" ? { selected: true } : {}) }, name)));
  const find = h("input", { type: "search", placeholder: "Words in a line", "aria-label": "Words in a line", oninput: redraw });
  const pause = button("Pause", () => {
    paused = !paused;
    pause.setAttribute("aria-pressed", String(paused));
    say(pause, paused ? "Go on" : "Pause");
    if (!paused) load();
  }, { "aria-pressed": "false" });
  const shown = h("div", { class: "lines box", role: "log", "aria-label": "Log", "aria-live": "off", tabindex: "0" });
  const place = h("div", { class: "view logs" }, h("header", {}, h("h1", {}, "Logs"), least, find, pause), shown);
  main.append(place);
  const none = h("p", { class: "empty" });
  let cursor;
  let paused = false;
  let busy = false;
  let lines = [];

  async function load() {
    if (paused || busy) return;
    busy = true;
    try {
      const found = await wire.ask("logs.tail", { cursor, limit: 1_000 });
      const anew = cursor === undefined || found.reset;
      if (anew) lines = [];
      cursor = found.cursor;
      const fresh = found.lines.map(read);
      lines = [...lines, ...fresh].slice(-KEPT);
      if (anew) redraw();
      else add(fresh);
    } catch (error) {
      if (error.code !== "LOST") put(shown, h("p", { class: "bad" }, error.message));
    }
    busy = false;
  }

  const fits = (entry) => RANKS[entry.level] >= RANKS[least.value] && entry.text.toLowerCase().includes(find.value.trim().toLowerCase());

  function add(fresh) {
    const stick = shown.scrollHeight - shown.scrollTop - shown.clientHeight < 60;
    const seen = fresh.filter(fits).map((entry) => h("div", { class: entry.level }, cut(entry.text, 4_000)));
    if (seen.length) none.remove();
    shown.append(...seen);
    if (!shown.firstChild) shown.append(none);
    say(none, lines.length ? "No line is like that." : "Nothing has been worth a line since the node has started.");
    while (shown.children.length > KEPT) shown.firstChild.remove();
    if (stick) shown.scrollTop = shown.scrollHeight;
  }

  function redraw() {
    put(shown);
    add(lines);
    shown.scrollTop = shown.scrollHeight;
  }

  load();
  context.every(EVERY, load);
  context.on("again", () => {
    // It may be another life of the node, in whose log the place means nothing.
    cursor = undefined;
    load();
  });
}

// A line of JSON, or of words, with its level.
function read(line) {
  try {
    const { time, level, event, ...more } = JSON.parse(line);
    const facts = Object.entries(more).filter(([, value]) => value !== null).map(([name, value]) => `${name}=${typeof value === "string" ? value : JSON.stringify(value)}`);
    return { level: level in RANKS ? level : "info", text: [time, level, event, ...facts].filter(Boolean).join(" ") };
  } catch {
    const level = /\b(debug|info|warning|error|critical)\b/i.exec(line)?.[1].toLowerCase() ?? "info";
    return { level, text: line };
  }
}
