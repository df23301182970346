//! The pending list of a group: who gets a job, who settles it, and what becomes of it when nobody does.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use crate::bus::InstanceId;
use crate::bus::conformance::eventually;
use crate::streams::conformance::{SETTINGS, message, to_hear};
use crate::streams::{Append, Found, GIVEN_MAX, JobFate, Look, Settled, Stored, StreamKey, StreamStore};

/// So long an instance counts as living here; few of them are waited for, as a real store takes real time.
const LIFE: Duration = Duration::from_millis(400);
/// Longer than the checks take.
const LONG: Duration = Duration::from_mins(5);

struct Place<'s> {
    store: &'s dyn StreamStore,
    group: StreamKey,
    instance: InstanceId,
    life: Duration,
}

impl Place<'_> {
    async fn give(&self, jobs: Vec<Append>) -> Vec<Stored> {
        self.store.give(self.group.clone(), jobs).await.unwrap().stored
    }

    async fn look(&self, takers: &[&str]) -> Found {
        let by = Some((self.instance.clone(), self.life));
        let takers: Vec<Arc<str>> = takers.iter().map(|taker| Arc::from(*taker)).collect();
        let look = Look { by, told_of: takers.len(), takers };
        self.store.look(self.group.clone(), look).await.unwrap()
    }

    async fn settle(&self, epoch: &Arc<str>, session: &str, seq: u64, fate: JobFate) -> Vec<(u64, bool)> {
        let settled = Settled { session: session.into(), epoch: Arc::clone(epoch), seq, fate };
        let told = self.store.settle(self.group.clone(), vec![settled]).await.unwrap();
        told.into_iter().map(|told| (told.to.id, told.expired)).collect()
    }
}

fn place<'s>(store: &'s dyn StreamStore, name: &str, life: Duration) -> Place<'s> {
    let group = StreamKey::group(&"acme".into(), &format!("group/{name}").into());
    Place { store, group, instance: InstanceId::random(), life }
}

fn job(id: u64) -> Append {
    Append { return_to: Some(to_hear(&InstanceId::random(), id)), ..message(&format!("j{id}"), "x") }
}

/// Without a member there is nobody; a job goes to one session, which alone settles it, and its repeat hears what became
/// of it.
pub(super) async fn hands(a: &dyn StreamStore, b: &dyn StreamStore) {
    let (here, there) = (place(a, "hands", LONG), place(b, "hands", LONG));
    assert_eq!(here.give(vec![job(1)]).await, [Stored::NoRecipient]);
    let nobody = Look { by: None, told_of: 0, takers: Vec::new() };
    let found = a.look(here.group.clone(), nobody.clone()).await.unwrap();
    assert_eq!((found.waiting, found.in_hand), (0, 0));
    assert_eq!(here.give(vec![job(1)]).await, [Stored::NoRecipient], "looking alone makes no list");
    here.look(&[]).await;
    let given = b.give(here.group.clone(), vec![job(1), job(2), job(1)]).await.unwrap();
    let again = Stored::Repeat { seq: 1, delivered: false };
    assert_eq!(given.stored, [Stored::At(1), Stored::At(2), again]);
    assert_eq!(given.instances, std::slice::from_ref(&here.instance));
    let first = here.look(&["w~1"]).await;
    let second = there.look(&["w~2", "w~2"]).await;
    let one = |found: &Found| {
        assert_eq!(found.jobs.len(), 1);
        (found.jobs[0].message.seq, found.jobs[0].again, Arc::clone(&found.jobs[0].session))
    };
    assert_eq!((one(&first), first.waiting), ((1, false, "w~1".into()), 1));
    assert_eq!((one(&second), second.waiting, second.in_hand), ((2, false, "w~2".into()), 0, 2));
    let epoch = first.epoch;
    assert_eq!(epoch, second.epoch);
    assert_eq!(there.settle(&epoch, "w~2", 1, JobFate::Done).await, [], "another's");
    assert_eq!(here.settle(&"another".into(), "w~1", 1, JobFate::Done).await, [], "of another epoch");
    assert_eq!(there.settle(&epoch, "w~1", 1, JobFate::Done).await, [(1, false)]);
    assert_eq!(here.settle(&epoch, "w~1", 1, JobFate::Done).await, [], "once");
    assert_eq!(here.give(vec![job(1)]).await, [Stored::Repeat { seq: 1, delivered: true }]);
    assert_eq!(there.settle(&epoch, "w~2", 2, JobFate::Unwritten).await, []);
    assert_eq!(one(&here.look(&["w~1"]).await), (2, false, "w~1".into()), "nobody has had it");
    assert_eq!(here.settle(&epoch, "w~1", 2, JobFate::Left).await, []);
    assert_eq!(one(&there.look(&["w~2"]).await), (2, true, "w~2".into()), "somebody may have had it");
    assert_eq!(here.settle(&epoch, "w~1", 2, JobFate::Done).await, [], "it is another's by now");
    assert_eq!(there.settle(&epoch, "w~2", 2, JobFate::Left).await, []);
    assert_eq!(
        there.settle(&epoch, "w~2", 2, JobFate::Done).await,
        [(2, false)],
        "still the last to have had it"
    );
    assert_eq!(here.look(&["w~1"]).await.jobs, []);
    // Another tenant's group of the same name is another.
    let other = StreamKey { tenant: "other".into(), ..here.group.clone() };
    assert_eq!(a.give(other, vec![job(9)]).await.unwrap().stored, [Stored::NoRecipient]);
    a.leave(here.group.clone(), here.instance.clone()).await.unwrap();
    assert_eq!(here.give(vec![job(3)]).await, [Stored::At(3)], "there is the other");
    a.leave(here.group.clone(), there.instance.clone()).await.unwrap();
    assert_eq!(here.give(vec![job(3), job(4)]).await[1], Stored::NoRecipient);
}

