//! What keeps the order of an agent that moved: what is sent now waits until everything under way to where it was is
//! settled, or until nobody is there any more who could deliver it.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use smallvec::SmallVec;
use tokio::time::Instant;

use crate::bus::Channel;
use crate::directory::Entry;
use crate::router::Router;
use crate::router::envelope;
use crate::router::link::Link;

/// How often it is asked whether an instance that owes reports still listens.
const LOOK: Duration = Duration::from_millis(250);
/// An instance that several looks in a row found deaf is gone: one look may fall into a change of its connection.
const DEAF_LOOKS: u32 = 3;

/// Looks that stand further apart than this say nothing together.
const STALE: Duration = Duration::from_secs(1);

/// What was found of whether an instance still listens. It is asked once, however many of its agents are waited for.
#[derive(Debug, Default)]
pub(super) struct Looks(Mutex<Found>);

#[derive(Debug, Default)]
struct Found {
    asked_at: Option<Instant>,
    /// So often in a row nobody listened.
    deaf: u32,
    /// What had a lower number then was on its way.
    upto: u64,
}

impl Looks {
    /// Takes on to ask, if nobody has just now.
    fn begin(&self) -> bool {
        let (mut found, now) = (self.0.lock(), Instant::now());
        let since = found.asked_at.map(|at| now - at);
        if since.is_some_and(|since| since < LOOK) {
            return false;
        }
        if since.is_some_and(|since| since > STALE) {
            found.deaf = 0;
        }
        found.asked_at = Some(now);
        true
    }

    /// Below which number nothing will be reported any more, if that is clear now.
    fn end(&self, is_deaf: bool, next_seq: u64) -> Option<u64> {
        let mut found = self.0.lock();
        if !is_deaf {
            found.deaf = 0;
            return None;
        }
        if found.deaf == 0 {
            found.upto = next_seq;
        }
        found.deaf = (found.deaf + 1) % DEAF_LOOKS;
        (found.deaf == 0).then_some(found.upto)
    }
}

/// What is sent now may not go another way before everything under way here is settled.
pub(super) struct Barrier {
    pub(super) link: Arc<Link>,
    /// Up to which number.
    pub(super) seq: u64,
    /// Whether the instance said that the agent is not there, whatever the directory says.
    pub(super) sent_back: bool,
}

pub(super) type Barriers = SmallVec<[Barrier; 1]>;

impl Router {
    /// What may be under way to an agent by links to where it was.
    pub(super) fn barriers(&self, entries: &[Entry]) -> Barriers {
        let mut barriers = Barriers::new();
        for Entry { instance, .. } in entries {
            let known = barriers.iter().any(|barrier: &Barrier| barrier.link.peer == *instance);
            if !known && let Some(link) = self.links.get(instance).filter(|link| link.is_under_way()) {
                barriers.push(Barrier { seq: link.next_seq(), link: Arc::clone(&link), sent_back: false });
            }
        }
        barriers
    }

    /// Waits until all before `seq` on a link is settled: reported, given up by the outcome time-out, or given up here,
    /// as an instance that was killed would hold its agents up that long wherever they went.
    pub(super) async fn pass(&self, link: &Link, seq: u64) {
        while tokio::time::timeout(LOOK, link.settled_before(seq)).await.is_err() {
            if !link.looks.begin() {
                continue;
            }
            // A batch of nothing: only how many receivers it has is of interest.
            let nothing = envelope::begin(&self.instance).into();
            let listeners = self.publish_batch(&Channel::inbox(&link.peer), nothing, 0).await;
            if let Some(upto) = link.looks.end(listeners == Ok(0), link.next_seq()) {
                // Dropped, their settlements say `unknown`.
                drop(link.give_up_before(upto));
            }
        }
    }
}
