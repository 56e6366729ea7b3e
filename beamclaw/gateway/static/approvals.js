// Questions of agents to persons: known everywhere, so that nobody waits for somebody who
// looks elsewhere.

import { announce, button, h, toast } from "./dom.js";
import { facts, unseen } from "./parts.js";

export const approvals = {
  // Those that are open, by id.
  open: new Map(),
  // Who wants to know when that changes.
  listeners: new Set(),
};

// How often it was told that one came or went.
let told = 0;

export function followApprovals(wire) {
  approvals.open = new Map();
  if (!wire.may("operator.approvals")) return;
  wire.on("exec.approval.requested", (asked) => {
    approvals.open.set(asked.id, asked);
    told += 1;
    changed();
    announce(`an agent asks: ${asked.request.command}`);
  });
  wire.on("exec.approval.resolved", ({ id }) => {
    approvals.open.delete(id);
    told += 1;
    changed();
  });
  loadApprovals(wire);
}

export async function loadApprovals(wire) {
  if (!wire.may("operator.approvals")) return;
  const before = told;
  const found = await wire.ask("exec.approval.list").catch(() => null);
  if (!found) return;
  if (told !== before) {
    // It may have been read before that.
    loadApprovals(wire);
    return;
  }
  approvals.open = new Map((found.approvals ?? found).map((asked) => [asked.id, asked]));
  changed();
}

function changed() {
  const link = document.querySelector('[data-view="access"]');
  link?.querySelector(".badge")?.remove();
  const open = approvals.open.size;
  if (open) link?.append(h("span", { class: "badge" }, open, unseen(" questions wait")));
  for (const listener of [...approvals.listeners]) listener();
}

// Of the details, what stands above them.
const TOLD = new Set(["command", "why"]);
const DECISIONS = { "allow-once": "Allow once", "allow-always": "Always allow", deny: "Deny" };

export function approval(wire, asked) {
  const { request } = asked;
  let asking = false;
  // The buttons stay what they are: one that is disabled loses the focus to nothing.
  const answer = async (decision) => {
    if (asking) return;
    asking = true;
    element.setAttribute("aria-busy", "true");
    try {
      await wire.ask("exec.approval.resolve", { id: asked.id, decision });
      approvals.open.delete(asked.id);
      changed();
    } catch (error) {
      toast(error.message, true);
    }
    element.removeAttribute("aria-busy");
    asking = false;
  };
  const buttons = (request.allowedDecisions ?? ["allow-once", "deny"]).map((decision) =>
    button(DECISIONS[decision] ?? decision, () => answer(decision), {
      class: decision === "deny" ? "danger" : decision === "allow-once" ? "main" : "",
    }),
  );
  const details = Object.entries(request.details ?? {}).filter(([name]) => !TOLD.has(name));
  const element = h(
    "section",
    { class: "approval", "aria-label": "a question of the agent", "data-id": asked.id },
    h("h3", {}, `${request.agentId ?? "An agent"} asks whether it may`),
    request.warningText && h("p", { class: "quiet" }, request.warningText),
    h("pre", { class: "box", tabindex: "0", "aria-label": "what it wants to do" }, request.command),
    details.length > 0 && facts(details),
    h("div", { class: "buttons" }, buttons),
  );
  return element;
}
