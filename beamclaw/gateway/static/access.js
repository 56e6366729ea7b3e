// Who may do what: questions of agents, what was allowed for good, devices, skills.

import { app, approval } from "./app.js";
import { button, confirmed, h, put, toast } from "./dom.js";
import { ago, cut, short } from "./words.js";

const PAST = 30;

export function open(main, context) {
  const { wire } = context;
  const parts = ["questions", "grants", "past", "devices", "skills"].map((name) => h("section", { class: "card", id: `part-${name}` }));
  const [questions, grants, past, devices, skills] = parts;
  main.append(h("div", { class: "view", tabindex: "0", role: "region", "aria-label": "Access" }, h("header", {}, h("h1", {}, "Approvals, devices and skills")), parts));

  async function draw(place, heading, needed, work) {
    if (!wire.may(needed)) {
      put(place, h("h2", {}, heading), h("p", { class: "quiet" }, `to see this needs ${needed}`));
      return;
    }
    try {
      put(place, h("h2", {}, heading), await work());
    } catch (error) {
      if (error.code !== "LOST") put(place, h("h2", {}, heading), h("p", { class: "bad" }, error.message));
    }
  }

  const act = (words, method, params, ask) => async () => {
    if (ask && !(await confirmed(`${words}?`, ask, words))) return;
    try {
      await wire.ask(method, params);
      toast(`${words}: done`);
    } catch (error) {
      toast(error.message, true);
    }
    load();
  };

  const none = (words) => h("p", { class: "quiet" }, words);

  const drawQuestions = () =>
    draw(questions, "Questions that wait", "operator.approvals", () =>
      app.approvals.size ? [...app.approvals.values()].map((asked) => [h("p", { class: "quiet" }, h("a", { href: `#/chat/${encodeURIComponent(asked.request.sessionKey ?? "")}` }, short(asked.request.sessionKey ?? "")), ` · ${ago(asked.createdAtMs)}`), approval(asked)]) : none("No agent waits for an answer."),
    );

  function load() {
    drawQuestions();
    draw(grants, "Allowed for good", "operator.approvals", async () => {
      const found = await wire.ask("exec.approval.grants.list");
      const rows = (found.grants ?? found).filter((row) => !row.revokedAtMs);
      return rows.length
        ? list(rows.map((row) => [h("code", {}, row.command), `${row.agentId} · since ${ago(row.createdAtMs)}`, button("Take back", act("Take back", "exec.approval.grants.revoke", { grantId: row.grantId }, `${row.agentId} has to ask again before: ${row.command}`))]))
        : none("Nothing is. What is answered with “Always allow” stands here.");
    });
    draw(past, "Questions that are over", "operator.approvals", async () => {
      const { items } = await wire.ask("approval.history", { limit: PAST });
      return items.length
        ? list(items.map((row) => [h("code", {}, cut(row.presentation.commandText, 300)), `${row.presentation.agentId ?? ""} · ${ago(row.resolvedAtMs)}`, h("span", { class: row.status === "allowed" ? "good" : row.status === "denied" ? "bad" : "quiet" }, row.decision ?? row.status)]))
        : none("Nothing was asked yet.");
    });
    draw(devices, "Devices", "operator.pairing", async () => {
      const found = await wire.ask("device.pair.list");
      const waiting = found.pending.map((row) => [
        h("span", {}, h("b", {}, row.displayName ?? row.clientId ?? "a device"), " wants in"),
        `${row.platform ?? ""} · ${row.remoteIp ?? ""} · ${(row.scopes ?? []).map((scope) => scope.replace("operator.", "")).join(", ")}`,
        h("span", { class: "buttons" }, button("Let in", act("Let in", "device.pair.approve", { requestId: row.requestId }), { class: "main" }), button("Send away", act("Send away", "device.pair.reject", { requestId: row.requestId }), { class: "danger" })),
      ]);
      const paired = found.paired.map((row) => [
        h("b", {}, row.operatorLabel || row.displayName || row.deviceId.slice(0, 12)),
        `${row.platform ?? ""} · ${row.connected ? "connected" : `seen ${ago(row.lastSeenAtMs) || "never"}`} · ${(row.scopes ?? []).map((scope) => scope.replace("operator.", "")).join(", ")}`,
        button("Remove", act("Remove", "device.pair.remove", { deviceId: row.deviceId }, "It is forgotten, and its connections are closed."), { class: "danger" }),
      ]);
      return waiting.length + paired.length ? list([...waiting, ...paired]) : none("No device is paired, and none waits.");
    });
    draw(skills, "Skills", "operator.read", async () => {
      const found = await wire.ask("skills.status");
      return found.skills.length
        ? list(found.skills.map((row) => [h("span", {}, h("b", {}, `${row.emoji ?? ""} ${row.name}`.trim()), ` ${row.description}`), row.source, row.eligible && !row.disabled ? h("span", { class: "good" }, "ready") : h("span", { class: "warn" }, row.disabled ? "switched off" : row.blockedReason)]))
        : none("No skill was found.");
    });
  }

  app.listeners.add(drawQuestions);
  context.off(() => app.listeners.delete(drawQuestions));
  for (const event of ["exec.approval.resolved", "device.pair.requested", "device.pair.resolved", "again"]) context.on(event, load);
  load();
}

function list(rows) {
  return h("div", { class: "wide", tabindex: "0", role: "group", "aria-label": "list" }, h("table", {}, h("tbody", {}, rows.map(([what, about, act]) => h("tr", {}, h("td", {}, what, h("div", { class: "quiet" }, about)), h("td", { class: "num" }, act))))));
}
