//! The floor: what a bare WebSocket server costs on this machine, which no relay can cost less than; or what Redis alone stores
//! or carries, which no relay can exceed.
//!
//! It runs as a process of its own (`relay-loadtest floor`), in turn with the relay, under the same number of sockets,
//! the same payload and the same depth, so that the two figures come from the same minutes of the same machine.

pub mod beside;
pub mod bus;
pub mod client;
pub mod fan_out;
pub mod paced;
pub mod process;
pub mod serve;
pub mod spec;
pub mod store;

mod broadcast;
mod raw;

pub use spec::{FloorSpec, ServerSpec, Upgrade};
