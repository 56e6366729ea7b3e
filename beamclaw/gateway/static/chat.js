// Conversations: the list of them, what is said as it is said, tools, questions, pictures.

import { app, approval, go } from "./app.js";
import { announce, button, h, icon, put, say, toast } from "./dom.js";
import { markdown } from "./markdown.js";
import { ago, clock, count, cut, pretty, short, title } from "./words.js";

const PAGE = 100;
const LISTED = 60;
const PICTURES = ["image/png", "image/jpeg", "image/gif", "image/webp"];
const MOST_BYTES = 5 * 2 ** 20;
const PHASES = { preparing_context: "reading the conversation …", starting_model: "waiting for the model …" };

export function open(main, context, steps) {
  const { wire } = context;
  const home = wire.hello.snapshot?.sessionDefaults?.mainSessionKey ?? "agent:main:main";
  const list = h("ul");
  const find = h("input", {
    type: "search",
    placeholder: "Find a session",
    "aria-label": "Find a session",
    oninput: () => later(loadList),
  });
  const pair = h("div", { class: "pair" });
  const talk = h("section", { class: "talk", "aria-label": "Conversation" });
  add(main, pair, list, find, talk, wire);

  let talking = null;
  let chosen = "";
  let waiting = 0;

  function later(work, ms = 250) {
    clearTimeout(waiting);
    waiting = setTimeout(work, ms);
  }

  async function loadList() {
    const search = find.value.trim();
    const asked = { limit: LISTED, includeDerivedTitles: true, includeLastMessage: true, ...(search ? { search } : {}) };
    const found = await wire.ask("sessions.list", asked).catch(() => null);
    if (!found) return;
    const rows = found.sessions;
    if (!rows.some((row) => row.key === home) && !search) rows.unshift({ key: home, derivedTitle: "Main conversation" });
    if (chosen && !search && !rows.some((row) => row.key === chosen)) rows.unshift({ key: chosen, derivedTitle: "New conversation" });
    put(
      list,
      rows.map((row) =>
        h(
          "li",
          {},
          h(
            "a",
            { href: `#/chat/${encodeURIComponent(row.key)}`, "aria-current": row.key === chosen ? "true" : null },
            h("b", { class: row.hasActiveRun ? "busy" : "" }, title(row)),
            h("small", {}, [row.lastMessagePreview || short(row.key), row.updatedAt ? ` · ${ago(row.updatedAt)}` : ""]),
          ),
        ),
      ),
    );
    if (!rows.length) put(list, h("li", { class: "empty" }, "No session has this in its name."));
  }

  function choose([key]) {
    pair.classList.toggle("chosen", Boolean(key));
    const wanted = key || home;
    if (wanted !== chosen) {
      talking?.close();
      chosen = wanted;
      talking = conversation(talk, context, chosen);
    }
    loadList();
  }

  wire.ask("sessions.subscribe").catch(() => {});
  context.on("sessions.changed", () => later(loadList));
  context.on("again", () => {
    wire.ask("sessions.subscribe").catch(() => {});
    loadList();
    talking?.load();
  });
  context.every(30, loadList);
  context.off(() => {
    clearTimeout(waiting);
    talking?.close();
  });
  choose(steps);
  return choose;
}

function add(main, pair, list, find, talk, wire) {
  const fresh = button([icon("plus"), h("span", { class: "unseen" }, "New session")], () => begin(wire), { class: "bare" });
  pair.append(h("nav", { class: "list", "aria-label": "Sessions" }, h("div", { class: "bar" }, find, fresh), list), talk);
  main.append(pair);
}

// A new session: with an agent of one's choice, where there are several.
async function begin(wire) {
  const found = await wire.ask("agents.list").catch(() => ({ agents: [] }));
  const agents = found.agents ?? [];
  const make = (agent) => go("chat", `agent:${agent}:page-${Date.now().toString(36)}`);
  if (agents.length < 2) {
    make(agents[0]?.id ?? "main");
    return;
  }
  const dialog = h(
    "dialog",
    { "aria-labelledby": "new-title" },
    h("h2", { id: "new-title" }, "A new session with …"),
    h("p", {}),
    h("div", { class: "buttons" }, agents.map(({ id, name }) => button(name ?? id, () => dialog.close(id)))),
  );
  dialog.addEventListener("close", () => {
    dialog.remove();
    if (dialog.returnValue) make(dialog.returnValue);
  });
  document.body.append(dialog);
  dialog.showModal();
}

