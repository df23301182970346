//! Reliable delivery on whole relays.

mod crash;
mod delivery;
mod redis_lost;
mod rolling;
