// One agent's connection as PROTOCOL.md asks of a client. It knows nothing of the page.

const SUBPROTOCOL = "agent-relay.v1.json";
const BACK_OFF_MS = 500;
const BACK_OFF_MAX_MS = 30_000;
const STABLE_MS = 60_000;
// So that agents told to come back at once do not come in one instant.
const SMALL_JITTER_MS = 250;
const REQUEST_MS = 10_000;
// The relay ends a connection that was replaced within 2 s; one that does not end is not waited for.
const FORMER_MS = 5_000;

/** What the code of a close means, for people. */
const CLOSE_MEANING = {
  1000: "done",
  1001: "the other end went away",
  1002: "WebSocket framing was broken",
  1003: "text where binary was agreed, or the reverse",
  1006: "the connection broke, or was refused",
  1007: "text that is not UTF-8",
  1009: "a message over the limit",
  1011: "a fault of the relay",
  1012: "this instance leaves",
  1013: "this instance has no room",
  4001: "no hello in time",
  4002: "the token is not accepted",
  4003: "the token does not allow to connect",
  4005: "a message that is not frames",
  4006: "the token was revoked",
  4007: "the tenant is suspended",
  4008: "an administrator ended the connection",
  4009: "another connection took over the session",
  4101: "frames were not taken fast enough",
  4102: "went on sending after refusals",
  4103: "too many connections",
  4104: "the quota is used up",
  4105: "the token cannot be checked at present",
  4201: "no sign of life",
  4202: "the token expired",
  4203: "the instance cannot know what was missed",
  4204: "the connection has lived long enough",
  4205: "the session moved",
};

/** The range of a code says what to do where no `closing` came before it. */
function adviceOf(code) {
  if ((code >= 4200 && code < 4300) || code === 1012) return "now";
  if ((code >= 4000 && code < 4100) || [1000, 1002, 1003, 1007, 1009].includes(code)) return "never";
  return "back_off";
}

/** Frames travel alone or several in a message. */
function framesOf(data) {
  const frames = JSON.parse(data);
  return Array.isArray(frames) ? frames : [frames];
}

export class Agent {
  #name;
  #page;
  #socket;
  // The connection that the agent moves away from, and what came on the next one meanwhile.
  #former;
  #held = [];
  #welcome;
  #ticket;
  #wanted = false;
  #opening = 0;
  #attempts = 0;
  #nextId = 1;
  #closing;
  #drain;
  #timer;
  #silence;
  #connectedAt = 0;
  #requests = new Map();
  #topics = new Set();

  /** `page` has `frame(direction, frame)`, `state(state, detail)` and `reply(message, ms)`. */
  constructor(name, page) {
    this.#name = name;
    this.#page = page;
  }