function conversation(place, context, key) {
  const { wire } = context;
  const offs = [];
  const rows = new Map();
  const tools = new Map();
  const pending = new Map();
  let live = null;
  let running = null;
  let pictures = [];
  let total = 0;
  let closed = false;

  const heading = h("h1", {}, short(key));
  const about = h("span", { class: "quiet" });
  const older = button("Earlier messages", () => loadOlder(), { hidden: true });
  const said = h("div", { class: "said", role: "log", "aria-label": "Messages", "aria-live": "off", tabindex: "0" });
  const asks = h("div");
  const words = h("textarea", {
    rows: 1,
    placeholder: "Say something",
    "aria-label": "Message",
    enterkeyhint: "send",
    oninput: grow,
    onkeydown: (event) => {
      if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
        event.preventDefault();
        send();
      }
    },
    onpaste: (event) => take([...event.clipboardData.files]),
  });
  const chooser = h("input", { type: "file", accept: PICTURES.join(","), multiple: true, hidden: true, onchange: () => take([...chooser.files]) });
  const attached = h("div", { class: "pictures" });
  const stop = button([icon("stop"), "Stop"], () => halt(), { hidden: true, class: "danger" });
  const send_ = h("button", { class: "main", "aria-label": "Send" }, icon("send"));
  const back = h("a", { href: "#/chat", class: "only-phone", "aria-label": "All sessions" }, icon("back"));
  const compose = h(
    "form",
    {
      onsubmit: (event) => {
        event.preventDefault();
        send();
      },
    },
    attached,
    chooser,
    button([icon("image"), h("span", { class: "unseen" }, "Attach a picture")], () => chooser.click()),
    words,
    stop,
    send_,
  );
  put(
    place,
    h("header", {}, back, heading, about),
    said,
    h("div", { class: "composer" }, compose),
  );
  said.append(older, asks);
  if (!wire.may("operator.write")) words.disabled = send_.disabled = true;

  // --- what stands there

  const near = () => said.scrollHeight - said.scrollTop - said.clientHeight < 120;
  function down(stick = true) {
    if (stick) said.scrollTop = said.scrollHeight;
  }

  async function load() {
    try {
      await wire.ask("sessions.messages.subscribe", { key });
      const found = await wire.ask("chat.history", { sessionKey: key, limit: PAGE });
      if (closed) return;
      total = found.messages.length;
      older.hidden = !found.hasMore;
      say(heading, title({ key, ...(found.sessionInfo ?? {}) }));
      const model = found.sessionInfo?.model ?? found.defaults?.model;
      say(about, [found.sessionInfo?.modelProvider ?? found.defaults?.modelProvider, model].filter(Boolean).join("/"));
      const first = rows.size === 0;
      for (const row of found.messages) show(row);
      if (first && !found.messages.length && !found.inFlightRun) empty(true);
      const going = found.inFlightRun;
      if (going) {
        run(going.runId);
        speak(going.text ?? "");
      } else if (!(found.sessionInfo?.activeRunIds ?? []).includes(running)) rest();
      questions();
      if (first) down();
    } catch (error) {
      if (!closed && error.code !== "LOST") toast(error.message, true);
    }
  }

  async function loadOlder() {
    const found = await wire.ask("chat.history", { sessionKey: key, limit: PAGE, offset: total });
    total += found.messages.length;
    older.hidden = !found.hasMore;
    const before = said.scrollHeight;
    let next = older.nextSibling;
    for (const row of found.messages) {
      const element = made(row);
      if (element) {
        rows.set(row.__openclaw.id, element);
        said.insertBefore(element, next);
      }
    }
    next = null;
    said.scrollTop += said.scrollHeight - before;
  }

  function empty(yes) {
    said.querySelector(".empty")?.remove();
    if (yes) asks.before(h("p", { class: "empty" }, "Nothing has been said here yet. Enter sends, Shift+Enter begins a new line."));
  }

  function show(row) {
    const id = row.__openclaw?.id;
    if (id === undefined || rows.has(id)) return;
    const own = row.idempotencyKey?.replace(/:user$/, "");
    const sent = own && pending.get(own);
    if (sent) {
      sent.remove();
      pending.delete(own);
    }
    empty(false);
    const stick = near();
    const element = made(row, sent);
    rows.set(id, element);
    if (element) (live?.element ?? asks).before(element);
    if (row.role === "assistant" && live && row.__openclaw.runId === live.run) {
      live.kept += text(row);
      speak(live.text);
    }
    down(stick);
  }

  function made(row, sent) {
    if (row.role === "toolResult") {
      result(row.toolCallId, row.isError, text(row), row);
      return null;
    }
    if (row.role === "user") return bubble(row, sent);
    return answer(row);
  }

  function bubble(row, sent) {
    const shown = h("div", { class: "bubble" });
    let seen = 0;
    const before = sent ? [...sent.querySelectorAll("img")] : [];
    for (const block of row.content ?? []) {
      if (block.type === "text") shown.append(h("p", { class: "pre" }, block.text));
      else shown.append(before[seen] ?? media(block, row, seen));
      if (block.type !== "text") seen += 1;
    }
    return h("article", { class: "turn user", "aria-label": "you" }, h("div", { class: "by" }, row.timestamp ? clock(row.timestamp) : "sending …"), shown);
  }

  function answer(row) {
    const inside = [];
    let seen = 0;
    for (const block of row.content ?? []) {
      if (block.type === "text" && block.text.trim()) inside.push(markdown(block.text));
      else if (block.type === "thinking") inside.push(h("details", { class: "thought" }, h("summary", {}, "Thoughts"), h("pre", {}, block.thinking)));
      else if (block.type === "toolCall") inside.push(tool(block));
      else if (block.type === "image" || block.type === "file") inside.push(media(block, row, seen++));
    }
    if (!inside.length) return null;
    const used = row.usage?.totalTokens ? `${count(row.usage.totalTokens)} tokens` : "";
    const by = [row.model, clock(row.timestamp), used].filter(Boolean).join(" · ");
    return h("article", { class: "turn", "aria-label": "the agent" }, h("div", { class: "by" }, by), inside);
  }

  function media(block, row, place_) {
    if (block.type === "file") return h("p", { class: "quiet" }, `file: ${block.name}`);
    const shown = h("p", { class: "quiet" }, "picture …");
    wire.ask("beamclaw.picture", { sessionKey: key, messageId: row.__openclaw.id, place: place_ }).then(
      (found) => shown.replaceWith(picture(found.mimeType, found.data)),
      () => say(shown, "a picture"),
    );
    return shown;
  }

  function picture(kind, data) {
    if (!PICTURES.includes(kind)) return h("p", { class: "quiet" }, "a picture");
    return h("img", { src: `data:${kind};base64,${data}`, alt: "a picture of this conversation" });
  }

  // --- tools

  function tool(call) {
    const known = tools.get(call.id);
    if (known) return known.element;
    const state = h("span", { class: "state quiet" }, "…");
    const output = h("div");
    const element = h(
      "details",
      { class: "tool" },
      h("summary", {}, h("b", {}, call.name), h("code", {}, cut(brief(call.arguments), 160)), state),
      h(
        "div",
        { class: "inside" },
        h("h3", {}, "Arguments"),
        h("pre", { class: "box", tabindex: "0", "aria-label": "arguments" }, pretty(call.arguments)),
        output,
      ),
    );
    tools.set(call.id, { element, state, output });
    return element;
  }

  function result(id, failed, output, row) {
    const card = tools.get(id);
    if (!card) return;
    say(card.state, failed ? "failed" : "done");
    card.state.className = `state ${failed ? "bad" : "good"}`;
    const extra = (row.content ?? []).filter((block) => block.type === "image").map((block, at) => media(block, row, at));
    put(card.output, h("h3", {}, "Output"), h("pre", { class: "box", tabindex: "0", "aria-label": "output" }, output || "(nothing)"), extra);
  }

  function toolEvent(data) {
    const card = tools.get(data.toolCallId);
    if (card && data.phase === "start") say(card.state, "running …");
  }

  // --- what is being said

  function run(id) {
    if (running === id) return;
    running = id;
    stop.hidden = false;
    live?.element.remove();
    const shown = h("div", { class: "quiet" }, "…");
    const element = h("article", { class: "turn live", "aria-label": "the agent, writing" }, h("div", { class: "by" }, "now"), shown);
    live = { run: id, element, shown, text: "", kept: "", drawn: 0 };
    const stick = near();
    asks.before(element);
    down(stick);
  }

  function speak(all) {
    if (!live) return;
    live.text = all;
    if (live.drawn) return;
    live.drawn = requestAnimationFrame(() => {
      if (!live) return;
      live.drawn = 0;
      const fresh = live.text.startsWith(live.kept) ? live.text.slice(live.kept.length) : live.text;
      const stick = near();
      put(live.shown, fresh.trim() ? markdown(fresh) : h("span", { class: "quiet" }, "…"));
      down(stick);
    });
  }

  function rest() {
    running = null;
    stop.hidden = true;
    if (live?.drawn) cancelAnimationFrame(live.drawn);
    live?.element.remove();
    live = null;
  }

  function note(words_, bad = false) {
    const stick = near();
    asks.before(h("p", { class: bad ? "note bad" : "note", role: bad ? "alert" : null }, words_));
    down(stick);
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
        speak(text(payload.message));
        break;
      default: {
        const partial = payload.state === "aborted" && live?.text;
        rest();
        if (payload.state === "error") note(`The turn failed: ${payload.errorMessage}`, true);
        else if (payload.state === "aborted") note(partial ? "Stopped; what was said so far stays." : "Stopped.");
        else announce(`The agent says: ${cut(text(payload.message ?? {}), 300)}`);
        setTimeout(() => closed || load(), 150);
      }
    }
  }

  // --- what is asked

  function questions() {
    const mine = [...app.approvals.values()].filter((asked) => asked.request.sessionKey === key);
    const stick = near();
    const there = new Map([...asks.children].map((each) => [each.dataset.id, each]));
    for (const [id, element] of there) if (!mine.some((asked) => asked.id === id)) element.remove();
    for (const asked of mine)
      if (!there.has(asked.id)) {
        const element = approval(asked);
        element.dataset.id = asked.id;
        asks.append(element);
      }
    down(stick);
  }

  // --- what a person does

  function grow() {
    words.rows = Math.min(12, Math.max(1, words.value.split("\n").length));
  }

  async function take(files) {
    for (const file of files) {
      if (!PICTURES.includes(file.type)) toast(`${file.name} is no picture that a model can see`, true);
      else if (file.size > MOST_BYTES) toast(`${file.name} is larger than 5 MB`, true);
      else pictures.push({ kind: file.type, name: file.name, data: await base64(file) });
    }
    chooser.value = "";
    drawAttached();
  }

  function drawAttached() {
    put(
      attached,
      pictures.map((each, at) =>
        button(
          [h("img", { src: `data:${each.kind};base64,${each.data}`, alt: each.name }), h("span", { class: "unseen" }, "take away")],
          () => {
            pictures.splice(at, 1);
            drawAttached();
          },
        ),
      ),
    );
  }

  async function send() {
    const message = words.value.trim();
    if (!message && !pictures.length) return;
    const sent = pictures;
    const id = crypto.randomUUID?.() ?? `${Date.now()}-${Math.random()}`;
    words.value = "";
    pictures = [];
    drawAttached();
    grow();
    empty(false);
    const element = bubble({ content: [{ type: "text", text: message }] });
    for (const each of sent) element.querySelector(".bubble").append(picture(each.kind, each.data));
    pending.set(id, element);
    (live?.element ?? asks).before(element);
    down();
    try {
      await wire.ask("chat.send", {
        sessionKey: key,
        message,
        idempotencyKey: id,
        ...(sent.length ? { attachments: sent.map((each) => ({ type: "image", mimeType: each.kind, fileName: each.name, content: each.data })) } : {}),
      });
    } catch (error) {
      element.remove();
      pending.delete(id);
      words.value = message;
      pictures = sent;
      drawAttached();
      grow();
      toast(error.message, true);
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
    wire.on("agent", (payload) => payload.sessionKey === key && payload.stream === "tool" && toolEvent(payload.data)),
    wire.on("gap", load),
  );
  app.listeners.add(questions);
  offs.push(() => app.listeners.delete(questions));
  load();
  if (matchMedia("(min-width: 701px)").matches) words.focus();
  return {
    load,
    close() {
      closed = true;
      offs.forEach((off) => off());
      wire.ask("sessions.messages.unsubscribe", { key }).catch(() => {});
    },
  };
}

function text(row) {
  return (row.content ?? []).filter((block) => block.type === "text").map((block) => block.text).join("");
}

function brief(given) {
  if (given && typeof given === "object") {
    const values = Object.values(given);
    if (values.length === 1 && typeof values[0] === "string") return values[0];
  }
  return typeof given === "string" ? given : JSON.stringify(given);
}

function base64(file) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result.slice(reader.result.indexOf(",") + 1));
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(file);
  });
}

