// Sessions: found by name or by what was said; transcript, cost, where the time went.

import { go } from "./app.js";
import { waterfall } from "./chart.js";
import { button, h, icon, put } from "./dom.js";
import { facts, figure, orders, wide } from "./parts.js";
import { drawing } from "./said.js";
import { ago, clock, count, cut, duration, money, short, title } from "./words.js";

const LISTED = 100;
const READ = 200;

export function open(main, context, steps) {
  const { wire } = context;
  const list = h("ul");
  const place = h("section", { class: "view", "aria-label": "Session", tabindex: "0" });
  const find = h("input", { type: "search", placeholder: "Find by name or words", "aria-label": "Find sessions by name, or by words that were said", oninput: anew });
  const archived = h("input", { type: "checkbox", id: "archived", onchange: anew });
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
  let listed = LISTED;

  function anew() {
    listed = LISTED;
    later();
  }

  function more() {
    listed += LISTED;
    load();
  }

  function later() {
    clearTimeout(timer);
    timer = setTimeout(load, 250);
  }

  const entry = (key, name, words) =>
    h("li", {}, h("a", { href: `#/sessions/${encodeURIComponent(key)}`, "aria-current": key === chosen ? "true" : null }, h("b", {}, name), h("small", {}, words)));

  async function load() {
    const own = ++asked;
    const search = find.value.trim();
    const params = { limit: listed, includeDerivedTitles: true, archived: archived.checked ? "all" : false, ...(search ? { search } : {}) };
    try {
      const found = await wire.ask("sessions.list", params);
      const said = search ? (await wire.ask("sessions.search", { query: search, limit: 25 })).results : [];
      if (own !== asked) return;
      put(
        list,
        found.sessions.map((row) => entry(row.key, title(row), `${short(row.key)} · ${ago(row.updatedAt)}${row.hasActiveRun ? " · works" : ""}${row.archived ? " · put away" : ""}`)),
        found.hasMore && h("li", {}, button("More sessions", more)),
        said.length > 0 && h("li", { class: "quiet" }, "Said:"),
        said.map((hit) => entry(hit.sessionKey, cut(hit.snippet, 120), `${hit.role} · ${short(hit.sessionKey)} · ${clock(hit.timestamp)}`)),
        !found.sessions.length && !said.length && h("li", { class: "empty" }, "Nothing was found."),
      );
    } catch (error) {
      if (error.code !== "LOST") put(list, h("li", { class: "bad" }, error.message));
    }
  }

  function choose(to) {
    steps = to;
    const [key, run] = steps;
    chosen = key ?? "";
    pair.classList.toggle("chosen", Boolean(chosen));
    for (const link of list.querySelectorAll("a"))
      if (decodeURIComponent(link.hash) === `#/sessions/${chosen}`) link.setAttribute("aria-current", "true");
      else link.removeAttribute("aria-current");
    latest = null;
    if (chosen) show(place, wire, chosen, run, load);
    else put(place, h("header", {}, h("h1", {}, "Sessions")), h("p", { class: "empty" }, "Choose a session: what was said, what it cost, and where the time of a turn went."));
  }

  wire.ask("sessions.subscribe").catch(() => {});
  context.on("sessions.changed", later);
  context.on("again", () => {
    load();
    choose(steps);
  });
  context.off(() => clearTimeout(timer));
  load();
  choose(steps);
  return choose;
}

// What was chosen last: an answer about another one comes too late.
let latest = null;

async function show(place, wire, key, run, changed) {
  const own = { key };
  latest = own;
  const back = h("a", { href: "#/sessions", class: "only-phone", "aria-label": "All sessions" }, icon("back"));
  put(place, h("header", {}, back, h("h1", {}, short(key))), h("p", { class: "quiet" }, "…"));
  try {
    const [{ session }, history, usage] = await Promise.all([
      wire.ask("sessions.describe", { key, includeDerivedTitles: true }),
      wire.ask("chat.history", { sessionKey: key, limit: READ }),
      wire.ask("sessions.usage", { key, range: "all" }).catch(() => null),
    ]);
    if (own !== latest) return;
    if (!session) throw new Error("there is no such session (any more)");
    const totals = usage?.totals;
    const order = orders(wire, (method, error) => {
      changed();
      if (error) return;
      if (method === "sessions.delete") go("sessions");
      else show(place, wire, key, run, changed);
    });
    const drawn = drawing(wire, key, (row) => row.role === "user" && row.__openclaw?.runId && [" · ", h("a", { href: `#/sessions/${encodeURIComponent(key)}/${encodeURIComponent(row.__openclaw.runId)}` }, "its time")]);
    const times = await turn(wire, key, run);
    if (own !== latest) return;
    put(
      place,
      h(
        "header",
        {},
        back,
        h("h1", {}, title(session)),
        button("Open in Chat", () => go("chat", key)),
        wire.may("operator.admin") && order("Compact", "sessions.compact", { key }, { ask: "A summary takes the place of what was said first; the journal keeps it all." }),
        wire.may("operator.write") && order(session.archived ? "Take back" : "Put away", "sessions.patch", { key, archived: !session.archived }),
        wire.may("operator.write") && order("Delete", "sessions.delete", { key }, { ask: "The session is gone, with all that was said in it.", class: "danger" }),
      ),
      h(
        "div",
        { class: "cards" },
        figure("Cost", money(totals?.totalCost)),
        figure("Tokens", count(totals?.totalTokens ?? 0)),
        figure("Calls of models", count(totals?.calls ?? 0)),
        figure("Messages", count(history.totalMessages ?? history.messages.length)),
      ),
      facts(
        [
          ["key", h("code", {}, key)],
          ["agent", session.agentId],
          ["model", [session.modelProvider, session.model].filter(Boolean).join("/")],
          ["began", session.createdAt && clock(session.createdAt)],
          ["last", session.updatedAt && ago(session.updatedAt)],
          ["status", session.hasActiveRun ? "a turn is in progress" : session.status],
          ["error", session.lastRunError && h("span", { class: "bad" }, session.lastRunError)],
        ],
        "card",
      ),
      times,
      h("section", { class: "card" }, h("h2", {}, "Transcript"), history.hasMore && h("p", { class: "quiet" }, `the last ${READ} messages`), history.messages.map((row) => drawn.drawn(row))),
    );
  } catch (error) {
    if (own === latest) put(place, h("header", {}, back, h("h1", {}, short(key))), h("p", { class: "bad" }, error.message));
  }
}

async function turn(wire, key, run) {
  const place = h("section", { class: "card" }, h("h2", {}, run ? "Where the time of this turn went" : "Where the time of the last turn went"));
  try {
    const found = await wire.shell("look.turn", { session: key, ...(run ? { run } : {}) });
    place.append(
      h("p", { class: "quiet" }, `${duration(found.seconds)} in all, ${found.outcome}, ${clock(found.at * 1000)}`),
      wide("waterfall", waterfall(found.spans, found.seconds, duration)),
    );
  } catch (error) {
    place.append(h("p", { class: "quiet" }, error.message));
  }
  return place;
}
