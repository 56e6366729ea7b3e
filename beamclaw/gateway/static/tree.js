// The living tree: every process as it stands now, and one of them from the inside.

import { go } from "./app.js";
import { announce, button, confirmed, drop, h, icon, put, say, toast } from "./dom.js";
import { conversations, search } from "./finding.js";
import { facts, unseen } from "./parts.js";
import { bytes, count, cut, duration } from "./words.js";

const ROOT = "beamclaw";
const EVERY = 0.7;
const DEEP = 4;
const KEPT = 6;
const TRACED = 300;
const MAILBOX_HOT = 10;

export function open(main, context, steps) {
  const { wire } = context;
  const totals = h("span", { class: "quiet" }, "…");
  const fallen = h("ul", { class: "fallen", "aria-label": "What has ended and was started again", "aria-live": "polite" });
  const top = h("ul");
  const tree = h(
    "div",
    { class: "tree" },
    h("div", { class: "head", "aria-hidden": "true" }, ["Process", "Mailbox", "Rate", "Restarts", "Memory", "Uptime"].map((each) => h("span", {}, each))),
    top,
  );
  const aside = h("section", { class: "aside", "aria-label": "Process", hidden: true });
  const pane = h("div", { class: "living" }, h("div", { class: "view" }, h("header", {}, h("h1", {}, "Tree"), totals), search(context), conversations(context), fallen, tree), aside);
  main.append(pane);

  const rows = new Map();
  const folded = new Map();
  let before = null;
  let told = 0;
  let chosen = "";
  let detail = null;
  let end = () => {};

  function watch() {
    end();
    end = wire.stream("look.top", { every: EVERY, tree: true, rows: 1 }, look, (error) => error && error.code !== "LOST" && toast(error.message, true));
  }

  function look({ totals: now, tree: root, crashes }) {
    say(totals, `${count(now.processes)} processes · ${count(now.messages)} messages wait · ${count(Math.round(now.rate))}/s · loop ${duration(now.lag ?? 0)} late`);
    const seen = new Map();
    draw(root, top, 0, "", seen);
    for (const [key, row] of rows)
      if (!seen.has(key)) {
        drop(row.item);
        rows.delete(key);
      }
    if (before) falls(before, seen, crashes.filter((each) => each.number > told));
    before = seen;
    told = crashes.at(-1)?.number ?? 0;
    detail?.seen([...seen].find(([key, each]) => meant(key, each))?.[1]);
  }

  // What the node takes for this very process: a name of one part may be another's id.
  const called = (key, process) => (process.name?.includes("/") ? process.name : key);
  const meant = (key, process) => [key, process.name, process.pid].includes(chosen);
  const chose = (row) => row.process && meant(row.key, row.process);

  function draw(process, list, depth, path, seen) {
    const key = below(path, process);
    seen.set(key, process);
    let row = rows.get(key);
    if (!row) {
      row = made(key, depth);
      rows.set(key, row);
    }
    if (row.item.parentNode !== list) list.append(row.item);
    update(row, key, process);
    const shut = folded.get(key) ?? depth >= DEEP;
    if (process.children.length || process.hidden) {
      row.fold.setAttribute("aria-expanded", String(!shut));
      row.fold.setAttribute("aria-label", `${shut ? "unfold" : "fold"} ${row.short}`);
      row.fold.hidden = false;
      row.leaf.hidden = true;
    } else {
      row.fold.hidden = true;
      row.leaf.hidden = false;
    }
    row.children.hidden = shut;
    for (const child of process.children)
      if (shut) skip(child, key, seen);
      else draw(child, row.children, depth + 1, key, seen);
    row.more.hidden = shut || !process.hidden;
    if (process.hidden) {
      say(row.more, `and ${count(process.hidden)} more: find them by name above`);
      row.children.append(row.more);
    }
  }

  // Folded away: not drawn, but what falls is seen.
  function skip(process, path, seen) {
    const key = below(path, process);
    seen.set(key, process);
    for (const child of process.children) skip(child, key, seen);
  }

  function made(key, depth) {
    const parts = {
      key,
      fold: button("", () => {
        folded.set(key, !(folded.get(key) ?? depth >= DEEP));
        before = null;
      }, { class: "bare fold", "aria-expanded": "true" }),
      leaf: h("span", { class: "leaf" }),
      dot: h("span", { class: "dot" }),
      name: h("span", { class: "name" }),
      also: h("span", { class: "also quiet" }),
      mailbox: h("span"),
      rate: h("span", { class: "quiet" }),
      restarts: h("span"),
      memory: h("span", { class: "quiet" }),
      uptime: h("span", { class: "quiet" }),
      more: h("li", { class: "quiet", hidden: true }),
      children: h("ul"),
      short: "",
    };
    parts.pick = button([parts.dot, parts.name, parts.also], () => go("tree", parts.called), { class: "bare pick" });
    parts.line = h("div", { class: "process" }, h("span", { class: "who" }, parts.fold, parts.leaf, parts.pick), parts.mailbox, parts.rate, parts.restarts, parts.memory, parts.uptime);
    parts.item = h("li", {}, parts.line, parts.children);
    return parts;
  }

  function update(row, key, process) {
    row.process = process;
    row.called = called(key, process);
    row.short = key === ROOT ? ROOT : process.id;
    say(row.name, row.short);
    say(row.also, alsoCalled(process, key));
    const state = process.suspended ? "suspended" : process.status;
    row.dot.dataset.status = state;
    row.pick.title = [process.name ?? process.id, process.pid, process.kind, state, process.strategy, process.restart].filter(Boolean).join(" · ");
    row.line.classList.toggle("chosen", meant(key, process));
    say(row.mailbox, process.mailbox ? `${count(process.mailbox)} waiting` : "");
    row.mailbox.classList.toggle("hot", process.mailbox >= MAILBOX_HOT);
    say(row.rate, process.rate >= 0.5 ? `${count(Math.round(process.rate))}/s` : "");
    say(row.restarts, process.restarts ? `↻ ${process.restarts}` : "");
    row.restarts.classList.toggle("hot", process.restarts > 0);
    say(row.memory, held(process.memory));
    say(row.uptime, state === "suspended" ? "suspended" : duration(process.uptime));
  }

  // What has ended since the last look. What is not restarted by its supervisor, as sessions
  // and turns, is known by its crash; what crashed is told with what ended for it.
  function falls(old, seen, crashes) {
    const ended = [...seen].filter(([key, now]) => {
      const was = old.get(key);
      return was && was.pid !== now.pid && now.restarts > was.restarts;
    });
    for (const [key] of ended) light(key);
    if (ended.length) {
      const at = Math.max(0, ended.findIndex(([, now]) => now.last_reason?.startsWith("crash")));
      const [, first] = ended[at];
      const others = ended.filter((_, place) => place !== at).map(([, now]) => now.id);
      const next = first.pid ? `${first.pid} is in its place` : "it is being started";
      const along = others.length ? ` With it ended and began again: ${others.join(", ")}.` : "";
      tell(`${first.name ?? first.id} ended: ${first.last_reason || "no reason"}; ${next}.${along}`);
      rows.get(ended[at][0])?.line.scrollIntoView({ block: "center" });
    }
    const known = new Set(ended.map(([, now]) => now.name ?? now.id));
    for (const crash of crashes.filter((each) => !known.has(each.name))) {
      const [key, now] = [...seen].find(([, each]) => (each.name ?? each.id) === crash.name) ?? [];
      if (now) light(key);
      tell(`${crash.name} ${crash.pid} ended: ${crash.reason}${now && now.pid !== crash.pid ? `; ${now.pid} is in its place` : ""}.`);
    }
  }

  function light(key) {
    const line = rows.get(key)?.line;
    line?.classList.remove("fell");
    void line?.offsetWidth;
    line?.classList.add("fell");
  }

  function tell(words) {
    fallen.prepend(h("li", {}, h("b", {}, new Date().toLocaleTimeString()), " ", cut(words, 500)));
    while (fallen.children.length > KEPT) fallen.lastChild.remove();
  }

  function choose([name]) {
    const inside = aside.contains(document.activeElement);
    const left = [...rows.values()].find(chose);
    detail?.close();
    detail = null;
    chosen = name ?? "";
    aside.hidden = !chosen;
    pane.classList.toggle("open", Boolean(chosen));
    for (const row of rows.values()) row.line.classList.toggle("chosen", Boolean(chose(row)));
    if (chosen) detail = inspect(aside, context, chosen);
    else if (inside) left?.pick.focus();
  }

  watch();
  context.on("again", () => {
    before = null;
    watch();
    detail?.again();
  });
  context.off(() => {
    end();
    detail?.close();
  });
  choose(steps);
  return choose;
}

