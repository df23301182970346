//! What no well-meaning client does, each with its documented answer; and after each the relay serves as before.

mod admission;
mod commands;
mod flood;
mod framing;
mod head;
mod storm;
