//! The bus over a real Redis: that it conforms, and what tests of its faults need.

mod cluster;
mod cut_off;
mod outage;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::bus::conformance::{self, Instance, PATIENCE};
use crate::bus::redis::{BusCounters, RedisBus};
use crate::bus::{BusEvent, Channel, Gap, InstanceId, PublishError};
use crate::redis::test_cluster::TestCluster;
use crate::redis::test_server::TestServer;
use crate::redis::{Redis, RedisSettings};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_conforms() {
    let (server, tasks) = (TestServer::start().await, Tasks::default());
    conformance::check(async |events_max| tasks.join(&server.url(), events_max).await.0).await;
    tasks.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_conforms() {
    let (cluster, tasks) = (TestCluster::start().await, Tasks::default());
    conformance::check(async |events_max| tasks.join(&cluster.url(), events_max).await.0).await;
    tasks.end().await;
}

/// What ends with a test.
#[derive(Default)]
struct Tasks {
    tracker: TaskTracker,
    token: CancellationToken,
}

impl Tasks {
    async fn join(&self, url: &str, events_max: usize) -> (Instance, Arc<BusCounters>) {
        let redis = Redis::open(url, RedisSettings::default(), self.tracker.clone(), self.token.clone())
            .await
            .unwrap();
        let (bus, events) = RedisBus::connect(&redis, &InstanceId::random(), events_max).await;
        let counters = bus.counters().clone();
        (Instance { bus, events }, counters)
    }

    async fn end(self) {
        self.token.cancel();
        self.tracker.close();
        let ended = tokio::time::timeout(Duration::from_secs(3), self.tracker.wait()).await;
        assert!(ended.is_ok(), "every task ends with the token");
    }
}

fn topic() -> Channel {
    Channel::topic("tests", "topic")
}

type End = Result<u64, PublishError>;

/// How many tasks publish at a time: each has its own numbers, so that each has an order.
const LANES: u64 = 16;

/// Publishes numbers on [`topic`] until it is stopped.
struct Numbers {
    stop: CancellationToken,
    lanes: Vec<JoinHandle<(BTreeMap<u64, End>, Duration)>>,
}

impl Numbers {
    fn start(tasks: &Tasks, instance: &Instance) -> Numbers {
        let stop = CancellationToken::new();
        let lane = |lane: u64| {
            let (stop, bus) = (stop.clone(), instance.bus.clone());
            tasks.tracker.spawn(async move {
                let (mut ends, mut longest) = (BTreeMap::new(), Duration::ZERO);
                let mut number = lane << 32;
                let mut pace = tokio::time::interval(Duration::from_millis(2));
                while !stop.is_cancelled() {
                    let began = Instant::now();
                    ends.insert(number, bus.publish(&topic(), number.to_be_bytes().to_vec().into()).await);
                    longest = longest.max(began.elapsed());
                    number += 1;
                    pace.tick().await;
                }
                (ends, longest)
            })
        };
        let lanes = (0..LANES).map(lane).collect();
        Numbers { stop, lanes }
    }

    /// How each number ended, and how long the longest took.
    async fn stop(self) -> (BTreeMap<u64, End>, Duration) {
        self.stop.cancel();
        let (mut all, mut longest) = (BTreeMap::new(), Duration::ZERO);
        for lane in self.lanes {
            let (ends, slowest) = lane.await.unwrap();
            all.extend(ends);
            longest = longest.max(slowest);
        }
        (all, longest)
    }
}

/// What came of the numbers, and the gaps between.
#[derive(Default)]
struct Received {
    numbers: Vec<u64>,
    gaps: Vec<Gap>,
}

impl Received {
    /// Takes what comes until it is enough.
    async fn until(&mut self, instance: &mut Instance, mut enough: impl FnMut(&Received) -> bool) {
        let taking = async {
            while !enough(self) {
                self.take(instance.next().await);
            }
        };
        assert!(tokio::time::timeout(PATIENCE, taking).await.is_ok(), "enough in time");
    }

    /// Takes one event; what is no number is somebody else's.
    fn take(&mut self, event: BusEvent) {
        match event {
            BusEvent::Gap(gap) => self.gaps.push(gap),
            BusEvent::Batch { batch, .. } => {
                self.numbers.extend(batch[..].try_into().map(u64::from_be_bytes));
            }
        }
    }

    async fn more(&mut self, instance: &mut Instance, numbers: usize) {
        let enough = self.numbers.len() + numbers;
        self.until(instance, |received| received.numbers.len() >= enough).await;
    }

    async fn gap(&mut self, instance: &mut Instance) -> Gap {
        let gaps = self.gaps.len();
        self.until(instance, |received| received.gaps.len() > gaps).await;
        self.gaps[gaps]
    }

    /// Takes the rest, up to a batch that is no number.
    async fn rest(&mut self, instance: &mut Instance) {
        let end = b"the end"[..].to_vec();
        assert_eq!(instance.bus.publish(&topic(), end.clone().into()).await, Ok(1));
        loop {
            match instance.next().await {
                BusEvent::Batch { batch, .. } if batch == end => return,
                event => self.take(event),
            }
        }
    }

    /// Nothing came twice or out of order, nothing was lost in silence, nothing came that was not sent.
    fn agree_with(&self, ends: &BTreeMap<u64, End>) {
        let mut last = BTreeMap::new();
        for number in &self.numbers {
            let before = last.insert(number >> 32, *number);
            assert!(before.is_none_or(|before| before < *number), "{number} twice or out of order");
        }
        for (number, end) in ends {
            let came = self.numbers.contains(number);
            match end {
                Ok(0) | Err(PublishError::NotSent) => assert!(!came, "{number} came and was {end:?}"),
                // It was put on a connection, which may have been cut before it was read.
                Ok(_) => assert!(came || !self.gaps.is_empty(), "{number} was lost in silence"),
                Err(PublishError::Unknown) => {}
            }
        }
    }
}
