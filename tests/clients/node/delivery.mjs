// Messages between agents: addresses, payloads, topics, requests, outcomes (PROTOCOL.md §4, §5, §6).

import assert from "node:assert/strict";

import { Agent } from "./agent.mjs";
import { ENCODINGS, jsonPayload, payloadOf } from "./wire.mjs";

// Text that a parser and writer in between would change.
const TRICKY = { json: '{"b":1.0,"a":[1e400,-0,12345678901234567890],"a":"\\u00e9\\/\\ud83d\\ude00",  "ü\\n":{ }}' };
const EVERY_BYTE = { bytes: Buffer.from(Array.from({ length: 256 }, (_, byte) => byte)).toString("hex") };
const PAYLOADS = [TRICKY, { json: "null" }, { json: '"\\ud800"' }, EVERY_BYTE, { bytes: "" }];
const NOBODY = "agent/conformance-nobody";
const GROUP = "group/conformance.nobody";

const isMessage = (frame) => frame.type === "message";

export function* deliveryChecks(relay) {
  for (const sender of ENCODINGS) {
    for (const receiver of ENCODINGS) {
      yield [`${sender} to ${receiver}: messages arrive as sent`, () => direct(relay, sender, receiver)];
      yield [`${sender} to ${receiver}: a batch is carried out in order`, () => batch(relay, sender, receiver)];
    }
  }
  yield ["a session is reached alone", () => oneSession(relay)];
  yield ["a topic reaches its subscribers, a wildcard once", () => topics(relay)];
  yield ["unsubscribe ends a subscription", () => unsubscribe(relay)];
  yield ["a member does the work of its group", () => group(relay)];
  yield ["a watcher hears who is present", () => presence(relay)];
  yield ["a request is replied to", () => request(relay)];
  yield ["a request gives the right to reply", () => rightToReply(relay)];
  yield ["each receipt mode tells what it should", () => receipts(relay)];
  yield ["nobody there is told at once", () => noRecipient(relay)];
  yield ["what the token does not allow is forbidden", () => forbidden(relay)];
  yield ["messages of a sender keep their order", () => order(relay)];
  yield ["a payload over the limit is refused", () => large(relay)];
  yield ["qos 1 is stored, acknowledged and resumed, or refused where it is not offered", () => reliable(relay)];
}

async function withPair(relay, sender, receiver, use) {
  const agents = [await Agent.open(relay.url, relay.a, sender), await Agent.open(relay.url, relay.b, receiver)];
  await use(...agents);
  for (const agent of agents) await agent.leave();
}

function direct(relay, sender, receiver) {
  return withPair(relay, sender, receiver, async (a, b) => {
    const fields = {
      mid: "m:1.2~3-4_5",
      reply_to: a.session,
      correlation_id: "c-1",
      deadline_ms: 30_000,
      lane: "high",
      key: "state:1",
      headers: { content_type: "text/plain", enc: 'x"\\\n\u0001é😀' },
    };
    for (const payload of PAYLOADS) {
      for (const extra of [{}, fields]) {
        const id = a.send(b.address, payload, { receipt: "all", ...extra });
        const got = await b.message();
        assert.deepEqual(got.payload, payload);
        assert.deepEqual([got.from, got.session, got.to], [a.address, a.session, b.address]);
        assert.ok(Math.abs(got.ts - Date.now()) < 60_000);
        for (const key of ["mid", "reply_to", "correlation_id", "lane", "key", "headers"]) {
          assert.deepEqual(got[key], extra[key], key);
        }
        assert.equal("deadline_ms" in got, "deadline_ms" in extra);
        assert.equal(await a.outcome(id), "queued");
      }
    }
  });
}

function batch(relay, sender, receiver) {
  return withPair(relay, sender, receiver, async (a, b) => {
    const sends = Array.from({ length: 16 }, (_, number) =>
      a.number({ type: "send", to: b.address, payload: jsonPayload(number), receipt: "all" }),
    );
    a.write(...sends, a.number({ type: "ping" }));
    for (const [number, { id }] of sends.entries()) {
      assert.equal(payloadOf(await b.message()), number);
      assert.equal(await a.outcome(id), "queued");
    }
    await a.wait((frame) => frame.type === "pong");
  });
}

function oneSession(relay) {
  return withPair(relay, "json", "json", async (a, b) => {
    const other = await Agent.open(relay.url, relay.b);
    a.send(b.session, jsonPayload(1));
    assert.equal(payloadOf(await b.message()), 1);
    await other.silent(isMessage);
    a.send(b.address, jsonPayload(2));
    assert.equal(payloadOf(await b.message()), 2);
    assert.equal(payloadOf(await other.message()), 2);
    await other.leave();
  });
}

