"""Messages between agents: addresses, payloads, topics, requests, outcomes (PROTOCOL.md §4, §5, §6)."""

import itertools
import time

import wire
from agent import Agent

# Text that a parser and writer in between would change.
TRICKY = {"json": '{"b":1.0,"a":[1e400,-0,12345678901234567890],"a":"\\u00e9\\/\\ud83d\\ude00",  "ü\\n":{ }}'}
PAYLOADS = {
    "JSON text": TRICKY,
    "null": {"json": "null"},
    "half a surrogate pair": {"json": '"\\ud800"'},
    "every byte": {"bytes": bytes(range(256)).hex()},
    "no byte": {"bytes": ""},
}

GROUP = "group/conformance.nobody"


def checks(relay):
    for sender, receiver in itertools.product(wire.SUBPROTOCOLS, repeat=2):
        yield f"{sender} to {receiver}: messages arrive as sent", lambda s=sender, r=receiver: direct(relay, s, r)
    for name, check in (
        ("a session is reached alone", one_session),
        ("a topic reaches its subscribers, a wildcard once", topics),
        ("unsubscribe ends a subscription", unsubscribe),
        ("a member does the work of its group within its credit", group),
        ("a watcher hears who is present", presence),
        ("a request is replied to", request),
        ("a request gives the right to reply", right_to_reply),
        ("each receipt mode tells what it should", receipts),
        ("nobody there is told at once", no_recipient),
        ("what the token does not allow is forbidden", forbidden),
        ("a batch is carried out in order", batch),
        ("messages of a sender keep their order", order),
        ("a payload over the limit is refused", large),
        ("qos 1 is stored, acknowledged and resumed, or refused where it is not offered", reliable),
    ):
        yield name, lambda check=check: check(relay)


async def pair(relay, sender="json", receiver="json"):
    return await Agent.open(relay.url, relay.a, sender), await Agent.open(relay.url, relay.b, receiver)


async def leave(*agents):
    for agent in agents:
        await agent.leave()


async def direct(relay, sender, receiver):
    a, b = await pair(relay, sender, receiver)
    fields = {
        "mid": "m:1.2~3-4_5",
        "reply_to": a.session,
        "correlation_id": "c-1",
        "deadline_ms": 30_000,
        "lane": "high",
        "key": "state:1",
        "headers": {"content_type": "text/plain", "enc": 'x"\\\n\u0001é😀'},
    }
    for payload in PAYLOADS.values():
        for extra in ({}, fields):
            identifier = await a.send(b.address, payload, receipt="all", **extra)
            got = await b.message()
            assert got["payload"] == payload, got
            assert (got["from"], got["session"], got["to"]) == (a.address, a.session, b.address), got
            assert abs(got["ts"] - time.time() * 1000) < 60_000, got
            for key in ("mid", "reply_to", "correlation_id", "lane", "key", "headers"):
                assert got.get(key) == extra.get(key), (key, got)
            assert ("deadline_ms" in got) == bool(extra) and got.get("deadline_ms", 0) <= 30_000, got
            assert await a.outcome(identifier) == "queued"
    await leave(a, b)


async def one_session(relay):
    a, b = await pair(relay)
    other = await Agent.open(relay.url, relay.b)
    await a.send(b.session, wire.json_payload(1))
    await b.message()
    await other.silent(lambda frame: frame["type"] == "message")
    await a.send(b.address, wire.json_payload(2))
    for agent in (b, other):
        assert wire.payload_of(await agent.message()) == 2
    await leave(a, b, other)


async def topics(relay):
    a, b = await pair(relay, "json", "msgpack")
    for pattern in ("conformance.*", "conformance.news", "conformance.news.*"):
        await b.command({"type": "subscribe", "topic": pattern}, "ok")
    await a.command({"type": "subscribe", "topic": "conformance.news"}, "ok")
    for topic in ("conformance.news", "conformance.news.today", "conformance"):
        identifier = await a.send(f"topic/{topic}", wire.json_payload(topic), receipt="all")
        assert await a.outcome(identifier) == "accepted"
    seen = [wire.payload_of(await b.message()) for _ in range(2)]
    assert seen == ["conformance.news", "conformance.news.today"], seen
    assert wire.payload_of(await a.message()) == "conformance.news"
    for agent in (a, b):
        await agent.silent(lambda frame: frame["type"] == "message")
    await leave(a, b)


