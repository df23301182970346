"""Where the time of a relay goes: groups the samples of `perf script` on standard input, as shares of all."""

import collections
import re
import sys

# A sample counts for the first group of which a frame, from the innermost outwards, is a part.
GROUPS = [
    ("kernel: writing", r"^__x64_sys_(sendto|writev|sendmsg|write)$|poll_write_(vectored_)?priv"),
    ("kernel: reading", r"^__x64_sys_(recvfrom|read|recvmsg)$|TcpStream::poll_read_priv"),
    ("kernel: waiting and waking", r"^__x64_sys_(epoll_wait|futex)$|Waker::wake$|park_internal|Driver::turn"),
    ("the allocator", r"jem|rallocx|dallocx|^(malloc|calloc|free|realloc)$|finish_grow"),
    ("Redis client", r"fred::|redis_protocol::"),
    ("reading frames", r"relay_protocol::(batch|plain|address|data|decode|payload|limit)|core::str::converts"),
    ("writing frames", r"relay_protocol::(write|chunk_writer|shared|json|msgpack)|itoa"),
    ("WebSocket library and metering", r"tungstenite|session::(transport|wire|meter)|utf8"),
    ("limits", r"relay::limits|relay::quota|governor"),
    ("rights", r"relay::auth"),
    ("finding the recipient", r"relay::router|dashmap|relay::directory|relay::bus"),
    ("queues", r"relay::outbound"),
    ("counters", r"metrics|relay::telemetry"),
    ("a session's turn", r"relay::session"),
    ("runtime", r"tokio|futures|std::sys|core::|std::"),
]


def stacks(lines):
    stack = []
    for line in lines:
        frame = re.match(r"\s+[0-9a-f]+ (.*?)(?:\+0x[0-9a-f]+)? \(", line)
        if frame:
            stack.append(frame.group(1))
        elif stack:
            yield stack
            stack = []
    if stack:
        yield stack


def group(stack):
    for frame in stack:
        for name, pattern in GROUPS:
            if re.search(pattern, frame):
                return name
    return "elsewhere"


def main():
    count = collections.Counter(group(stack) for stack in stacks(sys.stdin))
    total = sum(count.values())
    print(f"{total} samples")
    for name, samples in count.most_common():
        print(f"{100 * samples / total:5.1f} %  {name}")


main()