// Where a process stands, as `beamclaw tree` draws it: a path of ids.
const below = (path, process) => (path ? `${path}/${process.id}` : ROOT);

// Its name where that is not simply the id, nor the id of one above; as the terminal has it.
const alsoCalled = ({ name, id }, key) =>
  !name || `/${name}`.endsWith(`/${id}`) || key.split("/").includes(name) ? "" : name;

// What a process holds; not counted yet: nothing. Cut off: more than that.
const held = (memory) => (memory ? `${memory.whole ? "" : ">"}${bytes(memory.bytes)}` : "");

const TABS = [
  ["info", "About"],
  ["state", "State"],
  ["waiting", "Stands at"],
  ["mailbox", "Mailbox"],
  ["trace", "Trace"],
];

function inspect(place, { wire }, name) {
  const heading = h("h2", {}, name);
  const body = h("div", { role: "tabpanel", tabindex: "0", "aria-label": "details" });
  const acts = h("div", { class: "buttons" });
  let tab = "info";
  let end = () => {};
  let last = null;
  let shown = false;
  const tabs = TABS.map(([id, words]) =>
    button(words, () => turn(id), { role: "tab", "aria-selected": String(id === tab), "data-tab": id }),
  );
  const bar = h("div", { class: "tabs", role: "tablist", "aria-label": "What is shown", onkeydown: arrows }, tabs);
  put(
    place,
    h("header", {}, heading, button([icon("close"), unseen("Close")], () => go("tree"), { class: "bare" })),
    acts,
    bar,
    body,
  );

  function arrows(event) {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const at = TABS.findIndex(([id]) => id === tab);
    const next = TABS[(at + step + TABS.length) % TABS.length][0];
    turn(next);
    tabs.find((each) => each.dataset.tab === next).focus();
  }

  function turn(id) {
    tab = id;
    for (const each of tabs) {
      each.setAttribute("aria-selected", String(each.dataset.tab === id));
      each.tabIndex = each.dataset.tab === id ? 0 : -1;
    }
    end();
    end = () => {};
    put(body, h("p", { class: "quiet" }, "…"));
    load();
  }

  async function load() {
    const asked = tab;
    try {
      if (tab === "trace") {
        trace();
        return;
      }
      const found = await wire.shell(`look.${tab}`, { process: name });
      // Of one that the tree does not show nobody else tells.
      if (asked === "info" && !shown) actions(found);
      if (asked === tab) put(body, VIEWS[tab](found), tab === "info" ? null : button("Look again", load));
    } catch (error) {
      if (asked === tab) put(body, h("p", { class: "bad" }, error.message), button("Look again", load));
    }
  }

  function trace() {
    const lines = h("div", { class: "trace box", role: "log", tabindex: "0", "aria-label": "trace" });
    const told = h("p", { class: "quiet" }, "listening: what it takes and answers appears here");
    put(body, told, lines);
    end = wire.stream("trace", { process: name }, (event) => {
      if (event.type !== "traced") return;
      lines.append(h("div", {}, h("b", {}, event.kind), event.message, event.from ? h("span", { class: "quiet" }, ` from ${event.from}`) : null, event.left_out ? h("span", { class: "warn" }, ` (${event.left_out} left out)`) : null));
      while (lines.children.length > TRACED) lines.firstChild.remove();
      lines.scrollTop = lines.scrollHeight;
    }, (error) => say(told, error ? error.message : "the trace is over"));
  }

  async function act(order, words, ask) {
    if (ask && !(await confirmed(`${words} ${name}?`, ask, words))) return;
    try {
      const done = await wire.shell(`steer.${order}`, { process: name });
      const next = done.successor ? `; ${done.successor} is in its place` : "";
      toast(`${name}: ${DONE[order]}${next}`);
      if (!shown && tab !== "info") actions(await wire.shell("look.info", { process: name }));
      if (tab !== "trace") load();
    } catch (error) {
      toast(error.message, true);
    }
  }

  function actions(process) {
    const admin = wire.may("operator.admin");
    const suspended = process?.suspended === true;
    const supervisor = process?.kind === "supervisor";
    const state = `${suspended} ${supervisor} ${admin}`;
    if (last === state) return;
    last = state;
    if (!admin) {
      put(acts, h("p", { class: "quiet" }, "To take hold of it needs operator.admin."));
      return;
    }
    put(
      acts,
      !supervisor && (suspended
        ? button("Resume", () => act("resume", "Resume"))
        : button("Suspend", () => act("suspend", "Suspend", "It handles nothing until it is resumed; messages wait."))),
      button("Restart", () => act("restart", "Restart", "It is ended in order, and its supervisor starts it again by its strategy.")),
      button("Kill", () => act("kill", "Kill", "It ends at once, without tidying up. Its supervisor decides what follows."), { class: "danger" }),
    );
  }

  actions(null);
  turn(tab);
  place.scrollTop = 0;
  announce(`process ${name}`);
  let ticks = 0;
  return {
    seen(process) {
      shown = Boolean(process);
      if (process) actions(process);
      // About changes from look to look; the others are asked for.
      if (tab === "info" && ++ticks % 3 === 0) load();
    },
    again: () => turn(tab),
    close() {
      end();
      put(place);
    },
  };
}

