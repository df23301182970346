//! What every [`QuotaStore`](crate::quota::QuotaStore) does, as checks that any can be put to. A check panics where a store
//! does not conform.

use std::sync::Arc;

use tokio::time::Instant;

use crate::bus::conformance::eventually;
use crate::quota::{BURST_S, Quota, SharedQuotaStore, Slice};

/// Slow enough that what fills meanwhile is little.
const QUOTA: Quota = Quota { messages: 20, bytes: 2_000 };
const BURST: i64 = 100;

/// Puts a store to every check. `next` gives the store of one instance after another; all share their quotas.
pub async fn check(next: impl Fn() -> SharedQuotaStore) {
    instances_share_one_quota(&next).await;
    what_is_given_back_can_be_leased_elsewhere(&next).await;
    tenants_have_quotas_of_their_own(&next).await;
    what_is_spent_fills_again(&next).await;
    what_is_not_limited_is_not_leased(&next).await;
}

const fn messages(messages: i64) -> Slice {
    Slice { messages, bytes: 0 }
}

async fn drain(next: &impl Fn() -> SharedQuotaStore, tenant: &Arc<str>) -> i64 {
    let mut granted = 0;
    for _ in 0..12 {
        granted += next().lease(tenant, QUOTA, messages(1_000)).await.messages;
    }
    granted
}

async fn instances_share_one_quota(next: &impl Fn() -> SharedQuotaStore) {
    let (tenant, began) = (Arc::from("shared"), Instant::now());
    let first = next().lease(&tenant, QUOTA, messages(1_000)).await.messages;
    assert_eq!(first, BURST / 2, "half of what is there");
    let granted = first + drain(next, &tenant).await;
    let filled = began.elapsed().as_millis() * u128::from(QUOTA.messages) / 1_000 + 1;
    let most = BURST + i64::try_from(filled).unwrap_or(i64::MAX);
    assert!((BURST - 1..=most).contains(&granted), "{granted} of at most {most}");
}

async fn what_is_given_back_can_be_leased_elsewhere(next: &impl Fn() -> SharedQuotaStore) {
    let tenant = Arc::from("returning");
    drain(next, &tenant).await;
    let returned = next().lease(&tenant, QUOTA, messages(-60)).await.messages;
    assert_eq!(returned, -60, "all of it is taken back");
    let again = next().lease(&tenant, QUOTA, messages(30)).await.messages;
    assert_eq!(again, 30);
}

async fn tenants_have_quotas_of_their_own(next: &impl Fn() -> SharedQuotaStore) {
    drain(next, &Arc::from("greedy")).await;
    let quiet = next().lease(&Arc::from("quiet"), QUOTA, messages(40)).await.messages;
    assert_eq!(quiet, 40);
}

async fn what_is_spent_fills_again(next: &impl Fn() -> SharedQuotaStore) {
    let tenant = Arc::from("patient");
    drain(next, &tenant).await;
    eventually("it fills", async || next().lease(&tenant, QUOTA, messages(1)).await.messages == 1).await;
}

async fn what_is_not_limited_is_not_leased(next: &impl Fn() -> SharedQuotaStore) {
    let quota = Quota { messages: 0, bytes: 2_000 };
    let wanted = Slice { messages: 50, bytes: 500 };
    let granted = next().lease(&Arc::from("half"), quota, wanted).await;
    assert_eq!(granted, Slice { messages: 0, bytes: 500 });
    let full = i64::from(quota.bytes) * i64::from(BURST_S);
    let granted = next().lease(&Arc::from("half"), quota, Slice { messages: 0, bytes: full }).await;
    assert!(granted.bytes < full, "{granted:?}");
}
