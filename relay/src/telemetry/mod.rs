//! What can be seen from outside: metrics, the fate of each message, logs. Never a payload, a token or an address.

pub mod limit;
pub mod logs;
pub mod metrics;
pub mod outcome;
pub mod reason;
