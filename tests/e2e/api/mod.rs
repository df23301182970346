//! The HTTP API: whole relays, called as programs and administrators call them.

mod administration;
mod cards;
mod conduct;
mod document;
mod isolation;
mod messages;
mod refusals;
mod stored;

use std::time::Duration;

use anyhow::Context;
use relay_protocol::ServerFrame;
use relay_tests::Fleet;
use relay_tests::api::OPERATORS;
use relay_tests::fleet::PATIENCE;
use relay_tests::peer::Peer;

/// Two relays that a Redis joins, with operators.
async fn pair() -> anyhow::Result<Fleet> {
    Fleet::joined(2, &[("RELAY_OPERATOR_TENANT", OPERATORS)]).await
}

/// Reads to the close: its code, and how long it took.
async fn closed(peer: &mut Peer) -> anyhow::Result<(Option<u16>, Duration)> {
    let begun = tokio::time::Instant::now();
    let end = peer.agent.wait_for(|_: &ServerFrame<'_>| None::<()>);
    let end = tokio::time::timeout(PATIENCE, end).await.context("the connection lives on")?;
    Ok((end.err().context("no end")?.code, begun.elapsed()))
}
