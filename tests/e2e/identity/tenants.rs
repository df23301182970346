//! Tenants share relays and Redis, and nothing else: the same names mean others, whichever instance they are on.

use anyhow::ensure;
use relay_protocol::{Address, Encoding, ErrorCode};
use relay_tests::fleet::{TENANT, address};
use relay_tests::peer::{Outcome, Peer};
use relay_tests::{Fleet, turn};

const OTHER: &str = "other";
const NOBODY: Outcome = Outcome::Failed(ErrorCode::NoRecipient);

#[tokio::test]
async fn nothing_goes_from_one_tenant_to_another() -> anyhow::Result<()> {
    let _machine = turn::shared().await;
    let fleet = Fleet::joined(2, &[]).await?;
    let mut ours = [agent(&fleet, 0, TENANT, "alice").await?, agent(&fleet, 1, TENANT, "bob").await?];
    let mut theirs = [agent(&fleet, 0, OTHER, "bob").await?, agent(&fleet, 1, OTHER, "eve").await?];
    for agent in ours.iter_mut().chain(&mut theirs) {
        for topic in ["news", "*"] {
            agent.subscribe(topic).await?;
        }
    }
    let sessions = ours.each_ref().map(|agent| agent.agent.greeting().session.clone());
    for stranger in &mut theirs {
        for to in [&address("agent/alice")?, &sessions[0], &sessions[1]] {
            let outcome = stranger.ask(to).await?;
            ensure!(outcome == NOBODY, "{to:?}: {outcome:?}");
        }
    }
    // Both tenants have a bob, and both publish to news.
    let bob = address("agent/bob")?;
    let news = address("topic/news")?;
    for sender in [&mut ours[0], &mut theirs[1]] {
        ensure!(sender.ask(&bob).await? == Outcome::Queued);
        ensure!(hear_from_topic(sender, &news).await?);
    }
    for (bob, sender) in [(&mut ours[1], "agent/alice"), (&mut theirs[0], "agent/eve")] {
        let mut heard = [bob.hear().await?, bob.hear().await?].map(|heard| (heard.to, heard.from));
        heard.sort();
        let expected = ["agent/bob", "topic/news"].map(|to| (to.to_owned(), sender.to_owned()));
        ensure!(heard == expected, "{heard:?}");
    }
    // Nothing else came: what each says to itself is the next that it hears.
    for agent in ours.iter_mut().chain(&mut theirs) {
        let me = agent.agent.greeting().session.clone();
        ensure!(agent.ask(&me).await? == Outcome::Queued);
        let heard = agent.hear().await?;
        ensure!(heard.to == me.as_str(), "{heard:?}");
    }
    Ok(())
}

async fn agent(fleet: &Fleet, instance: usize, tenant: &str, agent: &str) -> anyhow::Result<Peer> {
    let token = fleet.cluster.minter().identity(tenant, agent)?.token;
    Ok(fleet.connect(instance, &token, Encoding::Json).await?.into())
}

/// Publishes, and hears it as a subscriber of its own topic.
async fn hear_from_topic(sender: &mut Peer, topic: &Address<'_>) -> anyhow::Result<bool> {
    ensure!(sender.ask(topic).await? == Outcome::Accepted);
    Ok(sender.hear().await?.to == topic.as_str())
}
