//! Load generator and delivery checker for agent-relay.
//!
//! [`run`] is the program: it [launches](launch) relays or reaches those that run, gives a [`scenario`] to a
//! [`trial`], and makes a [`report`] of what it showed. In a trial thousands of simulated [agents](agent) send payloads
//! that are [stamped](stamp) with a number for each sender and destination; what arrived and what was answered is laid
//! side by side by the [`checker`], which says which promises were broken. The [`floor`] is what a bare WebSocket server
//! costs on the same machine; [peers](peer) are servers that others use for the same. Where one process may not open
//! enough sockets, [`workers`] share the agents.
//!
//! It knows the relay only by its protocol (`relay-protocol`) and its command line.

pub mod agent;
pub mod arguments;
pub mod bench;
pub mod capacity;
pub mod checker;
pub mod cli;
pub mod clock;
pub mod floor;
pub mod launch;
pub mod limit;
pub mod listener;
pub mod matrix;
pub mod metrics;
pub mod peer;
pub mod place;
pub mod plan;
pub mod print;
pub mod process;
pub mod report;
pub mod results;
pub mod run;
pub mod scenario;
pub mod search;
pub mod stamp;
pub mod target;
pub mod throttle;
pub mod token;
pub mod trial;
pub mod workers;
