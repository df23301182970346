//! The recipient's side: what arrived, in which order, and which losses the relay owned up to.

use std::collections::HashMap;

use relay_protocol::topic;

use crate::checker::ranges::Ranges;
use crate::stamp::{Destination, Stamp};

/// What an arriving message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrival {
    /// Seen for the first time.
    Fresh,
    /// Seen before.
    Duplicate,
    /// Not for this agent.
    Stranger,
}

/// What one agent received.
#[derive(Debug)]
pub struct Inbox {
    me: Destination,
    topics: HashMap<Destination, String>,
    flows: HashMap<(u32, Destination), Arrivals>,
    gaps: Gaps,
    /// Messages for others, of another run, or from whom they are not.
    pub misdelivered: u64,
    /// Payloads that are not as they were sent.
    pub corrupted: u64,
}

/// What one agent received from one sender through one destination.
#[derive(Debug, Clone, Default)]
pub struct Arrivals {
    /// The numbers.
    pub seen: Ranges,
    /// How many came again.
    pub duplicated: u64,
    /// How many came after a later one.
    pub out_of_order: u64,
    /// Losses up to here were declared by a `gap`.
    pub excused_to: u64,
    /// A `gap` was told and nothing came since.
    gap_open: bool,
}

/// The `gap` frames that came.
#[derive(Debug, Default)]
struct Gaps {
    count: u64,
    direct: bool,
    topics: Vec<String>,
    /// How many losses they own up to; nothing where one did not say.
    dropped: Option<u64>,
}

impl Inbox {
    /// For the agent of that number, subscribed to these topics.
    pub fn new(me: u32, topics: impl IntoIterator<Item = (Destination, String)>) -> Inbox {
        Inbox {
            me: Destination::Agent(me),
            topics: topics.into_iter().collect(),
            flows: HashMap::new(),
            gaps: Gaps::default(),
            misdelivered: 0,
            corrupted: 0,
        }
    }

    /// Whether messages for `destination` should reach this agent.
    pub fn wants(&self, destination: Destination) -> bool {
        destination == self.me || self.topics.contains_key(&destination)
    }

    /// Notes a message.
    pub fn arrived(&mut self, stamp: &Stamp) -> Arrival {
        if !self.wants(stamp.destination) {
            self.misdelivered += 1;
            return Arrival::Stranger;
        }
        let gap_open = self.gaps.count > 0 && self.is_declared(stamp.destination);
        let flow = self
            .flows
            .entry((stamp.sender, stamp.destination))
            .or_insert_with(|| Arrivals { gap_open, ..Arrivals::default() });
        flow.arrived(stamp.number)
    }

    /// Notes a `gap`.
    pub fn gap<'t>(&mut self, direct: bool, topics: impl Iterator<Item = &'t str>, dropped: Option<u64>) {
        let said = if self.gaps.count == 0 { Some(0) } else { self.gaps.dropped };
        self.gaps.dropped = said.zip(dropped).map(|(sum, more)| sum + more);
        self.gaps.count += 1;
        self.gaps.direct |= direct;
        for pattern in topics {
            if !self.gaps.topics.iter().any(|known| known == pattern) {
                self.gaps.topics.push(pattern.to_owned());
            }
        }
        let declared: Vec<_> =
            self.flows.keys().copied().filter(|(_, destination)| self.is_declared(*destination)).collect();
        for key in declared {
            if let Some(flow) = self.flows.get_mut(&key) {
                flow.gap_open = true;
            }
        }
    }

    fn is_declared(&self, destination: Destination) -> bool {
        match self.topics.get(&destination) {
            None => self.gaps.direct,
            Some(name) => self.gaps.topics.iter().any(|pattern| topic::matches(pattern, name)),
        }
    }

    /// How many `gap` frames came.
    pub fn gaps(&self) -> u64 {
        self.gaps.count
    }

    /// How many losses the `gap` frames own up to, if all said.
    pub fn declared_max(&self) -> u64 {
        self.gaps.dropped.unwrap_or(if self.gaps.count == 0 { 0 } else { u64::MAX })
    }

    /// What came from `sender` through `destination`.
    pub fn flow(&self, sender: u32, destination: Destination) -> Arrivals {
        self.flows.get(&(sender, destination)).cloned().unwrap_or_else(|| Arrivals {
            gap_open: self.gaps.count > 0 && self.is_declared(destination),
            ..Arrivals::default()
        })
    }

    /// Every sender and destination of which something came.
    pub fn flows(&self) -> impl Iterator<Item = (u32, Destination, &Arrivals)> {
        self.flows.iter().map(|((sender, destination), flow)| (*sender, *destination, flow))
    }
}

impl Arrivals {
    fn arrived(&mut self, number: u64) -> Arrival {
        if self.gap_open {
            self.gap_open = false;
            self.excused_to = self.excused_to.max(number.saturating_sub(1));
        }
        let last = self.seen.last();
        if !self.seen.insert(number) {
            self.duplicated += 1;
            return Arrival::Duplicate;
        }
        if last.is_some_and(|last| number < last) {
            self.out_of_order += 1;
        }
        Arrival::Fresh
    }

    /// Up to which number a loss was declared.
    pub fn excused_to(&self) -> u64 {
        if self.gap_open { u64::MAX } else { self.excused_to }
    }
}
