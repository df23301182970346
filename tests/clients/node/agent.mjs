// One connection to a relay: hello, increasing ids, pongs, and frames to wait for.

import { once } from "node:events";

import WebSocket from "ws";

import { SUBPROTOCOLS, decode, encode } from "./wire.mjs";

const WAIT_MS = 5000;
const QUIET_MS = 300;

export class Agent {
  /** Opens the socket only; `Agent.open` also says hello. */
  static async connect(url, encoding = "json", { headers, subprotocols } = {}) {
    const offered = subprotocols ?? [SUBPROTOCOLS[encoding]];
    const socket = new WebSocket(url, offered, { headers, perMessageDeflate: false });
    const agent = new Agent(socket, encoding);
    await once(socket, "open");
    return agent;
  }

  static async open(url, token, encoding = "json", { resume, ...options } = {}) {
    const agent = await Agent.connect(url, encoding, options);
    const hello = { type: "hello", client: "relay-conformance-node/1", ...(resume && { resume }) };
    agent.welcome = await agent.command(token ? { ...hello, token } : hello, "welcome");
    return agent;
  }

  constructor(socket, encoding) {
    this.socket = socket;
    this.encoding = encoding;
    this.nextId = 1;
    this.frames = [];
    this.waiting = new Set();
    this.closeCode = undefined;
    socket.on("message", (data, binary) => this.#take(decode(binary ? "msgpack" : "json", binary ? data : String(data))));
    socket.on("close", (code) => {
      this.closeCode = code;
      this.#changed();
    });
    socket.on("error", () => {}); // a close follows, and `connect` hears it
  }

  get address() {
    return this.welcome.agent;
  }

  get session() {
    return this.welcome.session;
  }

  /** The frame as a command of the next id. */
  number(frame) {
    const id = this.nextId;
    this.nextId += 1;
    return { type: frame.type, id, ...frame };
  }

  write(...frames) {
    this.socket.send(encode(this.encoding, frames));
  }

  /** Sends a command and answers with its answer, of one of the types named or of any. */
  async command(frame, ...types) {
    const numbered = this.number(frame);
    this.write(numbered);
    const answer = await this.wait((got) => got.id === numbered.id);
    if (types.length > 0 && !types.includes(answer.type)) {
      throw new Error(`${types} expected, got ${JSON.stringify(answer)}`);
    }
    return answer;
  }

  /** Sends a message and answers with its id. */
  send(to, payload = { json: "null" }, fields = {}) {
    const frame = this.number({ type: "send", to, ...fields, payload });
    this.write(frame);
    return frame.id;
  }

  /** `queued`, `accepted`, `unknown`, or `failed:` and the reason. */
  outcome(id) {
    return this.wait((frame) => outcomeIn(frame, id), { take: false });
  }

  message(matches = () => true) {
    return this.wait((frame) => frame.type === "message" && matches(frame));
  }

  /** The first frame that matches, or what `matches` made of it; taken out of the frames unless told. */
  async wait(matches, { take = true, timeout = WAIT_MS } = {}) {
    const deadline = Date.now() + timeout;
    for (;;) {
      for (const [index, frame] of this.frames.entries()) {
        const found = matches(frame);
        if (found) {
          if (take) this.frames.splice(index, 1);
          return found === true ? frame : found;
        }
      }
      if (this.closeCode !== undefined) {
        throw new Error(`closed with ${this.closeCode}, frames left: ${JSON.stringify(this.frames)}`);
      }
      if (Date.now() >= deadline) {
        throw new Error(`nothing came in ${timeout} ms; frames left: ${JSON.stringify(this.frames)}`);
      }
      await this.#change(deadline - Date.now());
    }
  }

  /** Nothing that matches comes for a moment. */
  async silent(matches) {
    const frame = await this.wait(matches, { timeout: QUIET_MS }).catch(() => undefined);
    if (frame !== undefined) {
      throw new Error(`unexpected ${JSON.stringify(frame)}`);
    }
  }

  async closed() {
    const deadline = Date.now() + WAIT_MS;
    while (this.closeCode === undefined && Date.now() < deadline) {
      await this.#change(deadline - Date.now());
    }
    return this.closeCode;
  }

  async leave() {
    this.socket.close();
    await this.closed();
  }

  #take(frames) {
    for (const frame of frames) {
      if (frame.type === "ping") {
        this.write({ type: "pong" });
      } else {
        this.frames.push(frame);
      }
    }
    this.#changed();
  }

  #changed() {
    for (const wake of this.waiting) wake();
  }

  #change(timeout) {
    return new Promise((resolve) => {
      const wake = () => {
        clearTimeout(timer);
        this.waiting.delete(wake);
        resolve();
      };
      const timer = setTimeout(wake, Math.max(0, timeout));
      this.waiting.add(wake);
    });
  }
}

/** What a frame says about the send of that id, if it says something final. */
export function outcomeIn(frame, id) {
  if (frame.type === "error" && frame.id === id) {
    return `failed:${frame.code}`;
  }
  if (frame.type !== "receipt") {
    return undefined;
  }
  for (const name of ["queued", "accepted", "delivered", "unknown"]) {
    if ((frame[name] ?? []).some(([first, last]) => first <= id && id <= last)) return name;
  }
  const failed = (frame.failed ?? []).find((entry) => entry.id <= id && id <= (entry.last ?? entry.id));
  return failed && `failed:${failed.reason}`;
}
