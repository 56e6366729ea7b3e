// Finding one process of very many: by a part of its name, and by what is stuck.

import { go } from "./app.js";
import { button, h, put, say } from "./dom.js";
import { count, duration, plural, short } from "./words.js";

// Milliseconds behind the last letter; between two looks at conversations, and how many
// times longer than such a look that is at least: it goes through all that are awake.
const TYPED = 250;
const EVERY = 3000;
const TIMES = 20;
const LISTED = 8;
const LISTED_MORE = 200;

const to = (name) => `#/tree/${encodeURIComponent(name)}`;

// A field for a part of a name, and what has it.
export function search({ wire, on, off }) {
  const list = h("ul");
  const told = h("p", { class: "quiet", role: "status" });
  const field = h("input", {
    type: "search",
    id: "find",
    placeholder: "a part of its name",
    autocomplete: "off",
    spellcheck: "false",
    oninput: later,
    onkeydown: press,
  });
  let timer = 0;
  let asked = 0;

  function later() {
    clearTimeout(timer);
    timer = setTimeout(look, TYPED);
  }

  async function look() {
    clearTimeout(timer);
    const own = ++asked;
    const text = field.value.trim();
    if (!text) {
      put(list);
      say(told, "");
      return [];
    }
    try {
      const { names, found } = await wire.shell("look.names", { text, part: true });
      if (own !== asked) return [];
      put(list, names.map((name) => h("li", {}, h("a", { href: to(name) }, name))));
      const more = found > names.length ? `, ${count(names.length)} of them are shown: type more of the name` : "";
      say(told, found ? `${plural(found, "process", "processes")} found${more}` : "No process has that in its name.");
      return names;
    } catch (error) {
      if (own === asked) {
        put(list);
        say(told, error.message);
      }
      return [];
    }
  }

  async function press(event) {
    if (event.key === "Enter") {
      const [first] = await look();
      if (first) go("tree", first);
    } else if (event.key === "ArrowDown" && list.firstChild) {
      event.preventDefault();
      list.querySelector("a").focus();
    }
  }

  on("again", later);
  off(() => clearTimeout(timer));
  return h("div", { class: "find", role: "search" }, h("label", { for: "find" }, "Find a process"), field, told, list);
}

// The conversations that are stuck, or have something to do: as the shell's `sessions`.
export function conversations({ wire, on, off }) {
  const state = h("p", { class: "quiet" }, "…");
  const list = h("ul");
  const more = button("Show more", showMore, { hidden: true });
  let most = LISTED;
  let timer = 0;
  let over = false;

  function showMore() {
    most = LISTED_MORE;
    look();
  }

  async function look() {
    clearTimeout(timer);
    const begun = performance.now();
    if (!document.hidden)
      try {
        draw(await wire.shell("look.sessions", { busy: true, most }));
      } catch (error) {
        if (error.code !== "LOST") say(state, error.message);
      }
    clearTimeout(timer);
    if (!over) timer = setTimeout(look, Math.max(EVERY, TIMES * (performance.now() - begun)));
  }

  function draw({ awake, found, sessions }) {
    const stuck = sessions.filter((row) => row.stuck).length;
    const left = found - sessions.length;
    say(state, `${count(awake)} awake, ${count(found)} at work or waiting, ${count(stuck)} stuck${left > 0 ? `; the first ${count(sessions.length)}` : ""}`);
    put(list, sessions.map(row));
    more.hidden = left <= 0 || most === LISTED_MORE;
  }

  const row = (each) =>
    h(
      "li",
      {},
      h("a", { href: to(each.name ?? each.pid) }, short(each.key)),
      h("b", { class: each.stuck ? "bad" : "quiet" }, each.stuck ? "stuck" : each.running ? "in a turn" : "waits"),
      h("span", {}, about(each)),
    );

  on("again", look);
  off(() => {
    over = true;
    clearTimeout(timer);
  });
  look();
  return h("section", { class: "card busy-ones", "aria-label": "Conversations" }, h("h2", {}, "Conversations that are stuck or wait"), state, list, more);
}

// For how long, and what for: in words, or where in its code.
function about({ status, seconds, uptime, waits, mailbox }) {
  return [
    status === "suspended" && "suspended",
    seconds === null ? `awake for ${duration(uptime)}` : duration(seconds),
    mailbox > 0 && `${plural(mailbox, "message")} in its mailbox`,
    /:\d+ /.test(waits) ? `stands in ${waits}` : `waits for ${waits ?? "its turn"}`,
  ].filter(Boolean).join(", ");
}
