// API keys: which there are, a new one, and none any more. A key is shown once.

import { ask, button, confirmed, copy, h } from "./dom.js";
import { list, orders } from "./parts.js";
import { ago, duration, titled } from "./words.js";

const SCOPES = {
  "operator.read": "look at everything but secrets",
  "operator.write": "talk to agents, and look",
  "operator.approvals": "answer what agents must ask",
  "operator.questions": "answer what agents want to know",
  "operator.pairing": "let devices in",
  "operator.admin": "everything",
};
const DAY = 86_400;
const GOOD_FOR = [["30 days", 30 * DAY], ["90 days", 90 * DAY], ["a year", 365 * DAY], ["for ever", 0]];

// Gives what draws them; `changed`: draws them anew.
export function keys(wire, changed) {
  const order = orders(wire, changed);

  return async function drawn() {
    const found = await wire.ask("beamclaw.keys.list");
    const good = found.keys.filter((key) => !key.revokedAtMs && !(key.expiresAtMs <= Date.now()));
    return [
      good.length ? list("API keys", good.map(row)) : h("p", { class: "quiet" }, "There is none. A program, or a browser that came by a link, is let in with one."),
      h("div", { class: "buttons" }, button("New key", () => create(wire, changed))),
    ];
  };

  function row(key) {
    const used = key.lastUsedAtMs ? `used ${ago(key.lastUsedAtMs)}` : "never used";
    const until = key.expiresAtMs ? `${duration((key.expiresAtMs - Date.now()) / 1000)} left` : "for ever";
    const told = key.own ? "It is the one that this page came with: it is signed out by that." : "Whoever uses it is cut off at once.";
    return [
      h("span", {}, h("b", {}, key.name), " ", h("code", {}, key.id), key.own && " (this page)"),
      [titled(key.scopes), until, used, key.createdBy && `made by ${key.createdBy}`].filter(Boolean).join(" · "),
      order("Revoke", "beamclaw.keys.revoke", { id: key.id }, { ask: `${key.name}, ${key.id}. ${told}`, class: "danger", "aria-label": `Revoke ${key.name} ${key.id}` }),
    ];
  }
}

function create(wire, changed) {
  const name = h("input", { id: "key-name", required: true, maxlength: 64, autocomplete: "off", autofocus: true });
  const good = h("select", { id: "key-good" }, GOOD_FOR.map(([words, seconds]) => h("option", { value: seconds }, words)));
  const scopes = Object.entries(SCOPES).map(([scope, words]) => {
    const box = h("input", { type: "checkbox", value: scope, checked: scope === "operator.read" });
    return { box, line: h("label", {}, box, h("span", {}, h("b", {}, scope.replace("operator.", "")), ` ${words}`)) };
  });
  const problem = h("p", { class: "bad", role: "alert" });
  const dialog = h(
    "dialog",
    { "aria-labelledby": "key-title" },
    h(
      "form",
      { class: "sheet", onsubmit: make },
      h("h2", { id: "key-title" }, "A new key"),
      h("label", { for: "key-name" }, "Whose it is: the name of a program or a person"),
      name,
      h("fieldset", { class: "choices" }, h("legend", {}, "It may"), scopes.map(({ line }) => line)),
      h("label", { for: "key-good" }, "It is good for"),
      good,
      problem,
      h("div", { class: "buttons" }, button("Cancel", () => dialog.close()), h("button", { class: "main" }, "Make it")),
    ),
  );

  async function make(event) {
    event.preventDefault();
    const chosen = scopes.filter(({ box }) => box.checked).map(({ box }) => box.value);
    const seconds = Number(good.value);
    try {
      if (!chosen.length) throw new Error("a key is good for something: choose what it may");
      const made = await wire.ask("beamclaw.keys.create", { name: name.value, scopes: chosen, ...(seconds ? { seconds } : {}) });
      dialog.close();
      changed();
      reveal(made);
    } catch (error) {
      problem.textContent = error.message;
    }
  }

  ask(dialog);
}

// The only time at which the key is there to be read.
function reveal({ key, secret }) {
  const shown = h("output", { class: "box secret", tabindex: "0", "aria-label": "the key" }, secret);
  let copied = false;
  const dialog = h(
    "dialog",
    { "aria-labelledby": "made-title", oncancel: leave },
    h("h2", { id: "made-title" }, `The key ${key.name}`),
    h("p", {}, "It is shown this once; the node keeps only what it is recognised by."),
    shown,
    h("div", { class: "buttons" }, button("Copy", async () => (copied ||= await copy(secret, shown, dialog)), { class: "main", autofocus: true }), button("Done", leave)),
  );

  async function leave(event) {
    event.preventDefault();
    if (copied || (await confirmed("Have you got it?", "It cannot be shown again.", "Close"))) dialog.close();
  }

  ask(dialog);
}
