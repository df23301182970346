"""Frames on the wire, written from PROTOCOL.md.

A frame is a dict with the fields of PROTOCOL.md; its payload stands under `payload` as `{"json": TEXT}` or
`{"bytes": HEX}` whatever the encoding, as in the golden vectors. Fields that are null are dropped.
"""

import base64
import json

import msgpack

SUBPROTOCOLS = {"json": "agent-relay.v1.json", "msgpack": "agent-relay.v1.msgpack"}
WITH_PAYLOAD = {"send", "message"}
WHITE_SPACE = " \t\r\n"

_decoder = json.JSONDecoder()


class Malformed(Exception):
    """A WebSocket message that is not frames."""


def encode(encoding, frames):
    """One WebSocket message: text for JSON, bytes for MessagePack."""
    if encoding == "msgpack":
        return b"".join(msgpack.packb(_to_msgpack(frame)) for frame in frames)
    texts = [_to_json(frame) for frame in frames]
    return texts[0] if len(texts) == 1 else "[" + ",".join(texts) + "]"


def decode(encoding, data):
    """The frames of one WebSocket message."""
    frames = _from_json(data) if encoding == "json" else _from_msgpack(data)
    if not frames:
        raise Malformed("no frame")
    return [{key: value for key, value in frame.items() if value is not None} for frame in frames]


def payload_of(frame):
    """The payload as Python sees it: a value for JSON text, bytes for bytes."""
    payload = frame["payload"]
    return json.loads(payload["json"]) if "json" in payload else bytes.fromhex(payload["bytes"])


def json_payload(value):
    return {"json": json.dumps(value, ensure_ascii=False)}


def bytes_payload(data):
    return {"bytes": data.hex()}


def _to_json(frame):
    fields = []
    for key, value in frame.items():
        if key != "payload":
            fields.append(f"{json.dumps(key)}:{json.dumps(value, ensure_ascii=False)}")
        elif "json" in value:
            fields.append(f'"payload":{value["json"]}')
        else:
            text = base64.b64encode(bytes.fromhex(value["bytes"])).decode()
            fields.append(f'"payload_b64":"{text}"')
    return "{" + ",".join(fields) + "}"


def _to_msgpack(frame):
    plain = dict(frame)
    if "payload" in plain:
        payload = plain["payload"]
        plain["payload"] = payload["json"] if "json" in payload else bytes.fromhex(payload["bytes"])
    return plain


def _from_msgpack(data):
    unpacker = msgpack.Unpacker(raw=False, strict_map_key=False)
    unpacker.feed(data)
    try:
        frames = list(unpacker)
    except (ValueError, msgpack.exceptions.UnpackException) as error:
        raise Malformed(str(error)) from error
    if not all(isinstance(frame, dict) for frame in frames):
        raise Malformed("not a map")
    for frame in frames:
        payload = frame.pop("payload", None)
        if frame.get("type") in WITH_PAYLOAD:
            if isinstance(payload, bytes):
                frame["payload"] = {"bytes": payload.hex()}
            else:
                text = "null" if payload is None else payload
                frame["payload"] = {"json": text.strip(WHITE_SPACE)}
    return frames


def _from_json(text):
    at = _skip(text, 0)
    if text[at : at + 1] != "[":
        frame, at = _frame(text, at)
        frames = [frame]
    else:
        frames, at = _batch(text, _skip(text, at + 1))
    if _skip(text, at) != len(text):
        raise Malformed("text behind the frames")
    return frames


def _batch(text, at):
    frames = []
    while True:
        frame, at = _frame(text, at)
        frames.append(frame)
        at = _skip(text, at)
        if text[at : at + 1] == "]":
            return frames, at + 1
        at = _skip(text, _expect(text, at, ","))


def _frame(text, at):
    """One map, and where it ends. The text of its payload is cut out as it stands."""
    frame, payload = {}, None
    at = _skip(text, _expect(text, at, "{"))
    while text[at : at + 1] != "}":
        key, at = _value(text, at)
        at = _skip(text, _expect(text, _skip(text, at), ":"))
        value, end = _value(text, at)
        if key == "payload":
            payload = {"json": text[at:end]}
        elif key == "payload_b64":
            payload = {"bytes": base64.b64decode(value, validate=True).hex()}
        else:
            frame[key] = value
        at = _skip(text, end)
        if text[at : at + 1] == ",":
            at = _skip(text, at + 1)
    if frame.get("type") in WITH_PAYLOAD:
        frame["payload"] = payload or {"json": "null"}
    return frame, at + 1


def _value(text, at):
    try:
        return _decoder.raw_decode(text, at)
    except ValueError as error:
        raise Malformed(str(error)) from error


def _expect(text, at, character):
    if text[at : at + 1] != character:
        raise Malformed(f"{character} expected at {at}")
    return at + 1


def _skip(text, at):
    while at < len(text) and text[at] in WHITE_SPACE:
        at += 1
    return at
