//! Who is present, seen from another relay: a thousand agents come, most of them die with their relay and some come back.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::ensure;
use relay_loadtest::agent::Agent;
use relay_protocol::{ClientFrame, ServerFrame};
use relay_tests::api::Program;
use relay_tests::fleet::{PATIENCE, TENANT, UNLIMITED, address, be_seen};
use relay_tests::{Fleet, eventually, turn};
use serde_json::json;
use tokio::time::Instant;

const AGENTS: usize = 1_000;
/// Those that come back elsewhere.
const BACK: usize = 10;
/// What is promised: a lease of 3 s, and a look each second.
const RIGHT_WITHIN: Duration = Duration::from_secs(5);

/// A grace short enough to be waited for, and what it is at least.
const GRACE: Duration = Duration::from_secs(4);
const GRACE_MIN: Duration = Duration::from_secs(3);

/// What a watcher knows.
#[derive(Debug, Default, PartialEq, Eq)]
struct Seen {
    version: u64,
    count: u64,
    /// Their names, where they were told.
    members: Option<BTreeSet<String>>,
}

impl Seen {
    /// Takes news in; they come one by one.
    fn hear(&mut self, frame: &ServerFrame<'_>) -> Option<()> {
        let ServerFrame::Presence(news) = frame else { return None };
        assert_eq!(news.version, self.version + 1);
        (self.version, self.count) = (news.version, news.count);
        let names = |names: &[relay_protocol::Text<'_>]| {
            names.iter().map(ToString::to_string).collect::<BTreeSet<_>>()
        };
        match (&news.members, &mut self.members) {
            (Some(all), _) => self.members = Some(names(all)),
            (None, Some(known)) if !(news.joined.is_empty() && news.left.is_empty()) => {
                known.extend(names(&news.joined));
                known.retain(|name| !names(&news.left).contains(name));
            }
            (None, _) => self.members = None,
        }
        Some(())
    }

    async fn until(&mut self, watcher: &mut Agent, holds: impl Fn(&Seen) -> bool) -> anyhow::Result<()> {
        let hearing = async {
            while !holds(self) {
                watcher.wait_for(|frame| self.hear(frame)).await?;
            }
            anyhow::Ok(())
        };
        tokio::time::timeout(PATIENCE, hearing).await?
    }
}

async fn watch(watcher: &mut Agent, to: &str) -> anyhow::Result<()> {
    let id = watcher.outbox().next_id();
    watcher.outbox().push(&ClientFrame::Watch { id, to: address(to)? });
    Ok(watcher.flush().await?)
}

#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::print_stdout, reason = "a measurement")]
async fn presence_is_right_soon_after_a_relay_with_a_thousand_agents_was_killed() -> anyhow::Result<()> {
    let _machine = turn::alone().await;
    let mut fleet = Fleet::joined(3, &UNLIMITED).await?;
    let mut watcher = fleet.agent(0, "watcher").await?;
    let mut seen = Seen::default();
    watch(&mut watcher, "topic/room").await?;
    seen.until(&mut watcher, |seen| seen.version == 1).await?;
    ensure!(seen.members.as_ref().is_some_and(BTreeSet::is_empty), "{seen:?}");
    let mut agents = Vec::new();
    for number in 0..AGENTS {
        let mut agent = fleet.agent(2, &format!("agent-{number}")).await?;
        be_seen(&mut agent, "room").await?;
        agents.push(agent);
    }
    seen.until(&mut watcher, |seen| seen.count == AGENTS as u64).await?;
    ensure!(seen.members.is_none(), "too many to be named: {seen:?}");

    fleet.take(2).kill().await?;
    let killed = Instant::now();
    agents.clear();
    for number in 0..BACK {
        let mut agent = fleet.agent(1, &format!("agent-{number}")).await?;
        be_seen(&mut agent, "room").await?;
        agents.push(agent);
    }
    seen.until(&mut watcher, |seen| seen.count == BACK as u64 && seen.members.is_some()).await?;
    let took = killed.elapsed();
    let expected: BTreeSet<String> = (0..BACK).map(|number| format!("agent-{number}")).collect();
    ensure!(seen.members.as_ref() == Some(&expected), "{seen:?}");
    println!("presence was right {} ms after kill -9 of the relay of {AGENTS} agents", took.as_millis());
    ensure!(took < RIGHT_WITHIN, "{took:?}");
    let program = Program::plain(&fleet, TENANT, "program")?;
    let expected = [("topic/room", BACK), ("agent/agent-1", 1), ("agent/agent-99", 0)];
    eventually("another relay says the same", RIGHT_WITHIN.saturating_sub(took), async || {
        for (of, count) in expected {
            let answer = program.call(&fleet, 1, "GET", &format!("/v1/presence?of={of}"), None).await?;
            if answer.body["count"] != json!(count) {
                return Ok(None);
            }
        }
        Ok(Some(()))
    })
    .await?;
    println!("and by the HTTP API of another relay {} ms after", killed.elapsed().as_millis());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_elsewhere_that_breaks_off_stays_for_its_grace_and_one_that_leaves_does_not()
-> anyhow::Result<()> {
    let _machine = turn::alone().await;
    let grace = ("RELAY_PRESENCE_GRACE_MS", "4000");
    let fleet = Fleet::joined(2, &[UNLIMITED[0], UNLIMITED[1], UNLIMITED[2], grace]).await?;
    let mut watcher = fleet.agent(0, "watcher").await?;
    let mut seen = Seen::default();
    watch(&mut watcher, "agent/bob").await?;
    for (breaks_off, least, most) in [(false, Duration::ZERO, GRACE), (true, GRACE_MIN, 3 * GRACE)] {
        let bob = fleet.agent(1, "bob").await?;
        seen.until(&mut watcher, |seen| seen.count == 1).await?;
        let begun = Instant::now();
        if breaks_off {
            drop(bob);
        } else {
            bob.leave().await;
        }
        seen.until(&mut watcher, |seen| seen.count == 0).await?;
        let took = begun.elapsed();
        ensure!((least..most).contains(&took), "gone after {took:?}, broken off: {breaks_off}");
    }
    let program = Program::plain(&fleet, TENANT, "program")?;
    let session = format!("/v1/presence?of=session/bob~{}", "A".repeat(22));
    let answer = program.call(&fleet, 0, "GET", &session, None).await?;
    ensure!(answer.status == 400, "{answer:?}");
    eventually("nobody watches any more", PATIENCE, async || {
        let id = watcher.outbox().next_id();
        watcher.outbox().push(&ClientFrame::Unwatch { id, to: address("agent/bob")? });
        watcher.flush().await?;
        Ok((fleet.metrics(0).await?.sum("relay_presence_watches") < 0.5).then_some(()))
    })
    .await
}
