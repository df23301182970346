// The page: a panel for each agent, with what it can do and every frame that passes.

import { Agent } from "/console/agent.js";

const FRAMES_SHOWN_MAX = 500;
const HEARTBEATS = new Set(["ping", "pong"]);
const FAILURES = new Set(["error", "gap"]);

const one = new URLSearchParams(location.search).get("agent");
const names = one ? [one] : ["alice", "bob"];
const panels = document.getElementById("agents");
panels.classList.toggle("single", names.length === 1);
document.getElementById("other-tab").href = `/console?agent=${encodeURIComponent(one ? "bob" : "carol")}`;

for (const [at, name] of names.entries()) {
  const other = names[1 - at] ?? (name === "bob" ? "alice" : "bob");
  panels.append(panel(name, other));
}

function panel(name, other) {
  const root = document.getElementById("agent").content.cloneNode(true).firstElementChild;
  const out = Object.fromEntries([...root.querySelectorAll("[data-out]")].map((node) => [node.dataset.out, node]));
  const connection = root.querySelector('[data-form="connection"]').elements;
  const actions = root.querySelector('[data-form="actions"]').elements;
  const buttons = [...root.querySelectorAll('[data-form="actions"] button')];
  const counts = { in: 0, out: 0, failed: 0 };
  let agent;

  connection.name.value = name;
  actions.to.value = `agent/${other}`;
  actions.topic.value = "news.today";
  actions.payload.value = '{"text": "Hello"}';

  const page = {
    state(state, detail) {
      out.state.value = state;
      out.state.dataset.state = state;
      out.detail.textContent = detail;
      const off = state === "off";
      connection.name.readOnly = !off;
      connection.connect.textContent = off ? "Connect" : "Disconnect";
      connection.connect.classList.toggle("main", off);
      for (const button of buttons) button.disabled = state !== "connected";
      showTopics();
    },
    frame(direction, frame) {
      counts[direction] += 1;
      counts.failed += isFailure(frame) ? 1 : 0;
      showCounts();
      log(out.log, direction, frame);
      if (direction === "in" && frame.type === "message" && frame.reply_to && actions.answer.checked) {
        agent.answer(frame, { answer: frame.payload ?? frame.payload_b64 });
      }
    },
    reply(message, ms) {
      out.detail.textContent = `${message.from} replied in ${ms.toFixed(1)} ms: ${shown(message)}`;
    },
  };

  root.querySelector('[data-form="connection"]').addEventListener("submit", (event) => {
    event.preventDefault();
    if (out.state.dataset.state !== "off") {
      agent.disconnect();
      return;
    }
    agent = new Agent(connection.name.value, page);
    root.setAttribute("aria-label", `Agent ${connection.name.value}`);
    agent.connect();
  });

  root.querySelector('[data-form="actions"]').addEventListener("submit", (event) => {
    event.preventDefault();
    const [to, topic, payload] = [actions.to.value, actions.topic.value, payloadIn(actions.payload.value)];
    const receipt = { receipt: actions.receipt.value };
    ({
      send: () => agent.send(to, payload, receipt),
      request: () => agent.request(to, payload),
      subscribe: () => agent.subscribe(topic),
      publish: () => agent.send(`topic/${topic}`, payload, receipt),
    })[event.submitter.value]();
    showTopics();
  });

  out.topics.addEventListener("click", ({ target }) => {
    if (target.value) agent.unsubscribe(target.value);
    showTopics();
  });

  root.querySelector('[data-in="heartbeats"]').addEventListener("change", ({ target }) => {
    out.log.classList.toggle("with-heartbeats", target.checked);
  });
  root.querySelector('[data-in="clear"]').addEventListener("click", () => {
    out.log.replaceChildren();
    Object.assign(counts, { in: 0, out: 0, failed: 0 });
    showCounts();
  });

  function showCounts() {
    const failed = counts.failed ? ` · ${counts.failed} failed` : "";
    out.counts.value = `${counts.out} out · ${counts.in} in${failed}`;
  }

  function showTopics() {
    out.topics.replaceChildren(
      ...(agent?.topics ?? []).map((topic) => {
        const button = Object.assign(document.createElement("button"), {
          type: "button",
          value: topic,
          textContent: `${topic} ×`,
          title: `Unsubscribe from ${topic}`,
        });
        const item = document.createElement("li");
        item.append(button);
        return item;
      }),
    );
  }

  page.state("off", "");
  showCounts();
  root.setAttribute("aria-label", `Agent ${name}`);
  return root;
}

/** What is no JSON is meant as a string. */
function payloadIn(text) {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

function log(list, direction, frame) {
  const atEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 40;
  const item = document.getElementById("frame").content.cloneNode(true).firstElementChild;
  item.classList.add(direction);
  item.classList.toggle("heartbeat", HEARTBEATS.has(frame.type));
  item.classList.toggle("failure", isFailure(frame));
  const [time, arrow, type, text] = item.querySelector("summary").children;
  const now = new Date();
  time.dateTime = now.toISOString();
  time.textContent = `${now.toTimeString().slice(0, 8)}.${time.dateTime.slice(20, 23)}`;
  arrow.textContent = direction === "in" ? "←" : "→";
  arrow.setAttribute("aria-label", direction === "in" ? "received" : "sent");
  type.textContent = frame.type;
  text.textContent = summary(frame).replace(/~([\w-]{4})[\w-]{18}/g, "~$1…");
  item.querySelector("pre").textContent = JSON.stringify(frame, null, 2);
  list.append(item);
  if (list.childElementCount > FRAMES_SHOWN_MAX) list.firstElementChild.remove();
  if (atEnd) list.scrollTop = list.scrollHeight;
}

function isFailure(frame) {
  return FAILURES.has(frame.type) || Boolean(frame.failed) || (frame.type === "closing" && frame.code !== 1000);
}

/** One line for a frame. */
function summary(frame) {
  const ranges = (list) => list.map(([first, last]) => (first === last ? first : `${first}–${last}`)).join(", ");
  switch (frame.type) {
    case "message":
      return `from ${frame.from} to ${frame.to}: ${shown(frame)}`;
    case "send":
      return `#${frame.id} to ${frame.to}: ${shown(frame)}`;
    case "receipt":
      return ["queued", "accepted", "delivered", "unknown"]
        .filter((outcome) => frame[outcome])
        .map((outcome) => `#${ranges(frame[outcome])} ${outcome}`)
        .concat((frame.failed ?? []).map(({ id, last, reason }) => `#${last ? `${id}–${last}` : id} failed: ${reason}`))
        .join(", ");
    case "error":
      return `${frame.id ? `#${frame.id} ` : ""}${frame.code}: ${frame.message}`;
    case "closing":
      return `${frame.code} ${frame.reason}: ${frame.message}`;
    case "welcome":
      return frame.session;
    case "subscribe":
    case "unsubscribe":
      return `#${frame.id} ${frame.topic}`;
    case "flow":
      return `${frame.state}: ${frame.queued_messages} messages waiting`;
    case "degraded":
      return `level ${frame.level}${frame.reduced.length ? `, less of: ${frame.reduced.join(", ")}` : ""}`;
    case "gap":
    case "drain":
      return frame.reason;
    default:
      return frame.id ? `#${frame.id}` : "";
  }
}

function shown(frame) {
  return frame.payload_b64 === undefined ? JSON.stringify(frame.payload) : `${frame.payload_b64} (bytes)`;
}
