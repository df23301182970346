//! That the faulty bus conforms without faults, that a seed makes a run, and that what it does stays within the promises.

use std::collections::HashMap;

use super::*;
use crate::bus::conformance::{self, Instance};
use crate::bus::memory::MemoryHub;
use crate::bus::{BusEvent, Gap};

struct Fleet {
    hub: Arc<MemoryHub>,
    tracker: TaskTracker,
    token: CancellationToken,
}

impl Fleet {
    fn new() -> Fleet {
        let (tracker, token) = (TaskTracker::new(), CancellationToken::new());
        Fleet { hub: MemoryHub::new(tracker.clone(), token.clone()), tracker, token }
    }

    fn join(&self, faults: Faults, seed: u64, events_max: usize) -> (Arc<FaultyBus>, BusEvents) {
        let (inner, events) = self.hub.join(1 << 16);
        FaultyBus::new((inner, events), faults, seed, events_max, &self.tracker, &self.token)
    }
}

#[tokio::test]
async fn without_faults_it_conforms() {
    let fleet = Fleet::new();
    conformance::check(async |events_max| {
        let (bus, events) = fleet.join(Faults::none(), 7, events_max);
        Instance { bus, events }
    })
    .await;
}

/// How 1,000 publishes on two channels ended, and what came of them.
async fn run(seed: u64, faults: Faults) -> (Vec<Result<u64, PublishError>>, Vec<BusEvent>) {
    let fleet = Fleet::new();
    let (bus, mut events) = fleet.join(faults, seed, 1 << 16);
    let channels = [Channel::topic("t", "a"), Channel::topic("t", "b")];
    for channel in &channels {
        bus.subscribe(channel).await.unwrap();
    }
    let mut ends = Vec::new();
    for n in 0..1000u32 {
        ends.push(bus.publish(&channels[n as usize % 2], n.to_be_bytes().to_vec().into()).await);
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    tokio::time::sleep(faults.delay_max * 2).await;
    let mut came = Vec::new();
    while let Ok(event) = events.try_recv() {
        came.push(event);
    }
    (ends, came)
}

fn number(batch: &Bytes) -> u32 {
    u32::from_be_bytes(batch[..].try_into().unwrap())
}

#[tokio::test(start_paused = true)]
async fn the_same_seed_is_the_same_run() {
    let faults = Faults { duplicated: 0.1, overtaken: 0.1, ..Faults::promised() };
    assert_eq!(run(1, faults).await, run(1, faults).await);
    assert_ne!(run(1, faults).await, run(2, faults).await);
}

#[tokio::test(start_paused = true)]
async fn it_stays_within_the_promises() {
    for seed in 0..20 {
        let (ends, came) = run(seed, Faults::promised()).await;
        let mut newest = HashMap::new();
        let mut batches = Vec::new();
        for event in &came {
            if let BusEvent::Batch { channel, batch } = event {
                let before = newest.insert(channel.clone(), number(batch));
                assert!(before < Some(number(batch)), "seed {seed}: twice or out of order");
                batches.push(number(batch));
            }
        }
        let lost = (0..).zip(&ends).filter(|(n, end)| **end == Ok(1) && !batches.contains(n)).count();
        let gaps = came.iter().filter(|event| **event == BusEvent::Gap(Gap::Interrupted)).count();
        assert!(lost > 0 && gaps > 0, "seed {seed}: {lost} lost, {gaps} gaps");
        for (n, end) in (0..).zip(&ends) {
            assert!(*end != Err(PublishError::NotSent) || !batches.contains(&n), "seed {seed}: {n} came");
        }
        let unknown = (0..).zip(&ends).filter(|(_, end)| **end == Err(PublishError::Unknown));
        assert!(unknown.clone().any(|(n, _)| batches.contains(&n)), "seed {seed}");
        assert!(unknown.clone().any(|(n, _)| !batches.contains(&n)), "seed {seed}");
    }
}

#[tokio::test(start_paused = true)]
async fn beyond_the_promises_batches_repeat_and_overtake() {
    let (_, came) = run(3, Faults { duplicated: 0.1, overtaken: 0.3, ..Faults::promised() }).await;
    let numbers: Vec<_> = came
        .iter()
        .filter_map(|event| match event {
            BusEvent::Batch { channel, batch } if channel.name().ends_with('a') => Some(number(batch)),
            _ => None,
        })
        .collect();
    assert!(numbers.windows(2).any(|pair| pair[0] > pair[1]));
    assert!((1..numbers.len()).any(|n| numbers[..n].contains(&numbers[n])));
}

#[tokio::test(start_paused = true)]
async fn an_outage_is_a_gap_when_it_ends() {
    let fleet = Fleet::new();
    let (bus, mut events) = fleet.join(Faults::none(), 0, 64);
    let channel = Channel::topic("t", "a");
    bus.subscribe(&channel).await.unwrap();
    bus.set_health(BusHealth::Down);
    assert_eq!(bus.publish(&channel, Bytes::new()).await, Err(PublishError::NotSent));
    assert!(bus.subscribe(&channel).await.is_err());
    bus.set_health(BusHealth::Deaf);
    assert_eq!(bus.publish(&channel, Bytes::new()).await, Ok(1));
    tokio::task::yield_now().await;
    bus.set_health(BusHealth::Up);
    assert_eq!(events.recv().await, Some(BusEvent::Gap(Gap::Interrupted)));
    assert_eq!(bus.publish(&channel, Bytes::from_static(b"x")).await, Ok(1));
    assert_eq!(events.recv().await, Some(BusEvent::Batch { channel, batch: Bytes::from_static(b"x") }));
}
