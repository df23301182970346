//! The audit log: one line for each administrative act, under the target `audit`, whatever became of it. Names only: no
//! token, no secret, no payload.

use crate::api::caller::Caller;
use crate::api::problem::Problem;

/// What was done, on what.
#[derive(Debug, Clone, Copy)]
pub(super) struct Act<'a> {
    /// Such as `revoke`.
    pub(super) what: &'static str,
    /// The tenant concerned.
    pub(super) tenant: &'a str,
    /// Whom or what of it: an address, a key's id, or `tenant` for all.
    pub(super) on: &'a str,
}

/// Writes an act down, with what became of it.
pub(super) fn record<T>(caller: &Caller, act: Act<'_>, result: &Result<T, Problem>) {
    let Act { what, tenant, on } = act;
    let outcome = result.as_ref().map_or_else(Problem::code, |_| "done");
    let principal = &caller.principal;
    tracing::info!(
        target: "audit",
        act = what,
        tenant,
        on,
        outcome,
        by_tenant = &**principal.tenant(),
        by_agent = &**principal.agent(),
        request_id = %caller.request_id,
        "administrative act"
    );
}
