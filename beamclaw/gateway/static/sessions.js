// Sessions: found by name or by what was said; transcript, cost, where the time went.

import { go } from "./app.js";
import { waterfall } from "./chart.js";
import { button, confirmed, h, icon, put, toast } from "./dom.js";
import { markdown } from "./markdown.js";
import { ago, clock, count, cut, duration, money, pretty, short, title } from "./words.js";

const LISTED = 100;
const READ = 200;

export function open(main, context, steps) {
  const { wire } = context;
  const list = h("ul");
  const place = h("section", { class: "view", "aria-label": "Session", tabindex: "0" });
  const find = h("input", { type: "search", placeholder: "Find by name or words", "aria-label": "Find sessions by name, or by words that were said", oninput: () => later() });
  const archived = h("input", { type: "checkbox", id: "archived", onchange: () => load() });
  const pair = h(
    "div",
    { class: "pair" },
    h("nav", { class: "list", "aria-label": "Sessions" }, h("div", { class: "bar" }, find), h("p", { class: "quiet" }, archived, h("label", { for: "archived" }, " also put away")), list),
    place,
  );
  main.append(pair);
  let chosen = "";
  let timer = 0;
  let asked = 0;

  function later() {
    clearTimeout(timer);
    timer = setTimeout(load, 250);
  }

  const entry = (key, name, words) =>
    h("li", {}, h("a", { href: `#/sessions/${encodeURIComponent(key)}`, "aria-current": key === chosen ? "true" : null }, h("b", {}, name), h("small", {}, words)));

  async function load() {
    const own = ++asked;
    const search = find.value.trim();
    const params = { limit: LISTED, includeDerivedTitles: true, archived: archived.checked ? "all" : false, ...(search ? { search } : {}) };
    try {
      const found = await wire.ask("sessions.list", params);
      const said = search ? (await wire.ask("sessions.search", { query: search, limit: 25 })).results : [];
      if (own !== asked) return;
      put(
        list,
        found.sessions.map((row) => entry(row.key, title(row), `${short(row.key)} · ${ago(row.updatedAt)}${row.hasActiveRun ? " · works" : ""}${row.archived ? " · put away" : ""}`)),
        said.length > 0 && h("li", { class: "quiet" }, "Said:"),
        said.map((hit) => entry(hit.sessionKey, cut(hit.snippet, 120), `${hit.role} · ${short(hit.sessionKey)} · ${clock(hit.timestamp)}`)),
        !found.sessions.length && !said.length && h("li", { class: "empty" }, "Nothing was found."),
      );
    } catch (error) {
      put(list, h("li", { class: "bad" }, error.message));
    }
  }

  function choose([key, run]) {
    chosen = key ?? "";
    pair.classList.toggle("chosen", Boolean(chosen));
    for (const link of list.querySelectorAll("a"))
      if (decodeURIComponent(link.hash) === `#/sessions/${chosen}`) link.setAttribute("aria-current", "true");
      else link.removeAttribute("aria-current");
    if (chosen) show(place, wire, chosen, run, load);
    else put(place, h("header", {}, h("h1", {}, "Sessions")), h("p", { class: "empty" }, "Choose a session: what was said, what it cost, and where the time of a turn went."));
  }

  wire.ask("sessions.subscribe").catch(() => {});
  context.on("sessions.changed", later);
  context.on("again", load);
  context.off(() => clearTimeout(timer));
  load();
  choose(steps);
  return choose;
}