function topics(relay) {
  return withPair(relay, "msgpack", "json", async (a, b) => {
    for (const topic of ["conformance.*", "conformance.news", "conformance.news.*"]) {
      await b.command({ type: "subscribe", topic }, "ok");
    }
    await a.command({ type: "subscribe", topic: "conformance.news" }, "ok");
    for (const topic of ["conformance.news", "conformance.news.today", "conformance"]) {
      const id = a.send(`topic/${topic}`, jsonPayload(topic), { receipt: "all" });
      assert.equal(await a.outcome(id), "accepted");
    }
    assert.equal(payloadOf(await b.message()), "conformance.news");
    assert.equal(payloadOf(await b.message()), "conformance.news.today");
    assert.equal(payloadOf(await a.message()), "conformance.news");
    await a.silent(isMessage);
    await b.silent(isMessage);
  });
}

function unsubscribe(relay) {
  return withPair(relay, "json", "json", async (a, b) => {
    await b.command({ type: "subscribe", topic: "conformance.end" }, "ok");
    await b.command({ type: "unsubscribe", topic: "conformance.end" }, "ok");
    await b.command({ type: "unsubscribe", topic: "conformance.end" }, "ok");
    const id = a.send("topic/conformance.end", undefined, { receipt: "all" });
    assert.equal(await a.outcome(id), "accepted");
    await b.silent(isMessage);
  });
}

function request(relay) {
  return withPair(relay, "json", "msgpack", async (a, b) => {
    a.send(b.address, jsonPayload("2+2?"), { reply_to: a.session, correlation_id: "sum", deadline_ms: 5000 });
    const asked = await b.message();
    b.send(asked.reply_to, jsonPayload(4), { correlation_id: asked.correlation_id });
    const answer = await a.message((frame) => frame.correlation_id === "sum");
    assert.equal(payloadOf(answer), 4);
    assert.equal(answer.from, b.address);
  });
}

async function rightToReply(relay) {
  const [a, mute] = [await Agent.open(relay.url, relay.a), await Agent.open(relay.url, relay.nothing)];
  assert.equal(await mute.outcome(mute.send(a.address)), "failed:forbidden");
  a.send(mute.address, undefined, { reply_to: a.address, correlation_id: "may-i" });
  const asked = await mute.message();
  const id = mute.send(asked.reply_to, undefined, { correlation_id: "may-i", receipt: "all" });
  assert.equal(await mute.outcome(id), "queued");
  assert.equal((await a.message()).correlation_id, "may-i");
  await a.leave();
  await mute.leave();
}

function receipts(relay) {
  return withPair(relay, "json", "json", async (a, b) => {
    const cases = [
      ["all", b.address, "queued"],
      ["all", "topic/conformance.receipts", "accepted"],
      ["all", NOBODY, "failed:no_recipient"],
      ["failure", NOBODY, "failed:no_recipient"],
      [undefined, NOBODY, "failed:no_recipient"],
      ["failure", b.address, undefined],
      ["none", NOBODY, undefined],
      ["none", b.address, undefined],
    ];
    for (const [receipt, to, told] of cases) {
      const id = a.send(to, undefined, receipt ? { receipt } : {});
      if (told) {
        assert.equal(await a.outcome(id), told, `${receipt} to ${to}`);
      } else {
        await a.silent((frame) => ["receipt", "error"].includes(frame.type));
      }
      a.frames.length = 0;
    }
  });
}

async function noRecipient(relay) {
  const a = await Agent.open(relay.url, relay.a);
  for (const to of [NOBODY, `session/conformance-nobody~${"A".repeat(22)}`, GROUP]) {
    const begun = Date.now();
    const id = a.send(to, undefined, { reply_to: a.session, correlation_id: "c", deadline_ms: 60_000 });
    assert.equal(await a.outcome(id), "failed:no_recipient", to);
    assert.ok(Date.now() - begun < 1000, to);
  }
  await a.leave();
}

async function forbidden(relay) {
  const mute = await Agent.open(relay.url, relay.nothing);
  for (const to of ["agent/conformance-a", "topic/conformance.x", GROUP]) {
    assert.equal(await mute.outcome(mute.send(to)), "failed:forbidden", to);
  }
  const refused = await mute.command({ type: "subscribe", topic: "conformance.x" }, "error");
  assert.equal(refused.code, "forbidden");
  await mute.leave();
}

