//! One run, from its first connection to its judgement.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use relay::{clock, entropy};
use relay_tests::history::{Judgement, Rest, What};
use tokio::time::Instant;

use crate::client::Client;
use crate::grounds::{Grounds, Stage};
use crate::outage::disturb;
use crate::plan::{Mode, Plan};
use crate::tenants::TENANTS;

/// The agents of each tenant.
const AGENTS: [&str; 3] = ["ann", "bob", "cem"];
/// One of them has a session more in the first tenant.
const TWICE: &str = "bob";
/// How long after the last trouble there may still be some: routes and leases, outcomes that are waited for.
const CONVALESCENCE: Duration = Duration::from_secs(14);
/// How long all talk once everything works.
const TALK: Duration = Duration::from_millis(500);
/// How long what is accepted may take then: a hint that is lost is found within 30 s by looking.
const SETTLED_WITHIN: Duration = Duration::from_secs(100);
/// How often it is looked whether all has come.
const LOOK: Duration = Duration::from_secs(1);

/// What came of a run.
#[derive(Debug)]
pub struct Report {
    /// The run.
    pub plan: Plan,
    /// What became of its promises.
    pub judgement: Judgement,
    /// Of everything that happened.
    pub digest: u64,
    /// Messages that the bus was to break its promise with, and did.
    pub spoiled: u64,
    /// What clients could not get stored though everything worked.
    pub stuck: Vec<String>,
}

impl Report {
    /// Whether everything is as it should be.
    pub fn is_good(&self) -> bool {
        self.judgement.is_kept() && self.stuck.is_empty()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Plan { seed, mode, .. } = &self.plan;
        writeln!(f, "seed {seed}, {}: {}", mode.name(), self.judgement)?;
        if !self.stuck.is_empty() {
            writeln!(f, "never stored, though everything worked: {:?}", self.stuck)?;
        }
        write!(f, "again: cargo run -p relay-simulation -- --from {seed} --seeds 1 --mode {}", mode.name())
    }
}

/// Runs a plan on this thread.
pub fn run(plan: &Plan) -> anyhow::Result<Report> {
    let _seeded = entropy::seed(plan.seed.into());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?;
    runtime.block_on(async {
        let _simulated = clock::simulate();
        play(*plan).await
    })
}

async fn play(plan: Plan) -> anyhow::Result<Report> {
    let grounds = Grounds::new(plan).await?;
    let clients: Vec<_> =
        cast(&grounds).into_iter().map(|client| grounds.tracker.spawn(client.run())).collect();
    let end = Instant::now() + plan.disturbed;
    if plan.faults {
        disturb(Arc::clone(&grounds), end).await?;
    }
    tokio::time::sleep_until(end).await;
    if plan.mode == Mode::Liveness {
        recover(&grounds).await?;
    }
    let rest = if plan.mode == Mode::Liveness { Rest::Settled } else { Rest::Unsettled };
    let judgement = grounds.history.judge(rest);
    let digest = grounds.history.digest();
    grounds.stage.send_replace(Stage::Leave);
    let mut stuck = Vec::new();
    for client in clients {
        stuck.extend(client.await?);
    }
    if plan.mode == Mode::Safety {
        stuck.clear();
    }
    grounds.stop.cancel();
    grounds.living().iter().for_each(|instance| instance.crash(&grounds));
    let spoiled = grounds.spoiling.as_ref().map_or(0, |spoiling| spoiling.spoiled());
    Ok(Report { plan, judgement, digest, spoiled, stuck })
}

/// Lets everything work, and everybody send, until nothing is left to come.
async fn recover(grounds: &Arc<Grounds>) -> anyhow::Result<()> {
    grounds.stage.send_replace(Stage::Settle);
    grounds.calm_down().await?;
    let convalescence = CONVALESCENCE + grounds.weather.grace.min(CONVALESCENCE);
    tokio::time::sleep(convalescence).await;
    grounds.history.record(What::Calm);
    grounds.stage.send_replace(Stage::Talk);
    tokio::time::sleep(TALK).await;
    grounds.stage.send_replace(Stage::Settle);
    let end = Instant::now() + SETTLED_WITHIN;
    while grounds.history.outstanding() > 0 && Instant::now() < end {
        tokio::time::sleep(LOOK).await;
    }
    // What comes twice comes now.
    tokio::time::sleep(LOOK).await;
    Ok(())
}

/// The clients.
fn cast(grounds: &Arc<Grounds>) -> Vec<Client> {
    let agents: Arc<[String]> = AGENTS.iter().map(|agent| (*agent).to_owned()).collect();
    let everybody = TENANTS.iter().flat_map(|tenant| AGENTS.iter().map(move |agent| (*tenant, *agent)));
    let everybody = everybody.chain([(TENANTS[0], TWICE)]);
    let client = |((tenant, agent), number)| Client::new(grounds, number, tenant, agent, Arc::clone(&agents));
    everybody.zip(0..).map(client).collect()
}
