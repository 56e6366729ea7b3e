// Pieces that several views are made of.

import { button, confirmed, h, toast } from "./dom.js";

// What is wider than its place is scrolled there, not with the page.
export function wide(name, kid) {
  return h("div", { class: "wide", tabindex: "0", role: "group", "aria-label": name }, kid);
}

// `heads`: [words, class]; `rows`: those of the body.
export function table(name, heads, rows) {
  const head = h("tr", {}, heads.map(([words, kind]) => h("th", { scope: "col", class: kind }, words)));
  return wide(name, h("table", {}, h("thead", {}, head), h("tbody", {}, rows)));
}

export function unseen(words) {
  return h("span", { class: "unseen" }, words);
}

export function figure(name, value) {
  return h("section", { class: "card" }, h("h2", { class: "quiet" }, name), h("p", { class: "figure" }, value));
}

// What is not known is left out.
export function facts(pairs, kind = "") {
  const known = pairs.filter(([, value]) => value !== null && value !== undefined && value !== false && value !== "");
  return h("dl", { class: `facts ${kind}`.trim() }, known.map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]));
}

// Rows of: what it is, more about it, what can be done with it.
export function list(name, rows) {
  return wide(name, h("table", { class: "list-of" }, h("tbody", {}, rows.map(([what, about, act]) => h("tr", {}, h("td", {}, what, h("div", { class: "quiet" }, about)), h("td", { class: "num" }, act))))));
}

// Orders for the gateway, as buttons: with `ask`, what it says is confirmed before.
export function orders(wire, then) {
  return (words, method, params, { ask, ...looks } = {}) =>
    button(
      words,
      async () => {
        if (ask && !(await confirmed(`${words}?`, ask, words))) return;
        try {
          await wire.ask(method, params);
          toast(`${words}: done`);
          then(method);
        } catch (error) {
          toast(error.message, true);
          then(method, error);
        }
      },
      looks,
    );
}
