//! The relay.

pub mod bus;
pub mod directory;
pub mod redis;
