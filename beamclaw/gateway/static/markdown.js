// Markdown as elements. Whatever a model writes becomes text in elements that are made
// here; no part of it is ever read as markup, and nothing is loaded for it.

import { button, copy, h } from "./dom.js";
import { wide } from "./parts.js";

const MOST = 100_000;
// Characters within which what was opened has to close: hostile text costs no more.
const NEAR = 2_000;
const DEEPEST = 8;
const LINK = /^(?:https?:\/\/|mailto:)/i;
const PICTURE = /^data:image\/(?:png|jpeg|gif|webp);base64,[A-Za-z0-9+/=]+$/;
const URL_END = /[\s<>"'`]/;

export function markdown(text) {
  const place = h("div", { class: "md" });
  if (text.length > MOST) place.append(h("pre", {}, text));
  else blocks(text.replace(/\r\n?/g, "\n").split("\n"), place, 0);
  return place;
}

function blocks(lines, place, depth) {
  let at = 0;
  while (at < lines.length) {
    const line = lines[at];
    const fence = /^ {0,3}(```+|~~~+)\s*([\w+#.-]{0,30})/.exec(line);
    const heading = /^ {0,3}(#{1,6})\s(.*)$/.exec(line);
    if (!line.trim()) at += 1;
    else if (fence) at = code(lines, at, fence, place);
    else if (heading) {
      const [, { length: level }, words] = heading;
      // Headings of a message are below those of the page.
      place.append(inline(h(`h${Math.min(6, level + 2)}`), words.trim().replace(/\s#+$/, "").trim()));
      at += 1;
    } else if (/^ {0,3}(?:(?:\* *){3,}|(?:- *){3,}|(?:_ *){3,})$/.test(line)) {
      place.append(h("hr"));
      at += 1;
    } else if (/^ {0,3}>/.test(line) && depth < DEEPEST) at = quote(lines, at, place, depth);
    else if (item(line) && depth < DEEPEST) at = list(lines, at, place, depth);
    else if (row(line) && divider(lines[at + 1])) at = table(lines, at, place);
    else at = paragraph(lines, at, place, depth);
  }
}

function code(lines, at, [, mark, language], place) {
  const found = [];
  let end = at + 1;
  while (end < lines.length && !(lines[end].trim().startsWith(mark) && !lines[end].trim().replaceAll(mark[0], ""))) {
    found.push(lines[end]);
    end += 1;
  }
  const text = found.join("\n");
  const words = h("code", {}, text);
  place.append(
    h(
      "figure",
      { class: "code" },
      h("figcaption", {}, h("span", {}, language || "text"), button("Copy", () => copy(text, words))),
      h("pre", { tabindex: "0", "aria-label": `code: ${language || "text"}` }, words),
    ),
  );
  return end + 1;
}

function quote(lines, at, place, depth) {
  const inner = [];
  while (at < lines.length && /^ {0,3}>/.test(lines[at])) inner.push(lines[at++].replace(/^ {0,3}> ?/, ""));
  const block = h("blockquote");
  blocks(inner, block, depth + 1);
  place.append(block);
  return at;
}

function item(line) {
  return /^(\s*)([-*+]|\d{1,9}[.)])\s+(.*)$/.exec(line);
}

function list(lines, at, place, depth) {
  const [, lead, mark] = item(lines[at]);
  const ordered = /\d/.test(mark);
  const start = ordered ? Number.parseInt(mark, 10) : 1;
  const block = h(ordered ? "ol" : "ul", start === 1 ? {} : { start });
  while (at < lines.length) {
    const found = item(lines[at]);
    if (!found || found[1].length !== lead.length || /\d/.test(found[2]) !== ordered) break;
    const inner = [found[3]];
    at += 1;
    while (at < lines.length) {
      const next = lines[at];
      const deeper = next.search(/\S/) > lead.length;
      const blank = !next.trim() && at + 1 < lines.length && lines[at + 1].search(/\S/) > lead.length;
      if (!deeper && !blank) break;
      inner.push(next.slice(Math.min(lead.length + 2, Math.max(0, next.search(/\S|$/)))));
      at += 1;
    }
    const entry = h("li");
    const task = /^\[([ xX])\]\s+/.exec(inner[0]);
    if (task) {
      inner[0] = inner[0].slice(task[0].length);
      entry.append(task[1] === " " ? "☐ " : "☑ ");
    }
    if (inner.length === 1) inline(entry, inner[0]);
    else blocks(inner, entry, depth + 1);
    block.append(entry);
    while (at + 1 < lines.length && !lines[at].trim() && item(lines[at + 1])?.[1].length === lead.length) at += 1;
  }
  place.append(block);
  return at;
}

const row = (line) => line.includes("|");
const divider = (line) => line !== undefined && line.includes("-") && /^[\s|:-]+$/.test(line) && line.includes("|");

function cells(line) {
  return line.trim().replace(/^\||\|$/g, "").split("|").map((cell) => cell.trim());
}

function table(lines, at, place) {
  const head = h("tr", {}, cells(lines[at]).map((cell) => inline(h("th", { scope: "col" }), cell)));
  const body = h("tbody");
  at += 2;
  while (at < lines.length && row(lines[at]) && lines[at].trim())
    body.append(h("tr", {}, cells(lines[at++]).map((cell) => inline(h("td"), cell))));
  place.append(wide("table", h("table", {}, h("thead", {}, head), body)));
  return at;
}

function paragraph(lines, at, place, depth) {
  const found = [lines[at++]];
  while (at < lines.length && lines[at].trim() && !/^ {0,3}(?:```|~~~|#{1,6}\s|>)/.test(lines[at]) && !(item(lines[at]) && depth < DEEPEST))
    found.push(lines[at++]);
  const block = h("p");
  found.forEach((line, index) => {
    if (index) block.append(/ {2}$/.test(found[index - 1]) ? h("br") : "\n");
    inline(block, line.trim());
  });
  place.append(block);
  return at;
}

function seek(text, mark, from) {
  const found = text.slice(from, from + NEAR).indexOf(mark);
  return found < 0 ? -1 : from + found;
}

// One pass from left to right: what does not close is text.
function inline(place, text, depth = 0) {
  let plain = "";
  let at = 0;
  const flush = () => {
    if (plain) place.append(plain);
    plain = "";
  };
  const take = (element, end) => {
    flush();
    place.append(element);
    at = end;
  };
  while (at < text.length) {
    const char = text[at];
    if (char === "\\" && /[!-/:-@[-`{-~]/.test(text[at + 1] ?? "")) {
      plain += text[at + 1];
      at += 2;
      continue;
    }
    const found = depth < DEEPEST && special(text, at, char, depth);
    if (found) take(found[0], found[1]);
    else {
      plain += char;
      at += 1;
    }
  }
  flush();
  return place;
}

function special(text, at, char, depth) {
  if (char === "`") {
    const mark = /^`+/.exec(text.slice(at, at + 20))[0];
    const end = seek(text, mark, at + mark.length);
    return end > at && [h("code", {}, text.slice(at + mark.length, end).trim()), end + mark.length];
  }
  if (char === "*" || char === "_" || char === "~") return emphasis(text, at, char, depth);
  if (char === "[" || (char === "!" && text[at + 1] === "[")) return link(text, at, depth);
  if (char === "<" || char === "h") {
    const start = char === "<" ? at + 1 : at;
    if (!/^https?:\/\//.test(text.slice(start, start + 8))) return null;
    if (char === "h" && /\w/.test(text[at - 1] ?? "")) return null;
    let end = start;
    while (end < text.length && !URL_END.test(text[end])) end += 1;
    if (char === "h") while (/[.,;:!?)*\]]/.test(text[end - 1])) end -= 1;
    const url = text.slice(start, end);
    return [anchor(url, url), end + (char === "<" && text[end] === ">" ? 1 : 0)];
  }
  return null;
}

function emphasis(text, at, char, depth) {
  const twice = text[at + 1] === char;
  if (char === "~" && !twice) return null;
  const mark = twice ? char + char : char;
  const inside = at + mark.length;
  if (!/\S/.test(text[inside] ?? " ")) return null;
  if (char === "_" && /\w/.test(text[at - 1] ?? "")) return null;
  let end = seek(text, mark, inside + 1);
  if (!twice) while (end > 0 && text[end + 1] === char) end = seek(text, mark, end + 2);
  if (end < 0 || /\s/.test(text[end - 1])) return null;
  if (char === "_" && /\w/.test(text[end + mark.length] ?? "")) return null;
  const tag = char === "~" ? "s" : twice ? "strong" : "em";
  return [inline(h(tag), text.slice(inside, end), depth + 1), end + mark.length];
}

function link(text, at, depth) {
  const picture = text[at] === "!";
  const open = at + (picture ? 1 : 0);
  const middle = seek(text, "](", open);
  const nested = seek(text, "[", open + 1);
  if (middle < 0 || (nested > 0 && nested < middle && text[nested - 1] !== "!")) return null;
  const end = seek(text, ")", middle + 2);
  if (end < 0) return null;
  const words = text.slice(open + 1, middle);
  const url = text.slice(middle + 2, end).trim().split(/\s/)[0].replace(/^<|>$/g, "");
  if (picture && PICTURE.test(url)) return [h("img", { src: url, alt: words }), end + 1];
  if (!LINK.test(url)) return null;
  // A picture of somebody else is not fetched: that would tell him who reads this.
  if (picture) return [anchor(url, words ? `picture: ${words}` : "picture"), end + 1];
  const found = anchor(url);
  inline(found, words, depth + 1);
  return [found, end + 1];
}

function anchor(url, words = "") {
  return h("a", { href: url, target: "_blank", rel: "noopener noreferrer nofollow" }, words);
}
