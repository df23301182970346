// What a relay refuses: the vectors of `refused.json` over a real socket, and the rules that need one (PROTOCOL.md §4, §9).

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";

import { Agent } from "./agent.mjs";
import { expectClose, forged } from "./connection.mjs";
import { ENCODINGS } from "./wire.mjs";

const VECTORS = new URL("../../../protocol/tests/vectors/refused.json", import.meta.url);
const PINGS_FROM = 2_000_000;
const HELLO = ["hello", Buffer.from("hello").toString("hex")];

export function* refusalChecks(relay) {
  yield ["a command out of order is refused and not carried out", () => outOfOrder(relay)];
  yield ["a frame of unknown type is refused by name", () => unknownType(relay)];
  yield ["auth refreshes the token", () => refresh(relay)];
  // A relay has its own bound of frames, and its own answer to a second hello.
  const usable = JSON.parse(readFileSync(VECTORS, "utf8"))
    .filter((entry) => entry.frames_max === undefined)
    .filter((entry) => !HELLO.some((text) => entry.input.includes(text)));
  for (const encoding of ENCODINGS) {
    const entries = usable.filter((entry) => entry.encoding === encoding);
    const lives = entries.filter((entry) => entry.close === undefined);
    yield [`${encoding}: ${lives.length} vectors are refused`, () => refused(relay, lives)];
    for (const entry of entries.filter((each) => each.close !== undefined)) {
      yield [`${encoding}: ${entry.name.split(": ").at(-1)}: closed with ${entry.close}`, () => closes(relay, entry)];
    }
  }
}

const data = (entry) => (entry.encoding === "json" ? entry.input : Buffer.from(entry.input, "hex"));

async function expect(agent, entry) {
  for (const { accepted, refused: wanted } of entry.frames) {
    if (accepted) {
      await agent.wait((frame) => frame.type === "pong" && frame.id === accepted.id);
      continue;
    }
    const got = await agent.wait((frame) => frame.type === "error");
    assert.deepEqual([got.code, got.id], [wanted.code, wanted.id], `${entry.name}: ${JSON.stringify(got)}`);
    assert.ok(got.message.includes(wanted.what) || got.limit === wanted.what, `${entry.name}: ${JSON.stringify(got)}`);
  }
}

async function refused(relay, entries) {
  // Each on a connection of its own, as all name the same ids.
  for (const entry of entries) {
    const agent = await Agent.open(relay.url, relay.a, entry.encoding);
    agent.socket.send(data(entry));
    await expect(agent, entry);
    agent.nextId = PINGS_FROM;
    await agent.command({ type: "ping" }, "pong");
    assert.deepEqual(agent.frames, [], entry.name);
    await agent.leave();
  }
}

async function closes(relay, entry) {
  const agent = await Agent.open(relay.url, relay.a, entry.encoding);
  agent.socket.send(data(entry));
  await expect(agent, entry);
  await expectClose(agent, entry.close);
}

async function outOfOrder(relay) {
  const [a, b] = [await Agent.open(relay.url, relay.a), await Agent.open(relay.url, relay.b)];
  await a.command({ type: "ping" }, "pong");
  for (const id of [1, 2]) {
    a.write({ type: "send", id, to: b.address, receipt: "all" });
    const error = await a.wait((frame) => frame.type === "error" && frame.id === id);
    assert.equal(error.code, "out_of_order");
  }
  await b.silent((frame) => frame.type === "message");
  a.nextId = 1000;
  await a.command({ type: "ping" }, "pong");
  await a.leave();
  await b.leave();
}

async function unknownType(relay) {
  const agent = await Agent.open(relay.url, relay.a);
  const error = await agent.command({ type: "presence.query", more: { field: [1] } }, "error");
  assert.equal(error.code, "unknown_frame");
  assert.ok(error.message.includes("presence.query"), error.message);
  await agent.command({ type: "ping", unknown: { field: [1] } }, "pong");
  await agent.leave();
}

async function refresh(relay) {
  const agent = await Agent.open(relay.url, relay.a);
  await agent.command({ type: "auth", token: relay.a }, "ok");
  for (const token of [relay.b, forged(relay.a)]) {
    const error = await agent.command({ type: "auth", token }, "error");
    assert.ok(["token_invalid", "forbidden"].includes(error.code), error.code);
  }
  await agent.command({ type: "ping" }, "pong");
  await agent.leave();
}
