//! One session an agent, over instances: of many that come at once one stays.

use anyhow::ensure;
use futures_util::future::join_all;
use relay_protocol::ServerFrame;
use relay_tests::fleet::{PATIENCE, address, tell};
use relay_tests::{Fleet, eventually, turn};

const COMERS: usize = 12;

#[tokio::test(flavor = "multi_thread")]
async fn of_many_sessions_that_come_at_once_one_stays() -> anyhow::Result<()> {
    let _machine = turn::alone().await;
    for policy in ["take-over", "refuse"] {
        let fleet = Fleet::joined(3, &[("RELAY_DUPLICATE_AGENTS", policy)]).await?;
        let opened = join_all((0..COMERS).map(|number| fleet.agent(number % 3, "bob"))).await;
        let mut welcomed: Vec<_> = opened.into_iter().flatten().collect();
        ensure!(policy == "take-over" || welcomed.len() == 1, "{} were welcomed", welcomed.len());
        eventually("one session is left", PATIENCE, async || {
            Ok((fleet.all_metrics().await?.sum("relay_sessions") <= 1.0).then_some(()))
        })
        .await?;
        // Who was closed hears nothing more, and the one that is left hears what is sent to the agent.
        tell(&mut fleet.agent(0, "alice").await?, &address("agent/bob")?, "1").await?;
        let heard = join_all(
            welcomed
                .iter_mut()
                .map(|agent| agent.wait_for(|frame| matches!(frame, ServerFrame::Message(_)).then_some(()))),
        );
        let heard = tokio::time::timeout(PATIENCE, heard).await?;
        ensure!(heard.iter().filter(|heard| heard.is_ok()).count() == 1, "{policy}: {heard:?}");
    }
    Ok(())
}
