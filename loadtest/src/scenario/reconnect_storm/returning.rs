//! One that comes back, and what all of them met.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use hdrhistogram::Histogram;
use parking_lot::Mutex;
use rand::RngExt as _;
use relay_protocol::client::ReceiptMode;
use relay_protocol::{Encoding, Payload, ServerFrame};
use serde_json::{Value, json};

use crate::agent::{Agent, ConnectError, ConnectOptions};
use crate::clock;
use crate::report::figures::Milliseconds;
use crate::target::Target;
use crate::token::Identity;
use crate::trial::live::empty;

/// All are to be back by then: issue 5's bound for 10,000 agents of a relay that was killed.
const BACK_WITHIN: Duration = Duration::from_secs(10);
/// Who has not come back by then does not.
const GIVE_UP: Duration = Duration::from_mins(1);
/// How long to wait where nobody said how long.
const WAIT: Duration = Duration::from_millis(500);

/// What they met.
#[derive(Debug)]
pub(crate) struct Book {
    /// From the loss to the welcome.
    pub(crate) welcomed: Histogram<u64>,
    /// From the loss to the first message.
    back: Histogram<u64>,
    refused: BTreeMap<String, u64>,
}

/// One that comes back.
#[derive(Debug)]
pub(crate) struct Returner {
    pub(crate) number: u32,
    pub(crate) identity: Identity,
    pub(crate) topic: String,
    pub(crate) options: ConnectOptions,
}

impl Returner {
    /// Connects and subscribes.
    pub(crate) async fn join(&self, target: &Target) -> Result<Agent, ConnectError> {
        let token = &self.identity.token;
        let mut agent = Agent::connect(target.address, &target.uri, token, &self.options).await?;
        agent.subscribe(&self.topic, |_| {}).await?;
        Ok(agent)
    }

    /// Sends itself a message and waits for it.
    async fn hear_oneself(&self, agent: &mut Agent) -> Result<(), ConnectError> {
        let payload = match self.options.encoding {
            Encoding::Json => Payload::Json("\"back\"".into()),
            Encoding::Msgpack => Payload::Bytes(b"back".as_slice().into()),
        };
        let (to, outbox) = (agent.greeting().agent.clone(), agent.outbox());
        let id = outbox.next_id();
        outbox.send(id, to, payload, ReceiptMode::Failure, |_| {});
        let heard = agent.wait_for(|frame| match frame {
            ServerFrame::Message(_) => Some(Ok(())),
            ServerFrame::Receipt(receipt) => receipt.failed.first().map(|failed| Err(failed.reason)),
            _ => None,
        });
        heard.await?.map_err(|code| ConnectError::Command { command: "send", code })
    }
}

/// Comes back to `target`, however often it is refused.
pub(crate) async fn come_back(returner: Returner, target: Target, lost_ns: u64, book: Arc<Mutex<Book>>) {
    let since_loss = || clock::now_ns().saturating_sub(lost_ns);
    while since_loss() < clock::nanoseconds(GIVE_UP) {
        let error = match returner.join(&target).await {
            Ok(mut agent) => {
                book.lock().welcomed.saturating_record(since_loss());
                match returner.hear_oneself(&mut agent).await {
                    Ok(()) => {
                        book.lock().back.saturating_record(since_loss());
                        agent.leave().await;
                        return;
                    }
                    Err(error) => error,
                }
            }
            Err(error) => error,
        };
        *book.lock().refused.entry(error.to_string()).or_default() += 1;
        let told = match error {
            ConnectError::Refused { retry_after_s: Some(seconds), .. } => Duration::from_secs(seconds),
            _ => WAIT,
        };
        let wait = told.mul_f64(rand::rng().random_range(1.0..2.0));
        tokio::time::sleep(wait).await;
    }
}

impl Book {
    pub(crate) fn new() -> anyhow::Result<Book> {
        Ok(Book { welcomed: empty()?, back: empty()?, refused: BTreeMap::new() })
    }

    /// What was met by so many who lost their connections.
    pub(crate) fn figures(&self, count: u64, killed: bool) -> Value {
        json!({
            "lost": count,
            "back": self.back.len(),
            "relay_killed": killed,
            "welcomed_ms": Milliseconds::of(&self.welcomed),
            "back_ms": Milliseconds::of(&self.back),
            "refused": self.refused,
        })
    }

    /// What was promised and not kept.
    pub(crate) fn broken(&self, count: u64) -> BTreeMap<&'static str, u64> {
        let late = self.back.len() - self.back.count_between(0, clock::nanoseconds(BACK_WITHIN));
        let breaches = [("not back", count - self.back.len()), ("not back within 10 s", late)];
        breaches.into_iter().filter(|(_, count)| *count > 0).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SECOND_NS;

    #[test]
    fn who_is_late_and_who_never_came_is_seen() {
        let mut book = Book::new().unwrap();
        book.back.saturating_record(SECOND_NS);
        assert_eq!(book.broken(1), BTreeMap::new());
        book.back.saturating_record(12 * SECOND_NS);
        assert_eq!(book.broken(3), BTreeMap::from([("not back", 1), ("not back within 10 s", 1)]));
    }
}
