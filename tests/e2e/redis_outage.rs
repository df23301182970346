//! Redis dies, comes back empty, and another time only stands still, all under traffic: whatever did not arrive, somebody
//! was told of; nothing comes twice or out of order; and soon after everything flows again.

use std::time::Duration;

use anyhow::ensure;
use relay_loadtest::agent::Agent;
use relay_loadtest::checker::Tally;
use relay_protocol::client::ReceiptMode;
use relay_protocol::{Address, Payload, ServerFrame};
use relay_tests::fleet::{UNLIMITED, address, tell};
use relay_tests::talk::{Conversation, Pace, Talk};
use relay_tests::{Fleet, eventually, seed, turn};
use tokio::time::Instant;

const INSTANCES: usize = 3;
const TOPIC: &str = "probe.all";
/// After which everything must flow again.
const BACK_WITHIN: Duration = Duration::from_secs(5);
/// How long a round may take where everything flows.
const ROUND: Duration = Duration::from_millis(500);
/// How long Redis stands still.
const STILL: Duration = Duration::from_secs(3);
const PATIENCE: Duration = Duration::from_secs(30);
/// What an outage may cost a relay in memory. What waits for a destination is bounded by 16 MiB.
const GROWTH_BYTES_MAX: u64 = 64 * 1024 * 1024;

const TALK: Talk = Talk {
    agents: 60,
    subscribers: 10,
    topics_percent: 30,
    pace: Pace::Every(Duration::from_millis(50)),
    seed: 0,
};

