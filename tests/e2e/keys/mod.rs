//! Keys of an issuer that change while agents talk: nobody is dropped who should live, and nobody lives who should not.

use std::time::Duration;

use anyhow::{Context, ensure};
use relay_loadtest::agent::{Agent, ConnectError, Ended};
use relay_protocol::{CloseCode, Encoding, ServerFrame};
use relay_tests::fleet::{PATIENCE, TENANT, UNLIMITED, tell};
use relay_tests::key_server::{IssuerKey, KeyServer};
use relay_tests::{Fleet, eventually, turn};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

const INSTANCES: usize = 3;
/// Agents on each instance by each key.
const AGENTS: usize = 10;
/// How often an agent sends.
const PACE: Duration = Duration::from_millis(50);
/// Keys are asked for each second, and a missing one twice more.
const WITHDRAWN_WITHIN: Duration = Duration::from_secs(6);

async fn start(server: &KeyServer) -> anyhow::Result<Fleet> {
    let keys = [
        ("RELAY_AUTH_JWKS_URL", server.url()),
        ("RELAY_AUTH_JWKS_AGE_MIN_S", "1"),
        ("RELAY_AUTH_JWKS_AGE_MAX_S", "1"),
    ];
    Fleet::joined(u32::try_from(INSTANCES)?, &[&keys[..], &UNLIMITED].concat()).await
}

fn token(fleet: &Fleet, key: &IssuerKey, agent: &str) -> anyhow::Result<String> {
    key.sign(&fleet.cluster.minter().claims(TENANT, agent))
}

/// The code that a connection by this key is refused with.
async fn refusal(fleet: &Fleet, instance: usize, key: &IssuerKey) -> anyhow::Result<Option<u16>> {
    match fleet.connect(instance, &token(fleet, key, "late")?, Encoding::Json).await {
        Ok(_) => Ok(None),
        Err(ConnectError::Ended(Ended { code, .. })) => Ok(code),
        Err(error) => Err(error.into()),
    }
}

/// What an agent went through.
#[derive(Debug)]
struct Talk {
    heard: u64,
    ended: Option<(Ended, Instant)>,
}

/// Agents that each send to themselves, one message after the other, until `stop` or their connection's end.
struct Crowd(JoinSet<anyhow::Result<Talk>>);

impl Crowd {
    async fn gather(
        fleet: &Fleet,
        key: &IssuerKey,
        name: &str,
        stop: &watch::Receiver<bool>,
    ) -> anyhow::Result<Crowd> {
        let mut talks = JoinSet::new();
        for number in 0..AGENTS * INSTANCES {
            let token = token(fleet, key, &format!("{name}-{number}"))?;
            let agent = fleet.connect(number % INSTANCES, &token, Encoding::Json).await;
            talks.spawn(talk(agent.with_context(|| format!("{name}-{number}"))?, stop.clone()));
        }
        Ok(Crowd(talks))
    }

    async fn talks(self) -> anyhow::Result<Vec<Talk>> {
        self.0.join_all().await.into_iter().collect()
    }
}

async fn talk(mut agent: Agent, stop: watch::Receiver<bool>) -> anyhow::Result<Talk> {
    let me = agent.greeting().session.clone();
    let mut pace = tokio::time::interval(PACE);
    let mut heard = 0;
    while !*stop.borrow() {
        pace.tick().await;
        let sent = tell(&mut agent, &me, "\"still here\"").await;
        let came = agent.wait_for(|frame| matches!(frame, ServerFrame::Message(_)).then_some(()));
        match tokio::time::timeout(PATIENCE, came).await.context("a message did not come")? {
            Ok(()) => {
                sent?;
                heard += 1;
            }
            Err(ended) => return Ok(Talk { heard, ended: Some((ended, Instant::now())) }),
        }
    }
    agent.leave().await;
    Ok(Talk { heard, ended: None })
}

#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::print_stdout, reason = "a measurement")]
async fn keys_are_rotated_under_traffic() -> anyhow::Result<()> {
    let _machine = turn::alone().await;
    let (first, second) = (IssuerKey::rsa("2026-11")?, IssuerKey::p256("2026-12")?);
    let server = KeyServer::start(&[&first]).await?;
    let fleet = start(&server).await?;
    let (stop, stopped) = watch::channel(false);
    let by_first = Crowd::gather(&fleet, &first, "first", &stopped).await?;
    let forged = IssuerKey::rsa("never published")?;
    ensure!(refusal(&fleet, 0, &forged).await? == Some(CloseCode::TokenInvalid.number()));

    server.publish(&[&first, &second]);
    for instance in 0..INSTANCES {
        let known = async || Ok(refusal(&fleet, instance, &second).await?.is_none().then_some(()));
        eventually("the second key is known", PATIENCE, known).await?;
    }
    let by_second = Crowd::gather(&fleet, &second, "second", &stopped).await?;

    server.publish(&[&second]);
    let withdrawn = Instant::now();
    let talks = by_first.talks().await?;
    let mut closed = Vec::new();
    for Talk { heard, ended } in talks {
        let (ended, at) = ended.context("a connection outlived its key")?;
        ensure!(ended.code == Some(CloseCode::TokenExpired.number()), "{ended:?}");
        ensure!(heard > 0);
        closed.push(at - withdrawn);
    }
    let (soonest, latest) = (closed.iter().min().copied(), closed.iter().max().copied());
    println!("{} connections by a withdrawn key closed after {soonest:?} to {latest:?}", closed.len());
    ensure!(latest.context("nobody")? < WITHDRAWN_WITHIN);
    for instance in 0..INSTANCES {
        ensure!(refusal(&fleet, instance, &first).await? == Some(CloseCode::TokenInvalid.number()));
        let back = token(&fleet, &second, "first-0")?;
        fleet.connect(instance, &back, Encoding::Json).await.context("back by the second key")?;
    }

    stop.send_replace(true);
    for Talk { heard, ended } in by_second.talks().await? {
        ensure!(ended.is_none(), "dropped though its key is there: {ended:?}");
        ensure!(heard > 0);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_server_that_fails_drops_nobody_and_keeps_nobody_out_whose_key_is_known() -> anyhow::Result<()>
{
    let _machine = turn::alone().await;
    let (known, unknown) = (IssuerKey::rsa("known")?, IssuerKey::p256("unknown")?);
    let server = KeyServer::start(&[&known]).await?;
    let fleet = start(&server).await?;
    let (stop, stopped) = watch::channel(false);
    let before = Crowd::gather(&fleet, &known, "before", &stopped).await?;
    server.fail();
    let failures = async || {
        let failed = fleet.metrics(0).await?.having("relay_key_fetches_total", "failed");
        Ok((failed >= 2.0).then_some(()))
    };
    eventually("the relay noticed", PATIENCE, failures).await?;
    let during = Crowd::gather(&fleet, &known, "during", &stopped).await?;
    let begun = Instant::now();
    ensure!(refusal(&fleet, 0, &unknown).await? == Some(CloseCode::Unavailable.number()));
    ensure!(begun.elapsed() < Duration::from_secs(4), "a refusal took {} ms", begun.elapsed().as_millis());
    stop.send_replace(true);
    for crowd in [before, during] {
        for Talk { ended, .. } in crowd.talks().await? {
            ensure!(ended.is_none(), "{ended:?}");
        }
    }
    Ok(())
}