async function show(place, wire, key, run, changed) {
  const back = h("a", { href: "#/sessions", class: "only-phone", "aria-label": "All sessions" }, icon("back"));
  put(place, h("header", {}, back, h("h1", {}, short(key))), h("p", { class: "quiet" }, "…"));
  try {
    const [{ session }, history, usage] = await Promise.all([
      wire.ask("sessions.describe", { key, includeDerivedTitles: true }),
      wire.ask("chat.history", { sessionKey: key, limit: READ }),
      wire.ask("sessions.usage", { key, range: "all" }).catch(() => null),
    ]);
    if (!session) throw new Error("there is no such session (any more)");
    const totals = usage?.totals;
    const act = (words, method, params, ask) => async () => {
      if (ask && !(await confirmed(`${words}?`, ask, words))) return;
      try {
        await wire.ask(method, params);
        toast(`${words}: done`);
        changed();
        if (method === "sessions.delete") go("sessions");
        else show(place, wire, key, run, changed);
      } catch (error) {
        toast(error.message, true);
      }
    };
    put(
      place,
      h(
        "header",
        {},
        back,
        h("h1", {}, title(session)),
        button("Open in Chat", () => go("chat", key)),
        wire.may("operator.admin") && button("Compact", act("Compact", "sessions.compact", { key }, "A summary takes the place of what was said first; the journal keeps it all.")),
        wire.may("operator.write") && button(session.archived ? "Take back" : "Put away", act(session.archived ? "Take back" : "Put away", "sessions.patch", { key, archived: !session.archived })),
        wire.may("operator.write") && button("Delete", act("Delete", "sessions.delete", { key }, "The session is gone, with all that was said in it."), { class: "danger" }),
      ),
      h(
        "div",
        { class: "cards" },
        figure("Cost", money(totals?.totalCost)),
        figure("Tokens", count(totals?.totalTokens ?? 0)),
        figure("Calls of models", count(totals?.calls ?? 0)),
        figure("Messages", count(history.totalMessages ?? history.messages.length)),
      ),
      h(
        "dl",
        { class: "facts card" },
        fact("key", h("code", {}, key)),
        fact("agent", session.agentId),
        fact("model", [session.modelProvider, session.model].filter(Boolean).join("/")),
        fact("began", session.createdAt && clock(session.createdAt)),
        fact("last", session.updatedAt && ago(session.updatedAt)),
        fact("status", session.hasActiveRun ? "a turn is in progress" : session.status),
        fact("error", session.lastRunError && h("span", { class: "bad" }, session.lastRunError)),
      ),
      await turn(wire, key, run),
      h("section", { class: "card" }, h("h2", {}, "Transcript"), history.hasMore && h("p", { class: "quiet" }, `the last ${READ} messages`), history.messages.map((row) => said(row, key))),
    );
  } catch (error) {
    put(place, h("header", {}, back, h("h1", {}, short(key))), h("p", { class: "bad" }, error.message));
  }
}

async function turn(wire, key, run) {
  const place = h("section", { class: "card" }, h("h2", {}, run ? "Where the time of this turn went" : "Where the time of the last turn went"));
  try {
    const found = await wire.shell("look.turn", { session: key, ...(run ? { run } : {}) });
    place.append(
      h("p", { class: "quiet" }, `${duration(found.seconds)} in all, ${found.outcome}, ${clock(found.at * 1000)}`),
      h("div", { class: "wide", tabindex: "0", role: "group", "aria-label": "waterfall" }, waterfall(found.spans, found.seconds, duration)),
    );
  } catch (error) {
    place.append(h("p", { class: "quiet" }, error.message));
  }
  return place;
}

function said(row, key) {
  const blocks = (row.content ?? []).map((block) => {
    if (block.type === "text") return row.role === "assistant" ? markdown(block.text) : h("pre", {}, block.text);
    if (block.type === "toolCall") return h("details", { class: "tool" }, h("summary", {}, h("b", {}, block.name)), h("div", { class: "inside" }, h("pre", { class: "box", tabindex: "0" }, pretty(block.arguments))));
    if (block.type === "thinking") return h("details", { class: "thought" }, h("summary", {}, "Thoughts"), h("pre", {}, block.thinking));
    return h("p", { class: "quiet" }, block.type);
  });
  const used = row.usage?.totalTokens ? ` · ${count(row.usage.totalTokens)} tokens` : "";
  const run = row.__openclaw?.runId;
  const who = { user: "you", assistant: row.model ?? "agent", toolResult: `${row.toolName || "tool"}, output` }[row.role] ?? row.role;
  return h(
    "article",
    { class: "turn" },
    h("div", { class: "by" }, `${who} · ${clock(row.timestamp)}${used}`, row.role === "user" && run ? [" · ", h("a", { href: `#/sessions/${encodeURIComponent(key)}/${encodeURIComponent(run)}` }, "its time")] : null),
    row.role === "toolResult" ? h("details", { class: "tool" }, h("summary", {}, h("b", {}, who), row.isError ? h("span", { class: "state bad" }, "failed") : null), h("div", { class: "inside" }, blocks)) : blocks,
  );
}

export function figure(name, value, more) {
  return h("section", { class: "card" }, h("h2", { class: "quiet" }, name), h("p", { class: "figure" }, value), more);
}

function fact(name, value) {
  return value ? [h("dt", {}, name), h("dd", {}, value)] : null;
}
