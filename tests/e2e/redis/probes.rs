//! What tests of an ailing Redis look at: whether everything flows, and whether every message is accounted for.

use std::time::Duration;

use anyhow::ensure;
use relay_loadtest::agent::Agent;
use relay_loadtest::checker::Tally;
use relay_protocol::client::ReceiptMode;
use relay_protocol::{Address, Payload, ServerFrame};
use relay_tests::fleet::{address, tell};
use relay_tests::talk::{Conversation, Pace, Talk};
use relay_tests::{Fleet, eventually, seed};
use tokio::time::Instant;

pub(super) const INSTANCES: usize = 3;
const TOPIC: &str = "probe.all";
/// How long a round may take where everything flows.
const ROUND: Duration = Duration::from_millis(500);
/// For what has no bound of its own.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// Traffic under which things happen.
const TALK: Talk = Talk {
    agents: 60,
    subscribers: 10,
    topics_percent: 30,
    pace: Pace::Every(Duration::from_millis(50)),
    seed: 0,
};

/// Waits for so many more sends.
pub(super) async fn flows(conversation: &Conversation, sends: u64) -> anyhow::Result<()> {
    let target = conversation.sums().sent + sends;
    eventually("agents send", PATIENCE, async || Ok((conversation.sums().sent >= target).then_some(()))).await
}

/// Waits until each relay says so of its bus.
pub(super) async fn bus_is(fleet: &Fleet, state: &str) -> anyhow::Result<()> {
    for instance in 0..fleet.cluster.relays.len() {
        eventually("the relay notices", PATIENCE, async || {
            let health = fleet.get(instance, "/health/live").await?.body;
            Ok(health.contains(&format!("\"bus\":\"{state}\"")).then_some(()))
        })
        .await?;
    }
    Ok(())
}

/// Everybody leaves; each message has one outcome, and what is lost was declared.
pub(super) async fn accounted_for(fleet: &Fleet, conversation: Conversation) -> anyhow::Result<Tally> {
    let broken = fleet.all_metrics().await?.broken_identities();
    let tally = conversation.end().await;
    ensure!(tally.broken(ReceiptMode::All).is_empty(), "{:?}: {tally:?}", tally.broken(ReceiptMode::All));
    ensure!(broken.is_empty(), "{broken:?}");
    Ok(tally)
}

/// An agent on each instance, by whom it is seen whether everything flows.
pub(super) struct Probes {
    agents: Vec<Agent>,
    round: u32,
}

impl Probes {
    pub(super) async fn gather(fleet: &Fleet) -> anyhow::Result<Probes> {
        let mut agents = Vec::new();
        for instance in 0..INSTANCES {
            let mut agent = fleet.agent(instance, &format!("probe-{instance}")).await?;
            agent.subscribe(TOPIC, |_| {}).await?;
            agents.push(agent);
        }
        Ok(Probes { agents, round: 0 })
    }

    /// Everything flows between the relays of a fleet, and agents talk.
    pub(super) async fn under_traffic(fleet: &Fleet) -> anyhow::Result<(Probes, Conversation)> {
        let mut probes = Probes::gather(fleet).await?;
        probes.all_flow(PATIENCE).await?;
        let conversation = Conversation::begin(fleet, Talk { seed: seed::seed(), ..TALK }).await?;
        flows(&conversation, 2_000).await?;
        Ok((probes, conversation))
    }

    /// New messages are sent until one round of them arrives completely, and then a second at the first try.
    pub(super) async fn all_flow(&mut self, within: Duration) -> anyhow::Result<()> {
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
                        bad += receipt.failed.iter().map(|failed| new(&failed.ids)).sum::<usize>();
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
