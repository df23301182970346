"""Runs the golden vectors: what they describe is what this client reads and writes."""

import json
import sys
from pathlib import Path

import wire

FOLDER = Path(__file__).resolve().parents[3] / "protocol" / "tests" / "vectors"
KNOWN = {
    "client": "hello auth send subscribe unsubscribe join leave watch unwatch ping pong ack credit bye",
    "server": "welcome ok error message receipt ping pong flow gap degraded presence skip resume token_expiring drain closing",
}


def inputs(entry):
    if "json" in entry:
        yield "json", entry["json"]
    if "msgpack" in entry:
        yield "msgpack", bytes.fromhex(entry["msgpack"])


def same(entry, frames, known):
    frames = [frame for frame in frames if frame["type"] in known]
    if entry["canonical"]:
        return frames == entry["frames"]
    # Unknown fields and defaults may stand in the frame; what is described must.
    return len(frames) == len(entry["frames"]) and all(map(contains, frames, entry["frames"]))


def contains(frame, described):
    return all(frame.get(key) == value for key, value in described.items())


def main():
    passed = failed = 0
    for side, types in KNOWN.items():
        known = set(types.split())
        for entry in json.loads((FOLDER / f"{side}.json").read_text("utf-8")):
            for encoding, data in inputs(entry):
                read = wire.decode(encoding, data)
                written = wire.decode(encoding, wire.encode(encoding, entry["frames"]))
                if same(entry, read, known) and written == entry["frames"]:
                    passed += 1
                else:
                    failed += 1
                    print(f"{side} vector {entry['name']!r} in {encoding}: read {read}, wrote {written}")
    print(f"vectors: {passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