#[tokio::test(flavor = "multi_thread")]
async fn redis_killed_and_restarted_empty() -> anyhow::Result<()> {
    let _machine = turn::alone().await;
    let mut fleet = Fleet::joined(3, &UNLIMITED).await?;
    let mut probes = Probes::gather(&fleet).await?;
    probes.all_flow(PATIENCE).await?;
    let conversation = Conversation::begin(&fleet, Talk { seed: seed::seed(), ..TALK }).await?;
    flows(&conversation, 2_000).await?;
    let before = fleet.rss_bytes_max()?;

    fleet.redis()?.kill().await?;
    bus_is(&fleet, "down").await?;
    // Traffic goes on against the outage.
    flows(&conversation, 3_000).await?;
    let during = fleet.rss_bytes_max()?;
    fleet.redis()?.begin().await?;
    probes.all_flow(BACK_WITHIN).await?;
    flows(&conversation, 3_000).await?;
    conversation.hush(PATIENCE).await?;
    let after = fleet.rss_bytes_max()?;
    ensure!(during.max(after) < before + GROWTH_BYTES_MAX, "{before} → {during} → {after} bytes");
    let tally = accounted_for(&fleet, conversation).await?;
    ensure!(tally.gaps > 0, "nobody was told of a gap: {tally:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_stands_still_and_goes_on() -> anyhow::Result<()> {
    let _machine = turn::alone().await;
    let mut fleet = Fleet::joined(3, &UNLIMITED).await?;
    let mut probes = Probes::gather(&fleet).await?;
    probes.all_flow(PATIENCE).await?;
    let conversation = Conversation::begin(&fleet, Talk { seed: seed::seed(), ..TALK }).await?;
    flows(&conversation, 2_000).await?;
    let begun = Instant::now();
    fleet.redis()?.freeze()?;
    eventually("Redis has stood still for long enough", PATIENCE, async || {
        Ok((begun.elapsed() >= STILL).then_some(()))
    })
    .await?;
    fleet.redis()?.thaw()?;
    probes.all_flow(BACK_WITHIN).await?;
    flows(&conversation, 3_000).await?;
    conversation.hush(PATIENCE).await?;
    // Whether anything was lost depends on what stood in which buffer; whatever was, is declared.
    accounted_for(&fleet, conversation).await.map(drop)
}

/// Waits for so many more sends.
async fn flows(conversation: &Conversation, sends: u64) -> anyhow::Result<()> {
    let target = conversation.sums().sent + sends;
    eventually("agents send", PATIENCE, async || Ok((conversation.sums().sent >= target).then_some(()))).await
}

async fn bus_is(fleet: &Fleet, state: &str) -> anyhow::Result<()> {
    for instance in 0..INSTANCES {
        eventually("the relay notices", PATIENCE, async || {
            let health = fleet.get(instance, "/health/live").await?.body;
            Ok(health.contains(&format!("\"bus\":\"{state}\"")).then_some(()))
        })
        .await?;
    }
    Ok(())
}

async fn accounted_for(fleet: &Fleet, conversation: Conversation) -> anyhow::Result<Tally> {
    let broken = fleet.all_metrics().await?.broken_identities();
    let tally = conversation.end().await;
    ensure!(tally.broken(ReceiptMode::All).is_empty(), "{:?}: {tally:?}", tally.broken(ReceiptMode::All));
    ensure!(broken.is_empty(), "{broken:?}");
    Ok(tally)
}

/// An agent on each instance, by whom it is seen whether everything flows.
struct Probes {
    agents: Vec<Agent>,
    round: u32,
}

impl Probes {
    async fn gather(fleet: &Fleet) -> anyhow::Result<Probes> {
        let mut agents = Vec::new();
        for instance in 0..INSTANCES {
            let mut agent = fleet.agent(instance, &format!("probe-{instance}")).await?;
            agent.subscribe(TOPIC, |_| {}).await?;
            agents.push(agent);
        }
        Ok(Probes { agents, round: 0 })
    }

    /// New messages are sent until one round of them arrives completely, and then a second at the first try.
    async fn all_flow(&mut self, within: Duration) -> anyhow::Result<()> {
        let deadline = Instant::now() + within;
        loop {
            // A message that got lost is told after its time-out only; a new round need not wait for that.
            if self.round(deadline.min(Instant::now() + ROUND)).await? {
                break;
            }
            ensure!(Instant::now() < deadline, "not everything flows within {within:?}");
        }
        ensure!(self.round(Instant::now() + PATIENCE).await?, "what flowed does not any more");
        Ok(())
    }

    /// Each sends to each and to the topic; says whether all of that arrived.
    async fn round(&mut self, deadline: Instant) -> anyhow::Result<bool> {
        self.round += 1;
        let payload = format!("\"round {}\"", self.round);
        let mut direct: Vec<Address<'static>> = Vec::new();
        for instance in 0..INSTANCES {
            direct.push(address(&format!("agent/probe-{instance}"))?);
        }
        direct.push(address(&format!("topic/{TOPIC}"))?);
        let mut firsts = Vec::new();
        for agent in &mut self.agents {
            firsts.push(agent.outbox().next_id());
            for to in &direct {
                tell(agent, to, &payload).await?;
            }
        }
        let mut complete = true;
        for (agent, first_id) in self.agents.iter_mut().zip(firsts) {
            // From each, one to this agent and one to the topic; and an outcome for each of its own.
            let (mut arrived, mut good, mut bad) = (0, 0, 0);
            while (arrived < 2 * INSTANCES || good < direct.len()) && bad == 0 {
                let received = agent.receive(|frame, _, _| match frame {
                    ServerFrame::Message(message) => {
                        arrived += usize::from(message.payload == Payload::Json(payload.as_str().into()));
                    }
                    ServerFrame::Receipt(receipt) => {
                        let new =
                            |(first, last): &(u64, u64)| (*first..=*last).filter(|id| *id > first_id).count();
                        good += receipt.queued.iter().chain(&receipt.accepted).map(new).sum::<usize>();
                        bad += receipt.unknown.iter().map(new).sum::<usize>();
                        bad += receipt.failed.iter().filter(|failed| failed.id > first_id).count();
                    }
                    _ => {}
                });
                match tokio::time::timeout_at(deadline, received).await {
                    Ok(received) => drop(received?),
                    Err(_) => return Ok(false),
                }
            }
            complete &= bad == 0;
        }
        Ok(complete)
    }
}
