//! What it costs to put messages on a session's queue and to take them off, as a turn does.

#![expect(clippy::unwrap_used, reason = "a benchmark has no one to tell")]

use std::sync::Arc;

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use relay::outbound::{Bounds, Item, Outbound};
use relay_protocol::client::Lane;
use relay_protocol::{Chunk, Encoding};
use tokio::time::Instant;

fn main() {
    divan::main();
}

const SMALL: usize = 128;
const BOUNDS: Bounds = Bounds { messages: 4_096, bytes: 1 << 20 };
/// What a session takes at a time.
const FRAMES_MAX: usize = 256;
/// Messages that wait when the session's turn comes: alone, a few, and behind a slow write.
const WAITING: [usize; 3] = [1, 16, 256];

fn queue() -> Outbound {
    Outbound::new(Encoding::Json, BOUNDS)
}

fn item() -> Item {
    Item::new(Chunk::one("x".repeat(SMALL)), Instant::now())
}

fn push_and_take(bencher: Bencher<'_, '_>, waiting: usize, item: impl Fn(usize) -> Item + Sync) {
    let queue = queue();
    bencher
        .counter(ItemsCount::new(waiting))
        .with_inputs(|| (0..waiting).map(&item).collect::<Vec<_>>())
        .bench_local_values(|items| {
            for item in items {
                queue.push(item).unwrap();
            }
            queue.take(usize::MAX, FRAMES_MAX)
        });
}

#[divan::bench(args = WAITING)]
fn in_one_lane(bencher: Bencher<'_, '_>, waiting: usize) {
    push_and_take(bencher, waiting, |_| item());
}

#[divan::bench(args = WAITING)]
fn in_two_lanes(bencher: Bencher<'_, '_>, waiting: usize) {
    let lane = |number: usize| if number.is_multiple_of(2) { Lane::High } else { Lane::Normal };
    push_and_take(bencher, waiting, |number| Item { lane: lane(number), ..item() });
}

/// Each takes the place of the one before.
#[divan::bench(args = WAITING)]
fn under_one_key(bencher: Bencher<'_, '_>, waiting: usize) {
    let key: Arc<str> = "agent/price-feed:BTC".into();
    push_and_take(bencher, waiting, |_| Item { key: Some(Arc::clone(&key)), ..item() });
}

/// What an overloaded recipient costs whoever sends to it.
#[divan::bench]
fn refused_as_it_is_full(bencher: Bencher<'_, '_>) {
    let queue = queue();
    while queue.push(item()).is_ok() {}
    bencher.with_inputs(item).bench_local_values(|item| black_box(queue.push(item)).is_err());
}
