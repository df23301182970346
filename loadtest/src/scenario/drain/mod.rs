//! Relays that are told to leave (SIGTERM) while agents talk: what each agent hears, and how long it takes.
//!
//! Every agent is subscribed to a topic of its own and sends to the next one. The relays are told after `--duration`; from
//! then on it is counted which agents were told their moment to come back and were closed with 1012, and how these moments
//! are spread. What had been told to be queued has to arrive.

mod exits;
mod farewell;
mod party;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::checker::{Books, judge};
use crate::clock;
use crate::scenario::Scenario;
use crate::scenario::drain::exits::Exits;
use crate::scenario::drain::farewell::{Farewell, Farewells};
use crate::scenario::drain::party::Party;
use crate::stamp::Destination;
use crate::trial::crew::{Crew, Member};
use crate::trial::pace::{Metronome, Schedule};
use crate::trial::performance::Performance;
use crate::trial::stage::{Stage, Window};
use crate::trial::{Place, Trial, addresses};

/// See the page.
pub const SCENARIO: Scenario = Scenario {
    name: "drain",
    about: "the relays get SIGTERM while agents talk; shows who was told when to come back, and when the process left",
    arguments: "--agents=5000 --rate=1000 --receipt=all --duration=2",
    environment: &[],
    floor: None,
    instances: 1,
    divisible: false,
    run,
};

/// Longer than a relay takes that has to be killed; sends stop with the connections.
const SEND_ON: Duration = Duration::from_secs(15);
/// How long after its process a connection may seem to be there.
const ENDS_WITHIN: Duration = Duration::from_secs(3);

fn run<'t>(trial: &'t Trial<'t>) -> BoxFuture<'t, anyhow::Result<Performance>> {
    Box::pin(async move {
        let plan = trial.plan();
        let cluster =
            trial.bench.cluster.as_ref().context("drain needs relays that it may stop: leave out --url")?;
        let farewells = Arc::new(Mutex::new(Vec::new()));
        let members = members(trial, &farewells)?;
        let wakes: Vec<Arc<Notify>> = members.iter().map(|member| Arc::clone(&member.wake)).collect();
        let crew = Crew::gather(trial, members).await?;
        let rss_bytes_per_connection = crew.rss_bytes_per_connection(trial)?;
        let mut window = Window::soon(plan.warm_up(), plan.duration());
        let told_at = clock::instant(window.end_ns);
        window.end_ns += clock::nanoseconds(SEND_ON);
        let metronome = plan.rate.map(|rate| Metronome::start(window, rate, wakes)).transpose()?;
        crew.stage.send_replace(Stage::Go(window));
        tokio::time::sleep_until(clock::instant(window.measure_ns)).await;
        let before = trial.bench.cpu()?;
        tokio::time::sleep_until(told_at).await;
        let cpu = trial.bench.cpu()?.since(before);
        let counted = trial.live.sums().counted;
        let rss_bytes_per_connection_at_end = crew.rss_bytes_per_connection(trial)?;
        let relays = std::mem::take(&mut cluster.lock().relays);
        ensure!(!relays.is_empty(), "the relays have left already: drain has one turn");
        let exits = Exits::of(relays).await?;
        drop(metronome);
        let connecting = crew.connecting;
        let books = ends(crew.stage, crew.tasks).await;
        let farewells = Farewells(std::mem::take(&mut *farewells.lock()));
        let breaches = exits.breaches().into_iter().chain(farewells.breaches());
        Ok(Performance {
            tally: judge(&books, plan.receipt_mode()),
            latency: trial.live.latency()?,
            lag: trial.live.lag()?,
            duration_s: plan.duration,
            counted,
            connecting,
            cpu,
            rss_bytes_per_connection,
            rss_bytes_per_connection_at_end,
            broken: breaches.filter(|(_, count)| *count > 0).collect(),
            extra: BTreeMap::from([
                ("exits".to_owned(), serde_json::to_value(&exits)?),
                ("reconnect".to_owned(), serde_json::to_value(farewells.spread())?),
            ]),
            timeline: Vec::new(),
        })
    })
}

fn members(trial: &Trial<'_>, farewells: &Arc<Mutex<Vec<Farewell>>>) -> anyhow::Result<Vec<Member<Party>>> {
    let plan = trial.plan();
    ensure!(plan.agents >= 2, "drain needs two --agents");
    let identities = trial.identities(plan.agents, |number| Place { tenant: 0, slot: number })?;
    let everybody = addresses(&identities)?;
    let member = |(identity, number)| {
        let topic = format!("load.drain.{number}");
        let topics = vec![(Destination::Topic(number), topic.clone())];
        let next = (number + 1) % plan.agents;
        let role = Party {
            correspondent: trial.correspondent(number, topics, &everybody, true),
            peer: (Destination::Agent(next), everybody[next as usize].clone()),
            schedule: plan.rate.map(|rate| Schedule::new(number, plan.agents, rate)),
            farewell: Farewell::default(),
            farewells: Arc::clone(farewells),
        };
        Member { identity, role, topics: vec![topic], wake: Arc::new(Notify::new()) }
    };
    Ok(identities.into_iter().zip(0..).map(member).collect())
}

/// All books, of those too whose connection does not seem to end.
async fn ends(stage: watch::Sender<Stage>, mut tasks: JoinSet<Books>) -> Vec<Books> {
    let mut books = Vec::new();
    let by = Instant::now() + ENDS_WITHIN;
    while let Ok(Some(Ok(book))) = tokio::time::timeout_at(by, tasks.join_next()).await {
        books.push(book);
    }
    stage.send_replace(Stage::Stop);
    books.extend(tasks.join_all().await);
    books
}
