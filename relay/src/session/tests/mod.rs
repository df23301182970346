//! Whole sessions over an in-memory socket, with a clock that the test moves.

mod bounds;
mod clocks;
mod commands;
mod degraded;
mod duplicates;
mod identity;
mod presence;
mod reliable;
mod resume;
mod rig;
mod streams;
