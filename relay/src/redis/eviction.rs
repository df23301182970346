//! Whether Redis forgets what was stored when its memory is full. Everything stored for `qos` 1 has an expiry, so each of
//! its policies but `noeviction` drops some of it, and nobody hears. The relay works on, and says so.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use fred::interfaces::ClientLike as _;
use fred::types::InfoKind;
use tokio_util::sync::CancellationToken;

use crate::redis::{Link, Topology};

/// How often it is looked at besides each connection: an operator may set it right, or wrong, meanwhile.
const PERIOD: Duration = Duration::from_mins(1);
/// What Redis calls the policy that forgets nothing.
const FORGETS_NOTHING: &str = "noeviction";

/// Whether Redis evicts, as it last said.
#[derive(Debug, Clone, Default)]
pub(crate) struct Eviction(Arc<AtomicBool>);

impl Eviction {
    /// Whether what is stored may be forgotten.
    pub(crate) fn is_on(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Looks at each connection, and from time to time, until the token ends it. Listens from the call on.
    pub(super) fn watch(
        self,
        link: &Link,
        topology: Topology,
        token: CancellationToken,
    ) -> impl Future<Output = ()> + Send + use<> {
        let mut connections = link.connections();
        let watching = async move {
            let mut is_known = false;
            while connections.wait_for(|connection| *connection > 0).await.is_ok() {
                connections.mark_unchanged();
                // `INFO` and not `CONFIG`, which users of least rights and hosted servers do not have.
                let mut policies = Vec::new();
                for server in topology.each() {
                    match server.info::<String>(Some(InfoKind::Memory)).await.as_deref().map(policy) {
                        Ok(Some(policy)) => policies.push(policy.to_owned()),
                        Ok(None) => tracing::debug!("Redis does not say what it evicts"),
                        Err(error) => tracing::debug!(%error, "Redis cannot be asked what it evicts"),
                    }
                }
                // One node of a Cluster that forgets is enough.
                let worst = policies.iter().find(|policy| *policy != FORGETS_NOTHING).or(policies.first());
                if let Some(policy) = worst {
                    self.learn(policy, is_known);
                    is_known = true;
                }
                tokio::select! {
                    changed = connections.changed() => if changed.is_err() { return },
                    () = tokio::time::sleep(PERIOD) => {}
                }
            }
        };
        async move {
            tokio::select! {
                () = token.cancelled() => {}
                () = watching => {}
            }
        }
    }

    fn learn(&self, policy: &str, is_known: bool) {
        let evicts = policy != FORGETS_NOTHING;
        let did = self.0.swap(evicts, Ordering::Relaxed);
        if evicts && !did {
            tracing::warn!(
                policy,
                "Redis forgets messages of qos 1 that were accepted when its memory is full: set its maxmemory-policy to noeviction"
            );
        } else if !evicts && did && is_known {
            tracing::info!("Redis has the maxmemory-policy noeviction and forgets nothing by itself");
        }
    }
}

/// The policy in what `INFO memory` says.
fn policy(said: &str) -> Option<&str> {
    said.lines().find_map(|line| line.strip_prefix("maxmemory_policy:")).map(str::trim)
}
