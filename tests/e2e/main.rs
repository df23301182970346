//! Whole relays, tested from outside: real processes, a real Redis, real sockets.

mod abuse;
mod api;
mod drain;
mod duplicates;
mod foreign;
mod groups;
mod health;
mod identity;
mod instance_death;
mod isolation;
mod keys;
mod levels;
mod limits;
mod presence;
mod redis;
mod reliable;
mod secrecy;
mod slow_recipient;
mod start;
mod trace;
mod traffic;
