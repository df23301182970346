//! Several relays, their clients and all that goes wrong, in one thread on a paused clock: everything random follows from
//! one seed, so that a run that broke a promise can be had again.
//!
//! The relays are made of their own parts: sessions over sockets that never leave the process, routers, the faulty
//! [bus](relay::bus::faulty) and [store](relay::streams::faulty) over those in memory. What is not here are Redis,
//! the kernel's sockets, the upgrade and tokens. Clients report to a [history](relay_tests::history), which is judged.
//!
//! * [`Mode::Safety`]: things go wrong until the end; nothing that was promised may be broken on the way.
//! * [`Mode::Liveness`]: then everything works again, and what was accepted, and what is sent from then on, arrives.

mod client;
mod directory;
mod grounds;
mod instance;
mod letters;
mod line;
mod many;
mod outage;
mod plan;
mod run;
mod socket;
mod spoiled_bus;
mod spoiled_store;
mod tenants;

pub use many::{Figures, cores, run_many};
pub use plan::{Mode, Plan, Spoil, Way};
pub use run::{Report, run};
