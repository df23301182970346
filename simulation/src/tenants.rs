//! The tenants of a run.

/// The tenants, whose names are of one length.
pub(crate) const TENANTS: [&str; 2] = ["acme", "evil"];

/// The tenant that this one is to have nothing to do with.
pub(crate) fn other(tenant: &str) -> &'static str {
    if tenant == TENANTS[0] { TENANTS[1] } else { TENANTS[0] }
}
