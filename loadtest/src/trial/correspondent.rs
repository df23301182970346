//! What every role shares: numbering what it sends, noting what it hears, feeding the counters.

use std::sync::Arc;

use relay_protocol::client::ReceiptMode;
use relay_protocol::server::Receipt;
use relay_protocol::{Address, Message, Send, ServerFrame};

use crate::agent::{Ended, Outbox};
use crate::checker::{Arrival, Books, End, Inbox, Ledger, Outcome};
use crate::clock;
use crate::stamp::{Destination, Stamp, Stamper};
use crate::trial::live::{Live, add};
use crate::trial::stage::Window;

/// An agent's accounts in one run.
#[derive(Debug)]
pub struct Correspondent {
    /// Its number.
    pub number: u32,
    run: u32,
    receipt: ReceiptMode,
    payload_bytes: usize,
    stamper: Stamper,
    ledger: Ledger,
    inbox: Inbox,
    everybody: Arc<Vec<Address<'static>>>,
    live: Arc<Live>,
    window: Option<Window>,
    timed: bool,
    counted: bool,
}

/// What a frame meant.
#[derive(Debug)]
pub enum Heard {
    /// A message came for the first time.
    Message(Stamp),
    /// Sends did not arrive, or may not have.
    Unsent(Unsent),
    /// Nothing that a role acts on.
    Nothing,
}

/// Sends that did not arrive, or may not have.
#[derive(Debug, Default)]
pub struct Unsent {
    /// Their numbers by destination.
    pub sends: Vec<(Destination, u64)>,
    /// When to try again.
    pub retry_after_ms: Option<u64>,
}

/// What a correspondent is made of.
#[derive(Debug)]
pub struct Particulars {
    /// The agent's number.
    pub number: u32,
    /// The run's number.
    pub run: u32,
    /// What its sends ask for.
    pub receipt: ReceiptMode,
    /// Size of payloads.
    pub payload_bytes: usize,
    /// Makes its payloads.
    pub stamper: Stamper,
    /// What it subscribes to.
    pub topics: Vec<(Destination, String)>,
    /// The addresses of all agents by number.
    pub everybody: Arc<Vec<Address<'static>>>,
    /// The run's counters.
    pub live: Arc<Live>,
    /// Whether an arriving message is a latency of its own.
    pub timed: bool,
}

impl Correspondent {
    /// Nothing sent, nothing heard.
    pub fn new(particulars: Particulars) -> Correspondent {
        let Particulars { number, run, receipt, payload_bytes, stamper, topics, everybody, live, timed } =
            particulars;
        let inbox = Inbox::new(number, topics);
        let ledger = Ledger::default();
        Correspondent {
            number,
            run,
            receipt,
            payload_bytes,
            stamper,
            ledger,
            inbox,
            everybody,
            live,
            window: None,
            timed,
            counted: true,
        }
    }

    /// The same, whose messages are checked but are no part of the run's throughput and send lag.
    #[must_use]
    pub fn uncounted(self) -> Correspondent {
        Correspondent { counted: false, ..self }
    }

    /// The traffic's times are known.
    pub fn begin(&mut self, window: Window) {
        self.window = Some(window);
    }

    /// The run's number.
    pub fn run(&self) -> u32 {
        self.run
    }

