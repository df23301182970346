//! The one outcome that each send has. A guard: whatever happens to it, a send is settled exactly once.

use std::sync::Arc;

use parking_lot::Mutex;
use relay_protocol::client::ReceiptMode;
use tokio::sync::oneshot;

use crate::outbound::Outbound;
use crate::outbound::Place;
use crate::telemetry::metrics::Metrics;
use crate::telemetry::outcome::Outcome;

/// The duty to settle a send. Dropped unsettled, the outcome is `unknown`.
#[derive(Debug)]
pub struct Settlement(Option<Duty>);

#[derive(Debug)]
enum Duty {
    Whole(Sent),
    Part(Arc<Mutex<Parts>>),
    Elsewhere(Report),
}

/// How the outcome reaches the instance that counts it.
struct Report(Box<dyn FnOnce(Outcome) + Send + Sync>);

impl std::fmt::Debug for Report {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Report")
    }
}

#[derive(Debug)]
struct Sent {
    sender: Sender,
    metrics: Arc<Metrics>,
}

/// Whom to tell.
#[derive(Debug)]
enum Sender {
    /// A session, of its command of this id.
    Session(Arc<Outbound>, u64, ReceiptMode),
    /// Who waits for it, and where the message stands.
    Waiting(oneshot::Sender<Settled>, Option<Place>),
}

/// What became of a send that somebody waited for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settled {
    /// What.
    pub outcome: Outcome,
    /// Where the message stands in the stream of its topic.
    pub place: Option<Place>,
}

impl From<Outcome> for Settled {
    fn from(outcome: Outcome) -> Settled {
        Settled { outcome, place: None }
    }
}

/// A send to several instances: queued if any queued it, else the worst of what was heard.
#[derive(Debug)]
struct Parts {
    send: Option<Sent>,
    open: usize,
    best: Option<Outcome>,
}

impl Settlement {
    /// The duty for the send `id` of the session whose queue `sender` is.
    pub fn new(sender: &Arc<Outbound>, metrics: &Arc<Metrics>, id: u64, mode: ReceiptMode) -> Settlement {
        sender.begun();
        metrics.sends_in_flight.increment(1.0);
        Settlement::of(Sender::Session(Arc::clone(sender), id, mode), metrics)
    }

    /// The duty for a send that no session made, and where its outcome comes.
    pub fn awaited(metrics: &Arc<Metrics>) -> (Settlement, oneshot::Receiver<Settled>) {
        metrics.sends_in_flight.increment(1.0);
        let (sender, settled) = oneshot::channel();
        (Settlement::of(Sender::Waiting(sender, None), metrics), settled)
    }

    /// The duty for a send that another instance counts; `report` tells it the outcome.
    pub fn elsewhere(report: impl FnOnce(Outcome) + Send + Sync + 'static) -> Settlement {
        Settlement(Some(Duty::Elsewhere(Report(Box::new(report)))))
    }

    fn of(sender: Sender, metrics: &Arc<Metrics>) -> Settlement {
        Settlement(Some(Duty::Whole(Sent { sender, metrics: Arc::clone(metrics) })))
    }

    /// The message is being stored, so that more may be heard of it than its outcome.
    pub fn stores(&self) {
        if let Some(Duty::Whole(Sent { sender: Sender::Session(outbound, id, _), .. })) = &self.0 {
            outbound.stores(*id);
        }
    }

    /// Fulfils the duty.
    pub fn settle(mut self, outcome: Outcome) {
        self.fulfil(outcome);
    }

    /// Fulfils the duty of a message that is stored: where it stands is told with it.
    pub fn settle_at(mut self, place: Place) {
        if let Some(Duty::Whole(Sent { sender, .. })) = &mut self.0 {
            match sender {
                Sender::Session(outbound, id, mode) if Outcome::Accepted.is_told(*mode) => {
                    outbound.tell_place(*id, place);
                }
                Sender::Session(..) => {}
                Sender::Waiting(_, stands) => *stands = Some(place),
            }
        }
        self.fulfil(Outcome::Accepted);
    }

    /// Splits the duty into `count` parts, which together have one outcome.
    pub fn split(mut self, count: usize) -> Vec<Settlement> {
        match self.0.take() {
            Some(Duty::Whole(send)) if count > 1 => {
                let parts = Arc::new(Mutex::new(Parts { send: Some(send), open: count, best: None }));
                (0..count).map(|_| Settlement(Some(Duty::Part(Arc::clone(&parts))))).collect()
            }
            Some(Duty::Part(parts)) if count > 1 => {
                parts.lock().open += count - 1;
                (0..count).map(|_| Settlement(Some(Duty::Part(Arc::clone(&parts))))).collect()
            }
            duty => vec![Settlement(duty)],
        }
    }

    fn fulfil(&mut self, outcome: Outcome) {
        match self.0.take() {
            Some(Duty::Whole(send)) => send.settle(outcome),
            Some(Duty::Part(parts)) => {
                let mut parts = parts.lock();
                parts.open -= 1;
                let best = parts.best.map_or(outcome, |best| best.better(outcome));
                parts.best = Some(best);
                if parts.open == 0
                    && let Some(send) = parts.send.take()
                {
                    drop(parts);
                    send.settle(best);
                }
            }
            Some(Duty::Elsewhere(report)) => (report.0)(outcome),
            None => {}
        }
    }
}

impl Drop for Settlement {
    fn drop(&mut self) {
        self.fulfil(Outcome::Unknown);
    }
}

impl Sent {
    fn settle(self, outcome: Outcome) {
        self.metrics.sends_in_flight.decrement(1.0);
        self.metrics.outcome(outcome);
        match self.sender {
            Sender::Session(outbound, id, mode) => outbound.settled(id, mode, outcome),
            // Whoever waited no longer does.
            Sender::Waiting(sender, place) => drop(sender.send(Settled { outcome, place })),
        }
    }
}
