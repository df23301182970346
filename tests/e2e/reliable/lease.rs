//! Connections whose lease is over: clients move to other relays under steady traffic at `qos` 1, and have their next
//! connection before they leave the former one.

use anyhow::ensure;
use relay_tests::{Fleet, eventually, turn};

use super::crew::{Crew, SETTLED_WITHIN, Totals, longest_absence, returns};

const AGENTS: usize = 30;
/// How often each moves, on average.
const MOVES: u64 = 2;

#[tokio::test(flavor = "multi_thread")]
async fn clients_move_on_without_an_absence() -> anyhow::Result<()> {
    let _machine = turn::alone().await;
    let fleet = Fleet::joined(3, &[("RELAY_LEASE_MS", "3000")]).await?;
    let mut crew = Crew::gather(&fleet, AGENTS).await?;
    crew.flows().await?;
    eventually("all have moved", SETTLED_WITHIN, async || {
        Ok((crew.returns() >= MOVES * AGENTS as u64).then_some(()))
    })
    .await?;
    crew.flows().await?;
    let records = crew.settle().await?;
    let (totals, moves) = (Totals::of(&records)?, returns(&records));
    totals.hold()?;
    ensure!(moves.iter().all(|way| way.resumed), "a ticket was not honoured");
    ensure!(longest_absence(&moves).is_zero(), "one was away: {moves:?}");
    Ok(())
}
