"""Opening, liveness and leaving (PROTOCOL.md §1, §3, §8, §10)."""

import asyncio
import re
import time

import websockets

import wire
from agent import Agent

LIMITS = (
    "payload message frames subscriptions in_flight rate_messages rate_burst rate_bytes queue_messages queue_bytes"
).split()
NUMBERS = ["id", "protocol", "generation", "heartbeat_ms", "token_expires_in_ms", "server_time_ms"]


async def expect_close(agent, code, reconnect):
    """`closing` says the code and what to do, and the close follows with the same code."""
    closing = await agent.wait(lambda frame: frame["type"] == "closing")
    assert (closing["code"], closing["reconnect"]) == (code, reconnect), closing
    assert isinstance(closing["reason"], str) and isinstance(closing["message"], str), closing
    closed = await agent.closed()
    assert closed == code, closed


def checks(relay):
    for encoding in wire.SUBPROTOCOLS:
        for name, check in (
            ("hello is answered by welcome", welcome),
            ("ping is answered by pong", ping),
            ("bye is answered by close 1000", bye),
            ("a first frame that is not hello is closed with 4001", hello_expected),
            ("a wrong token is closed with 4002", wrong_token),
            ("a message that is not frames is closed with 4005", bad_frame),
            ("more frames than allowed are closed with 4005", too_many_frames),
            ("a message of the other kind is closed with 1003", wrong_kind),
            ("a message over the limit is closed with 1009", too_large),
            ("a WebSocket ping is answered", websocket_ping),
        ):
            yield f"{encoding}: {name}", lambda check=check, encoding=encoding: check(relay, encoding)
    yield "the first known subprotocol is chosen", lambda: chosen(relay)
    yield "no known subprotocol is refused with 400", lambda: no_subprotocol(relay)
    yield "the token may come in the Authorization header", lambda: by_header(relay)
    yield "the token may come as a subprotocol", lambda: by_subprotocol(relay)
    yield "two connections of an agent are two sessions", lambda: two_sessions(relay)


async def welcome(relay, encoding):
    before = time.time() * 1000
    agent = await Agent.open(relay.url, relay.a, encoding)
    got = agent.welcome
    assert agent.socket.subprotocol == wire.SUBPROTOCOLS[encoding], agent.socket.subprotocol
    assert got["protocol"] == 1 and got["resumed"] is False, got
    assert all(isinstance(got[key], int) for key in NUMBERS), got
    assert re.fullmatch(r"agent/[A-Za-z0-9_-][A-Za-z0-9_.-]{0,127}", got["agent"]), got
    name = re.escape(got["agent"].removeprefix("agent/"))
    assert re.fullmatch(rf"session/{name}~[A-Za-z0-9_-]{{22}}", got["session"]), got
    assert all(isinstance(got["limits"][key], int) for key in LIMITS), got
    assert abs(got["server_time_ms"] - before) < 60_000 and got["token_expires_in_ms"] > 0, got
    await agent.leave()


async def ping(relay, encoding):
    agent = await Agent.open(relay.url, relay.a, encoding)
    await agent.command({"type": "ping"}, "pong")
    await agent.leave()


async def bye(relay, encoding):
    agent = await Agent.open(relay.url, relay.a, encoding)
    await agent.write({"type": "bye"})
    assert await agent.closed() == 1000, agent.socket.close_code


async def hello_expected(relay, encoding):
    agent = await Agent.connect(relay.url, encoding)
    await agent.write({"type": "ping", "id": 1})
    await expect_close(agent, 4001, "never")


async def wrong_token(relay, encoding):
    agent = await Agent.connect(relay.url, encoding)
    await agent.write({"type": "hello", "id": 1, "token": relay.a[:-4] + "AAAA"})
    await expect_close(agent, 4002, "never")


async def bad_frame(relay, encoding):
    agent = await Agent.open(relay.url, relay.a, encoding)
    await agent.socket.send("{" if encoding == "json" else b"\xc1")
    await expect_close(agent, 4005, "never")


async def too_many_frames(relay, encoding):
    agent = await Agent.open(relay.url, relay.a, encoding)
    await agent.write(*({"type": "pong"} for _ in range(agent.welcome["limits"]["frames"] + 1)))
    await expect_close(agent, 4005, "never")


async def wrong_kind(relay, encoding):
    agent = await Agent.open(relay.url, relay.a, encoding)
    other = "msgpack" if encoding == "json" else "json"
    await agent.socket.send(wire.encode(other, [{"type": "ping", "id": 2}]))
    await expect_close(agent, 1003, "never")


async def too_large(relay, encoding):
    agent = await Agent.open(relay.url, relay.a, encoding)
    size = agent.welcome["limits"]["message"] + 1
    await agent.socket.send(" " * size if encoding == "json" else b"\x80" * size)
    assert await agent.closed() == 1009, agent.socket.close_code


async def websocket_ping(relay, encoding):
    agent = await Agent.open(relay.url, relay.a, encoding)
    await asyncio.wait_for(await agent.socket.ping(b"are you there"), 5)
    await agent.leave()


async def chosen(relay):
    offered = ["other.v9", wire.SUBPROTOCOLS["msgpack"], wire.SUBPROTOCOLS["json"]]
    agent = await Agent.open(relay.url, relay.a, "msgpack", subprotocols=offered)
    assert agent.socket.subprotocol == offered[1], agent.socket.subprotocol
    await agent.leave()


async def no_subprotocol(relay):
    for offered in (["other.v9"], None):
        try:
            await websockets.connect(relay.url, subprotocols=offered)
        except websockets.InvalidStatus as refusal:
            assert refusal.response.status_code == 400, refusal.response
            assert b"version_unsupported" in refusal.response.body, refusal.response.body
        else:
            raise AssertionError("the upgrade was accepted")


async def by_header(relay):
    agent = await Agent.open(relay.url, None, headers={"Authorization": f"Bearer {relay.a}"})
    await agent.leave()


async def by_subprotocol(relay):
    offered = [wire.SUBPROTOCOLS["json"], f"agent-relay.token.{relay.a}"]
    agent = await Agent.open(relay.url, None, subprotocols=offered)
    assert agent.socket.subprotocol == offered[0], agent.socket.subprotocol
    await agent.leave()


async def two_sessions(relay):
    first, second = await Agent.open(relay.url, relay.a), await Agent.open(relay.url, relay.a)
    assert first.address == second.address and first.session != second.session
    for agent in (first, second):
        await agent.leave()
