//! The bus over a real Redis: that it conforms, and what it does when Redis is killed, stopped, emptied or cuts it off.

use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::bus::conformance::{self, Instance, eventually};
use crate::bus::redis::{BusCounters, RedisBus};
use crate::bus::{Bus as _, BusEvent, BusHealth, Channel, Gap, InstanceId, PublishError};
use crate::redis::Redis;
use crate::redis::swallowing_proxy::SwallowingProxy;
use crate::redis::test_server::TestServer;

/// What ends with a test.
#[derive(Default)]
struct Tasks {
    tracker: TaskTracker,
    token: CancellationToken,
}

impl Tasks {
    async fn join(&self, url: &str, events_max: usize) -> (Instance, std::sync::Arc<BusCounters>) {
        let redis = Redis::open(url, self.tracker.clone(), self.token.clone()).await.unwrap();
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

/// Publishes numbers until it is stopped; says how each ended, and how long the longest took.
struct Numbers {
    stop: CancellationToken,
    task: tokio::task::JoinHandle<(Vec<Result<u64, PublishError>>, Duration)>,
}

impl Numbers {
    fn start(tasks: &Tasks, instance: &Instance) -> Numbers {
        let (stop, bus) = (CancellationToken::new(), instance.bus.clone());
        let stopped = stop.clone();
        let task = tasks.tracker.spawn(async move {
            let (mut ends, mut longest) = (Vec::new(), Duration::ZERO);
            while !stopped.is_cancelled() {
                let (began, number) = (Instant::now(), u64::try_from(ends.len()).unwrap());
                ends.push(bus.publish(&topic(), number.to_be_bytes().to_vec().into()).await);
                longest = longest.max(began.elapsed());
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            (ends, longest)
        });
        Numbers { stop, task }
    }

    async fn stop(self) -> (Vec<Result<u64, PublishError>>, Duration) {
        self.stop.cancel();
        self.task.await.unwrap()
    }
}

/// What came of the numbers, and after which of them gaps came.
#[derive(Default)]
struct Received {
    numbers: Vec<u64>,
    gaps: Vec<(Gap, Instant)>,
}

impl Received {
    fn take(&mut self, event: BusEvent) {
        match event {
            BusEvent::Batch { batch, .. } => {
                self.numbers.push(u64::from_be_bytes(batch[..].try_into().unwrap()));
            }
            BusEvent::Gap(gap) => self.gaps.push((gap, Instant::now())),
        }
    }

    /// Takes what comes until `enough`, then what is there.
    async fn until(&mut self, instance: &mut Instance, mut enough: impl FnMut(&Received) -> bool) {
        while !enough(self) {
            let event = instance.next().await;
            self.take(event);
        }
    }

    async fn rest(&mut self, instance: &mut Instance, last: u64) {
        self.until(instance, |received| received.numbers.last() == Some(&last)).await;
    }

    /// That nothing came twice or out of order, that all that was answered as received came, and nothing that was
    /// answered as not sent.
    fn agree_with(&self, ends: &[Result<u64, PublishError>]) {
        assert!(self.numbers.is_sorted_by(|a, b| a < b), "twice or out of order");
        for (number, end) in (0..).zip(ends) {
            let came = self.numbers.binary_search(&number).is_ok();
            match end {
                Ok(0) | Err(PublishError::NotSent) => assert!(!came, "{number} came and was {end:?}"),
                // One receiver had it put on its connection, which may be cut before it is read: then there is a gap.
                Ok(_) => assert!(came || !self.gaps.is_empty(), "{number} was lost in silence"),
                Err(PublishError::Unknown) => {}
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_conforms() {
    let (server, tasks) = (TestServer::start().await, Tasks::default());
    conformance::check(async |events_max| tasks.join(&server.url(), events_max).await.0).await;
    tasks.end().await;
}

#[tokio::test]
async fn killed_and_restarted_empty_it_flows_again_within_five_seconds() {
    let (mut server, tasks) = (TestServer::start().await, Tasks::default());
    let (mut instance, counters) = tasks.join(&server.url(), 1 << 16).await;
    instance.bus.subscribe(&topic()).await.unwrap();
    let (numbers, mut received) = (Numbers::start(&tasks, &instance), Received::default());
    received.until(&mut instance, |received| received.numbers.len() >= 50).await;

    server.kill();
    eventually("the loss is noticed", async || instance.bus.health() == BusHealth::Down).await;
    let asked = Instant::now();
    assert_eq!(instance.bus.publish(&topic(), Bytes::new()).await, Err(PublishError::NotSent));
    let during = Channel::topic("tests", "during");
    assert!(instance.bus.subscribe(&during).await.is_err());
    assert!(asked.elapsed() < Duration::from_millis(50), "while Redis is away answers come at once");

    server.restart().await;
    let restarted = Instant::now();
    received.until(&mut instance, |received| !received.gaps.is_empty()).await;
    assert_eq!(received.gaps[0].0, Gap::Interrupted);
    let before = received.numbers.len();
    received.until(&mut instance, |received| received.numbers.len() >= before + 50).await;
    let flowing = restarted.elapsed();
    assert!(flowing < Duration::from_secs(5), "{flowing:?}");
    assert_eq!(instance.bus.publish(&during, Bytes::new()).await, Ok(1), "the wish was kept");
    assert_eq!(instance.bus.health(), BusHealth::Up);
    assert!(counters.reconnects() == 1 && counters.interruptions() == 1);

    let (ends, longest) = numbers.stop().await;
    assert!(longest < Duration::from_secs(2), "{longest:?}");
    eprintln!("flowing {flowing:?} after the restart; longest publish {longest:?}");
    tasks.end().await;
    drop(ends);
}
