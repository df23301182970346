//! Reliable delivery on whole relays.

mod crash;
mod delivery;
mod outcomes;
mod redis_lost;
mod rolling;