/// A list has a bound, a job is given so many times and no more, and one whose time passes fails unless it is in hand.
pub(super) async fn ends(a: &dyn StreamStore) {
    let here = place(a, "ends", LONG);
    let epoch = here.look(&[]).await.epoch;
    for given in 0..GIVEN_MAX {
        assert_eq!(here.give(vec![job(1)]).await.len(), 1);
        let found = here.look(&["w~1"]).await;
        assert_eq!(found.jobs[0].again, given > 0);
        let told = here.settle(&epoch, "w~1", 1, JobFate::Left).await;
        assert_eq!(told, if given + 1 < GIVEN_MAX { vec![] } else { vec![(1, true)] });
    }
    assert_eq!(here.give(vec![job(1)]).await, [Stored::Expired]);
    let brief = |id| Append { expires_in_ms: Some(100), ..job(id) };
    assert_eq!(here.give(vec![brief(2), brief(3)]).await, [Stored::At(2), Stored::At(3)]);
    assert_eq!(here.look(&["w~1"]).await.jobs[0].message.seq, 2);
    eventually("its time passes", async || {
        let found = here.look(&[]).await;
        let told: Vec<_> = found.told.iter().map(|told| (told.to.id, told.expired)).collect();
        assert_eq!(found.in_hand, 1);
        told == [(3, true)]
    })
    .await;
    assert_eq!(here.look(&["w~1"]).await.jobs, []);
    assert_eq!(here.settle(&epoch, "w~1", 2, JobFate::Done).await, [(2, false)], "it was in hand");
    assert_eq!(here.give(vec![job(3)]).await, [Stored::Expired]);
    let many = (100..125).map(job).collect();
    let stored = here.give(many).await;
    assert_eq!(stored.iter().filter(|stored| **stored == Stored::Saturated).count(), 25 - SETTINGS.messages);
    let large = Append { body: "y".repeat(200_000).into(), ..job(999) };
    assert_eq!(here.give(vec![large]).await, [Stored::Saturated]);
}

/// What an instance had in hand is free when it speaks no more; what it was not told of is left to others for a moment.
pub(super) async fn losses(a: &dyn StreamStore, b: &dyn StreamStore) {
    let (here, lost) = (place(a, "losses", LONG), place(b, "losses", LIFE));
    here.look(&[]).await;
    lost.look(&[]).await;
    here.give(vec![job(1), job(2)]).await;
    assert_eq!(lost.look(&["w~2"]).await.jobs.len(), 1);
    let by = Some((here.instance.clone(), here.life));
    let untold = Look { by, told_of: 0, takers: vec!["w~1".into(), "w~1".into()] };
    assert_eq!(a.look(here.group.clone(), untold.clone()).await.unwrap().jobs, [], "another was told of it");
    let (mut taken, mut put_back) = (BTreeSet::new(), 0);
    eventually("all are free", async || {
        let found = a.look(here.group.clone(), untold.clone()).await.unwrap();
        taken.extend(found.jobs.iter().map(|job| (job.message.seq, job.again)));
        put_back += found.put_back;
        taken.len() == 2
    })
    .await;
    assert_eq!((taken, put_back), (BTreeSet::from([(1, true), (2, false)]), 1));
    // One that could not speak itself does not believe that others are dead.
    let (one, other) = (place(a, "calm", LIFE), place(b, "calm", LIFE));
    one.look(&[]).await;
    other.look(&[]).await;
    one.give(vec![job(1)]).await;
    assert_eq!(other.look(&["w~2"]).await.jobs.len(), 1);
    eventually("neither has spoken for too long", async || {
        a.give(one.group.clone(), Vec::new()).await.unwrap().instances.is_empty()
    })
    .await;
    let found = one.look(&["w~1"]).await;
    assert_eq!((found.jobs, found.put_back, found.in_hand), (vec![], 0, 1));
    assert_eq!(other.look(&[]).await.in_hand, 1, "it lives");
}
