//! What the relay does while something it leans on does not do its part.

mod backlog;
mod breaker;
mod level;
mod overload;
mod shed;

pub use breaker::{Breaker, BreakerSettings, Call, Circuit, Failure, Refused};
pub use level::{Dependencies, Dependency, Health, Level, PROCESSOR, SELF, Standing};
pub use overload::Overload;
pub use shed::Shed;
