//! Reliable delivery on whole relays.

mod crash;
mod crew;
mod delivery;
mod lease;
mod outcomes;
mod redis_lost;
mod rolling;
mod stolen;
