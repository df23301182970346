//! Whole sessions over an in-memory socket, with a clock that the test moves.

mod clocks;
mod commands;
mod identity;
mod rig;
