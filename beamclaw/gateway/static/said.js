// What was said, as elements: words, thoughts, pictures, tools with what came out of them.

import { h, put, say } from "./dom.js";
import { markdown } from "./markdown.js";
import { clock, count, cut, pretty } from "./words.js";

export const PICTURES = ["image/png", "image/jpeg", "image/gif", "image/webp"];
const BRIEF = 160;

// Draws the rows of one session, in any order; `beside(row)`: what stands behind its time.
export function drawing(wire, key, beside = () => null) {
  // By the id of a call: its element, and what is known of how it went.
  const tools = new Map();
  const results = new Map();

  // The element of a row; null: it stands in that of another one, or says nothing.
  function drawn(row, shown = []) {
    if (row.role === "toolResult") {
      results.set(row.toolCallId, row);
      finish(row.toolCallId);
      return null;
    }
    return row.role === "user" ? bubble(row, shown) : answer(row);
  }

  // `shown`: its pictures, where they are there already.
  function bubble(row, shown = []) {
    const place = h("div", { class: "bubble" });
    let seen = 0;
    for (const block of row.content ?? []) {
      if (block.type === "text") place.append(h("p", { class: "pre" }, block.text));
      else {
        place.append(shown[seen] ?? media(block, row, seen));
        seen += 1;
      }
    }
    const by = row.timestamp ? [clock(row.timestamp), beside(row)] : "sending …";
    return h("article", { class: "turn user", "aria-label": "you" }, h("div", { class: "by" }, by), place);
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
    return h("article", { class: "turn", "aria-label": "the agent" }, h("div", { class: "by" }, by, beside(row)), inside);
  }

  function media(block, row, place) {
    if (block.type === "file") return h("p", { class: "quiet" }, `file: ${block.name}`);
    const shown = h("p", { class: "quiet" }, "picture …");
    wire.ask("beamclaw.picture", { sessionKey: key, messageId: row.__openclaw.id, place }).then(
      (found) => shown.replaceWith(picture(found.mimeType, found.data)),
      () => say(shown, "a picture"),
    );
    return shown;
  }

  function tool(call) {
    const known = tools.get(call.id);
    if (known) return known.element;
    const state = h("span", { class: "state quiet" }, "…");
    const output = h("div");
    const element = h(
      "details",
      { class: "tool" },
      h("summary", {}, h("b", {}, call.name), h("code", {}, cut(brief(call.arguments), BRIEF)), state),
      h("div", { class: "inside" }, h("h3", {}, "Arguments"), box("arguments", pretty(call.arguments)), output),
    );
    tools.set(call.id, { element, state, output });
    finish(call.id);
    return element;
  }

  // A call and its result come in any order: a page of a history may begin between them.
  function finish(id) {
    const card = tools.get(id);
    const row = results.get(id);
    if (!card || !row) return;
    say(card.state, row.isError ? "failed" : "done");
    card.state.className = `state ${row.isError ? "bad" : "good"}`;
    const pictures = (row.content ?? []).filter((block) => block.type === "image").map((block, at) => media(block, row, at));
    put(card.output, h("h3", {}, "Output"), box("output", textOf(row) || "(nothing)"), pictures);
  }

  return {
    drawn,
    bubble,
    begins(id) {
      const card = tools.get(id);
      if (card && !results.has(id)) say(card.state, "running …");
    },
  };
}

export function textOf(row) {
  return (row?.content ?? []).filter((block) => block.type === "text").map((block) => block.text).join("");
}

export function picture(kind, data, name = "a picture of this conversation") {
  if (!PICTURES.includes(kind)) return h("p", { class: "quiet" }, "a picture");
  return h("img", { src: `data:${kind};base64,${data}`, alt: name });
}

function box(name, text) {
  return h("pre", { class: "box", tabindex: "0", "aria-label": name }, text);
}

function brief(given) {
  if (given && typeof given === "object") {
    const values = Object.values(given);
    if (values.length === 1 && typeof values[0] === "string") return values[0];
  }
  return typeof given === "string" ? given : JSON.stringify(given);
}
