// The page: who signs in, the frame with its views, and what all of them share.

import { add, announce, button, confirmed, h, icon, put, toast } from "./dom.js";
import { Refused, Wire } from "./wire.js";

const KEPT = "beamclaw.token";
const THEME = "beamclaw.theme";
const VIEWS = [
  ["chat", "Chat"],
  ["tree", "Tree"],
  ["sessions", "Sessions"],
  ["spending", "Spending"],
  ["access", "Access"],
  ["health", "Health"],
  ["logs", "Logs"],
];

export const app = {
  wire: null,
  // Questions to persons that are open, by id.
  approvals: new Map(),
  listeners: new Set(),
};

const place = document.getElementById("app");
const mode = document.documentElement.dataset.auth;
let leaveView = () => {};
let shown = "";
let updateView = null;

// --- light and dark

function theme(next) {
  if (next === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = next;
  localStorage.setItem(THEME, next);
}

function nextTheme() {
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  const now = document.documentElement.dataset.theme ?? "auto";
  const order = dark ? ["auto", "light", "dark"] : ["auto", "dark", "light"];
  const next = order[(order.indexOf(now) + 1) % 3];
  theme(next);
  announce(next === "auto" ? "colours as the system has them" : `${next} colours`);
  return next;
}

// --- signing in

async function begin() {
  theme(localStorage.getItem(THEME) ?? "auto");
  const code = /^#code=([\w-]{1,200})$/.exec(location.hash)?.[1];
  if (code) {
    // Spent in this moment, and gone from the address and the history before.
    history.replaceState(null, "", `${location.pathname}#/chat`);
    try {
      sessionStorage.setItem(KEPT, await enter(code));
    } catch (error) {
      front(error.message);
      return;
    }
  }
  const token = sessionStorage.getItem(KEPT);
  if (!token && (mode === "token" || mode === "password")) front();
  else await signIn(token);
}

async function enter(code) {
  const answer = await fetch("/page/enter", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ code }),
  });
  const body = await answer.json();
  if (!answer.ok) throw new Refused({ message: body.error?.message ?? "the link is not good" });
  return body.token;
}

function credentials(token) {
  if (!token) return null;
  return mode === "password" && !/^bc[kd]_/.test(token) ? { password: token } : { token };
}

async function signIn(token) {
  const wire = new Wire(credentials(token));
  try {
    await wire.open();
  } catch (error) {
    wire.close();
    if (error.retryable || !error.code) {
      front(`${error.message}; trying again …`);
      setTimeout(() => signIn(token), 2000);
    } else {
      sessionStorage.removeItem(KEPT);
      front(error.message);
    }
    return;
  }
  if (token) sessionStorage.setItem(KEPT, token);
  app.wire = wire;
  wire.on("refused", (error) => {
    wire.close();
    sessionStorage.removeItem(KEPT);
    leaveView();
    front(error.message);
  });
  frame();
}

function front(problem = "") {
  const what = mode === "password" ? "Password" : "Token";
  // Nobody is there for whom a view could be shown.
  onhashchange = null;
  shown = "";
  const field = h("input", {
    id: "token",
    type: "password",
    autocomplete: "current-password",
    required: true,
    "aria-describedby": "problem",
  });
  const form = h(
    "form",
    {
      onsubmit: (event) => {
        event.preventDefault();
        if (field.value.trim()) signIn(field.value.trim());
      },
    },
    h("label", { for: "token" }, what),
    field,
    h("button", { class: "main" }, "Sign in"),
  );
  document.title = "Sign in · BeamClaw";
  put(
    place,
    h(
      "main",
      { id: "main", class: "front" },
      h("h1", {}, h("img", { src: "/page/icon.svg", width: 40, height: 40, alt: "" }), "BeamClaw"),
      h("p", { id: "problem", class: "bad", role: "alert" }, problem),
      form,
      h("p", { class: "quiet" }, "Or type ", h("code", {}, "beamclaw dashboard"), " on the machine of the node, and open the link: it signs this browser in."),
      h("p", { class: "quiet" }, "The token stands in the file ", h("code", {}, "token"), " of the data folder, unless the configuration says another one. This tab forgets it when it is closed."),
    ),
  );
  field.focus();
}

async function signOut() {
  const yes = await confirmed("Sign out?", "This tab forgets who you are. Conversations and turns go on.", "Sign out");
  if (!yes) return;
  await app.wire.ask("beamclaw.leave").catch(() => {});
  app.wire.close();
  sessionStorage.removeItem(KEPT);
  leaveView();
  location.hash = "";
  front();
}

// --- the frame

function frame() {
  const links = VIEWS.map(([name, words]) =>
    h("a", { href: `#/${name}`, "data-view": name }, icon(name), words),
  );
  const state = h("p", { class: "state", role: "status" }, "connected");
  const told = { open: "connected", lost: "connecting again …" };
  app.wire.on("state", (now) => {
    state.dataset.state = now;
    state.textContent = told[now] ?? now;
    if (now === "open") again();
  });
  const colours = button([icon("theme"), h("span", { class: "unseen" }, "Colours: light, dark or the system's")], () => toast(`Colours: ${nextTheme()}`), { class: "bare" });
  const leave = button([icon("leave"), "Sign out"], signOut, { class: "bare" });
  put(
    place,
    h(
      "div",
      { class: "frame" },
      h(
        "div",
        { class: "side" },
        h("div", { class: "brand" }, h("img", { src: "/page/icon.svg", width: 26, height: 26, alt: "" }), "BeamClaw"),
        h("nav", { "aria-label": "Views" }, links),
        h("div", { class: "foot" }, state, h("div", { class: "row" }, colours, leave)),
      ),
      h("main", { id: "main", tabindex: "-1" }),
    ),
  );
  followApprovals();
  onhashchange = route;
  shown = "";
  route();
}