  get topics() {
    return [...this.#topics];
  }

  get welcome() {
    return this.#welcome;
  }

  connect() {
    this.#wanted = true;
    this.#attempts = 0;
    this.#open();
  }

  disconnect() {
    this.#wanted = false;
    this.#opening += 1;
    clearTimeout(this.#timer);
    if (this.#welcome) {
      this.#write({ type: "bye" });
    } else {
      this.#abandon();
      this.#page.state("off", "");
    }
  }

  send(to, payload, fields = {}) {
    return this.#command({ type: "send", to, ...fields, payload });
  }

  /** A message that wants an answer, which `page.reply` hears. */
  request(to, payload) {
    const correlation = crypto.randomUUID();
    const fields = { reply_to: this.#welcome?.session, correlation_id: correlation, deadline_ms: REQUEST_MS };
    if (this.send(to, payload, fields)) this.#requests.set(correlation, performance.now());
  }

  answer(message, payload) {
    return this.send(message.reply_to, payload, { correlation_id: message.correlation_id });
  }

  subscribe(topic) {
    if (this.#command({ type: "subscribe", topic })) this.#topics.add(topic);
  }

  unsubscribe(topic) {
    this.#topics.delete(topic);
    this.#command({ type: "unsubscribe", topic });
  }

  async #open() {
    const opening = (this.#opening += 1);
    this.#page.state("connecting", "");
    let token;
    try {
      token = await this.#token();
    } catch (error) {
      if (opening === this.#opening) this.#comeBack("back_off", 0, `no token: ${error.message}`);
      return;
    }
    if (opening === this.#opening) this.#dial(token);
  }

  /** Opens the next connection while this one lives; without a token it lives until the relay ends it. */
  async #move() {
    const opening = (this.#opening += 1);
    const token = await this.#token().catch(() => undefined);
    const former = this.#socket;
    if (!token || opening !== this.#opening || !former) return;
    this.#former = former;
    const patience = setTimeout(() => former.close(), FORMER_MS);
    former.onclose = () => {
      clearTimeout(patience);
      this.#letGo(former);
    };
    former.onmessage = ({ data }) => {
      for (const frame of framesOf(data)) this.#takeLast(former, frame);
    };
    this.#dial(token);
  }

  /** What came on the next connection is newer than all that came on the former one. */
  #letGo(former) {
    if (this.#former !== former) return;
    this.#former = undefined;
    for (const frame of this.#held.splice(0)) this.#take(frame);
  }

  #takeLast(former, frame) {
    if (frame.type === "ping") former.send(JSON.stringify({ type: "pong" }));
    else if (frame.type === "message") this.#take(frame);
    else this.#page.frame("in", frame);
  }

  #dial(token) {
    const url = new URL("/ws", location.href);
    url.protocol = url.protocol.replace("http", "ws");
    const socket = new WebSocket(url, [SUBPROTOCOL]);
    this.#socket = socket;
    this.#closing = undefined;
    this.#drain = undefined;
    this.#nextId = 1;
    socket.onopen = () => {
      const resume = this.#ticket && { resume: { ticket: this.#ticket, streams: [] } };
      this.#command({ type: "hello", token, client: "console/1", ...resume });
    };
    socket.onmessage = ({ data }) => {
      for (const frame of framesOf(data)) {
        if (this.#former && frame.type === "message") this.#held.push(frame);
        else this.#take(frame);
      }
      this.#listen();
    };
    socket.onclose = ({ code }) => this.#left(code);
  }

  async #token() {
    const answer = await fetch(`/console/token?agent=${encodeURIComponent(this.#name)}`);
    if (!answer.ok) throw new Error(`HTTP ${answer.status}`);
    return (await answer.json()).token;
  }

  #take(frame) {
    this.#page.frame("in", frame);
    switch (frame.type) {
      case "welcome":
        this.#welcome = frame;
        this.#ticket = frame.ticket;
        this.#connectedAt = Date.now();
        this.#page.state("connected", `${frame.session} · generation ${frame.generation}`);
        // Subscriptions do not come back by themselves, even with the session.
        for (const topic of this.#topics) this.#command({ type: "subscribe", topic });
        break;
      case "ping":
        this.#write({ type: "pong" });
        break;
      case "message":
        this.#match(frame);
        break;
      case "token_expiring":
        this.#refresh();
        break;
      case "drain":
        this.#drain = frame;
        this.#ticket = frame.ticket ?? this.#ticket;
        this.#page.state("connected", `leaving in ${frame.closes_in_ms} ms: ${frame.reason}`);
        if (frame.reason === "lease") this.#timer = setTimeout(() => this.#move(), frame.reconnect_after_ms);
        break;
      case "closing":
        this.#closing = frame;
        break;
    }
  }

  #match(message) {
    const asked = this.#requests.get(message.correlation_id);
    if (asked === undefined) return;
    this.#requests.delete(message.correlation_id);
    this.#page.reply(message, performance.now() - asked);
  }

  async #refresh() {
    const opening = this.#opening;
    const token = await this.#token().catch(() => undefined);
    // Without one the relay closes with 4202, and the next attempt asks again.
    if (token && opening === this.#opening) this.#command({ type: "auth", token });
  }

  /** Any frame is a sign of life; twice the heartbeat without one is death. */
  #listen() {
    clearTimeout(this.#silence);
    if (!this.#welcome) return;
    this.#silence = setTimeout(() => {
      this.#abandon();
      this.#left(1006);
    }, 2 * this.#welcome.heartbeat_ms);
  }

  #left(code) {
    const { reconnect = adviceOf(code), message = "", reconnect_after_ms: told } = this.#closing ?? {};
    const wait = told ?? this.#drain?.reconnect_after_ms ?? 0;
    const stable = this.#welcome && Date.now() - this.#connectedAt >= STABLE_MS;
    if (stable) this.#attempts = 0;
    this.#abandon();
    const meaning = [...new Set([`closed with ${code}`, CLOSE_MEANING[code], message])].filter(Boolean).join(": ");
    this.#comeBack(this.#wanted ? reconnect : "never", wait, meaning);
  }

  #comeBack(reconnect, told, why) {
    if (reconnect === "never") {
      this.#wanted = false;
      this.#page.state("off", why);
      return;
    }
    const most = reconnect === "now" ? SMALL_JITTER_MS : Math.min(BACK_OFF_MAX_MS, BACK_OFF_MS * 2 ** this.#attempts);
    if (reconnect === "back_off") this.#attempts += 1;
    const wait = Math.max(told, Math.random() * most);
    this.#page.state("waiting", `${why}; coming back in ${(wait / 1000).toFixed(1)} s`);
    this.#timer = setTimeout(() => this.#open(), wait);
  }

  #abandon() {
    clearTimeout(this.#silence);
    const socket = this.#socket;
    this.#socket = undefined;
    this.#welcome = undefined;
    this.#requests.clear();
    if (socket) {
      socket.onopen = socket.onmessage = socket.onclose = null;
      socket.close();
    }
  }

  /** Numbers a command and sends it; answers with its id. */
  #command(frame) {
    const { type, ...fields } = frame;
    return this.#write({ type, id: this.#nextId, ...fields }) ? this.#nextId++ : undefined;
  }

  #write(frame) {
    if (this.#socket?.readyState !== WebSocket.OPEN) return false;
    this.#socket.send(JSON.stringify(frame));
    this.#page.frame("out", frame.token ? { ...frame, token: "…" } : frame);
    return true;
  }
}
