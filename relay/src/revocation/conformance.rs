//! What every [`RevocationStore`] does: each sentence of its documentation, as a check
//! that any store can be put to. A check panics where a store does not conform.

#![expect(
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    reason = "a check is a test: it panics where a store does not conform"
)]

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::time::timeout;

use crate::revocation::{Position, Revocation, RevocationStore, StoreError};

/// A store that any instance may hold.
pub type SharedStore = Arc<dyn RevocationStore>;

/// How long news may take, and how long is waited for news that must not come.
const PATIENCE: Duration = Duration::from_secs(5);

/// Puts a store to every check. `join` adds an instance.
pub async fn check(join: impl AsyncFn() -> SharedStore) {
    what_one_adds_all_read_in_order(&join).await;
    what_is_there_stays_where_it_is(&join).await;
    a_page_is_bounded_and_the_next_goes_on(&join).await;
    an_addition_is_news(&join).await;
    a_position_that_is_not_known_is_lost(&join).await;
}

/// The token of that number, of a tenant for this check.
fn token(tenant: &str, number: usize) -> Revocation {
    Revocation::of_token(tenant, &number.to_string()).unwrap()
}

/// Everything after a position, and where that ends.
async fn read_all(store: &SharedStore, mut position: Position) -> (Vec<Revocation>, Position) {
    let mut all = Vec::new();
    loop {
        let page = store.read(position).await.unwrap();
        assert!(!page.lost);
        assert!(page.position >= position);
        all.extend(page.revocations);
        position = page.position;
        if !page.more {
            return (all, position);
        }
    }
}

async fn what_one_adds_all_read_in_order(join: &impl AsyncFn() -> SharedStore) {
    let (a, b) = (join().await, join().await);
    let (_, before) = read_all(&b, Position::default()).await;
    let at = SystemTime::UNIX_EPOCH + Duration::from_hours(500_000);
    let added = vec![
        Revocation::of_tenant("order", at).unwrap(),
        Revocation::of_agent("order", "bob", at).unwrap(),
        Revocation::of_agent("order", "bob", at + Duration::from_secs(1)).unwrap(),
        token("order", 1),
    ];
    a.add(added[..2].to_vec()).await.unwrap();
    a.add(added[2..].to_vec()).await.unwrap();
    for store in [&a, &b] {
        let (read, position) = read_all(store, before).await;
        assert_eq!(read, added);
        assert_eq!(read_all(store, position).await, (vec![], position), "nothing comes twice");
    }
    assert!(read_all(&b, Position::default()).await.0.ends_with(&added), "a late reader reads all");
}

async fn what_is_there_stays_where_it_is(join: &impl AsyncFn() -> SharedStore) {
    let (a, b) = (join().await, join().await);
    a.add(vec![token("again", 1)]).await.unwrap();
    let (_, position) = read_all(&b, Position::default()).await;
    b.add(vec![token("again", 1), token("again", 2)]).await.unwrap();
    assert_eq!(read_all(&a, position).await.0, [token("again", 2)]);
}

async fn a_page_is_bounded_and_the_next_goes_on(join: &impl AsyncFn() -> SharedStore) {
    let a = join().await;
    let (_, before) = read_all(&a, Position::default()).await;
    let many: Vec<Revocation> = (0..2_500).map(|number| token("many", number)).collect();
    for some in many.chunks(500) {
        a.add(some.to_vec()).await.unwrap();
    }
    let page = a.read(before).await.unwrap();
    assert!(page.more && page.revocations.len() < many.len());
    assert_eq!(read_all(&a, before).await.0, many);
}

async fn an_addition_is_news(join: &impl AsyncFn() -> SharedStore) {
    let (a, b) = (join().await, join().await);
    // What came before may still be told.
    while timeout(Duration::from_millis(300), b.news()).await.is_ok() {}
    let news = b.news();
    a.add(vec![token("news", 1)]).await.unwrap();
    assert!(timeout(PATIENCE, news).await.is_ok());
}

async fn a_position_that_is_not_known_is_lost(join: &impl AsyncFn() -> SharedStore) {
    let a = join().await;
    a.add(vec![token("lost", 1)]).await.unwrap();
    let (_, Position(last)) = read_all(&a, Position::default()).await;
    for unknown in [Position(last + 1), Position(last + 1_000_000_000)] {
        assert!(a.read(unknown).await.unwrap().lost);
    }
}

/// Puts a store to the check of its bound, which takes it whole.
pub async fn check_bound(store: SharedStore) {
    let max = crate::revocation::REVOCATIONS_MAX;
    let all: Vec<Revocation> = (0..max).map(|number| token("bound", number)).collect();
    for some in all.chunks(2_000) {
        store.add(some.to_vec()).await.unwrap();
    }
    assert_eq!(store.add(vec![token("bound", max)]).await, Err(StoreError::Full));
    assert_eq!(store.add(vec![token("bound", 0)]).await, Ok(()), "what is there has room");
    assert_eq!(read_all(&store, Position::default()).await.0.len(), max);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::revocation::memory::MemoryRevocationHub;

    #[tokio::test]
    async fn memory_conforms() {
        let hub = MemoryRevocationHub::new(Duration::from_hours(1));
        check(async || hub.join() as SharedStore).await;
    }
}