// The connection is back: what is shown may be old.
function again() {
  loadApprovals();
  app.wire.tell("again", null);
}

export function go(...steps) {
  location.hash = `#/${steps.map(encodeURIComponent).join("/")}`;
}

function decoded(step) {
  try {
    return decodeURIComponent(step);
  } catch {
    return ""; // nobody here has made this address
  }
}

async function route() {
  const [name, ...steps] = location.hash.replace(/^#\/?/, "").split("/").map(decoded);
  const known = VIEWS.find(([each]) => each === name);
  if (!known) {
    location.replace("#/chat");
    return;
  }
  for (const link of document.querySelectorAll("[data-view]"))
    if (link.dataset.view === name) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  document.title = `${known[1]} · BeamClaw`;
  if (shown === name && updateView) {
    updateView(steps);
    return;
  }
  leaveView();
  leaveView = () => {};
  updateView = null;
  shown = name;
  const main = document.getElementById("main");
  const view = await import(`./${name}.js`);
  if (shown !== name) return;
  const offs = [];
  const context = {
    wire: app.wire,
    on: (event, listener) => offs.push(app.wire.on(event, listener)),
    every: (seconds, work) => {
      const timer = setInterval(() => document.hidden || work(), seconds * 1000);
      offs.push(() => clearInterval(timer));
    },
    off: (end) => offs.push(end),
  };
  leaveView = () => offs.splice(0).forEach((end) => end());
  updateView = view.open(put(main), context, steps) ?? null;
}

document.querySelector(".skip").addEventListener("click", (event) => {
  // The part behind the # says which view it is.
  event.preventDefault();
  const main = document.getElementById("main");
  main.tabIndex = -1;
  main.focus();
});

addEventListener("keydown", (event) => {
  const at = event.altKey && !event.ctrlKey && !event.metaKey ? Number(event.key) : 0;
  if (at >= 1 && at <= VIEWS.length && app.wire) {
    event.preventDefault();
    location.hash = `#/${VIEWS[at - 1][0]}`;
    document.getElementById("main")?.focus();
  }
});

// --- questions to persons: everywhere, so that nobody waits for somebody who looks elsewhere

function followApprovals() {
  if (!app.wire.may("operator.approvals")) return;
  app.wire.on("exec.approval.requested", (asked) => {
    app.approvals.set(asked.id, asked);
    changed();
    announce(`an agent asks: ${asked.request.command}`);
  });
  app.wire.on("exec.approval.resolved", ({ id }) => {
    app.approvals.delete(id);
    changed();
  });
  loadApprovals();
}

async function loadApprovals() {
  if (!app.wire.may("operator.approvals")) return;
  const found = await app.wire.ask("exec.approval.list").catch(() => null);
  if (!found) return;
  app.approvals = new Map((found.approvals ?? found).map((asked) => [asked.id, asked]));
  changed();
}

function changed() {
  const link = document.querySelector('[data-view="access"]');
  link?.querySelector(".badge")?.remove();
  const open = app.approvals.size;
  if (open) link?.append(h("span", { class: "badge" }, open, h("span", { class: "unseen" }, " questions wait")));
  for (const listener of [...app.listeners]) listener();
}

const DECISIONS = { "allow-once": "Allow once", "allow-always": "Always allow", deny: "Deny" };

export function approval(asked) {
  const { request } = asked;
  const answer = async (decision) => {
    for (const each of buttons) each.disabled = true;
    try {
      await app.wire.ask("exec.approval.resolve", { id: asked.id, decision });
      app.approvals.delete(asked.id);
      changed();
    } catch (error) {
      toast(error.message, true);
      for (const each of buttons) each.disabled = false;
    }
  };
  const buttons = (request.allowedDecisions ?? ["allow-once", "deny"]).map((decision) =>
    button(DECISIONS[decision] ?? decision, () => answer(decision), {
      class: decision === "deny" ? "danger" : decision === "allow-once" ? "main" : "",
    }),
  );
  const facts = Object.entries(request.details ?? {}).filter(([name]) => !["command", "why"].includes(name));
  return h(
    "section",
    { class: "approval", "aria-label": "a question of the agent" },
    h("h3", {}, `${request.agentId ?? "An agent"} asks whether it may`),
    request.warningText && h("p", { class: "quiet" }, request.warningText),
    h("pre", { class: "box", tabindex: "0", "aria-label": "what it wants to do" }, request.command),
    facts.length > 0 && h("dl", { class: "facts" }, facts.map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)])),
    h("p", {}),
    h("div", { class: "buttons" }, buttons),
  );
}

export { add };
begin();
