"""One connection to a relay: hello, increasing ids, pongs, and frames to wait for."""

import asyncio
import time

import websockets

import wire

WAIT_S = 5.0
QUIET_S = 0.3


class Closed(Exception):
    """The connection ended while something was awaited."""


class Agent:
    """Use `await Agent.open(…)`; `welcome` holds the answer to `hello`."""

    def __init__(self, socket, encoding):
        self.socket = socket
        self.encoding = encoding
        self.next_id = 1
        self.frames = []
        self.welcome = None
        self.changed = asyncio.Event()
        self.reader = asyncio.create_task(self._read())

    @classmethod
    async def connect(cls, url, encoding, headers=None, subprotocols=None):
        offered = subprotocols or [wire.SUBPROTOCOLS[encoding]]
        socket = await websockets.connect(
            url, subprotocols=offered, additional_headers=headers, compression=None, max_size=None, ping_interval=None
        )
        return cls(socket, encoding)

    @classmethod
    async def open(cls, url, token, encoding="json", resume=None, **options):
        agent = await cls.connect(url, encoding, **options)
        hello = {"type": "hello", "client": "relay-conformance-python/1"}
        if resume:
            hello["resume"] = resume
        agent.welcome = await agent.command({**hello, "token": token} if token else hello, "welcome")
        return agent

    @property
    def address(self):
        return self.welcome["agent"]

    @property
    def session(self):
        return self.welcome["session"]

    def number(self, frame):
        """The frame as a command of the next id."""
        numbered = {"type": frame["type"], "id": self.next_id, **frame}
        self.next_id += 1
        return numbered

    async def write(self, *frames):
        await self.socket.send(wire.encode(self.encoding, frames))

    async def command(self, frame, *answers):
        """Sends a command and returns its answer: of one of the types named, or of any."""
        numbered = self.number(frame)
        await self.write(numbered)
        answer = await self.wait(lambda got: got.get("id") == numbered["id"])
        if answers and answer["type"] not in answers:
            raise AssertionError(f"{'/'.join(answers)} expected, got {answer}")
        return answer

    async def send(self, to, payload=None, **fields):
        """Sends a message and returns its id."""
        frame = self.number({"type": "send", "to": to, **fields, "payload": payload or {"json": "null"}})
        await self.write(frame)
        return frame["id"]

    async def outcome(self, identifier):
        """`queued`, `accepted`, `unknown`, or `failed:` and the reason."""
        return await self.wait(lambda frame: outcome_in(frame, identifier), take=False)

    async def message(self, matches=lambda _: True):
        return await self.wait(lambda frame: frame["type"] == "message" and matches(frame))

    async def wait(self, matches, take=True, timeout=WAIT_S):
        """The first frame that matches, or what `matches` made of it; taken out of the frames unless told."""
        deadline = time.monotonic() + timeout
        while True:
            for index, frame in enumerate(self.frames):
                found = matches(frame)
                if found:
                    if take:
                        del self.frames[index]
                    return frame if found is True else found
            if self.reader.done():
                raise Closed(f"closed with {self.socket.close_code}, frames left: {self.frames}")
            self.changed.clear()
            try:
                await asyncio.wait_for(self.changed.wait(), deadline - time.monotonic())
            except TimeoutError:
                raise AssertionError(f"nothing came in {timeout} s; frames left: {self.frames}") from None

    async def silent(self, matches):
        """Nothing that matches comes for a moment."""
        try:
            frame = await self.wait(matches, timeout=QUIET_S)
        except AssertionError:
            return
        raise AssertionError(f"unexpected {frame}")

    async def closed(self):
        """The close code; a `closing` frame with the same code goes before it, unless the client began."""
        await asyncio.wait_for(asyncio.shield(self.reader), WAIT_S)
        return self.socket.close_code

    async def leave(self):
        await self.socket.close()
        await self.reader

    async def _read(self):
        try:
            async for data in self.socket:
                for frame in wire.decode("json" if isinstance(data, str) else "msgpack", data):
                    if frame["type"] == "ping":
                        await self.write({"type": "pong"})
                    else:
                        self.frames.append(frame)
                self.changed.set()
        except websockets.ConnectionClosed:
            pass
        finally:
            self.changed.set()


def outcome_in(frame, identifier):
    """What a frame says about the send of that id, if it says something final."""
    if frame["type"] == "error" and frame.get("id") == identifier:
        return f"failed:{frame['code']}"
    if frame["type"] == "receipt":
        for name in ("queued", "accepted", "delivered", "unknown"):
            if any(first <= identifier <= last for first, last in frame.get(name, [])):
                return name
        for failed in frame.get("failed", []):
            if failed["id"] <= identifier <= failed.get("last", failed["id"]):
                return f"failed:{failed['reason']}"
    return None
