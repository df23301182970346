// Opening, liveness and leaving (PROTOCOL.md §1, §3, §8, §10).

import assert from "node:assert/strict";
import { once } from "node:events";

import WebSocket from "ws";

import { Agent } from "./agent.mjs";
import { ENCODINGS, SUBPROTOCOLS, encode } from "./wire.mjs";

const LIMITS =
  "payload message frames subscriptions in_flight rate_messages rate_burst rate_bytes queue_messages queue_bytes".split(" ");
const NUMBERS = "id protocol generation heartbeat_ms token_expires_in_ms server_time_ms".split(" ");

export function* connectionChecks(relay) {
  for (const encoding of ENCODINGS) {
    const open = () => Agent.open(relay.url, relay.a, encoding);
    const json = encoding === "json";
    yield [`${encoding}: hello is answered by welcome`, () => welcome(relay, encoding)];
    yield [`${encoding}: ping is answered by pong`, () => ping(open)];
    yield [`${encoding}: bye is answered by close 1000`, () => bye(open)];
    yield [
      `${encoding}: a first frame that is not hello is closed with 4001`,
      () => firstFrame(relay, encoding, { type: "ping", id: 1 }, 4001),
    ];
    yield [
      `${encoding}: a wrong token is closed with 4002`,
      () => firstFrame(relay, encoding, { type: "hello", id: 1, token: forged(relay.a) }, 4002),
    ];
    yield [
      `${encoding}: a message that is not frames is closed with 4005`,
      () => shut(open, () => (json ? "{" : Buffer.from([0xc1])), 4005),
    ];
    yield [
      `${encoding}: more frames than allowed are closed with 4005`,
      () => shut(open, (limits) => encode(encoding, Array(limits.frames + 1).fill({ type: "pong" })), 4005),
    ];
    yield [
      `${encoding}: a message of the other kind is closed with 1003`,
      () => shut(open, () => encode(json ? "msgpack" : "json", [{ type: "ping", id: 2 }]), 1003),
    ];
    yield [`${encoding}: a message over the limit is closed with 1009`, () => tooLarge(open, json)];
    yield [`${encoding}: a WebSocket ping is answered`, () => websocketPing(open)];
  }
  yield ["the first known subprotocol is chosen", () => chosen(relay)];
  yield ["no known subprotocol is refused with 400", () => noSubprotocol(relay)];
  yield ["the token may come in the Authorization header", () => byHeader(relay)];
  yield ["the token may come as a subprotocol", () => bySubprotocol(relay)];
  yield ["two connections of an agent are two sessions", () => twoSessions(relay)];
}

export const forged = (token) => `${token.slice(0, -4)}AAAA`;

/** `closing` says the code and what to do, and the close follows with the same code. */
export async function expectClose(agent, code) {
  const closing = await agent.wait((frame) => frame.type === "closing");
  assert.equal(closing.code, code, JSON.stringify(closing));
  assert.equal(closing.reconnect, "never");
  assert.equal(typeof closing.reason, "string");
  assert.equal(typeof closing.message, "string");
  assert.equal(await agent.closed(), code);
}

async function welcome(relay, encoding) {
  const agent = await Agent.open(relay.url, relay.a, encoding);
  const got = agent.welcome;
  assert.equal(agent.socket.protocol, SUBPROTOCOLS[encoding]);
  assert.equal(got.protocol, 1);
  assert.equal(got.resumed, false);
  for (const key of NUMBERS) assert.ok(Number.isInteger(got[key]), key);
  for (const key of LIMITS) assert.ok(Number.isInteger(got.limits[key]), key);
  assert.match(got.agent, /^agent\/[\w-][\w.-]{0,127}$/);
  assert.ok(got.session.startsWith(`session/${got.agent.slice("agent/".length)}~`), got.session);
  assert.match(got.session, /~[\w-]{22}$/);
  assert.ok(Math.abs(got.server_time_ms - Date.now()) < 60_000 && got.token_expires_in_ms > 0);
  await agent.leave();
}

async function ping(open) {
  const agent = await open();
  await agent.command({ type: "ping" }, "pong");
  await agent.leave();
}

async function bye(open) {
  const agent = await open();
  agent.write({ type: "bye" });
  assert.equal(await agent.closed(), 1000);
}

async function firstFrame(relay, encoding, frame, code) {
  const agent = await Agent.connect(relay.url, encoding);
  agent.write(frame);
  await expectClose(agent, code);
}

async function shut(open, message, code) {
  const agent = await open();
  agent.socket.send(message(agent.welcome.limits));
  await expectClose(agent, code);
}

async function tooLarge(open, json) {
  const agent = await open();
  const size = agent.welcome.limits.message + 1;
  agent.socket.send(json ? " ".repeat(size) : Buffer.alloc(size, 0x80));
  assert.equal(await agent.closed(), 1009);
}

async function websocketPing(open) {
  const agent = await open();
  agent.socket.ping("are you there");
  const [data] = await once(agent.socket, "pong", { signal: AbortSignal.timeout(5000) });
  assert.equal(String(data), "are you there");
  await agent.leave();
}

async function chosen(relay) {
  const subprotocols = ["other.v9", SUBPROTOCOLS.msgpack, SUBPROTOCOLS.json];
  const agent = await Agent.open(relay.url, relay.a, "msgpack", { subprotocols });
  assert.equal(agent.socket.protocol, SUBPROTOCOLS.msgpack);
  await agent.leave();
}

async function noSubprotocol(relay) {
  for (const offered of [["other.v9"], []]) {
    const socket = new WebSocket(relay.url, offered);
    socket.on("error", () => {});
    const [, response] = await once(socket, "unexpected-response", { signal: AbortSignal.timeout(5000) });
    assert.equal(response.statusCode, 400);
    const body = (await response.toArray()).map(String).join("");
    assert.equal(JSON.parse(body).code, "version_unsupported");
  }
}

async function byHeader(relay) {
  const agent = await Agent.open(relay.url, undefined, "json", { headers: { Authorization: `Bearer ${relay.a}` } });
  await agent.leave();
}

async function bySubprotocol(relay) {
  const subprotocols = [SUBPROTOCOLS.json, `agent-relay.token.${relay.a}`];
  const agent = await Agent.open(relay.url, undefined, "json", { subprotocols });
  assert.equal(agent.socket.protocol, SUBPROTOCOLS.json);
  await agent.leave();
}

async function twoSessions(relay) {
  const [first, second] = [await Agent.open(relay.url, relay.a), await Agent.open(relay.url, relay.a)];
  assert.equal(first.address, second.address);
  assert.notEqual(first.session, second.session);
  await first.leave();
  await second.leave();
}