async def unsubscribe(relay):
    a, b = await pair(relay)
    await b.command({"type": "subscribe", "topic": "conformance.end"}, "ok")
    for _ in range(2):
        await b.command({"type": "unsubscribe", "topic": "conformance.end"}, "ok")
    identifier = await a.send("topic/conformance.end", receipt="all")
    assert await a.outcome(identifier) == "accepted"
    await b.silent(lambda frame: frame["type"] == "message")
    await leave(a, b)


async def request(relay):
    a, b = await pair(relay, "msgpack", "json")
    await a.send(b.address, wire.json_payload("2+2?"), reply_to=a.session, correlation_id="sum", deadline_ms=5000)
    asked = await b.message()
    await b.send(asked["reply_to"], wire.json_payload(4), correlation_id=asked["correlation_id"])
    answer = await a.message(lambda frame: frame.get("correlation_id") == "sum")
    assert wire.payload_of(answer) == 4 and answer["from"] == b.address, answer
    await leave(a, b)


async def right_to_reply(relay):
    a = await Agent.open(relay.url, relay.a)
    mute = await Agent.open(relay.url, relay.nothing)
    identifier = await mute.send(a.address)
    assert await mute.outcome(identifier) == "failed:forbidden"
    await a.send(mute.address, reply_to=a.address, correlation_id="may-i")
    asked = await mute.message()
    identifier = await mute.send(asked["reply_to"], correlation_id="may-i", receipt="all")
    assert await mute.outcome(identifier) == "queued"
    assert (await a.message())["correlation_id"] == "may-i"
    await leave(a, mute)


async def receipts(relay):
    a, b = await pair(relay)
    nobody = "agent/conformance-nobody"
    for mode, to, told in (
        ("all", b.address, "queued"),
        ("all", "topic/conformance.receipts", "accepted"),
        ("all", nobody, "failed:no_recipient"),
        ("failure", nobody, "failed:no_recipient"),
        (None, nobody, "failed:no_recipient"),
        ("failure", b.address, None),
        ("none", nobody, None),
        ("none", b.address, None),
    ):
        identifier = await a.send(to, **({"receipt": mode} if mode else {}))
        if told:
            assert await a.outcome(identifier) == told, (mode, to)
        else:
            await a.silent(lambda frame: frame["type"] in ("receipt", "error"))
        a.frames.clear()
    await leave(a, b)


async def no_recipient(relay):
    a = await Agent.open(relay.url, relay.a)
    for to in ("agent/conformance-nobody", "session/conformance-nobody~" + "A" * 22, GROUP):
        begun = time.monotonic()
        identifier = await a.send(to, reply_to=a.session, correlation_id="c", deadline_ms=60_000)
        told = await a.outcome(identifier)
        assert told == "failed:no_recipient", (to, told)
        assert time.monotonic() - begun < 1, to
    await leave(a)


async def forbidden(relay):
    mute = await Agent.open(relay.url, relay.nothing)
    for to in ("agent/conformance-a", "topic/conformance.x", GROUP):
        identifier = await mute.send(to)
        told = await mute.outcome(identifier)
        assert told == "failed:forbidden", (to, told)
    refused = await mute.command({"type": "subscribe", "topic": "conformance.x"}, "error")
    assert refused["code"] == "forbidden", refused
    refused = await mute.command({"type": "join", "group": "conformance.x"}, "error")
    assert refused["code"] == "forbidden", refused
    await leave(mute)


async def presence(relay):
    a, b = await pair(relay)
    place = "topic/conformance.room"
    told = await a.command({"type": "watch", "to": place}, "presence")
    assert (told["version"], told["count"], told["members"]) == (1, 0, []), told
    await b.command({"type": "subscribe", "topic": "conformance.room", "present": True}, "ok")
    told = await a.wait(lambda frame: frame["type"] == "presence")
    assert (told["version"], told["count"], told["joined"]) == (2, 1, [b.address.removeprefix("agent/")]), told
    await b.command({"type": "unsubscribe", "topic": "conformance.room"}, "ok")
    told = await a.wait(lambda frame: frame["type"] == "presence")
    assert (told["version"], told["count"], told["left"]) == (3, 0, [b.address.removeprefix("agent/")]), told
    await a.command({"type": "unwatch", "to": place}, "ok")
    await leave(a, b)


