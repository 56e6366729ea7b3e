// What a person writes: words and pictures. It is kept while one looks elsewhere.

import { button, h, icon, put, toast } from "./dom.js";
import { unseen } from "./parts.js";
import { PICTURES, picture } from "./said.js";

const MOST_BYTES = 5 * 2 ** 20;
const MOST_PICTURES = 3;
const MOST_ROWS = 12;
// With these nobody has said whether a message has arrived.
const UNSURE = new Set(["LOST", "LATE"]);

// By session: what was written and not sent. It is the tab's, and gone with it.
const drafts = new Map();

// `send(id, words, pictures)` resolves when the gateway has it; `halt` ends the turn.
export function composer(key, allowed, send, halt) {
  const draft = drafts.get(key) ?? { words: "", pictures: [], unsure: null };
  drafts.set(key, draft);
  // An answer may come when the field in which it was written is gone, and there is another.
  draft.draw = draw;

  const words = h("textarea", {
    rows: 1,
    placeholder: "Say something",
    "aria-label": "Message",
    enterkeyhint: "send",
    disabled: !allowed,
    oninput: kept,
    onkeydown: (event) => {
      if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
        event.preventDefault();
        submit();
      }
    },
    onpaste: (event) => take([...event.clipboardData.files]),
  });
  const chooser = h("input", { type: "file", accept: PICTURES.join(","), multiple: true, hidden: true, onchange: () => take([...chooser.files]) });
  const attached = h("div", { class: "pictures" });
  const stop = button([icon("stop"), h("span", {}, "Stop")], halt, { hidden: true, class: "danger stop", "aria-label": "Stop" });
  const element = h(
    "form",
    {
      onsubmit: (event) => {
        event.preventDefault();
        submit();
      },
    },
    attached,
    chooser,
    button([icon("image"), unseen("Attach a picture")], () => chooser.click(), { disabled: !allowed }),
    words,
    stop,
    h("button", { class: "main", "aria-label": "Send", disabled: !allowed }, icon("send")),
  );

  function kept() {
    draft.words = words.value;
    words.rows = Math.min(MOST_ROWS, words.value.split("\n").length);
  }

  function draw() {
    words.value = draft.words;
    kept();
    drawAttached();
  }

  function write(text, pictures) {
    draft.words = text;
    draft.pictures = pictures;
    draft.draw();
  }

  async function take(files) {
    for (const file of files) {
      if (!PICTURES.includes(file.type)) toast(`${file.name} is no picture that a model can see`, true);
      else if (file.size > MOST_BYTES) toast(`${file.name} is larger than 5 MB`, true);
      else await attach(file);
    }
    chooser.value = "";
  }

  async function attach(file) {
    const data = await base64(file).catch(() => null);
    // Only now: while it was read others may have been attached, or sent.
    if (!data) toast(`${file.name} cannot be read`, true);
    else if (draft.pictures.length >= MOST_PICTURES) toast(`one message takes ${MOST_PICTURES} pictures`, true);
    else write(draft.words, [...draft.pictures, { kind: file.type, name: file.name, data }]);
  }

  function drawAttached() {
    put(
      attached,
      draft.pictures.map((each) =>
        button([picture(each.kind, each.data, each.name), unseen("take away")], () => {
          draft.pictures = draft.pictures.filter((other) => other !== each);
          drawAttached();
          words.focus();
        }),
      ),
    );
  }

  async function submit() {
    const message = words.value.trim();
    const { pictures, unsure } = draft;
    if (!allowed || (!message && !pictures.length)) return;
    const same = unsure?.message === message && unsure.pictures === pictures;
    const id = same ? unsure.id : crypto.randomUUID?.() ?? `${Date.now()}-${Math.random()}`;
    draft.unsure = null;
    write("", []);
    try {
      await send(id, message, pictures);
    } catch (error) {
      // It may have arrived all the same: the same words go under the same number, and so
      // never twice. What was written meanwhile stays behind them.
      const all = [message, draft.words].filter(Boolean).join("\n");
      if (UNSURE.has(error.code) && all === message) draft.unsure = { id, message, pictures };
      write(all, draft.pictures.length ? [...pictures, ...draft.pictures] : pictures);
      toast(error.message, true);
    }
  }

  draw();
  return {
    element,
    focus: () => words.focus(),
    // A message of that number stands in the conversation.
    arrived(id) {
      const { unsure } = draft;
      if (!unsure || unsure.id !== id) return;
      draft.unsure = null;
      if (draft.words.trim() === unsure.message && draft.pictures === unsure.pictures) write("", []);
    },
    works(yes) {
      if (!yes && document.activeElement === stop) words.focus();
      stop.hidden = !yes;
    },
  };
}

function base64(file) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result.slice(reader.result.indexOf(",") + 1));
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(file);
  });
}