const DONE = { suspend: "suspended", resume: "goes on", restart: "restarted", kill: "killed" };

const VIEWS = {
  info: (found) =>
    facts([
      ["name", found.name ?? found.id],
      ["number", found.pid],
      ["kind", found.kind],
      ["status", found.suspended ? "suspended" : found.status],
      ["stands at", found.waits && h("code", {}, found.waits)],
      ["started by", found.parent],
      ["restart", found.restart],
      ["strategy", found.strategy],
      ["messages", `${count(found.messages)} taken, ${count(found.mailbox)} wait${found.dropped ? `, ${count(found.dropped)} dropped` : ""}`],
      ["memory", held(found.memory)],
      ["restarts", found.restarts],
      ["ended last", found.last_reason],
      ["uptime", duration(found.uptime)],
      ["about", found.about],
    ]),
  state: (found) => {
    const fields = Object.entries(found.fields);
    if (!fields.length) return h("p", { class: "quiet" }, "it says nothing of itself");
    return facts(fields.map(([name, value]) => [name, h("code", {}, value)]));
  },
  waiting: (found) => [
    h("p", { class: "quiet" }, `${found.suspended ? "suspended" : found.status}; outermost first`),
    h("ol", { class: "stack" }, found.stack.map((at) => h("li", {}, `${at.function} `, h("span", { class: "quiet" }, `${at.file}:${at.line}`)))),
  ],
  mailbox: (found) =>
    found.messages.length
      ? [h("p", { class: "quiet" }, `${count(found.waiting)} wait, the oldest first`), h("div", { class: "trace box", tabindex: "0" }, found.messages.map((each) => h("div", {}, h("b", {}, each.kind), each.message, each.from ? h("span", { class: "quiet" }, ` from ${each.from}`) : null)))]
      : h("p", { class: "quiet" }, "it is empty"),
};
