//! The figures of a run that say whether promises were kept.

use std::collections::BTreeMap;

use relay_protocol::client::ReceiptMode;
use serde::{Deserialize, Serialize};

/// Messages by what became of them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Sends.
    pub sent: u64,
    /// Sends that the relay took: told so where every outcome is told, else not refused.
    pub accepted: u64,
    /// Arrivals, each message once for each of its recipients.
    pub delivered: u64,
    /// Missing arrivals that nothing excuses.
    pub lost: u64,
    /// Missing arrivals that a `gap` or the end of the recipient's connection told of.
    pub lost_declared: u64,
    /// Arrivals of what had arrived.
    pub duplicated: u64,
    /// Arrivals after a later message of the same sender.
    pub out_of_order: u64,
    /// Arrivals at an agent they were not meant for, or of what was never sent.
    pub misdelivered: u64,
    /// Arrivals whose payload was changed.
    pub corrupted: u64,
    /// Sends without any outcome, where every outcome is told.
    pub unanswered: u64,
    /// Outcomes of a send that had one.
    pub contradictory: u64,
    /// Outcomes of commands that were no sends.
    pub stray_outcomes: u64,
    /// Told to have failed, and arrived.
    pub failed_but_arrived: u64,
    /// Told to have been queued, and never arrived. They are counted in `lost` too.
    pub queued_but_lost: u64,
    /// Told to be unknown, or under way when their sender's connection ended before an outcome was due.
    pub unknown: u64,
    /// Told to have failed, by reason.
    pub failed: BTreeMap<String, u64>,
    /// `gap` frames.
    pub gaps: u64,
    /// Numbers that could not be checked because there were too many holes.
    pub unverified: u64,
    /// Connections that ended before the run did, by reason.
    pub disconnected: BTreeMap<String, u64>,
}

impl Tally {
    /// The promises that were broken, as words and figures.
    pub fn broken(&self, receipt: ReceiptMode) -> Vec<(&'static str, u64)> {
        // Without receipts a refused message is told to nobody, which is what the sender asked for.
        let lost = if receipt == ReceiptMode::None { 0 } else { self.lost };
        let figures = [
            ("lost", lost),
            ("duplicated", self.duplicated),
            ("out of order", self.out_of_order),
            ("misdelivered", self.misdelivered),
            ("corrupted", self.corrupted),
            ("unanswered", self.unanswered),
            ("contradictory outcomes", self.contradictory),
            ("outcomes of no send", self.stray_outcomes),
            ("failed but arrived", self.failed_but_arrived),
            ("disconnected", self.disconnected.values().sum()),
        ];
        figures.into_iter().filter(|(_, count)| *count > 0).collect()
    }

    /// Adds the figures of another run.
    pub fn add(&mut self, other: &Tally) {
        self.sent += other.sent;
        self.accepted += other.accepted;
        self.delivered += other.delivered;
        self.lost += other.lost;
        self.lost_declared += other.lost_declared;
        self.duplicated += other.duplicated;
        self.out_of_order += other.out_of_order;
        self.misdelivered += other.misdelivered;
        self.corrupted += other.corrupted;
        self.unanswered += other.unanswered;
        self.contradictory += other.contradictory;
        self.stray_outcomes += other.stray_outcomes;
        self.failed_but_arrived += other.failed_but_arrived;
        self.queued_but_lost += other.queued_but_lost;
        self.unknown += other.unknown;
        self.gaps += other.gaps;
        self.unverified += other.unverified;
        for (mine, more) in [(&mut self.failed, &other.failed), (&mut self.disconnected, &other.disconnected)]
        {
            for (reason, count) in more {
                *mine.entry(reason.clone()).or_default() += count;
            }
        }
    }
}
