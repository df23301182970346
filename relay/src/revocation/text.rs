//! How a revocation is written in a store: `t|TENANT||SECONDS`, `a|TENANT|AGENT|SECONDS`, `j|TENANT|HASH|SECONDS`. No name
//! can hold a `|`. A `jti` never stands there, only its hash.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use relay_protocol::address::{is_agent, is_tenant};

use crate::auth::TokenKey;
use crate::revocation::{Revocation, Target};

/// Writes it.
pub(super) fn write(revocation: &Revocation) -> String {
    let Revocation { tenant, target, issued_before_s } = revocation;
    match target {
        Target::Tenant => format!("t|{tenant}||{issued_before_s}"),
        Target::Agent(agent) => format!("a|{tenant}|{agent}|{issued_before_s}"),
        Target::Token(key) => format!("j|{tenant}|{}|{issued_before_s}", URL_SAFE_NO_PAD.encode(key.0)),
    }
}

/// Reads it, if this release can.
pub(super) fn read(text: &str) -> Option<Revocation> {
    let mut parts = text.split('|');
    let (kind, tenant, name, seconds) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() || !is_tenant(tenant) {
        return None;
    }
    let target = match kind {
        "t" if name.is_empty() => Target::Tenant,
        "a" if is_agent(name) => Target::Agent(name.into()),
        "j" => Target::Token(TokenKey(URL_SAFE_NO_PAD.decode(name).ok()?.try_into().ok()?)),
        _ => return None,
    };
    Some(Revocation { tenant: tenant.into(), target, issued_before_s: seconds.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let at = SystemTime::UNIX_EPOCH + Duration::from_hours(500_000);
        for revocation in [
            Revocation::of_tenant("acme", at).unwrap(),
            Revocation::of_agent("acme", "bob.7", at).unwrap(),
            Revocation::of_token("acme", "a|b:*").unwrap(),
        ] {
            assert_eq!(read(&write(&revocation)), Some(revocation));
        }
        for unreadable in [
            "",
            "t|acme|x|1",
            "a|acme||1",
            "a|ac:me|bob|1",
            "j|acme|AAAA|1",
            "x|acme||1",
            "t|acme||",
            "t|a||1|",
        ] {
            assert_eq!(read(unreadable), None, "{unreadable}");
        }
    }

    #[test]
    fn a_jti_is_not_written() {
        let revocation = Revocation::of_token("acme", "very-private").unwrap();
        assert!(!write(&revocation).contains("very-private"));
        assert_ne!(revocation, Revocation::of_token("other", "very-private").unwrap());
    }
}
