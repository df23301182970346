//! What the relay does while something it leans on does not do its part.

mod breaker;
mod level;

pub use breaker::{Breaker, BreakerSettings, Call, Circuit, Failure, Refused};
pub use level::{Dependencies, Dependency, Health, Level, SELF, Standing};
