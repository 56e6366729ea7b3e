// The gateway's own WebSocket protocol, version 4: requests, answers, events.

const SCOPES = [
  "operator.admin", "operator.approvals", "operator.pairing", "operator.questions",
  "operator.read", "operator.write",
];
// Milliseconds: for an answer, for a sign of life, and between two tries to come back.
const PATIENCE = 60_000;
const ALIVE = 5_000;
const FIRST_TRY = 300;
const LAST_TRY = 10_000;

export class Refused extends Error {
  constructor(error) {
    super(error?.message ?? "the gateway refused this");
    this.code = error?.code;
    this.details = error?.details ?? {};
    this.retryable = error?.retryable === true;
  }
}

export class Wire {
  // `auth`: what `connect` says in its field of that name; null: nothing.
  constructor(auth) {
    this.auth = auth;
    this.hello = null;
    this.waiting = new Map();
    this.streams = new Map();
    this.listeners = new Map();
    this.number = 0;
    this.seq = 0;
    this.tries = 0;
    this.trying = 0;
    this.wanted = true;
  }

  on(name, listener) {
    const all = this.listeners.get(name) ?? new Set();
    this.listeners.set(name, all.add(listener));
    return () => all.delete(listener);
  }

  tell(name, value) {
    for (const listener of [...(this.listeners.get(name) ?? [])]) listener(value);
  }

  may(scope) {
    const held = this.hello?.auth?.scopes ?? [];
    return held.includes("operator.admin") || held.includes(scope)
      || (scope === "operator.read" && held.includes("operator.write"));
  }

  // Resolves with the greeting, or rejects with why nobody is let in.
  open() {
    return new Promise((resolve, reject) => {
      const scheme = location.protocol === "https:" ? "wss" : "ws";
      const socket = new WebSocket(`${scheme}://${location.host}/`);
      let greeted = false;
      this.socket = socket;
      socket.onmessage = ({ data }) => {
        const frame = JSON.parse(data);
        if (frame.type === "event" && frame.event === "connect.challenge") {
          this.ask("connect", this.introduction()).then((hello) => {
            greeted = true;
            this.hello = hello;
            this.tries = 0;
            this.seq = 0;
            this.tell("state", "open");
            resolve(hello);
          }, (error) => {
            // Nobody waits for it any more: what it still said would be taken for the next one's.
            socket.onclose = socket.onmessage = null;
            socket.close();
            reject(error);
          });
        } else this.take(frame);
      };
      socket.onclose = ({ code, reason }) => {
        this.forget();
        reject(new Refused({ message: reason || "the node does not answer" }));
        if (greeted) this.again(code);
      };
    });
  }

  introduction() {
    return {
      minProtocol: 4,
      maxProtocol: 4,
      client: {
        id: "webchat-ui",
        displayName: "BeamClaw's page",
        version: "1",
        platform: navigator.platform || "web",
        mode: "webchat",
      },
      role: "operator",
      scopes: SCOPES,
      caps: ["tool-events"],
      ...(this.auth ? { auth: this.auth } : {}),
    };
  }

  again(code) {
    if (!this.wanted) return;
    this.tell("state", "lost");
    // 1008: whoever it is may not stay, as a key that was revoked.
    const wait = code === 1008 ? FIRST_TRY : Math.min(LAST_TRY, FIRST_TRY * 2 ** this.tries);
    this.tries += 1;
    this.trying = setTimeout(() => this.back(), wait);
  }

  async back() {
    clearTimeout(this.trying);
    this.trying = 0;
    if (!this.wanted) return;
    try {
      await this.open();
    } catch (error) {
      if (error.details?.code?.startsWith("AUTH_") && !error.retryable) this.tell("refused", error);
      else this.again();
    }
  }

  // Is it still there? Comes back at once if a try was due later, or if nothing is heard.
  check() {
    if (this.trying) {
      this.back();
      return;
    }
    const socket = this.socket;
    if (socket?.readyState !== WebSocket.OPEN) return;
    const silent = setTimeout(() => {
      // A browser closes a dead connection when it has given up, which takes it long.
      socket.onclose?.({ code: 1006, reason: "" });
      socket.onclose = socket.onmessage = null;
      socket.close();
    }, ALIVE);
    // Any answer will do, also that this is not allowed.
    const heard = () => clearTimeout(silent);
    this.ask("health").then(heard, heard);
  }

  close() {
    this.wanted = false;
    clearTimeout(this.trying);
    this.socket?.close();
  }

  forget() {
    const error = new Refused({ message: "the connection was lost; ask again", code: "LOST" });
    for (const { reject, timer } of this.waiting.values()) {
      clearTimeout(timer);
      reject(error);
    }
    this.waiting.clear();
    this.streams.clear();
  }

  take(frame) {
    if (frame.type === "res") {
      const asked = this.waiting.get(frame.id);
      this.waiting.delete(frame.id);
      clearTimeout(asked?.timer);
      if (frame.ok) asked?.resolve(frame.payload);
      else asked?.reject(new Refused(frame.error));
      return;
    }
    const missed = this.seq && frame.seq > this.seq + 1;
    this.seq = frame.seq ?? this.seq;
    if (missed) this.tell("gap", null);
    if (frame.event === "beamclaw.shell") this.streams.get(frame.payload.id)?.(frame.payload.value);
    else this.tell(frame.event, frame.payload);
  }

  ask(method, params, { endless = false, before } = {}) {
    return new Promise((resolve, reject) => {
      if (this.socket?.readyState !== WebSocket.OPEN) {
        reject(new Refused({ message: "there is no connection to the node", code: "LOST" }));
        return;
      }
      const id = `p${++this.number}`;
      const late = () => {
        this.waiting.delete(id);
        reject(new Refused({ message: `no answer to ${method}`, code: "LATE", retryable: true }));
      };
      const timer = endless ? 0 : setTimeout(late, PATIENCE);
      this.waiting.set(id, { resolve, reject, timer });
      before?.(id);
      this.socket.send(JSON.stringify({ type: "req", id, method, ...(params ? { params } : {}) }));
    });
  }

  // An order of the node's shell.
  async shell(order, params = {}) {
    return (await this.ask("beamclaw.shell", { order, params })).result;
  }

  // One that goes on: `each` gets what it tells. Gives a function that ends it.
  stream(order, params, each, over = () => {}) {
    let own = "";
    let done = false;
    const before = (id) => {
      own = id;
      this.streams.set(id, each);
    };
    const finish = (error) => {
      this.streams.delete(own);
      if (!done) over(error);
      done = true;
    };
    this.ask("beamclaw.shell", { order, params }, { endless: true, before }).then(
      () => finish(null),
      finish,
    );
    return () => {
      if (done) return;
      done = true;
      this.streams.delete(own);
      if (own) this.ask("beamclaw.shell.stop", { id: own }).catch(() => {});
    };
  }
}
