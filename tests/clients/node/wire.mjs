// Frames on the wire, written from PROTOCOL.md.
//
// A frame is an object with the fields of PROTOCOL.md; its payload stands under `payload` as {json: TEXT} or
// {bytes: HEX} whatever the encoding, as in the golden vectors. Fields that are null are dropped.

import { decodeMulti, encode as pack } from "@msgpack/msgpack";

import { elements, entries, isOneValue, trimmed } from "./text.mjs";

export const SUBPROTOCOLS = { json: "agent-relay.v1.json", msgpack: "agent-relay.v1.msgpack" };
export const ENCODINGS = Object.keys(SUBPROTOCOLS);

const WITH_PAYLOAD = new Set(["send", "message"]);

/** One WebSocket message: a string for JSON, bytes for MessagePack. */
export function encode(encoding, frames) {
  if (encoding === "msgpack") {
    return Buffer.concat(frames.map((frame) => pack(toMsgpack(frame))));
  }
  const texts = frames.map(toJson);
  return texts.length === 1 ? texts[0] : `[${texts.join(",")}]`;
}

/** The frames of one WebSocket message. */
export function decode(encoding, data) {
  const frames = encoding === "json" ? fromJson(data) : fromMsgpack(data);
  if (frames.length === 0) {
    throw new Error("a message without a frame");
  }
  return frames.map((frame) => Object.fromEntries(Object.entries(frame).filter(([, value]) => value !== null)));
}

/** The payload as JavaScript sees it: a value for JSON text, a buffer for bytes. */
export function payloadOf(frame) {
  const { json, bytes } = frame.payload;
  return json === undefined ? Buffer.from(bytes, "hex") : JSON.parse(json);
}

export const jsonPayload = (value) => ({ json: JSON.stringify(value) });

function toJson(frame) {
  const fields = Object.entries(frame).map(([key, value]) => {
    if (key !== "payload") {
      return `${JSON.stringify(key)}:${JSON.stringify(value)}`;
    }
    return value.json === undefined
      ? `"payload_b64":"${Buffer.from(value.bytes, "hex").toString("base64")}"`
      : `"payload":${value.json}`;
  });
  return `{${fields.join(",")}}`;
}

function toMsgpack({ payload, ...frame }) {
  if (payload === undefined) {
    return frame;
  }
  return { ...frame, payload: payload.json ?? Buffer.from(payload.bytes, "hex") };
}

function fromMsgpack(data) {
  return [...decodeMulti(data)].map((value) => {
    const { payload, ...frame } = map(value);
    if (WITH_PAYLOAD.has(frame.type)) {
      frame.payload =
        payload instanceof Uint8Array
          ? { bytes: Buffer.from(payload).toString("hex") }
          : { json: trimmed(payload ?? "null") };
    }
    return frame;
  });
}

function fromJson(text) {
  const whole = trimmed(text);
  if (!isOneValue(whole)) {
    throw new Error("not one JSON value");
  }
  return (whole.startsWith("[") ? elements(whole) : [whole]).map(frameOf);
}

/** The text of a payload is cut out as it stands; everything else is parsed. */
function frameOf(text) {
  map(JSON.parse(text));
  const frame = {};
  let payload = { json: "null" };
  for (const [key, value] of entries(text)) {
    if (key === "payload") {
      payload = { json: value };
    } else if (key === "payload_b64") {
      payload = { bytes: Buffer.from(JSON.parse(value), "base64").toString("hex") };
    } else {
      frame[key] = JSON.parse(value);
    }
  }
  return WITH_PAYLOAD.has(frame.type) ? { ...frame, payload } : frame;
}

function map(value) {
  if (typeof value !== "object" || value === null || Array.isArray(value) || value instanceof Uint8Array) {
    throw new Error("a frame is a map");
  }
  return value;
}
