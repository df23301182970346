//! Work shared among the members of a group.

mod directory_away;
mod killed_worker;
mod pending;
mod sharing;
