//! What a client sends, and has to send again.

use std::collections::BTreeMap;

use relay_protocol::ServerFrame;
use relay_protocol::client::Qos;
use relay_protocol::server::Failed;
use tokio::time::{Duration, Instant};

/// How long a client waits before it sends again what was refused.
const RETRY: Duration = Duration::from_millis(150);

/// What a client sends.
#[derive(Debug)]
pub(crate) struct Letters {
    client: u32,
    /// Which life of the client: what it sent before it died is forgotten, but its names are taken.
    life: u32,
    last: u64,
    counter: u64,
    /// Of which nothing says that it is stored.
    open: BTreeMap<u64, Open>,
    /// Commands of this connection, and the letters that they send.
    in_flight: BTreeMap<u64, u64>,
}

#[derive(Debug)]
struct Open {
    letter: Letter,
    in_flight: bool,
    /// When it may be sent again.
    due: Instant,
}

/// A message.
#[derive(Debug, Clone)]
pub(crate) struct Letter {
    pub(crate) mid: String,
    pub(crate) to: String,
    pub(crate) qos: Qos,
    pub(crate) counter: Option<u64>,
}

/// What a sender does with an outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Nothing more.
    Done,
    /// It may not be stored.
    Doubtful,
}

impl Outcome {
    /// The outcomes that a frame tells.
    pub(crate) fn each(frame: &ServerFrame<'_>, mut each: impl FnMut(u64, Outcome)) {
        match frame {
            ServerFrame::Receipt(receipt) => {
                let done = [&receipt.queued, &receipt.accepted, &receipt.delivered];
                let ids = |ranges: &[(u64, u64)]| -> Vec<u64> {
                    ranges.iter().flat_map(|(first, last)| *first..=*last).collect()
                };
                for id in done.into_iter().flat_map(|ranges| ids(ranges)) {
                    each(id, Outcome::Done);
                }
                let failed = receipt.failed.iter().flat_map(Failed::each_id);
                for id in ids(&receipt.unknown).into_iter().chain(failed) {
                    each(id, Outcome::Doubtful);
                }
            }
            ServerFrame::Error { id: Some(id), .. } => each(*id, Outcome::Doubtful),
            _ => {}
        }
    }
}

impl Letters {
    /// None yet.
    pub(crate) fn new(client: u32) -> Letters {
        let (open, in_flight) = (BTreeMap::new(), BTreeMap::new());
        Letters { client, life: 0, last: 0, counter: 0, open, in_flight }
    }

    /// Another one; nothing if one before it has to go first.
    pub(crate) fn write(&mut self, to: String, qos: Qos, in_order: bool) -> Option<u64> {
        let is_refused = |open: &Open| open.letter.counter.is_some() && !open.in_flight;
        if in_order && self.open.values().any(is_refused) {
            return None;
        }
        self.last += 1;
        self.counter += u64::from(in_order);
        let mid = format!("{}.{}.{}", self.client, self.life, self.last);
        let counter = in_order.then_some(self.counter);
        let letter = Letter { mid, to, qos, counter };
        self.open.insert(self.last, Open { letter, in_flight: false, due: Instant::now() });
        Some(self.last)
    }

    /// Up to which counter nothing is sent again.
    pub(crate) fn settled(&self) -> u64 {
        let mut counted = self.open.values().filter_map(|open| open.letter.counter);
        counted.next().map_or(self.counter, |first| first - 1)
    }

    /// It is sent by this command.
    pub(crate) fn posted(&mut self, number: u64, id: u64) -> Option<Letter> {
        let open = self.open.get_mut(&number)?;
        open.in_flight = true;
        let letter = open.letter.clone();
        if letter.qos == Qos::AtMostOnce {
            // Once at most.
            self.open.remove(&number);
        } else {
            self.in_flight.insert(id, number);
        }
        Some(letter)
    }

    /// An outcome was told.
    pub(crate) fn settle(&mut self, id: u64, outcome: Outcome) {
        let Some(number) = self.in_flight.remove(&id) else { return };
        match outcome {
            Outcome::Done => drop(self.open.remove(&number)),
            Outcome::Doubtful => {
                if let Some(open) = self.open.get_mut(&number) {
                    (open.in_flight, open.due) = (false, Instant::now() + RETRY);
                }
            }
        }
    }

    /// Another connection: what was under way on the former has no outcome.
    pub(crate) fn reconnected(&mut self) {
        self.in_flight.clear();
        self.open.values_mut().for_each(|open| open.in_flight = false);
    }

    /// What is to be sent again now: what is counted only all together and in its order.
    pub(crate) fn due(&self) -> Vec<u64> {
        let counted = |open: &Open| open.letter.counter.is_some();
        let under_way = self.open.values().any(|open| counted(open) && open.in_flight);
        let now = Instant::now();
        let too_soon = self.open.values().any(|open| counted(open) && open.due > now);
        let is_due = |open: &Open| {
            if counted(open) { !under_way && !too_soon } else { !open.in_flight && open.due <= now }
        };
        self.open.iter().filter(|(_, open)| is_due(open)).map(|(number, _)| *number).collect()
    }

    /// The client died.
    pub(crate) fn forget(&mut self) {
        *self = Letters { life: self.life + 1, ..Letters::new(self.client) };
    }

    /// What could not be stored.
    pub(crate) fn left(&self) -> Vec<String> {
        self.open.values().map(|open| format!("{} to {}", open.letter.mid, open.letter.to)).collect()
    }
}
