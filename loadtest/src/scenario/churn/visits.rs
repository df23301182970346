//! Agents that come, subscribe, stay a moment and leave.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use hdrhistogram::Histogram;
use parking_lot::Mutex;
use rand::RngExt as _;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::agent::{Agent, ConnectError, ConnectOptions};
use crate::clock::{self, SECOND_NS};
use crate::report::figures::Milliseconds;
use crate::target::Target;
use crate::token::Identity;
use crate::trial::Trial;
use crate::trial::live::empty;

/// The longest an agent stays; half of it on average.
const STAY_MAX: Duration = Duration::from_secs(2);
/// Names of visitors, taken in turn: one comes back under its name, which the relay has to tell from what it was before.
const NAMES: u32 = 1_000;

/// All that come.
#[derive(Debug)]
pub(super) struct Visits<'t> {
    trial: &'t Trial<'t>,
    /// The number of the first: those before are others.
    first: u32,
    book: Arc<Mutex<Book>>,
}

/// What became of them.
#[derive(Debug)]
struct Book {
    latency: Histogram<u64>,
    left: u64,
    dropped: u64,
    failed: BTreeMap<String, u64>,
}

/// One of them.
struct Visitor {
    identity: Identity,
    topic: String,
    target: Target,
    options: ConnectOptions,
    /// Whether it says `bye`.
    says_bye: bool,
}

impl<'t> Visits<'t> {
    pub(super) fn new(trial: &'t Trial<'t>, first: u32) -> anyhow::Result<Visits<'t>> {
        let book = Book { latency: empty()?, left: 0, dropped: 0, failed: BTreeMap::new() };
        Ok(Visits { trial, first, book: Arc::new(Mutex::new(book)) })
    }

    /// Lets them come on a schedule, until it cannot.
    pub(super) async fn go_on(&self) -> anyhow::Error {
        let rate = self.trial.plan().churn;
        if rate == 0 {
            return std::future::pending().await;
        }
        let begun_ns = clock::now_ns();
        let mut present = JoinSet::new();
        for count in 0_u32.. {
            let at_ns = begun_ns + u64::from(count) * SECOND_NS / u64::from(rate);
            tokio::time::sleep_until(clock::instant(at_ns)).await;
            let visitor = match self.visitor(count) {
                Ok(visitor) => visitor,
                Err(error) => return error,
            };
            present.spawn(visit(visitor, at_ns, Arc::clone(&self.book)));
            while present.try_join_next().is_some() {}
        }
        anyhow::anyhow!("more visits than can be counted")
    }

    fn visitor(&self, count: u32) -> anyhow::Result<Visitor> {
        let number = self.first + count % NAMES;
        let tenant = format!("load-{:08x}-0", self.trial.run);
        Ok(Visitor {
            identity: self.trial.bench.tokens.identity(number, &tenant, number)?,
            topic: format!("load.churn.{number}"),
            target: self.trial.target(number).clone(),
            options: self.trial.connect_options(number),
            says_bye: count.is_multiple_of(2),
        })
    }

    /// What became of those who came, and how many could not, or were sent away.
    pub(super) fn figures(&self) -> (Value, u64) {
        let book = self.book.lock();
        let figures = json!({
            "came": book.latency.len(),
            "left": book.left,
            "dropped": book.dropped,
            "failed": book.failed,
            "connect_ms": Milliseconds::of(&book.latency),
        });
        (figures, book.failed.values().sum())
    }
}

async fn visit(visitor: Visitor, at_ns: u64, book: Arc<Mutex<Book>>) {
    let says_bye = visitor.says_bye;
    match stay(visitor, at_ns, &book).await {
        Ok(()) if says_bye => book.lock().left += 1,
        Ok(()) => book.lock().dropped += 1,
        Err(error) => *book.lock().failed.entry(error.to_string()).or_default() += 1,
    }
}

async fn stay(visitor: Visitor, at_ns: u64, book: &Mutex<Book>) -> Result<(), ConnectError> {
    let Visitor { identity, topic, target, options, says_bye } = visitor;
    let mut agent = Agent::connect(target.address, &target.uri, &identity.token, &options).await?;
    agent.subscribe(&topic, |_| {}).await?;
    book.lock().latency.saturating_record(clock::now_ns().saturating_sub(at_ns));
    let until = tokio::time::Instant::now() + rand::rng().random_range(Duration::ZERO..STAY_MAX);
    while let Ok(received) = tokio::time::timeout_at(until, agent.receive(|_, _, _| {})).await {
        received?;
    }
    if says_bye {
        agent.leave().await;
    }
    Ok(())
}
