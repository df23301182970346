//! Two instances on one directory: watchers hear who is present, in order, and no more often than they should.

use std::sync::Arc;
use std::time::Duration;

use relay_protocol::{Address, Encoding};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::bus::InstanceId;
use crate::directory::memory::{MemoryDirectory, MemoryDirectoryHub};
use crate::directory::{Directory as _, OwnEntry};
use crate::outbound::{Bounds, Outbound};
use crate::presence::{Presence, Present, Watch};
use crate::telemetry::metrics::Metrics;

const GRACE: Duration = Duration::from_secs(15);
/// Longer than places stay without being looked at.
const LOOK: Duration = Duration::from_millis(1_100);

struct Instance {
    directory: Arc<MemoryDirectory>,
    presence: Arc<Presence>,
    stop: CancellationToken,
}

impl Drop for Instance {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

fn instance(hub: &Arc<MemoryDirectoryHub>) -> Instance {
    let (stop, tracker) = (CancellationToken::new(), TaskTracker::new());
    let directory = hub.join(InstanceId::random());
    let shared = Arc::<MemoryDirectory>::clone(&directory);
    let presence = Presence::new(shared, Metrics::new().unwrap(), tracker.clone(), GRACE);
    tracker.spawn(Arc::clone(&presence).run(stop.clone()));
    Instance { directory, presence, stop }
}

impl Instance {
    fn watch(&self, to: &str, outbound: &Arc<Outbound>, command: u64) -> Watch {
        self.presence.watch(&"acme".into(), &address(to), outbound, command)
    }

    fn enter(&self, agent: &str, place: &str) -> Present {
        self.presence.enter(entry("acme", agent, place))
    }
}

fn address(text: &str) -> Address<'static> {
    Address::parse(text.to_owned().into()).unwrap()
}

fn entry(tenant: &str, agent: &str, place: &str) -> OwnEntry {
    let session = format!("{agent}~{}", "A".repeat(22)).into();
    OwnEntry { tenant: tenant.into(), agent: place.into(), session, generation: 1, about: None }
}

fn queue() -> Arc<Outbound> {
    Arc::new(Outbound::new(Encoding::Json, Bounds { messages: 10, bytes: 1_000 }))
}

/// What a watcher is told by when places have been looked at.
async fn told(outbound: &Outbound) -> Vec<Value> {
    tokio::time::sleep(LOOK).await;
    let frames = outbound.take(0, 0).control;
    frames.iter().map(|chunk| serde_json::from_slice(&chunk.bytes).unwrap()).collect()
}

fn news(version: u64, count: u64, change: &Value) -> Value {
    let mut news = json!({ "type": "presence", "to": "topic/room", "version": version, "count": count });
    news.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
    news
}

#[tokio::test(start_paused = true)]
async fn a_watcher_hears_who_is_there_and_then_what_changes_on_whatever_instance() {
    let hub = MemoryDirectoryHub::new();
    let (here, there, outbound) = (instance(&hub), instance(&hub), queue());
    let al = here.enter("al", "topic/room");
    let elsewhere = here.presence.enter(entry("evil", "mallory", "topic/room"));
    let watch = here.watch("topic/room", &outbound, 7);
    assert_eq!(told(&outbound).await, [news(1, 1, &json!({ "id": 7, "members": ["al"] }))]);
    assert!(told(&outbound).await.is_empty(), "nothing changed");
    let bob = there.enter("bob", "topic/room");
    assert_eq!(told(&outbound).await, [news(2, 2, &json!({ "joined": ["bob"] }))]);
    drop(al);
    let carol = there.enter("carol", "topic/room");
    assert_eq!(told(&outbound).await, [news(3, 2, &json!({ "joined": ["carol"], "left": ["al"] }))]);
    drop(watch);
    let erin = here.enter("erin", "topic/room");
    assert!(told(&outbound).await.is_empty(), "no longer watched");
    drop((erin, elsewhere, bob, carol));
}

#[tokio::test(start_paused = true)]
async fn who_is_lost_stays_for_a_grace_and_who_comes_back_was_never_gone() {
    let hub = MemoryDirectoryHub::new();
    let (here, outbound) = (instance(&hub), queue());
    let _watch = here.watch("topic/room", &outbound, 7);
    let (lost, back) = (here.enter("lost", "topic/room"), here.enter("back", "topic/room"));
    assert_eq!(told(&outbound).await[0]["count"], 2);
    lost.linger();
    back.linger();
    tokio::time::sleep(10 * LOOK).await;
    let again = entry("acme", "back", "topic/room");
    let again = OwnEntry { session: format!("back~{}", "B".repeat(22)).into(), ..again };
    let _again = here.presence.enter(again);
    assert!(told(&outbound).await.is_empty(), "both are in grace");
    tokio::time::sleep(3 * LOOK).await;
    let left = told(&outbound).await;
    assert_eq!(left.len(), 1, "{left:?}");
    assert_eq!((&left[0]["left"], &left[0]["count"]), (&json!(["lost"]), &json!(1)));
}

#[tokio::test(start_paused = true)]
async fn an_agent_is_present_by_its_session_and_by_its_grace() {
    let hub = MemoryDirectoryHub::new();
    let (here, outbound) = (instance(&hub), queue());
    let _watch = here.watch("agent/bob", &outbound, 7);
    assert_eq!(told(&outbound).await[0]["members"], json!([]));
    here.directory.register(entry("acme", "bob", "bob")).await.unwrap();
    assert_eq!(told(&outbound).await[0]["joined"], json!(["bob"]));
    here.enter("bob", "agent/bob").linger();
    here.directory.unregister(entry("acme", "bob", "bob")).await.unwrap();
    assert!(told(&outbound).await.is_empty());
    tokio::time::sleep(GRACE).await;
    assert_eq!(told(&outbound).await[0]["left"], json!(["bob"]));
}

#[tokio::test(start_paused = true)]
async fn a_watcher_that_does_not_read_hears_once_of_all_that_changed() {
    let hub = MemoryDirectoryHub::new();
    let (here, outbound) = (instance(&hub), queue());
    let _watch = here.watch("topic/room", &outbound, 7);
    told(&outbound).await;
    let filler = relay_protocol::Chunk::one(vec![b' '; 80 * 1024]);
    outbound.push_control(filler);
    let mut members = Vec::new();
    for name in ["a", "b", "c"] {
        members.push(here.enter(name, "topic/room"));
        tokio::time::sleep(LOOK).await;
    }
    assert_eq!(outbound.take(0, 0).control.len(), 1, "the filler alone");
    assert_eq!(told(&outbound).await, [news(2, 3, &json!({ "joined": ["a", "b", "c"] }))]);
}
