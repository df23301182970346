//! The numbers that both ends must agree on, each with its reason. What an operator may choose travels in `welcome`.

/// The largest `id` of a command: the largest integer that a JavaScript number holds exactly.
pub const ID_MAX: u64 = (1 << 53) - 1;
/// The largest WebSocket message before `welcome`: a token of 8 KiB, a resume list and room.
pub const HELLO_BYTES_MAX: usize = 16 * 1024;
/// The longest token read at all; RS256 tokens of large identity providers stay below 4 KiB.
pub const TOKEN_BYTES_MAX: usize = 8 * 1024;
/// How long a client may take for its `hello`, in milliseconds.
pub const HELLO_TIMEOUT_MS: u64 = 5_000;
/// How long the relay waits for any frame after a heartbeat, in milliseconds.
pub const PONG_TIMEOUT_MS: u64 = 8_000;
/// The default bound of a payload, as large as Ably's and Centrifugo's.
pub const PAYLOAD_BYTES_DEFAULT: usize = 64 * 1024;
/// The bound of a payload that no configuration may exceed.
pub const PAYLOAD_BYTES_MAX: usize = 1024 * 1024;
/// What a WebSocket message may hold beside one payload of full size in base64.
pub const METADATA_BYTES_MAX: usize = 16 * 1024;
/// The most fragments of one WebSocket message: 64 KiB in 1 KiB pieces; more is an attack on the reader.
pub const FRAGMENTS_MAX: u32 = 64;
/// The most WebSocket control frames a second: browsers send none, libraries one each 20 s.
pub const CONTROL_FRAMES_PER_S_MAX: u32 = 10;
/// The longest name of an agent: Firebase user ids have up to 128.
pub const AGENT_BYTES_MAX: usize = 128;
/// The longest tenant.
pub const TENANT_BYTES_MAX: usize = 64;
/// The longest topic or group.
pub const TOPIC_BYTES_MAX: usize = 128;
/// The most segments of a topic: each is one more channel a wildcard may listen on.
pub const TOPIC_SEGMENTS_MAX: usize = 8;
/// The length of the random part of a session id: 128 bits in base64url.
pub const SESSION_SUFFIX_BYTES: usize = 22;
/// The longest `mid`, `correlation_id` or `key`: a UUID has 36, a trace id 32.
pub const TOKEN_NAME_BYTES_MAX: usize = 64;
/// The most headers of a message.
pub const HEADERS_MAX: usize = 16;
/// All header names and values of a message together.
pub const HEADERS_BYTES_MAX: usize = 2 * 1024;
/// The longest name of a client in `hello`.
pub const CLIENT_NAME_BYTES_MAX: usize = 64;
/// All text of a card in `hello` together: shown in listings of a hundred agents.
pub const CARD_BYTES_MAX: usize = 1024;
/// The longest name in a card.
pub const CARD_NAME_BYTES_MAX: usize = 128;
/// The most skills of a card.
pub const CARD_SKILLS_MAX: usize = 16;
/// The longest life a message may ask for, in milliseconds: a day, as long as any stream keeps.
pub const TTL_MS_MAX: u64 = 24 * 60 * 60 * 1000;
/// The most streams in a `resume`.
pub const RESUME_STREAMS_MAX: usize = 256;

/// The largest WebSocket message for a bound of payloads: base64 makes 4 bytes of 3.
pub const fn message_bytes_max(payload_bytes_max: usize) -> usize {
    payload_bytes_max.div_ceil(3) * 4 + METADATA_BYTES_MAX
}
