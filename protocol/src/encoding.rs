//! The two encodings and the WebSocket subprotocols that choose them.

/// How frames are written on a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// JSON in text messages.
    Json,
    /// MessagePack in binary messages.
    Msgpack,
}

/// Prefix of the subprotocol entry that carries a token; never answered with.
pub const TOKEN_SUBPROTOCOL_PREFIX: &str = "agent-relay.token.";

impl Encoding {
    /// Every encoding.
    pub const ALL: [Encoding; 2] = [Encoding::Json, Encoding::Msgpack];

    /// The subprotocol that names it.
    pub const fn subprotocol(self) -> &'static str {
        match self {
            Encoding::Json => "agent-relay.v1.json",
            Encoding::Msgpack => "agent-relay.v1.msgpack",
        }
    }

    /// The encoding that a subprotocol names.
    pub fn from_subprotocol(name: &str) -> Option<Encoding> {
        Encoding::ALL.into_iter().find(|encoding| encoding.subprotocol() == name)
    }
}
