//! What keeps the order of an agent that moved: what is sent now waits until everything under way to where it was is
//! settled, or until nobody is there any more who could deliver it.

use std::sync::Arc;
use std::time::Duration;

use smallvec::SmallVec;

use crate::bus::Channel;
use crate::directory::Entry;
use crate::router::Router;
use crate::router::envelope;
use crate::router::link::Link;

/// How often it is asked whether an instance that owes reports still listens.
const LOOK: Duration = Duration::from_millis(250);
/// An instance that several looks in a row found deaf is gone: one look may fall into a change of its connection.
const DEAF_LOOKS: u32 = 3;

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
        let mut deaf = 0;
        while tokio::time::timeout(LOOK, link.settled_before(seq)).await.is_err() {
            // A batch of nothing: only how many receivers it has is of interest.
            let nothing = envelope::begin(&self.instance).into();
            let listeners = self.bus.publish(&Channel::inbox(&link.peer), nothing).await;
            deaf = if listeners == Ok(0) { deaf + 1 } else { 0 };
            if deaf == DEAF_LOOKS {
                // Dropped, their settlements say `unknown`.
                drop(link.give_up_before(seq));
            }
        }
    }
}
