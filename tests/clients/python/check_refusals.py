"""What a relay refuses: the vectors of `refused.json` over a real socket, and the rules that need one (PROTOCOL.md §4, §9)."""

import json
from pathlib import Path

import wire
from agent import Agent
from check_connection import expect_close

VECTORS = Path(__file__).resolve().parents[3] / "protocol" / "tests" / "vectors" / "refused.json"
PINGS_FROM = 2_000_000


def checks(relay):
    yield "a command out of order is refused and not carried out", lambda: out_of_order(relay)
    yield "a frame of unknown type is refused by name", lambda: unknown_type(relay)
    yield "auth refreshes the token", lambda: refresh(relay)
    for encoding in wire.SUBPROTOCOLS:
        entries = [entry for entry in json.loads(VECTORS.read_text("utf-8")) if entry["encoding"] == encoding]
        # A relay has its own bound of frames, and its own answer to a second hello.
        entries = [entry for entry in entries if "frames_max" not in entry and "hello" not in entry["input"]]
        entries = [entry for entry in entries if b"hello".hex() not in entry["input"]]
        lives = [entry for entry in entries if "close" not in entry]
        yield f"{encoding}: {len(lives)} vectors are refused", lambda e=encoding, v=lives: refused(relay, e, v)
        for entry in entries:
            if "close" in entry:
                name = f"{encoding}: {entry['name'].split(': ')[-1]}: closed with {entry['close']}"
                yield name, lambda e=encoding, v=entry: closes(relay, e, v)


def data(entry):
    return entry["input"] if entry["encoding"] == "json" else bytes.fromhex(entry["input"])


async def expect(agent, answers, name):
    for answer in answers:
        if "accepted" in answer:
            identifier = answer["accepted"]["id"]
            await agent.wait(lambda frame, i=identifier: frame["type"] == "pong" and frame["id"] == i)
            continue
        wanted = answer["refused"]
        got = await agent.wait(lambda frame: frame["type"] == "error")
        assert got["code"] == wanted["code"] and got.get("id") == wanted.get("id"), (name, wanted, got)
        assert wanted["what"] in got["message"] or wanted["what"] == got.get("limit"), (name, wanted, got)


async def refused(relay, encoding, entries):
    # Each on a connection of its own, as all name the same ids.
    for entry in entries:
        agent = await Agent.open(relay.url, relay.a, encoding)
        await agent.socket.send(data(entry))
        await expect(agent, entry["frames"], entry["name"])
        agent.next_id = PINGS_FROM
        await agent.command({"type": "ping"}, "pong")
        assert not agent.frames, (entry["name"], agent.frames)
        await agent.leave()


async def closes(relay, encoding, entry):
    agent = await Agent.open(relay.url, relay.a, encoding)
    await agent.socket.send(data(entry))
    await expect(agent, entry["frames"], entry["name"])
    await expect_close(agent, entry["close"], "never")


async def out_of_order(relay):
    a, b = await Agent.open(relay.url, relay.a), await Agent.open(relay.url, relay.b)
    await a.command({"type": "ping"}, "pong")
    for identifier in (1, 2):
        await a.write({"type": "send", "id": identifier, "to": b.address, "receipt": "all"})
        error = await a.wait(lambda frame, i=identifier: frame["type"] == "error" and frame["id"] == i)
        assert error["code"] == "out_of_order", error
    await b.silent(lambda frame: frame["type"] == "message")
    a.next_id = 1_000
    await a.command({"type": "ping"}, "pong")
    for agent in (a, b):
        await agent.leave()


async def unknown_type(relay):
    agent = await Agent.open(relay.url, relay.a)
    error = await agent.command({"type": "presence.query", "new": {"field": [1]}}, "error")
    assert error["code"] == "unknown_frame" and "presence.query" in error["message"], error
    await agent.command({"type": "ping", "unknown": {"field": [1]}}, "pong")
    await agent.leave()


async def refresh(relay):
    agent = await Agent.open(relay.url, relay.a)
    await agent.command({"type": "auth", "token": relay.a}, "ok")
    for other in (relay.b, relay.a[:-4] + "AAAA"):
        error = await agent.command({"type": "auth", "token": other}, "error")
        assert error["code"] in ("token_invalid", "forbidden"), error
    await agent.command({"type": "ping"}, "pong")
    await agent.leave()
