//! x
pub mod agent;
pub mod checker;
pub mod clock;
pub mod stamp;
