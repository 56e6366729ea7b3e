// Who may do what: questions of agents, what was allowed for good, devices, keys, skills.

import { approval, approvals } from "./approvals.js";
import { h, put } from "./dom.js";
import { keys } from "./keys.js";
import { list, orders } from "./parts.js";
import { ago, cut, short, titled } from "./words.js";

const PAST = 30;
const EVERY = 30;

export function open(main, context) {
  const { wire } = context;
  const order = orders(wire, load);
  const parts = [
    ["Questions that wait", "operator.approvals", questions],
    ["Allowed for good", "operator.approvals", grants],
    ["Questions that are over", "operator.approvals", past],
    ["Devices", "operator.pairing", devices],
    ["API keys", "operator.admin", keys(wire, load)],
    ["Skills", "operator.read", skills],
  ].map(([heading, needed, work]) => {
    const place = h("section", { class: "card", "aria-label": heading });
    return { place, draw: () => draw(place, heading, needed, work) };
  });
  main.append(h("div", { class: "view", tabindex: "0", role: "region", "aria-label": "Access" }, h("header", {}, h("h1", {}, "Approvals, devices, keys and skills")), parts.map(({ place }) => place)));

  async function draw(place, heading, needed, work) {
    if (!wire.may(needed)) {
      put(place, h("h2", {}, heading), none(`to see this needs ${needed}`));
      return;
    }
    try {
      put(place, h("h2", {}, heading), await work());
    } catch (error) {
      if (error.code !== "LOST") put(place, h("h2", {}, heading), h("p", { class: "bad" }, error.message));
    }
  }

  function load() {
    for (const part of parts) part.draw();
  }

  function questions() {
    const open = [...approvals.open.values()];
    if (!open.length) return none("No agent waits for an answer.");
    return open.map((asked) => {
      const key = asked.request.sessionKey ?? "";
      return [h("p", { class: "quiet" }, h("a", { href: `#/chat/${encodeURIComponent(key)}` }, short(key)), ` · ${ago(asked.createdAtMs)}`), approval(wire, asked)];
    });
  }

  async function grants() {
    const found = await wire.ask("exec.approval.grants.list");
    const rows = (found.grants ?? found).filter((row) => !row.revokedAtMs);
    if (!rows.length) return none("Nothing is. What is answered with “Always allow” stands here.");
    return list(
      "allowed for good",
      rows.map((row) => [
        h("code", {}, row.command),
        `${row.agentId} · ${ago(row.createdAtMs)}`,
        order("Take back", "exec.approval.grants.revoke", { grantId: row.grantId }, { ask: `${row.agentId} has to ask again before: ${row.command}` }),
      ]),
    );
  }

  async function past() {
    const { items } = await wire.ask("approval.history", { limit: PAST });
    if (!items.length) return none("Nothing was asked yet.");
    const looks = { allowed: "good", denied: "bad" };
    return list(
      "questions that are over",
      items.map((row) => [
        h("code", {}, cut(row.presentation.commandText, 300)),
        `${row.presentation.agentId ?? ""} · ${ago(row.resolvedAtMs)}`,
        h("span", { class: looks[row.status] ?? "quiet" }, row.decision ?? row.status),
      ]),
    );
  }

  async function devices() {
    const found = await wire.ask("device.pair.list");
    const waiting = found.pending.map((row) => [
      h("span", {}, h("b", {}, row.displayName ?? row.clientId ?? "a device"), " wants in"),
      [row.platform, row.remoteIp, titled(row.scopes)].filter(Boolean).join(" · "),
      h(
        "span",
        { class: "buttons" },
        order("Let in", "device.pair.approve", { requestId: row.requestId }, { class: "main" }),
        order("Send away", "device.pair.reject", { requestId: row.requestId }, { class: "danger" }),
      ),
    ]);
    const paired = found.paired.map((row) => [
      h("b", {}, row.operatorLabel || row.displayName || row.deviceId.slice(0, 12)),
      [row.platform, row.connected ? "connected" : `seen ${ago(row.lastSeenAtMs) || "never"}`, titled(row.scopes)].filter(Boolean).join(" · "),
      order("Remove", "device.pair.remove", { deviceId: row.deviceId }, { ask: "It is forgotten, and its connections are closed.", class: "danger" }),
    ]);
    if (!waiting.length && !paired.length) return none("No device is paired, and none waits.");
    return list("devices", [...waiting, ...paired]);
  }

  async function skills() {
    const found = await wire.ask("skills.status");
    if (!found.skills.length) return none("No skill was found.");
    return list(
      "skills",
      found.skills.map((row) => [h("span", {}, h("b", {}, `${row.emoji ?? ""} ${row.name}`.trim()), ` ${row.description}`), row.source, ready(row)]),
    );
  }

  approvals.listeners.add(parts[0].draw);
  context.off(() => approvals.listeners.delete(parts[0].draw));
  for (const event of ["exec.approval.resolved", "device.pair.requested", "device.pair.resolved", "again"]) context.on(event, load);
  context.every(EVERY, load);
  load();
}

const none = (words) => h("p", { class: "quiet" }, words);

function ready(skill) {
  if (skill.disabled) return h("span", { class: "warn" }, "switched off");
  return skill.eligible ? h("span", { class: "good" }, "ready") : h("span", { class: "warn" }, skill.blockedReason);
}
