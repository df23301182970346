//! Two routers over a bus that fails by seed.

mod faults;
mod fleet;
mod ledger;
