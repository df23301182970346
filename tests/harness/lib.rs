//! What the end-to-end tests share: whole relays and a whole Redis, started on free ports and stopped by guards; raw
//! sockets that break rules; metrics as a scraper sees them; traffic whose every message is accounted for.
//!
//! Clients, tokens, processes and the checker are `relay-loadtest`'s. Nothing here knows the relay from inside.

pub mod api;
pub mod eventually;
pub mod fleet;
pub mod history;
pub mod http;
pub mod key_server;
pub mod metrics;
pub mod peer;
pub mod program;
pub mod proxy;
pub mod raw;
pub mod reconnecting;
pub mod redis;
pub mod redis_cluster;
pub mod reliable;
pub mod secured;
pub mod secured_cluster;
pub mod seed;
pub mod sentinel;
pub mod steady;
pub mod talk;
pub mod turn;

pub use eventually::eventually;
pub use fleet::Fleet;
