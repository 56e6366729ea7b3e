// Conversations: the list of them, and the one that was chosen.

import { go } from "./app.js";
import { conversation } from "./conversation.js";
import { ask, button, h, icon, put } from "./dom.js";
import { unseen } from "./parts.js";
import { ago, short, title } from "./words.js";

const LISTED = 60;

export function open(main, context, steps) {
  const { wire } = context;
  const home = wire.hello.snapshot?.sessionDefaults?.mainSessionKey ?? "agent:main:main";
  const list = h("ul");
  const find = h("input", {
    type: "search",
    placeholder: "Find a session",
    "aria-label": "Find a session",
    oninput: () => {
      listed = LISTED;
      later();
    },
  });
  const fresh = button([icon("plus"), unseen("New session")], () => begin(wire), { class: "bare" });
  const talk = h("section", { class: "talk", "aria-label": "Conversation" });
  const pair = h("div", { class: "pair" }, h("nav", { class: "list", "aria-label": "Sessions" }, h("div", { class: "bar" }, find, fresh), list), talk);
  main.append(pair);

  let talking = null;
  let chosen = "";
  let timer = 0;
  let listed = LISTED;
  let asked = 0;

  function later() {
    clearTimeout(timer);
    timer = setTimeout(load, 250);
  }

  async function load() {
    const own = ++asked;
    const search = find.value.trim();
    const found = await wire.ask("sessions.list", { limit: listed, includeDerivedTitles: true, includeLastMessage: true, ...(search ? { search } : {}) }).catch(() => null);
    // What was asked for later may be there already.
    if (!found || own !== asked) return;
    const rows = found.sessions;
    const there = (key) => rows.some((row) => row.key === key);
    if (!search && !there(home)) rows.unshift({ key: home, derivedTitle: "Main conversation" });
    if (!search && !there(chosen)) rows.unshift({ key: chosen, derivedTitle: found.hasMore ? short(chosen) : "New conversation" });
    put(list, rows.map(entry), found.hasMore && h("li", {}, button("More sessions", more)), !rows.length && h("li", { class: "empty" }, "No session has this in its name."));
  }

  function more() {
    listed += LISTED;
    load();
  }

  const entry = (row) =>
    h(
      "li",
      {},
      h(
        "a",
        { href: `#/chat/${encodeURIComponent(row.key)}`, "aria-current": row.key === chosen ? "true" : null },
        h("b", { class: row.hasActiveRun ? "busy" : "" }, title(row)),
        h("small", {}, [row.lastMessagePreview || short(row.key), row.updatedAt ? ` · ${ago(row.updatedAt)}` : ""]),
      ),
    );

  function choose([key]) {
    pair.classList.toggle("chosen", Boolean(key));
    const wanted = key || home;
    if (wanted !== chosen) {
      talking?.close();
      chosen = wanted;
      talking = conversation(talk, wire, chosen);
    }
    load();
  }

  wire.ask("sessions.subscribe").catch(() => {});
  context.on("sessions.changed", later);
  context.on("again", () => {
    wire.ask("sessions.subscribe").catch(() => {});
    load();
    talking?.load();
  });
  context.every(30, load);
  context.off(() => {
    clearTimeout(timer);
    talking?.close();
  });
  choose(steps);
  return choose;
}

// A new session: with an agent of one's choice, where there are several.
async function begin(wire) {
  const found = await wire.ask("agents.list").catch(() => null);
  const agents = found?.agents ?? [];
  const make = (agent) => go("chat", `agent:${agent}:page-${Date.now().toString(36)}`);
  if (agents.length < 2) {
    make(agents[0]?.id ?? "main");
    return;
  }
  const dialog = h(
    "dialog",
    { "aria-labelledby": "new-title" },
    h("h2", { id: "new-title" }, "A new session with …"),
    h("div", { class: "buttons" }, agents.map(({ id, name }) => button(name ?? id, () => dialog.close(id)))),
  );
  ask(dialog, (agent) => agent && make(agent));
}
