//! What is in an inbox to which nobody returns.

use std::sync::Arc;
use std::time::Duration;

use crate::bus::InstanceId;
use crate::bus::conformance::eventually;
use crate::streams::conformance::{SETTINGS, append, message, to_hear};
use crate::streams::{Ack, Append, Opening, Stored, StreamKey, StreamSettings, StreamStore};

/// With a life short enough to be waited for.
pub(in crate::streams) const SHORT_LIVED: StreamSettings =
    StreamSettings { age: Duration::from_secs(2), ..SETTINGS };

/// Of what nobody presented in its time its sender hears, once, from one instance of those that look; of what was presented
/// it does not. The store has [`SHORT_LIVED`] settings.
pub(in crate::streams) async fn expires(a: &dyn StreamStore, b: &dyn StreamStore) {
    let (tenant, instance): (Arc<str>, _) = ("acme".into(), InstanceId::random());
    let mut opened = Vec::new();
    for (agent, session) in [("gone", "gone~1"), ("there", "there~1")] {
        let opening = Opening {
            inbox: StreamKey::agent(&tenant, agent),
            session: session.into(),
            generation: 1,
            ticket: [7; 32],
            resume: None,
            instance: instance.clone(),
        };
        opened.push(b.open(opening).await.unwrap());
    }
    let asked =
        |id: u64| Append { return_to: Some(to_hear(&instance, id)), ..message(&format!("u{id}"), "x") };
    let (gone, there) = (StreamKey::agent(&tenant, "gone"), StreamKey::agent(&tenant, "there"));
    let three = vec![asked(1), message("silent", "x"), asked(3)];
    assert_eq!(append(a, &gone, three).await, [Stored::At(1), Stored::At(2), Stored::At(3)]);
    assert_eq!(append(a, &there, vec![asked(4)]).await, [Stored::At(1)]);
    b.close(gone.clone(), "gone~1".into(), 1).await.unwrap();
    let (epoch, generation) = (Arc::clone(&opened[1].marks.epoch), opened[1].generation);
    let ack = Ack { session: "there~1".into(), generation, epoch, seq: 1, expired: Vec::new() };
    assert_eq!(b.acknowledge(there, ack).await.unwrap().unwrap().len(), 1, "delivered");
    assert_eq!(a.expire_unread(Arc::clone(&tenant)).await, Ok(Vec::new()), "too early");

    let (mut told, mut later) = (Vec::new(), Vec::new());
    eventually("senders hear", async || {
        if later.is_empty() {
            later = append(b, &gone, vec![asked(5)]).await;
        }
        for store in [a, b] {
            told.extend(store.expire_unread(Arc::clone(&tenant)).await.unwrap());
        }
        told.len() >= 3
    })
    .await;
    assert_eq!(later, [Stored::At(4)]);
    let mut ids: Vec<u64> = told.iter().map(|told| told.to.id).collect();
    ids.sort_unstable();
    assert_eq!(ids, [1, 3, 5]);
    assert!(told.iter().all(|told| told.expired), "{told:?}");
    assert_eq!(a.expire_unread(Arc::clone(&tenant)).await, Ok(Vec::new()), "told once");
}
