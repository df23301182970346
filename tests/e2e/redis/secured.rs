//! A Redis or a Cluster that speaks TLS only, to a user with least rights: everything a relay does works, and a relay that
//! was not told of the authority does not talk to it.

use anyhow::{Context, ensure};
use relay_tests::api::Program;
use relay_tests::fleet::{PATIENCE, TENANT, join};
use relay_tests::reliable::Reliable;
use relay_tests::secured::Secured;
use relay_tests::secured_cluster::SecuredCluster;
use relay_tests::{Fleet, eventually, turn};
use serde_json::json;

use super::probes::{Probes, bus_is};

#[tokio::test]
async fn relays_are_joined_over_tls_with_least_rights() -> anyhow::Result<()> {
    let _machine = turn::shared().await;
    let redis = Secured::start().await?;
    let authority = redis.authority();
    let authority = authority.to_str().context("a path that is no text")?;
    let fleet = Fleet::over(redis.url(), 3, &[("RELAY_REDIS_CA_FILE", authority)]).await?;
    bus_is(&fleet, "up").await?;
    everything_works(&fleet).await
}

/// As over a single one; and the user may do nothing else, on no node.
#[tokio::test]
async fn relays_are_joined_by_a_cluster_over_tls_with_least_rights() -> anyhow::Result<()> {
    let _machine = turn::shared().await;
    let redis = SecuredCluster::start().await?;
    let authority = redis.authority();
    let authority = authority.to_str().context("a path that is no text")?;
    let fleet = Fleet::over(redis.url(), 3, &[("RELAY_REDIS_CA_FILE", authority)]).await?;
    bus_is(&fleet, "up").await?;
    everything_works(&fleet).await?;
    let keys = redis.keys().await?;
    ensure!(!keys.is_empty() && keys.iter().all(|key| key.starts_with("r1:")), "{keys:?}");
    for forbidden in [
        "SET other 1",
        "GET other",
        "SPUBLISH other x",
        "SUBSCRIBE other",
        "CONFIG GET *",
        "KEYS *",
        "FLUSHALL",
    ] {
        for said in redis.say_as_relay(forbidden).await? {
            ensure!(said.starts_with("+OK\r\n-NOPERM"), "{forbidden}: {said}");
        }
    }
    Ok(())
}

/// Both classes of delivery to agents and topics between three relays, and what the stores do.
async fn everything_works(fleet: &Fleet) -> anyhow::Result<()> {
    let mut probes = Probes::gather(fleet).await?;
    probes.all_flow(PATIENCE).await?;
    let (mut alice, mut bob) =
        (Reliable::join(fleet, 0, "alice").await?, Reliable::join(fleet, 1, "bob").await?);
    bob.subscribe("news").await?;
    join(&mut bob.agent, "work").await?;
    let direct = alice.send("agent/bob", "direct", None).await?;
    let published = alice.send("topic/news", "published", None).await?;
    let job = alice.send("group/work", "job", None).await?;
    bob.present(3).await?;
    alice.until(|book| book.has(direct, "delivered") && book.has(published, "accepted")).await?;
    alice.until(|book| book.has(job, "delivered")).await?;
    bob.move_to(fleet, 2).await?;
    ensure!(bob.agent.greeting().resumed);
    let admin = Program::admin(fleet, TENANT)?;
    for (path, body) in [
        ("/v1/keys", json!({"agent": "worker", "life_s": 60})),
        ("/v1/revoke", json!({"agent": "nobody"})),
        ("/v1/publish", json!({"to": "agent/nobody", "message": {}})),
    ] {
        let call = ("POST", path);
        let answer = admin.call_with(fleet, 0, call, Some(body), "idempotency-key: once\r\n").await?;
        ensure!((200..300).contains(&answer.status), "{path}: {answer:?}");
    }
    for instance in 0..3 {
        let health = fleet.get(instance, "/health/ready").await?;
        ensure!(!health.body.contains("warning"), "{health:?}");
        let log = fleet.child(instance).log();
        ensure!(!log.contains("NOPERM"), "a right is missing: {log}");
    }
    Ok(())
}

/// With the same rights.
#[tokio::test]
async fn a_redis_that_evicts_is_used_and_told_of() -> anyhow::Result<()> {
    let _machine = turn::shared().await;
    let redis = Secured::start_with(&["--maxmemory-policy", "allkeys-lru"]).await?;
    let authority = redis.authority();
    let authority = authority.to_str().context("a path that is no text")?;
    let fleet = Fleet::over(redis.url(), 1, &[("RELAY_REDIS_CA_FILE", authority)]).await?;
    eventually("health, log and metrics say so", PATIENCE, async || {
        let health = fleet.get(0, "/health/ready").await?;
        let told = health.body.contains("\"warning\":\"its maxmemory-policy is not noeviction")
            && fleet.child(0).log().contains("set its maxmemory-policy to noeviction")
            && fleet.metrics(0).await?.sum("relay_redis_evicts") > 0.0;
        ensure!(health.status == 200, "it serves: {health:?}");
        Ok(told.then_some(()))
    })
    .await?;
    let (mut alice, mut bob) =
        (Reliable::join(&fleet, 0, "alice").await?, Reliable::join(&fleet, 0, "bob").await?);
    let id = alice.send("agent/bob", "m1", None).await?;
    bob.present(1).await?;
    alice.until(|book| book.has(id, "delivered")).await
}

#[tokio::test]
async fn a_certificate_of_an_unknown_authority_is_not_believed() -> anyhow::Result<()> {
    let _machine = turn::shared().await;
    let redis = Secured::start().await?;
    let fleet = Fleet::over(redis.url(), 1, &[]).await?;
    bus_is(&fleet, "down").await?;
    eventually("the log says why", PATIENCE, async || {
        Ok(fleet.child(0).log().contains("no connection to Redis").then_some(()))
    })
    .await?;
    ensure!(!fleet.child(0).log().contains("correct-horse"), "the password is in the log");
    Ok(())
}
