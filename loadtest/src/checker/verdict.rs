//! Lays the books of all agents side by side.

use std::collections::HashMap;

use relay_protocol::client::ReceiptMode;

use crate::checker::Books;
use crate::checker::End;
use crate::checker::inbox::Inbox;
use crate::checker::ledger::SentFlow;
use crate::checker::ranges::{Ranges, in_none};
use crate::checker::tally::Tally;
use crate::stamp::Destination;

/// What became of every message of a drained run, whose sends asked for `receipt`.
pub fn judge(books: &[Books], receipt: ReceiptMode) -> Tally {
    let mut tally = Tally::default();
    let by_number: HashMap<u32, &Books> = books.iter().map(|book| (book.agent, book)).collect();
    let mut declared: HashMap<u32, u64> = HashMap::new();
    for sender in books {
        tally.stray_outcomes += sender.ledger.strays();
        for (reason, count) in sender.ledger.reasons() {
            *tally.failed.entry((*reason).to_owned()).or_default() += count;
        }
        for (destination, flow) in sender.ledger.flows() {
            count_outcomes(&mut tally, flow, receipt, sender.ended.is_some());
            // What was under way when its sender's connection ended may have been lost on the way to the relay.
            let cut_off = receipt == ReceiptMode::All && sender.ended.is_some();
            for recipient in recipients(books, &by_number, destination) {
                let side = Side { sender: sender.agent, destination, flow, cut_off };
                let excused = compare(&mut tally, &side, recipient);
                *declared.entry(recipient.agent).or_default() += excused;
            }
        }
    }
    for book in books {
        count_arrivals(&mut tally, book, &by_number);
        // A relay that owns up to three losses is not excused for a fourth.
        let excused = declared.get(&book.agent).copied().unwrap_or(0);
        let allowed = if book.ended.is_some() { u64::MAX } else { book.inbox.declared_max() };
        tally.lost += excused.saturating_sub(allowed);
        tally.lost_declared += excused.min(allowed);
        if let Some(End::Unasked(reason)) = &book.ended {
            *tally.disconnected.entry(reason.clone()).or_default() += 1;
        }
    }
    tally
}

fn recipients<'b>(
    books: &'b [Books],
    by_number: &HashMap<u32, &'b Books>,
    destination: Destination,
) -> Vec<&'b Books> {
    match destination {
        Destination::Agent(number) => by_number.get(&number).copied().into_iter().collect(),
        Destination::Topic(_) => books.iter().filter(|book| book.inbox.wants(destination)).collect(),
    }
}

fn count_outcomes(tally: &mut Tally, flow: &SentFlow, receipt: ReceiptMode, sender_ended: bool) {
    tally.sent += flow.sent;
    tally.unknown += flow.unknown.count();
    tally.contradictory += flow.contradictory;
    tally.unverified += flow.good.forgotten() + flow.failed.forgotten() + flow.unknown.forgotten();
    if receipt == ReceiptMode::All {
        tally.accepted += flow.good.count();
        // Nobody can be told after the connection ended.
        if !sender_ended {
            tally.unanswered += flow.unanswered();
        }
    } else {
        tally.accepted += flow.sent.saturating_sub(flow.failed.count() + flow.unknown.count());
    }
}

/// A flow as its sender knows it.
struct Side<'b> {
    sender: u32,
    destination: Destination,
    flow: &'b SentFlow,
    /// Whether outcomes were still owed when the connection ended.
    cut_off: bool,
}

/// One flow against what one recipient saw of it; returns how many losses were declared.
fn compare(tally: &mut Tally, side: &Side<'_>, recipient: &Books) -> u64 {
    let flow = side.flow;
    let arrivals = recipient.inbox.flow(side.sender, side.destination);
    tally.delivered += arrivals.seen.count();
    tally.failed_but_arrived += flow.failed.in_common(&arrivals.seen);
    tally.unverified += arrivals.seen.forgotten();
    // What is behind the last send was never sent.
    tally.misdelivered += within(&arrivals.seen, (flow.sent + 1, u64::MAX - 1));
    let mut excused = 0;
    let excused_to = if recipient.ended.is_some() { u64::MAX } else { arrivals.excused_to() };
    for (first, last) in in_none(flow.sent, &[&arrivals.seen, &flow.failed, &flow.unknown]) {
        let declared = last.min(excused_to).saturating_sub(first - 1);
        let silent = match recipient.ended {
            Some(End::Drained) => (first, last),
            _ => (first.max(excused_to.saturating_add(1)), last),
        };
        let broken_word = within(&flow.good, silent);
        let missing = last - first + 1;
        let silent_on = missing - within(&flow.good, (first, last)).max(declared);
        let untold = if side.cut_off { silent_on } else { 0 };
        let lost = (missing - declared - untold).max(broken_word);
        excused += missing.saturating_sub(lost + untold);
        tally.unknown += untold;
        tally.lost += lost;
        tally.queued_but_lost += broken_word;
    }
    excused
}

/// How many numbers of a stretch are in a set.
fn within(set: &Ranges, (first, last): (u64, u64)) -> u64 {
    set.iter().map(|range| (range.1.min(last) + 1).saturating_sub(range.0.max(first))).sum()
}

fn count_arrivals(tally: &mut Tally, book: &Books, by_number: &HashMap<u32, &Books>) {
    let Inbox { misdelivered, corrupted, .. } = &book.inbox;
    tally.misdelivered += misdelivered;
    tally.corrupted += corrupted;
    tally.gaps += book.inbox.gaps();
    for (sender, destination, arrivals) in book.inbox.flows() {
        tally.duplicated += arrivals.duplicated;
        tally.out_of_order += arrivals.out_of_order;
        let sent = by_number.get(&sender).is_some_and(|book| book.ledger.has(destination));
        if !sent {
            tally.misdelivered += arrivals.seen.count();
        }
    }
}
