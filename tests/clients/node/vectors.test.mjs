// Runs the golden vectors: what they describe is what this client reads and writes.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { decode, encode } from "./wire.mjs";

const FOLDER = new URL("../../../protocol/tests/vectors/", import.meta.url);
const KNOWN = {
  client: "hello auth send subscribe unsubscribe join leave watch unwatch ping pong ack credit bye",
  server: "welcome ok error message receipt ping pong flow gap degraded presence skip resume token_expiring drain closing",
};

for (const [side, types] of Object.entries(KNOWN)) {
  const known = types.split(" ");
  for (const entry of JSON.parse(readFileSync(new URL(`${side}.json`, FOLDER), "utf8"))) {
    test(`${side}: ${entry.name}`, () => {
      const inputs = { json: entry.json, msgpack: entry.msgpack && Buffer.from(entry.msgpack, "hex") };
      for (const [encoding, data] of Object.entries(inputs)) {
        if (data === undefined) continue;
        const read = decode(encoding, data).filter((frame) => known.includes(frame.type));
        if (entry.canonical) {
          assert.deepEqual(read, entry.frames);
        } else {
          // Unknown fields and defaults may stand in the frame; what is described must.
          const described = read.map((frame, at) => pick(frame, Object.keys(entry.frames[at])));
          assert.deepEqual(described, entry.frames);
        }
        assert.deepEqual(decode(encoding, encode(encoding, entry.frames)), entry.frames);
      }
    });
  }
}

function pick(frame, keys) {
  return Object.fromEntries(keys.map((key) => [key, frame[key]]));
}
