//! A key as a store keeps it: JSON, without the secret.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use subtle::ConstantTimeEq as _;

use crate::api_keys::{ApiKey, KeyId};
use crate::auth::{Digest, RightsClaim};

/// A key, and what its secret is compared with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredKey {
    /// What may be known of it.
    pub key: ApiKey,
    pub(super) hash: Digest,
}

#[derive(Serialize, Deserialize)]
struct Written<'a> {
    tenant: &'a str,
    agent: &'a str,
    label: std::borrow::Cow<'a, str>,
    #[serde(borrow)]
    relay: &'a RawValue,
    created_at_s: u64,
    expires_at_s: u64,
    hash: &'a str,
}

impl StoredKey {
    /// Whether `hash` is that of its secret. How long that takes tells nothing of how much of it is.
    pub(super) fn is_proved_by(&self, hash: &Digest) -> bool {
        self.hash.ct_eq(hash).into()
    }

    /// Writes it, but for its id and last use.
    pub(super) fn write(&self) -> String {
        let ApiKey { tenant, agent, label, rights, created_at_s, expires_at_s, .. } = &self.key;
        let relay = serde_json::value::to_raw_value(rights).unwrap_or_default();
        let hash = URL_SAFE_NO_PAD.encode(self.hash);
        let written = Written {
            tenant,
            agent,
            label: label.into(),
            relay: &relay,
            created_at_s: *created_at_s,
            expires_at_s: *expires_at_s,
            hash: &hash,
        };
        serde_json::to_string(&written).unwrap_or_default()
    }

    /// Reads it, if this release can.
    pub(super) fn read(id: KeyId, text: &str, last_used_at_s: Option<u64>) -> Option<StoredKey> {
        let written: Written<'_> = serde_json::from_str(text).ok()?;
        let key = ApiKey {
            id,
            tenant: written.tenant.to_owned(),
            agent: written.agent.to_owned(),
            label: written.label.into_owned(),
            rights: RightsClaim::parse(written.relay.get()).ok()?,
            created_at_s: written.created_at_s,
            expires_at_s: written.expires_at_s,
            last_used_at_s,
        };
        let hash = URL_SAFE_NO_PAD.decode(written.hash).ok()?.try_into().ok()?;
        Some(StoredKey { key, hash })
    }
}
