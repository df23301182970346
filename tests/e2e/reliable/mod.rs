//! Reliable delivery on whole relays.

mod crash;
mod crew;
mod delivery;
mod lease;
mod redis_lost;
mod rolling;
