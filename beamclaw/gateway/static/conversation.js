// One conversation: what was said, what is being said, what is asked, and the next words.

import { approval, approvals } from "./approvals.js";
import { composer } from "./composer.js";
import { announce, button, drop, h, icon, put, say, toast } from "./dom.js";
import { markdown } from "./markdown.js";
import { drawing, picture, textOf } from "./said.js";
import { cut, short, title } from "./words.js";

const PAGE = 100;
// Pixels from the end within which somebody reads the end.
const NEAR = 120;
const PHASES = { preparing_context: "reading the conversation …", starting_model: "waiting for the model …" };

export function conversation(place, wire, key) {
  const offs = [];
  // By the id of a message: its place, its element, what it said of which turn. Without an
  // element it is drawn in that of another one.
  const rows = new Map();
  // By the number under which it was sent: what is not yet in the conversation.
  const pending = new Map();
  const draws = drawing(wire, key);
  let live = null;
  let running = null;
  let reading = false;
  let atEnd = true;
  let closed = false;

  const heading = h("h1", {}, short(key));
  const about = h("span", { class: "quiet about" });
  const older = button("Earlier messages", loadOlder, { hidden: true });
  const asks = h("div");
  const said = h("div", { class: "said", role: "log", "aria-label": "Messages", "aria-live": "off", tabindex: "0" }, older, asks);
  const back = h("a", { href: "#/chat", class: "only-phone", "aria-label": "All sessions" }, icon("back"));
  const next = composer(key, wire.may("operator.write"), send, halt);
  put(place, h("header", {}, back, heading, about), said, h("div", { class: "composer" }, next.element));

  // --- whoever reads the end stays there, whatever comes, and whatever room a keyboard leaves

  said.addEventListener("scroll", () => {
    atEnd = said.scrollHeight - said.scrollTop - said.clientHeight < NEAR;
  });
  said.addEventListener("load", down, true);
  const sizes = new ResizeObserver(down);
  sizes.observe(said);

  function down() {
    if (atEnd) said.scrollTop = said.scrollHeight;
  }

  // --- what was said

  async function load() {
    try {
      await wire.ask("sessions.messages.subscribe", { key });
      const found = await wire.ask("chat.history", { sessionKey: key, limit: PAGE });
      if (!closed) fill(found);
    } catch (error) {
      if (!closed && error.code !== "LOST") toast(error.message, true);
    }
  }

  function fill(found) {
    const { sessionInfo: info = {}, defaults, messages, inFlightRun: going } = found;
    say(heading, title({ key, ...info }));
    say(about, [info.modelProvider ?? defaults?.modelProvider, info.model ?? defaults?.model].filter(Boolean).join("/"));
    // More was said than is shown at once, while nobody listened: begin anew, without a gap.
    if (rows.size && messages.length === PAGE && !messages.some((row) => rows.has(row.__openclaw.id))) forget();
    for (const row of messages) show(row);
    wait(found.pendingInputs?.items ?? []);
    older.hidden = rows.size >= found.total;
    empty(!rows.size && !pending.size && !going);
    if (going) {
      run(going.runId);
      speak(going.text ?? "");
    } else if (!info.activeRunIds?.includes(running)) rest();
    questions();
    down();
  }

  // Said while a turn was going on: theirs comes when that is over.
  function wait(items) {
    for (const { runId, message } of items) {
      next.arrived(runId);
      if (pending.has(runId)) continue;
      const element = draws.bubble(message);
      pending.set(runId, element);
      asks.before(element);
    }
  }

  function forget() {
    for (const { element } of rows.values()) element?.remove();
    rows.clear();
  }

  function keep(row, element) {
    const { id, seq, runId } = row.__openclaw;
    const own = row.role === "assistant" ? { run: runId, text: textOf(row) } : {};
    rows.set(id, { seq, element, ...own });
  }

  // What stands behind a message: a history may come later than what was told meanwhile.
  function behind({ seq }) {
    let next = null;
    for (const each of rows.values()) if (each.element && each.seq > seq && (!next || each.seq < next.seq)) next = each;
    return next?.element ?? live?.element ?? asks;
  }

  // What the turn has said that stands in the conversation by now.
  function kept(run) {
    const own = [...rows.values()].filter((each) => each.run === run);
    return own.sort((one, other) => one.seq - other.seq).map(({ text }) => text).join("");
  }

  async function loadOlder() {
    if (reading) return;
    reading = true;
    try {
      const found = await wire.ask("chat.history", { sessionKey: key, limit: PAGE, offset: rows.size });
      if (!closed) prepend(found);
    } catch (error) {
      toast(error.message, true);
    }
    reading = false;
  }

  function prepend(found) {
    const high = said.scrollHeight;
    const first = older.nextSibling;
    for (const row of found.messages) {
      if (rows.has(row.__openclaw.id)) continue;
      const element = draws.drawn(row);
      keep(row, element);
      if (element) said.insertBefore(element, first);
    }
    older.hidden = rows.size >= found.total;
    if (older.hidden && document.activeElement === older) said.focus();
    said.scrollTop += said.scrollHeight - high;
  }

  function empty(yes) {
    said.querySelector(".empty")?.remove();
    if (yes) asks.before(h("p", { class: "empty" }, "Nothing has been said here yet. Enter sends, Shift+Enter begins a new line."));
  }

  function show(row) {
    const id = row.__openclaw?.id;
    if (id === undefined || rows.has(id)) return;
    const number = row.idempotencyKey?.replace(/:user$/, "");
    const sent = pending.get(number);
    sent?.remove();
    pending.delete(number);
    next.arrived(number);
    empty(false);
    const element = draws.drawn(row, [...(sent?.querySelectorAll("img") ?? [])]);
    if (element) behind(row.__openclaw).before(element);
    keep(row, element);
    if (live && row.__openclaw.runId === live.run) speak(live.text);
    down();
  }

  // --- what is being said

  function run(id) {
    if (running === id) return;
    running = id;
    next.works(true);
    live?.element.remove();
    const shown = h("div", { class: "quiet" }, "…");
    const element = h("article", { class: "turn live", "aria-label": "the agent, writing" }, h("div", { class: "by" }, "now"), shown);
    live = { run: id, element, shown, text: "", drawn: 0 };
    empty(false);
    asks.before(element);
    down();
  }

  function speak(all) {
    if (!live) return;
    live.text = all;
    live.drawn ||= requestAnimationFrame(() => {
      if (!live) return;
      live.drawn = 0;
      const told = kept(live.run);
      const fresh = live.text.startsWith(told) ? live.text.slice(told.length) : live.text;
      put(live.shown, fresh.trim() ? markdown(fresh) : h("span", { class: "quiet" }, "…"));
      down();
    });
  }

  function rest() {
    running = null;
    next.works(false);
    if (!live) return;
    cancelAnimationFrame(live.drawn);
    drop(live.element);
    live = null;
  }

  function note(words, bad = false) {
    asks.before(h("p", { class: bad ? "note bad" : "note", role: bad ? "alert" : null }, words));
    down();
  }

  function heard(payload) {
    if (payload.sessionKey !== key) return;
    switch (payload.state) {
      case "status":
        run(payload.runId);
        if (!live.text) put(live.shown, h("span", { class: "quiet" }, PHASES[payload.phase] ?? "…"));
        break;
      case "delta":
        run(payload.runId);
        speak(textOf(payload.message));
        break;
      default:
        over(payload);
    }
  }

  function over({ runId, state, errorMessage, message }) {
    // One that waited: it is answered with the turn that goes on, or was taken back.
    const beside = running && runId !== running;
    const partial = live?.text;
    if (!beside) rest();
    if (state === "error") note(`The turn failed: ${errorMessage}`, true);
    else if (!beside && state === "aborted") note(partial ? "Stopped; what was said so far stays." : "Stopped.");
    else if (!beside) announce(`The agent says: ${cut(textOf(message), 300)}`);
    setTimeout(() => closed || load(), 150);
  }

  // --- what is asked

  function questions() {
    const mine = [...approvals.open.values()].filter((asked) => asked.request.sessionKey === key);
    const there = new Map([...asks.children].map((each) => [each.dataset.id, each]));
    for (const [id, element] of there) if (!mine.some((asked) => asked.id === id)) drop(element);
    for (const asked of mine) if (!there.has(asked.id)) asks.append(approval(wire, asked));
    down();
  }

  // --- what a person does

  async function send(id, message, pictures) {
    empty(false);
    const element = draws.bubble({ content: [{ type: "text", text: message }] });
    for (const each of pictures) element.querySelector(".bubble").append(picture(each.kind, each.data));
    pending.set(id, element);
    (live?.element ?? asks).before(element);
    atEnd = true;
    down();
    try {
      await wire.ask("chat.send", {
        sessionKey: key,
        message,
        idempotencyKey: id,
        ...(pictures.length ? { attachments: pictures.map((each) => ({ type: "image", mimeType: each.kind, fileName: each.name, content: each.data })) } : {}),
      });
    } catch (error) {
      element.remove();
      pending.delete(id);
      throw error;
    }
  }

  async function halt() {
    try {
      await wire.ask("chat.abort", { sessionKey: key });
    } catch (error) {
      toast(error.message, true);
    }
  }

  offs.push(
    wire.on("chat", heard),
    wire.on("session.message", (payload) => payload.sessionKey === key && show(payload.message)),
    wire.on("agent", (payload) => payload.sessionKey === key && payload.stream === "tool" && payload.data.phase === "start" && draws.begins(payload.data.toolCallId)),
    wire.on("gap", load),
    () => sizes.disconnect(),
    () => approvals.listeners.delete(questions),
  );
  approvals.listeners.add(questions);
  load();
  if (matchMedia("(min-width: 701px)").matches) next.focus();
  return {
    load,
    close() {
      closed = true;
      offs.forEach((off) => off());
      wire.ask("sessions.messages.unsubscribe", { key }).catch(() => {});
    },
  };
}
