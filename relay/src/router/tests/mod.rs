//! Two routers over a bus that fails by seed, the order on a link, and the work of groups between instances.

mod faults;
mod fleet;
mod groups;
mod ledger;
mod link;
mod moves;