function presence(relay) {
  return withPair(relay, "msgpack", "json", async (a, b) => {
    const [topic, to] = ["conformance.room", "topic/conformance.room"];
    const first = await a.command({ type: "watch", to }, "presence");
    assert.deepEqual([first.version, first.count, first.members], [1, 0, []]);
    await b.command({ type: "subscribe", topic, present: true }, "ok");
    const next = await a.wait((frame) => frame.type === "presence");
    assert.deepEqual([next.version, next.count, next.joined], [2, 1, [b.address.slice("agent/".length)]]);
    await a.command({ type: "unwatch", to }, "ok");
  });
}

function group(relay) {
  return withPair(relay, "json", "msgpack", async (a, b) => {
    const [name, to] = ["conformance.work", "group/conformance.work"];
    await b.command({ type: "join", group: name }, "ok");
    const id = a.send(to, undefined, { receipt: "all" });
    assert.equal((await b.message()).to, to);
    assert.equal(await a.outcome(id), "queued");
    await b.command({ type: "leave", group: name }, "ok");
    assert.equal(await a.outcome(a.send(to)), "failed:no_recipient");
  });
}

function order(relay) {
  return withPair(relay, "json", "json", async (a, b) => {
    await b.command({ type: "subscribe", topic: "conformance.order" }, "ok");
    for (let number = 0; number < 100; number += 1) {
      a.send(number % 2 ? b.address : "topic/conformance.order", jsonPayload(number));
    }
    const seen = { [b.address]: [], "topic/conformance.order": [] };
    for (let count = 0; count < 100; count += 1) {
      const got = await b.message();
      seen[got.to].push(payloadOf(got));
    }
    for (const numbers of Object.values(seen)) {
      assert.equal(numbers.length, 50);
      assert.deepEqual(numbers, numbers.toSorted((left, right) => left - right));
    }
  });
}

function large(relay) {
  return withPair(relay, "json", "msgpack", async (a, b) => {
    const limit = a.welcome.limits.payload;
    const id = a.send(b.address, { bytes: "00".repeat(limit) }, { receipt: "all" });
    assert.equal(payloadOf(await b.message()).length, limit);
    assert.equal(await a.outcome(id), "queued");
    assert.equal(await a.outcome(a.send(b.address, { bytes: "00".repeat(limit + 1) })), "failed:too_large");
  });
}

async function stored(relay, a, b) {
  const all = { qos: 1, receipt: "all" };
  const mids = [1, 2].map((number) => `m${number}.${process.hrtime.bigint()}`);
  const first = a.send(b.address, { json: "1" }, { ...all, mid: mids[0], counter: 1 });
  assert.equal(await a.outcome(first), "accepted");
  const { stream, epoch, seq, mid } = await b.message();
  assert.deepEqual([stream, mid], [b.address, mids[0]]);
  b.write({ type: "ack", stream, epoch, seq });
  await a.wait((frame) => frame.delivered?.some(([of]) => of === first));
  await b.leave();
  const second = a.send(b.address, { json: "2" }, { ...all, mid: mids[1], counter: 2 });
  assert.equal(await a.outcome(second), "accepted");
  const resume = { ticket: b.welcome.ticket, streams: [{ stream, epoch, seq }] };
  const again = await Agent.open(relay.url, relay.b, "json", { resume });
  assert.deepEqual([again.welcome.resumed, again.session, again.welcome.generation], [true, b.session, 2]);
  const wentOn = await again.wait((frame) => frame.type === "resume");
  assert.deepEqual([wentOn.recovered, wentOn.seq], [true, seq]);
  const next = await again.message();
  assert.deepEqual([next.mid, next.seq], [mids[1], seq + 1]);
  const repeated = a.send(b.address, { json: "2" }, { ...all, mid: mids[1] });
  assert.equal(await a.outcome(repeated), "accepted");
  await again.silent((frame) => frame.type === "message");
  again.write({ type: "ack", stream, epoch, seq: next.seq });
  await again.leave();
}

function reliable(relay) {
  return withPair(relay, "msgpack", "json", async (a, b) => {
    if ("ticket" in a.welcome) return stored(relay, a, b);
    const id = a.send(b.address, undefined, { qos: 1, mid: mids[0], counter: 1 });
    assert.equal(await a.outcome(id), "failed:unsupported");
    const refused = await a.command({ type: "subscribe", topic: "conformance.q", qos: 1 }, "error");
    assert.equal(refused.code, "unsupported");
    a.write({ type: "ack", stream: b.address, epoch: "e", seq: 1 }, { type: "credit", messages: 1, bytes: 1 });
    await a.command({ type: "ping" }, "pong");
  });
}
