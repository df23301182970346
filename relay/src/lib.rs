//! agent-relay: the relay that browser-hosted agents use to talk to each other.
//!
//! # The path of one message
//!
//! 1. [`server`] takes a permit, checks the request, and upgrades it; [`auth`] turns a token into a principal.
//! 2. [`session`] reads the socket, decodes a frame, refuses it for the first reason that holds ([`limits`], rights), or
//!    hands it to the router.
//! 3. [`router`] looks where the recipient is: on this instance it goes straight to the session's queue; elsewhere, by
//!    the [`directory`], into the batch for that instance; a topic into the batch for its channel.
//! 4. [`bus`] carries the batch.
//! 5. The router of the other instance puts it on the queues of its sessions and reports what became of it.
//! 6. [`outbound`] holds it until the recipient's session writes it, with all that waits, in one write.
//! 7. The sender hears its one outcome.
//!
//! Imports only go down this list: `app`, `server`, `session`, `router`, then `bus`, `directory` and `outbound`.

pub mod api;
pub mod api_keys;
pub mod app;
pub mod auth;
pub mod bus;
pub mod clock;
pub mod config;
pub mod directory;
pub mod entropy;
pub mod idempotency;
pub mod lifecycle;
pub mod limits;
pub mod outbound;
pub mod presence;
pub mod quota;
pub mod redis;
pub mod resilience;
pub mod revocation;
pub mod router;
pub mod server;
pub mod session;
pub mod streams;
pub mod telemetry;
pub mod tenants;
pub mod tls;
