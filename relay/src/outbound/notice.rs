//! What a client is told besides messages: outcomes of its sends, and gaps. Gathered, so that many become one frame.

use std::sync::Arc;

use relay_protocol::client::Point;
use relay_protocol::server::{Earlier, Failed, GapReason, Receipt, ServerFrame};
use relay_protocol::{ErrorCode, Text};
use smallvec::SmallVec;

use crate::telemetry::outcome::Outcome;

/// Outcomes and gaps that wait to be told.
#[derive(Debug, Default)]
pub struct Told {
    outcomes: Vec<(u64, Outcome)>,
    places: Vec<(u64, Place)>,
    earlier: Vec<(Box<str>, Outcome)>,
    gap: Option<Box<GapNotice>>,
}

/// Where a message stands in its stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The stream.
    pub stream: Arc<str>,
    /// Which life of it.
    pub epoch: Arc<str>,
    /// Which message of it.
    pub seq: u64,
}

/// Messages at `qos` 0 may have been lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GapNotice {
    /// Why.
    pub reason: GapReason,
    /// Whether messages to the agent or session are concerned.
    pub direct: bool,
    /// The patterns concerned.
    pub topics: SmallVec<[Arc<str>; 1]>,
    /// Whether every pattern of the session is concerned.
    pub all_topics: bool,
    /// How many, where known.
    pub dropped: Option<u64>,
}

impl GapNotice {
    /// The session did not keep up with a topic.
    pub fn slow(pattern: &Arc<str>, dropped: u64) -> GapNotice {
        GapNotice {
            reason: GapReason::Slow,
            direct: false,
            topics: SmallVec::from_elem(Arc::clone(pattern), 1),
            all_topics: false,
            dropped: Some(dropped),
        }
    }

    /// Messages expired while they waited: of the topics of a pattern, or to the agent or session.
    pub fn expired(pattern: Option<Arc<str>>, dropped: u64) -> GapNotice {
        GapNotice {
            reason: GapReason::Expired,
            direct: pattern.is_none(),
            topics: pattern.into_iter().collect(),
            all_topics: false,
            dropped: Some(dropped),
        }
    }

    /// Nothing of what was on its way can be relied on.
    pub fn everything(reason: GapReason) -> GapNotice {
        GapNotice { reason, direct: true, topics: SmallVec::new(), all_topics: true, dropped: None }
    }

    /// Two gaps as one; the number stays known only if it is known of both.
    fn merge(&mut self, other: GapNotice) {
        if other.reason != GapReason::Slow {
            self.reason = other.reason;
        }
        self.direct |= other.direct;
        self.all_topics |= other.all_topics;
        for topic in other.topics {
            if !self.topics.contains(&topic) {
                self.topics.push(topic);
            }
        }
        self.dropped = self.dropped.zip(other.dropped).map(|(one, two)| one + two);
    }
}

/// The most outcomes in one frame: 4,096 failures are some 200 KiB of JSON.
const OUTCOMES_PER_FRAME_MAX: usize = 4_096;

/// The same of an earlier connection: some 25 KiB of JSON.
const EARLIER_PER_FRAME_MAX: usize = 256;

impl Told {
    /// Whether there is nothing to tell.
    pub fn is_empty(&self) -> bool {
        self.outcomes.is_empty() && self.earlier.is_empty() && self.gap.is_none()
    }

    /// An outcome to tell.
    pub fn outcome(&mut self, id: u64, outcome: Outcome) {
        self.outcomes.push((id, outcome));
    }

    /// A place to tell, of a message whose outcome is told too.
    pub fn place(&mut self, id: u64, place: Place) {
        self.places.push((id, place));
    }

    /// Outcomes to tell of what an earlier connection sent.
    pub fn earlier(&mut self, told: impl Iterator<Item = (Box<str>, Outcome)>) {
        self.earlier.extend(told);
    }

    /// A gap to tell; several become one.
    pub fn push_gap(&mut self, notice: GapNotice) {
        match &mut self.gap {
            Some(gap) => gap.merge(notice),
            None => self.gap = Some(Box::new(notice)),
        }
    }

    /// Adds what another part of the session wants to tell.
    pub fn append(&mut self, other: &mut Told) {
        self.outcomes.append(&mut other.outcomes);
        self.places.append(&mut other.places);
        self.earlier.append(&mut other.earlier);
    }

    /// The frames that tell it all, to a session with these `patterns`.
    pub fn frames<'p>(
        mut self,
        patterns: impl Iterator<Item = &'p Arc<str>>,
        mut each: impl FnMut(&ServerFrame<'_>),
    ) {
        // Stable: of two outcomes of one send the earlier stands first.
        self.outcomes.sort_by_key(|(id, _)| *id);
        for some in self.outcomes.chunks(OUTCOMES_PER_FRAME_MAX) {
            let mut receipt = receipt(some);
            let (from, upto) = (some[0].0, some[some.len() - 1].0);
            let within = self.places.extract_if(.., |(id, _)| (from..=upto).contains(id));
            receipt.positions = within.map(position).collect();
            each(&ServerFrame::Receipt(receipt));
        }
        for some in self.earlier.chunks(EARLIER_PER_FRAME_MAX) {
            let earlier =
                some.iter().map(|(mid, outcome)| Earlier { mid: (&**mid).into(), failed: failure(*outcome) });
            each(&ServerFrame::Receipt(Receipt { earlier: earlier.collect(), ..Receipt::default() }));
        }
        if let Some(mut gap) = self.gap {
            if gap.all_topics {
                gap.topics = patterns.cloned().collect();
            }
            each(&ServerFrame::Gap {
                reason: gap.reason,
                direct: gap.direct,
                topics: gap.topics.iter().map(|topic| (&**topic).into()).collect(),
                dropped: gap.dropped,
            });
        }
    }
}

fn failure(outcome: Outcome) -> Option<ErrorCode> {
    match outcome {
        Outcome::Failed { reason, .. } => Some(reason),
        _ => None,
    }
}

fn position((id, place): (u64, Place)) -> (u64, Text<'static>, Point<'static>) {
    let epoch = place.epoch.to_string().into();
    (id, place.stream.to_string().into(), Point { epoch, seq: place.seq })
}

fn receipt(outcomes: &[(u64, Outcome)]) -> Receipt<'static> {
    let mut receipt = Receipt::default();
    let mut before = None;
    for (id, outcome) in outcomes {
        match outcome {
            Outcome::Queued => extend(&mut receipt.queued, *id),
            Outcome::Accepted => extend(&mut receipt.accepted, *id),
            Outcome::Delivered => extend(&mut receipt.delivered, *id),
            Outcome::Unknown => extend(&mut receipt.unknown, *id),
            Outcome::Failed { reason, retry_after_ms, limit } => match receipt.failed.last_mut() {
                // Who sends more than is carried is refused many sends in a row: one entry for all of them.
                Some(failed) if before == Some((id - 1, *outcome)) => failed.ids.1 = *id,
                _ => receipt.failed.push(Failed {
                    ids: (*id, *id),
                    reason: *reason,
                    retry_after_ms: *retry_after_ms,
                    limit: limit.map(|limit| limit.name().into()),
                }),
            },
        }
        before = Some((*id, *outcome));
    }
    receipt
}

/// Ids one after another become one range.
fn extend(ranges: &mut Vec<(u64, u64)>, id: u64) {
    match ranges.last_mut() {
        Some((_, last)) if *last + 1 == id => *last = id,
        _ => ranges.push((id, id)),
    }
}
