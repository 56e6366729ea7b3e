// Elements out of values. There is no way here to make markup out of a text.

const SVG = "http://www.w3.org/2000/svg";
// Milliseconds for which a word on what was done is to be read.
const TOASTED = 6000;

let gone = 0;

// h("p", {class: "quiet", onclick: f, "aria-label": "…"}, "text", element, [more])
export function h(tag, props, ...kids) {
  return fill(document.createElement(tag), props, kids);
}

export function svg(tag, props, ...kids) {
  return fill(document.createElementNS(SVG, tag), props, kids);
}

function fill(element, props, kids) {
  for (const [name, value] of Object.entries(props ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "value" || name === "checked" || name === "disabled") element[name] = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  add(element, kids);
  return element;
}

function add(element, kids) {
  for (const kid of kids.flat(Infinity)) {
    if (kid === undefined || kid === null || kid === false) continue;
    element.append(kid instanceof Node ? kid : String(kid));
  }
  return element;
}

// Puts `kids` in place of what is in `element`. Whoever works there with the keyboard, or
// has scrolled a table to the side, is where he was.
export function put(element, ...kids) {
  const again = keep(element);
  element.replaceChildren();
  add(element, kids);
  again();
  return element;
}

function keep(element) {
  const aside = [...element.querySelectorAll(".wide")].map((each) => [each.ariaLabel, each.scrollLeft]).filter(([, left]) => left);
  const focused = document.activeElement;
  const held = focused !== element && element.contains(focused);
  const name = held && named(focused);
  const at = held ? focusable(element).indexOf(focused) : 0;
  return () => {
    for (const [label, left] of aside)
      for (const each of element.querySelectorAll(".wide")) if (each.ariaLabel === label) each.scrollLeft = left;
    if (!held) return;
    const all = focusable(element);
    // The same, else what stands in its place, as "Resume" does after "Suspend".
    refocus(element, all.find((each) => named(each) === name) ?? all[Math.min(at, all.length - 1)]);
  };
}

function focusable(element) {
  const all = element.querySelectorAll("a[href], button, input, select, textarea, summary, [tabindex]");
  return [...all].filter((each) => each.checkVisibility());
}

function named(element) {
  return [element.tagName, element.id, element.getAttribute("href") ?? element.ariaLabel ?? element.textContent].join(" ");
}

// The focus goes to `wanted`, or to what is around `place`: never to nothing.
export function refocus(place, wanted) {
  (wanted ?? place.parentElement?.closest("[tabindex]") ?? document.getElementById("main"))?.focus({ preventScroll: true });
}

// Takes an element away, on which the focus may be.
export function drop(element) {
  const place = element.parentElement;
  const focused = element.contains(document.activeElement);
  element.remove();
  if (focused) refocus(place);
}

// A text that changes often: touched only when it is another one.
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

const ICONS = {
  chat: "M4 5h16v11H9l-5 4z",
  tree: "M12 3v5M5 21v-5h14v5M12 8v8M12 3h0M5 21h0M19 21h0M12 21v-5",
  sessions: "M4 6h16M4 12h16M4 18h10",
  spending: "M12 3v18M17 7c-1-2-9-3-9 1s9 3 9 7-8 4-10 1",
  access: "M12 3l8 3v6c0 5-4 8-8 9-4-1-8-4-8-9V6zM9 12l2 2 4-4",
  health: "M3 12h4l3-7 4 14 3-7h4",
  logs: "M5 3h10l4 4v14H5zM9 11h6M9 15h6",
  send: "M4 12l16-8-6 16-3-6z",
  stop: "M7 7h10v10H7z",
  image: "M4 5h16v14H4zM4 16l5-5 4 4 3-3 4 4M15 9h.01",
  plus: "M12 5v14M5 12h14",
  back: "M15 5l-7 7 7 7",
  theme: "M12 4a8 8 0 100 16zM12 4a8 8 0 010 16",
  leave: "M14 4h5v16h-5M4 12h10M10 8l4 4-4 4",
  close: "M6 6l12 12M18 6L6 18",
};

export function icon(name) {
  return svg(
    "svg",
    { viewBox: "0 0 24 24", class: "icon", "aria-hidden": "true", focusable: "false" },
    svg("path", { d: ICONS[name] }),
  );
}

export function button(words, onclick, props) {
  return h("button", { type: "button", onclick, ...props }, words);
}

// Shows a dialog. When it is closed it is gone, and the focus is where it was, also if that
// was drawn anew meanwhile. `closed` gets with what it was closed.
export function ask(dialog, closed = () => {}) {
  const from = document.activeElement;
  const name = named(from);
  dialog.addEventListener("close", () => {
    dialog.remove();
    if (!from.isConnected) refocus(document.body, focusable(document.body).find((each) => named(each) === name));
    closed(dialog.returnValue);
  });
  document.body.append(dialog);
  dialog.showModal();
}

// Asks before something is done; resolves to whether it shall be.
export function confirmed(title, words, yes) {
  return new Promise((resolve) => {
    const dialog = h(
      "dialog",
      { class: "ask", "aria-labelledby": "ask-title" },
      h("h2", { id: "ask-title" }, title),
      h("p", {}, words),
      h(
        "div",
        { class: "buttons" },
        button("Cancel", () => dialog.close(), { autofocus: true }),
        button(yes, () => dialog.close("yes"), { class: "danger" }),
      ),
    );
    ask(dialog, (value) => resolve(value === "yes"));
  });
}

// Copies a text; resolves to whether it is. Where the browser does not let it, as on a page
// that came by plain HTTP from elsewhere, `shown` is marked for the keyboard.
export async function copy(text, shown, place = document.body) {
  try {
    await navigator.clipboard.writeText(text);
    toast("Copied", false, place);
    return true;
  } catch {
    getSelection().selectAllChildren(shown);
    toast("It is marked: copy it with the keyboard", false, place);
    return false;
  }
}

// For who cannot see that something has changed.
export function announce(words) {
  const place = document.getElementById("said");
  place.textContent = "";
  requestAnimationFrame(() => {
    place.textContent = words;
  });
}

// A word on what was done, or why it was not.
// `place`: a dialog, before which nothing else is seen.
export function toast(words, bad = false, place = document.body) {
  document.querySelector(".toast")?.remove();
  const shown = h("div", { class: bad ? "toast bad" : "toast" }, words);
  place.append(shown);
  announce(words);
  clearTimeout(gone);
  gone = setTimeout(() => shown.remove(), TOASTED);
}
