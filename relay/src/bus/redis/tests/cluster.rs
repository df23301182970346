//! A Cluster whose connections are cut, whose slots move, and whose nodes die.

use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use super::{Numbers, Received, Tasks, topic};
use crate::bus::conformance::{Instance, eventually};
use crate::bus::{Channel, Gap};
use crate::redis::test_cluster::TestCluster;

/// From a node's death on: 2 s until the others are sure, an election, and the relay's ways there.
const PROMOTED_WITHIN: Duration = Duration::from_secs(15);

/// Channels of many slots, so that each node holds several.
fn others() -> Vec<Channel> {
    (0..64).map(|number| Channel::topic("tests", &format!("other{number}"))).collect()
}

async fn all_reach(instance: &Instance) -> bool {
    for channel in others() {
        if instance.bus.publish(&channel, Bytes::from_static(b"other")).await != Ok(1) {
            return false;
        }
    }
    true
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sharded_subscriptions_that_are_cut_off_all_come_back_and_it_is_a_gap() {
    let (cluster, tasks) = (TestCluster::start().await, Tasks::default());
    let (mut instance, counters) = tasks.join(&cluster.url(), 1 << 16).await;
    for channel in others() {
        instance.bus.subscribe(&channel).await.unwrap();
    }
    instance.bus.subscribe(&topic()).await.unwrap();
    let (numbers, mut received) = (Numbers::start(&tasks, &instance), Received::default());
    received.more(&mut instance, 500).await;
    for number in 0..3 {
        let gaps = received.gaps.len();
        cluster.node(number).say("CLIENT KILL TYPE pubsub").await;
        received.until(&mut instance, |received| received.gaps.len() > gaps).await;
        assert_eq!(received.gaps[gaps], Gap::Interrupted);
        assert!(all_reach(&instance).await, "a subscription was lost");
        received.more(&mut instance, 100).await;
    }
    let (ends, _) = numbers.stop().await;
    received.rest(&mut instance).await;
    received.agree_with(&ends);
    assert_eq!(counters.reconnects(), 3, "one node at a time, the others undisturbed");
    tasks.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slot_that_moves_takes_its_subscriptions_with_it() {
    let (cluster, tasks) = (TestCluster::start().await, Tasks::default());
    let (mut instance, _) = tasks.join(&cluster.url(), 1 << 16).await;
    instance.bus.subscribe(&topic()).await.unwrap();
    let (numbers, mut received) = (Numbers::start(&tasks, &instance), Received::default());
    received.more(&mut instance, 500).await;
    let from = cluster.holder(topic().name()).await;
    let to = (from + 1) % 3;
    let slot = cluster.node(0).say(&format!("CLUSTER KEYSLOT {}", topic().name())).await;
    let id = cluster.node(to).say("CLUSTER MYID").await;
    let (slot, id) = (slot.trim().trim_start_matches(':'), id.lines().nth(1).unwrap());
    for node in [to, from, 3 - to - from] {
        assert_eq!(cluster.node(node).say(&format!("CLUSTER SETSLOT {slot} NODE {id}")).await, "+OK\r\n");
    }
    assert_eq!(received.gap(&mut instance).await, Gap::Interrupted);
    received.more(&mut instance, 500).await;
    let (ends, _) = numbers.stop().await;
    received.rest(&mut instance).await;
    received.agree_with(&ends);
    tasks.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_dies_and_its_replica_carries_on() {
    let (mut cluster, tasks) = (TestCluster::replicated().await, Tasks::default());
    let (mut instance, _) = tasks.join(&cluster.url(), 1 << 16).await;
    for channel in others() {
        instance.bus.subscribe(&channel).await.unwrap();
    }
    instance.bus.subscribe(&topic()).await.unwrap();
    let (numbers, mut received) = (Numbers::start(&tasks, &instance), Received::default());
    received.more(&mut instance, 500).await;
    let holder = cluster.holder(topic().name()).await;
    cluster.node_mut(holder).kill();
    let died = Instant::now();
    assert_eq!(received.gap(&mut instance).await, Gap::Interrupted);
    received.more(&mut instance, 500).await;
    let flowing = died.elapsed();
    assert!(flowing < PROMOTED_WITHIN, "{flowing:?}");
    eventually("all channels are subscribed again", async || all_reach(&instance).await).await;
    let (ends, longest) = numbers.stop().await;
    assert!(longest < Duration::from_secs(3), "who publishes has an answer in time: {longest:?}");
    received.rest(&mut instance).await;
    received.agree_with(&ends);
    tasks.end().await;
}