    /// The address of an agent.
    pub fn address(&self, number: u32) -> Address<'static> {
        self.everybody[number as usize].clone()
    }

    /// Sends a message that was meant to be sent at `at_ns`; returns its number.
    pub fn post(
        &mut self,
        (destination, address): (Destination, Address<'static>),
        at_ns: u64,
        outbox: &mut Outbox,
        refine: impl FnOnce(&mut Send<'_>, u64),
    ) -> u64 {
        let id = outbox.next_id();
        let number = self.ledger.sent(id, destination);
        let stamp = Stamp { run: self.run, sender: self.number, destination, number, at_ns };
        outbox.send(id, address, self.stamper.payload(stamp), self.receipt, |send| refine(send, number));
        let shard = self.live.shard(self.number);
        add(&shard.sent, 1);
        if self.counted && self.window.is_some_and(|window| window.counts(at_ns)) {
            shard.lagged(clock::now_ns().saturating_sub(at_ns));
        }
        number
    }

    /// Notes a frame that was read at `read_ns`.
    pub fn hear(&mut self, frame: &ServerFrame<'_>, read_ns: u64) -> Heard {
        match frame {
            ServerFrame::Message(message) => self.hear_message(message, read_ns),
            ServerFrame::Receipt(receipt) => self.hear_receipt(receipt),
            ServerFrame::Error { id: Some(id), code, retry_after_ms, .. } => {
                let mut unsent = Unsent { sends: Vec::new(), retry_after_ms: *retry_after_ms };
                self.ledger.refused(code.name(), 1);
                self.settle((*id, *id), Outcome::Failed, &mut unsent);
                Heard::Unsent(unsent)
            }
            ServerFrame::Gap { direct, topics, dropped, .. } => {
                self.inbox.gap(*direct, topics.iter().map(|topic| &**topic), *dropped);
                Heard::Nothing
            }
            _ => Heard::Nothing,
        }
    }

    fn hear_message(&mut self, message: &Message<'_>, read_ns: u64) -> Heard {
        let Some(stamp) = Stamp::read(&message.payload, self.payload_bytes) else {
            self.inbox.corrupted += 1;
            return Heard::Nothing;
        };
        let sender = self.everybody.get(stamp.sender as usize);
        if stamp.run != self.run || sender.is_none_or(|sender| sender.as_str() != message.from.as_str()) {
            self.inbox.misdelivered += 1;
            return Heard::Nothing;
        }
        match self.inbox.arrived(&stamp) {
            Arrival::Fresh => {}
            Arrival::Duplicate | Arrival::Stranger => return Heard::Nothing,
        }
        let shard = self.live.shard(self.number);
        add(&shard.delivered, 1);
        if self.counted && self.window.is_some_and(|window| window.counts(read_ns)) {
            add(&shard.counted, 1);
        }
        if self.timed {
            self.took(stamp.at_ns, read_ns);
        }
        Heard::Message(stamp)
    }

    fn hear_receipt(&mut self, receipt: &Receipt<'_>) -> Heard {
        let mut unsent = Unsent::default();
        for range in receipt.queued.iter().chain(&receipt.accepted) {
            self.settle(*range, Outcome::Good, &mut unsent);
        }
        for range in &receipt.delivered {
            add(&self.live.shard(self.number).answered, self.ledger.delivered(*range));
        }
        for range in &receipt.unknown {
            self.settle(*range, Outcome::Unknown, &mut unsent);
        }
        for failed in &receipt.failed {
            self.ledger.refused(failed.reason.name(), failed.count());
            unsent.retry_after_ms = unsent.retry_after_ms.max(failed.retry_after_ms);
            self.settle(failed.ids, Outcome::Failed, &mut unsent);
        }
        if unsent.sends.is_empty() { Heard::Nothing } else { Heard::Unsent(unsent) }
    }

    fn settle(&mut self, ids: (u64, u64), outcome: Outcome, unsent: &mut Unsent) {
        let mut settled = 0;
        self.ledger.outcome(ids, outcome, |destination, number| {
            settled += 1;
            if outcome != Outcome::Good {
                unsent.sends.push((destination, number));
            }
        });
        let shard = self.live.shard(self.number);
        add(&shard.answered, settled);
        if outcome != Outcome::Good {
            add(&shard.failed, settled);
        }
    }

    /// Notes a latency of the role's own making.
    pub fn took(&self, at_ns: u64, until_ns: u64) {
        if self.window.is_some_and(|window| window.counts(at_ns)) {
            self.live.shard(self.number).took(until_ns.saturating_sub(at_ns));
        }
    }

    /// All it knows, at the end of a run that did not mean any connection to end.
    pub fn into_books(self, ended: Option<Ended>) -> Books {
        self.into_books_of(ended.map(|ended| End::Unasked(ended.reason)))
    }

    /// All it knows, and how its connection ended.
    pub fn into_books_of(self, ended: Option<End>) -> Books {
        Books { agent: self.number, ledger: self.ledger, inbox: self.inbox, ended }
    }
}
