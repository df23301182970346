//! Several processes of the generator driven as one, for a process may open only so many sockets.
//!
//! The one that was called [leads](lead()): it starts itself again, gives each [worker](work()) whole pairs of agents and a part of the
//! rate, waits until all have connected, and names the moment at which traffic begins. Both of a pair are in one process, so
//! that each worker's checker sees what was sent and what came, and latency is told by one clock. What is known of the
//! machine (CPU time, memory) is measured by who leads; histograms and tallies are added up.
//!
//! They talk over the worker's standard input and output, a line of JSON a word: the key that signs tokens is
//! shown neither as an argument nor in an environment. A worker whose leader is gone ends.

mod lead;
mod process;
mod share;
mod wire;
mod work;

pub use lead::lead;
pub use process::Workers;
pub use work::work;
