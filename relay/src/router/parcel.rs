//! Messages on their way to an agent that may be elsewhere, and those that wait to learn where.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::time::Instant;

use crate::bus::InstanceId;
use crate::outbound::Settlement;
use crate::router::envelope::Direct;
use crate::router::link::Tried;
use crate::telemetry::outcome::Outcome;

/// A message whose recipient may be on another instance.
#[derive(Debug)]
pub(super) struct Parcel {
    pub(super) direct: Arc<Direct<Arc<str>>>,
    pub(super) settlement: Settlement,
    pub(super) taken_at: Instant,
    pub(super) expires_at: Option<Instant>,
    /// The instance that sent it back, and what its sender hears if there is no other.
    pub(super) returned: Option<(InstanceId, Outcome)>,
    /// The number that it had on the way to that instance.
    pub(super) seq: u64,
    /// Where it was sent before.
    pub(super) tried: Tried,
}

impl Parcel {
    fn by(&self) -> Option<&InstanceId> {
        self.returned.as_ref().map(|(by, _)| by)
    }
}

/// What waits for a route.
#[derive(Debug, Default)]
pub(super) struct Held {
    /// Sent back by an instance where the agent is no more.
    returned: VecDeque<Parcel>,
    /// Not sent yet.
    pub(super) fresh: VecDeque<Parcel>,
}

impl Held {
    pub(super) fn fresh(parcel: Parcel) -> Held {
        Held { fresh: VecDeque::from([parcel]), ..Held::default() }
    }

    pub(super) fn returned(parcel: Parcel) -> Held {
        Held { returned: VecDeque::from([parcel]), ..Held::default() }
    }

    /// One more was sent back. Of one instance they come back in any order: what nobody heard there any more is back at
    /// once, and what it had taken before when it says so.
    pub(super) fn take_back(&mut self, parcel: Parcel) {
        let is_later = |other: &Parcel| other.by() == parcel.by() && other.seq > parcel.seq;
        let at = self.returned.iter().position(is_later).unwrap_or(self.returned.len());
        self.returned.insert(at, parcel);
    }

    /// All of it, as it is to be sent.
    pub(super) fn into_order(self) -> impl Iterator<Item = Parcel> {
        self.returned.into_iter().chain(self.fresh)
    }
}

#[cfg(test)]
mod tests {
    use relay_protocol::Encoding;
    use relay_protocol::client::Lane;

    use super::*;

    fn parcel(by: &InstanceId, seq: u64) -> Parcel {
        let direct = Direct {
            tenant: "acme".into(),
            agent: "bob".into(),
            session: None,
            lane: Lane::Normal,
            key: None,
            expires_in_ms: 0,
            reply_to: None,
            encoding: Encoding::Json,
            frame: Vec::new().into(),
        };
        Parcel {
            direct: Arc::new(direct),
            settlement: Settlement::elsewhere(|_| {}),
            taken_at: Instant::now(),
            expires_at: None,
            returned: Some((by.clone(), Outcome::Unknown)),
            seq,
            tried: Tried::Nowhere,
        }
    }

    #[test]
    fn what_an_instance_sends_back_later_goes_where_it_was_before() {
        let (one, other) = (InstanceId::random(), InstanceId::random());
        let mut held = Held::returned(parcel(&one, 5));
        for (by, seq) in [(&other, 1), (&one, 3), (&one, 4), (&one, 6), (&other, 2)] {
            held.take_back(parcel(by, seq));
        }
        let of = |by: &InstanceId, held: &Held| {
            held.returned.iter().filter(|parcel| parcel.by() == Some(by)).map(|parcel| parcel.seq).collect()
        };
        let (of_one, of_other): (Vec<u64>, Vec<u64>) = (of(&one, &held), of(&other, &held));
        assert_eq!((of_one, of_other), (vec![3, 4, 5, 6], vec![1, 2]));
    }
}