async def group(relay):
    a, b = await pair(relay)
    await b.command({"type": "join", "group": "conformance.work"}, "ok")
    await b.write({"type": "credit", "messages": 1, "bytes": 1_000})
    await b.command({"type": "ping"}, "pong")
    first = await a.send("group/conformance.work", wire.json_payload(1), receipt="all")
    assert (await b.message())["to"] == "group/conformance.work"
    assert await a.outcome(first) == "queued"
    assert await a.outcome(await a.send("group/conformance.work")) == "failed:saturated"
    await b.command({"type": "leave", "group": "conformance.work"}, "ok")
    assert await a.outcome(await a.send("group/conformance.work")) == "failed:no_recipient"
    await leave(a, b)


async def batch(relay):
    for sender, receiver in itertools.product(wire.SUBPROTOCOLS, repeat=2):
        a, b = await pair(relay, sender, receiver)
        sends = [
            a.number({"type": "send", "to": b.address, "payload": wire.json_payload(number), "receipt": "all"})
            for number in range(16)
        ]
        await a.write(*sends, a.number({"type": "ping"}))
        assert [wire.payload_of(await b.message()) for _ in sends] == list(range(16))
        for frame in sends:
            assert await a.outcome(frame["id"]) == "queued"
        await a.wait(lambda frame: frame["type"] == "pong")
        await leave(a, b)


async def order(relay):
    a, b = await pair(relay)
    await b.command({"type": "subscribe", "topic": "conformance.order"}, "ok")
    for number in range(100):
        to = b.address if number % 2 else "topic/conformance.order"
        await a.send(to, wire.json_payload(number))
    got = [await b.message() for _ in range(100)]
    for address in (b.address, "topic/conformance.order"):
        numbers = [wire.payload_of(frame) for frame in got if frame["to"] == address]
        assert len(numbers) == 50 and numbers == sorted(numbers), numbers
    await leave(a, b)


async def large(relay):
    a, b = await pair(relay, "msgpack", "json")
    limit = a.welcome["limits"]["payload"]
    identifier = await a.send(b.address, {"bytes": "00" * limit}, receipt="all")
    assert len(wire.payload_of(await b.message())) == limit
    assert await a.outcome(identifier) == "queued"
    identifier = await a.send(b.address, {"bytes": "00" * (limit + 1)})
    assert await a.outcome(identifier) == "failed:too_large"
    await leave(a, b)


async def reliable(relay):
    a, b = await pair(relay, "json", "msgpack")
    if "ticket" in a.welcome:
        mids = [f"m{number}.{time.time_ns()}" for number in (1, 2)]
        first = await a.send(b.address, {"json": "1"}, qos=1, mid=mids[0], counter=1, receipt="all")
        assert await a.outcome(first) == "accepted"
        message = await b.message()
        assert (message["stream"], message["mid"]) == (b.address, mids[0]), message
        position = {name: message[name] for name in ("stream", "epoch", "seq")}
        await b.write({"type": "ack", **position})
        await a.wait(lambda frame: any(first == of for of, _ in frame.get("delivered", [])))
        await b.leave()
        second = await a.send(b.address, {"json": "2"}, qos=1, mid=mids[1], counter=2, receipt="all")
        assert await a.outcome(second) == "accepted"
        resume = {"ticket": b.welcome["ticket"], "streams": [position]}
        session, b = b.session, await Agent.open(relay.url, relay.b, resume=resume)
        assert b.welcome["resumed"] and b.session == session and b.welcome["generation"] == 2, b.welcome
        went_on = await b.wait(lambda frame: frame["type"] == "resume")
        assert went_on["recovered"] and went_on["seq"] == message["seq"], went_on
        message = await b.message()
        assert (message["mid"], message["seq"]) == (mids[1], went_on["seq"] + 1), message
        repeated = await a.send(b.address, {"json": "2"}, qos=1, mid=mids[1], receipt="all")
        assert await a.outcome(repeated) == "accepted"
        await b.silent(lambda frame: frame["type"] == "message")
        await b.write({"type": "ack", **{name: message[name] for name in ("stream", "epoch", "seq")}})
    else:
        identifier = await a.send(b.address, qos=1, mid="m1", counter=1)
        assert await a.outcome(identifier) == "failed:unsupported"
        refused = await a.command({"type": "subscribe", "topic": "conformance.q", "qos": 1}, "error")
        assert refused["code"] == "unsupported", refused
        await a.write({"type": "ack", "stream": b.address, "epoch": "e", "seq": 1})
        await a.write({"type": "credit", "messages": 1, "bytes": 1})
        await a.command({"type": "ping"}, "pong")
    await leave(a, b)
