// The page: who signs in, the frame with its views, and what all of them share.

import { followApprovals, loadApprovals } from "./approvals.js";
import { announce, button, confirmed, h, icon, put, refocus, toast } from "./dom.js";
import { unseen } from "./parts.js";
import { followKeyboard } from "./viewport.js";
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

// Milliseconds until a node that did not answer is asked again.
const AGAIN = 2000;

const place = document.getElementById("app");
const mode = document.documentElement.dataset.auth;
let wire = null;
let waiting = 0;
// How often somebody was signed in: an older attempt may be answered behind a later one.
let attempts = 0;
let leaveView = () => {};
let shown = "";
let updateView = null;
// How often a way was taken: a program of a view that was loaded for an older one comes late.
let ways = 0;

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
  const code = linked();
  if (code) {
    // Spent in this moment, and gone from the address and the history before.
    history.replaceState(null, "", `${location.pathname}#/chat`);
    try {
      const token = await enter(code);
      out();
      sessionStorage.setItem(KEPT, token);
    } catch (error) {
      if (!sessionStorage.getItem(KEPT)) {
        front(error.message);
        return;
      }
      toast(error.message, true);
      if (wire) return;
    }
  }
  const token = sessionStorage.getItem(KEPT);
  if (!token && (mode === "token" || mode === "password")) front();
  else await signIn(token);
}

// The code of a link of `beamclaw dashboard`.
function linked() {
  return /^#code=([\w-]{1,200})$/.exec(location.hash)?.[1];
}

async function enter(code) {
  const answer = await fetch("/page/enter", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ code }),
  }).catch(() => null);
  if (!answer) throw new Refused({ message: "the node does not answer; open the link again" });
  const body = await answer.json();
  if (!answer.ok) throw new Refused({ message: body.error?.message ?? "the link is not good" });
  return body.token;
}

function credentials(token) {
  if (!token) return null;
  return mode === "password" && !/^bc[kd]_/.test(token) ? { password: token } : { token };
}

async function signIn(token) {
  clearTimeout(waiting);
  attempts += 1;
  const attempt = attempts;
  const tried = new Wire(credentials(token));
  try {
    await tried.open();
  } catch (error) {
    tried.close();
    if (attempt !== attempts) return;
    if (error.retryable || !error.code) {
      front(`${error.message}; trying again …`);
      waiting = setTimeout(() => signIn(token), AGAIN);
    } else {
      sessionStorage.removeItem(KEPT);
      front(error.message);
    }
    return;
  }
  if (attempt !== attempts) {
    tried.close();
    return;
  }
  if (token) sessionStorage.setItem(KEPT, token);
  wire = tried;
  wire.on("refused", (error) => {
    sessionStorage.removeItem(KEPT);
    out();
    front(error.message);
  });
  frame();
}

// Nobody is there any more for whom a view could be shown.
function out() {
  clearTimeout(waiting);
  wire?.close();
  wire = null;
  leaveView();
  leaveView = () => {};
  shown = "";
  ways += 1;
}

function front(problem = "") {
  const told = document.getElementById("problem");
  if (told) {
    // What is being typed stays.
    told.textContent = problem;
    return;
  }
  const what = mode === "password" ? "Password" : "Token";
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
        const typed = field.value.trim();
        field.value = "";
        if (typed) signIn(typed);
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
  sessionStorage.removeItem(KEPT);
  await wire?.ask("beamclaw.leave").catch(() => {});
  // With the page goes all that it remembers: words that were not sent, questions of agents.
  history.replaceState(null, "", location.pathname);
  location.reload();
}

// --- the frame

function frame() {
  const links = VIEWS.map(([name, words]) =>
    h("a", { href: `#/${name}`, "data-view": name }, icon(name), h("span", { class: "words" }, words)),
  );
  const state = h("p", { class: "state", role: "status" }, "connected");
  const told = { open: "connected", lost: "connecting again …" };
  wire.on("state", (now) => {
    state.dataset.state = now;
    state.textContent = told[now] ?? now;
    if (now === "open") again();
  });
  const colours = button([icon("theme"), unseen("Colours: light, dark or the system's")], () => toast(`Colours: ${nextTheme()}`), { class: "bare" });
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
  followApprovals(wire);
  route();
}

// The connection is back: what is shown may be old.
function again() {
  loadApprovals(wire);
  wire.tell("again", null);
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

// What the address says: a view, or a link that was opened in this tab.
function moved() {
  if (linked()) begin();
  else if (wire) route();
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
    hold();
    return;
  }
  leaveView();
  leaveView = () => {};
  updateView = null;
  shown = name;
  const way = ++ways;
  const main = document.getElementById("main");
  const view = await import(`./${name}.js`).catch(() => null);
  if (way !== ways) return;
  if (!view) {
    unloaded(put(main));
    return;
  }
  const offs = [];
  const context = {
    wire,
    on: (event, listener) => offs.push(wire.on(event, listener)),
    every: (seconds, work) => {
      const timer = setInterval(() => document.hidden || work(), seconds * 1000);
      offs.push(() => clearInterval(timer));
    },
    off: (end) => offs.push(end),
  };
  leaveView = () => offs.splice(0).forEach((end) => end());
  updateView = view.open(put(main), context, steps) ?? null;
  hold();
}

// A browser does not ask twice for a program of the page that it could not load.
function unloaded(main) {
  main.append(
    h("div", { class: "empty" }, h("p", {}, "This view could not be loaded: the node does not answer."), button("Load the page again", () => location.reload())),
  );
  const off = wire.on("again", () => location.reload());
  leaveView = off;
}

// Where what had the focus is shown no more, what took its place has it.
function hold() {
  const at = document.activeElement;
  if (at === document.body || !at?.checkVisibility()) refocus(place);
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
  if (at >= 1 && at <= VIEWS.length && wire) {
    event.preventDefault();
    location.hash = `#/${VIEWS[at - 1][0]}`;
    document.getElementById("main")?.focus();
  }
});

// A connection may have died while nobody looked: that is found out when somebody does.
addEventListener("online", () => wire?.check());
document.addEventListener("visibilitychange", () => document.hidden || wire?.check());

addEventListener("hashchange", moved);
followKeyboard();
theme(localStorage.getItem(THEME) ?? "auto");
begin();
