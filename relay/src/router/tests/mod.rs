//! Two routers over a bus that fails by seed, and the order on a link.

mod faults;
mod fleet;
mod ledger;
mod link;
