//! One connection and the session under it: from the upgrade to the last byte, in one task.
//!
//! The task owns the socket and is the only one that reads or writes it. [`Session::poll`] goes both ways in each turn,
//! so a peer that does not take what is written is still read from, and the reverse. Others reach a session only
//! through its [`Outbound`] queue.

mod answer;
mod context;
mod credit;
mod duplicates;
mod groups;
mod handshake;
mod inbound;
mod meter;
mod moment;
mod opening;
mod presence;
mod pulse;
mod reading;
mod reliable;
mod renewal;
mod replies;
mod run;
mod send;
mod subscribing;
mod subscriptions;
mod ticket;
mod transport;
mod wire;
mod write;

use std::pin::Pin;
use std::sync::Arc;

use relay_protocol::{Address, Chunk};
use tokio::time::Sleep;

use crate::auth::Principal;
use crate::limits::SessionLimits;
use crate::outbound::{CloseSignal, Outbound, Told};
use crate::resilience::Shed;
use crate::router::{Registration, Turn};

pub use context::{Returns, SessionContext, SessionSettings, Upgraded};
pub use run::serve;
pub use wire::Socket;

use moment::{Moment, Tally};
use presence::Seen;
use pulse::Pulse;
use reliable::Reliable;
use renewal::Renewal;
use replies::ReplyRights;
use subscriptions::Subscriptions;
use ticket::Ticket;
use transport::Transport;

/// A welcomed connection.
struct Session<S> {
    context: Arc<SessionContext>,
    transport: Transport<S>,
    outbound: Arc<Outbound>,
    registration: Registration,
    principal: Principal,
    agent: Address<'static>,
    address: Address<'static>,
    limits: SessionLimits,
    subscriptions: Subscriptions,
    seen: Seen,
    replies: ReplyRights,
    pulse: Pulse,
    timer: Pin<Box<Sleep>>,
    /// The last command's `id`.
    last_id: u64,
    /// Sends that are refused while the processor does not keep up.
    shed: Shed,
    /// Commands refused by a rate, one after another.
    strikes: u32,
    /// Answers to what was just read.
    answers: Vec<Chunk>,
    told: Told,
    needs_flush: bool,
    moment: Moment,
    turn: Turn,
    tally: Tally,
    renewal: Option<Renewal>,
    /// What the client shows to go on with the session.
    ticket: Ticket,
    /// Apart, as most of a connection's life nothing of it is used.
    reliable: Box<Reliable>,
}

/// Why a session is over.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Over {
    /// The client left, or its connection broke.
    Left,
    /// The relay ends it.
    Close(CloseSignal),
}

#[cfg(test)]
mod tests;
