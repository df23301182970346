//! Whole relays, tested from outside: real processes, a real Redis, real sockets.

mod drain;
mod redis_outage;
mod traffic;
