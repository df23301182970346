//! Servers that others use for the same, behind the same scenarios.
//!
//! A peer is a [dialect](crate::agent::dialect) and a place: each agent has one subject (channel, room) of its own that direct
//! messages go to, each topic is one that all its subscribers share, and every message says who sent it, as a relay's does.
//! How they are run and configured is in `loadtest/PEERS.md`.

mod centrifugo;
mod frames;
mod nats;
mod socketio;

use clap::ValueEnum;
use relay_protocol::Address;
use serde::Serialize;

use crate::agent::Dialect;
use crate::peer::frames::Names;
use crate::token::Identity;

/// Scenarios in which agents only connect, subscribe and send, which is all that a dialect says.
pub const SCENARIOS: [&str; 5] = ["idle", "direct", "fan-out", "lean-swarm", "multi-agent-swarm"];

/// A server that others use for the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Peer {
    /// Centrifugo: its JSON protocol over WebSocket, tokens checked.
    Centrifugo,
    /// NATS over WebSocket, no credentials.
    Nats,
    /// Socket.IO over WebSocket alone, the server that `loadtest/peers/socketio` holds.
    #[value(name = "socketio")]
    SocketIo,
}

impl Peer {
    /// Every one.
    pub const ALL: [Peer; 3] = [Peer::Centrifugo, Peer::Nats, Peer::SocketIo];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Peer::Centrifugo => "centrifugo",
            Peer::Nats => "nats",
            Peer::SocketIo => "socketio",
        }
    }

    /// Where it listens for WebSockets unless told otherwise.
    pub fn path(self) -> &'static str {
        match self {
            Peer::Centrifugo => "/connection/websocket",
            Peer::Nats => "/",
            Peer::SocketIo => "/socket.io/?EIO=4&transport=websocket",
        }
    }

    /// What an agent speaks there; nothing for an identity whose name is no agent's.
    pub fn dialect(self, identity: &Identity) -> Option<Dialect> {
        let me = Address::parse(identity.address().into())?.into_owned();
        let names = Names { prefix: format!("{}.", identity.tenant), me };
        Some(match self {
            Peer::Centrifugo => centrifugo::dialect(names),
            Peer::Nats => nats::dialect(names),
            Peer::SocketIo => socketio::dialect(names),
        })
    }
}
