//! Whole relays, tested from outside: real processes, a real Redis, real sockets.

mod abuse;
mod drain;
mod foreign;
mod health;
mod identity;
mod instance_death;
mod limits;
mod redis_outage;
mod slow_recipient;
mod start;

mod traffic;
