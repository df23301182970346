//! What a token grants is what its agent may do, and nothing else; nothing granted is nothing allowed.

use anyhow::ensure;
use relay_loadtest::agent::ConnectError;
use relay_loadtest::token::Grants;
use relay_protocol::{Encoding, ErrorCode};
use relay_tests::fleet::{TENANT, address};
use relay_tests::peer::{Outcome, Peer};
use relay_tests::{Fleet, turn};

const FORBIDDEN: Outcome = Outcome::Failed(ErrorCode::Forbidden);

#[tokio::test]
async fn an_agent_may_do_what_its_token_grants_and_nothing_else() -> anyhow::Result<()> {
    let _machine = turn::shared().await;
    let fleet = Fleet::joined(2, &[]).await?;
    let mut desk = fleet.peer(1, "desk").await?;
    let mut other = fleet.peer(1, "other").await?;
    desk.subscribe("news.today").await?;
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    let grants = Grants {
        publish: words(&["news.*"]),
        subscribe: words(&["news.*", "alerts"]),
        send: words(&["agent/desk"]),
        join: words(&[]),
        watch: words(&[]),
        admin: false,
    };
    let mut agent = agent_with(&fleet, grants).await?;

    for (to, expected) in [
        ("agent/desk", Outcome::Queued),
        ("topic/news.today", Outcome::Accepted),
        ("agent/other", FORBIDDEN),
        ("agent/desk2", FORBIDDEN),
        (other.agent.greeting().session.clone().as_str(), FORBIDDEN),
        (desk.agent.greeting().session.clone().as_str(), FORBIDDEN),
        ("topic/news", FORBIDDEN),
        ("topic/newspaper.today", FORBIDDEN),
        ("topic/alerts", FORBIDDEN),
    ] {
        let outcome = agent.ask(&address(to)?).await?;
        ensure!(outcome == expected, "{to}: {outcome:?}");
    }
    let mut heard = vec![desk.hear().await?.to, desk.hear().await?.to];
    heard.sort();
    ensure!(heard == ["agent/desk", "topic/news.today"], "{heard:?}");
    for (topic, allowed) in [
        ("news.today", true),
        ("news.*", true),
        ("news.europe.*", true),
        ("alerts", true),
        ("news", false),
        ("*", false),
        ("alerts.*", false),
        ("weather", false),
    ] {
        let said = may_subscribe(&mut agent, topic).await?;
        ensure!(said == allowed, "{topic}: {said}");
    }
    // What was forbidden reached nobody: the first that this one hears is what is allowed.
    desk.ask(&address("agent/other")?).await?;
    ensure!(other.hear().await?.from == "agent/desk");
    Ok(())
}

#[tokio::test]
async fn without_rights_an_agent_hears_and_answers_and_no_more() -> anyhow::Result<()> {
    let _machine = turn::shared().await;
    let fleet = Fleet::single(&[]).await?;
    let nothing = Grants {
        publish: Vec::new(),
        subscribe: Vec::new(),
        send: Vec::new(),
        join: Vec::new(),
        watch: Vec::new(),
        admin: false,
    };
    let mut humble = agent_with(&fleet, nothing).await?;
    let mut peer = fleet.peer(0, "peer").await?;
    for to in ["agent/peer", "agent/narrow", "session/peer~AAAAAAAAAAAAAAAAAAAAAA", "topic/news"] {
        let outcome = humble.ask(&address(to)?).await?;
        ensure!(outcome == FORBIDDEN, "{to}: {outcome:?}");
    }
    ensure!(!may_subscribe(&mut humble, "news").await?);
    ensure!(peer.ask(&address("agent/narrow")?).await? == Outcome::Queued);
    ensure!(humble.hear().await?.from == "agent/peer");
    // A request is the right to answer it.
    let mine = address("agent/peer")?;
    let asked =
        peer.ask_with(&address("agent/narrow")?, |request| request.reply_to = Some(mine.clone())).await?;
    ensure!(asked == Outcome::Queued, "{asked:?}");
    humble.hear().await?;
    ensure!(humble.ask(&mine).await? == Outcome::Queued);
    ensure!(peer.hear().await?.from == "agent/narrow");
    Ok(())
}

async fn agent_with(fleet: &Fleet, grants: Grants) -> anyhow::Result<Peer> {
    let minter = fleet.cluster.minter();
    let mut claims = minter.claims(TENANT, "narrow");
    claims.relay = grants;
    Ok(fleet.connect(0, &minter.sign(&claims)?, Encoding::Json).await?.into())
}

async fn may_subscribe(agent: &mut Peer, topic: &str) -> anyhow::Result<bool> {
    match agent.subscribe(topic).await {
        Ok(()) => Ok(true),
        Err(ConnectError::Command { code: ErrorCode::Forbidden, .. }) => Ok(false),
        Err(error) => Err(error.into()),
    }
}
