//! One tenant sends far more than its quota, on both instances: it is held to the quota and told so, and another tenant,
//! within its own, is refused nothing.

use std::time::Duration;

use anyhow::{Context, ensure};
use relay_loadtest::agent::Agent;
use relay_protocol::client::ReceiptMode;
use relay_protocol::{Address, Encoding, ErrorCode, Payload, ServerFrame};
use relay_tests::fleet::{PATIENCE, UNLIMITED, address};
use relay_tests::peer::{Outcome, Peer};
use relay_tests::{Fleet, turn};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// Messages a second of each tenant.
const QUOTA: u32 = 100;
const BURST_S: u32 = 5;
/// What the quiet tenant sends, at four fifths of its quota: three seconds' worth.
const QUIET_SENDS: usize = 240;
const QUIET_EVERY: Duration = Duration::from_micros(12_500);
/// What the noisy one sends before it waits for the outcomes.
const TOGETHER: usize = 250;
const NOISE_FACTOR: f64 = 50.0;

#[tokio::test(flavor = "multi_thread")]
async fn a_noisy_tenant_is_held_to_its_quota_and_harms_no_other() -> anyhow::Result<()> {
    let _machine = turn::alone().await;
    let quota = QUOTA.to_string();
    let environment = [
        UNLIMITED[0],
        UNLIMITED[1],
        UNLIMITED[2],
        ("RELAY_RATE_STRIKES", "1000000000"),
        ("RELAY_TENANT_QUOTA_MESSAGES", quota.as_str()),
    ];
    let fleet = Fleet::joined(2, &environment).await?;
    let (done, ended) = watch::channel(false);
    let mut noise = JoinSet::new();
    for instance in 0..2 {
        let agent = join(&fleet, instance, "noisy", &format!("n{instance}")).await?;
        noise.spawn(make_noise(agent, ended.clone()));
    }
    let mut quiet: Peer = join(&fleet, 0, "quiet", "q").await?.into();
    let _other_end: Peer = join(&fleet, 1, "quiet", "r").await?.into();
    let (to, began) = (address("agent/r")?, Instant::now());
    let mut ticks = tokio::time::interval(QUIET_EVERY);
    for number in 0..QUIET_SENDS {
        ticks.tick().await;
        let outcome = quiet.ask(&to).await?;
        ensure!(outcome == Outcome::Queued, "message {number} of the quiet tenant: {outcome:?}");
    }
    done.send(true)?;
    let mut heard = Noise::default();
    let all =
        tokio::time::timeout(PATIENCE, noise.join_all()).await.context("the noisy one hears nothing")?;
    for noise in all {
        let noise = noise?;
        heard = Noise { passed: heard.passed + noise.passed, refused: heard.refused + noise.refused };
    }
    let elapsed = began.elapsed().as_secs_f64() + 1.0;
    let sent = heard.passed + heard.refused;
    ensure!(sent > NOISE_FACTOR * f64::from(QUOTA) * elapsed, "{sent} in {elapsed} s is not noisy");
    // Its rate, its burst, and what each instance may owe.
    let most = f64::from(QUOTA) * (elapsed + f64::from(BURST_S) * 1.25);
    ensure!(heard.passed <= most, "{} passed of at most {most}", heard.passed);
    ensure!(heard.passed > f64::from(QUOTA), "held below its quota: {}", heard.passed);
    let counted = fleet.all_metrics().await?.having("relay_limited_total", "tenant_quota_messages");
    ensure!((counted - heard.refused).abs() < 0.5, "{counted} counted, {} told", heard.refused);
    Ok(())
}

async fn join(fleet: &Fleet, instance: usize, tenant: &str, agent: &str) -> anyhow::Result<Agent> {
    let token = fleet.cluster.minter().identity(tenant, agent)?.token;
    Ok(fleet.connect(instance, &token, Encoding::Json).await?)
}

/// What became of noise.
#[derive(Debug, Default, Clone, Copy)]
struct Noise {
    passed: f64,
    refused: f64,
}

/// Sends to itself as fast as outcomes come, until `ended`; each refusal must be a typed one.
async fn make_noise(mut agent: Agent, ended: watch::Receiver<bool>) -> anyhow::Result<Noise> {
    let (me, mut noise) = (agent.greeting().session.clone(), Noise::default());
    while !*ended.borrow() {
        shout(&mut agent, &me, &mut noise).await?;
    }
    Ok(noise)
}

async fn shout(agent: &mut Agent, to: &Address<'static>, noise: &mut Noise) -> anyhow::Result<()> {
    for _ in 0..TOGETHER {
        let id = agent.outbox().next_id();
        agent.outbox().send(id, to.clone(), Payload::Json("1".into()), ReceiptMode::All, |_| {});
    }
    let (mut waiting, mut untyped) = (TOGETHER, None);
    while waiting > 0 {
        agent
            .receive(|frame, _, _| {
                let ServerFrame::Receipt(receipt) = frame else { return };
                for (first, last) in &receipt.queued {
                    let count = u32::try_from(last - first + 1).unwrap_or(u32::MAX);
                    noise.passed += f64::from(count);
                    waiting -= count as usize;
                }
                for failed in &receipt.failed {
                    let count = u32::try_from(failed.count()).unwrap_or(u32::MAX);
                    noise.refused += f64::from(count);
                    waiting -= count as usize;
                    let typed = failed.reason == ErrorCode::RateLimited
                        && failed.retry_after_ms.is_some_and(|ms| (1..=10_000).contains(&ms))
                        && failed.limit.as_deref() == Some("tenant_quota_messages");
                    if !typed {
                        untyped = Some(format!("{failed:?}"));
                    }
                }
            })
            .await?;
    }
    ensure!(untyped.is_none(), "{untyped:?}");
    Ok(())
}
