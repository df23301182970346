//! A token's end is the end of its connection, unless another comes in time.

use std::time::Duration;

use anyhow::{Context, ensure};
use relay_loadtest::agent::Ended;
use relay_protocol::{ClientFrame, CloseCode, Encoding, ErrorCode, ServerFrame};
use relay_tests::fleet::{PATIENCE, TENANT, address};
use relay_tests::peer::{Outcome, Peer};
use relay_tests::{Fleet, turn};
use tokio::time::Instant;

const LIFE_S: u64 = 3;
const GRACE: (&str, &str) = ("RELAY_AUTH_GRACE_S", "1");
const WARNING: (&str, &str) = ("RELAY_AUTH_WARN_S", "2");
/// Life and grace. Tokens count in seconds, so up to one of them may have passed at the beginning.
const ENDS_AFTER: Duration = Duration::from_secs(LIFE_S + 1);
const ENDS_BEFORE: Duration = Duration::from_secs(LIFE_S + 3);

#[tokio::test]
async fn an_open_connection_ends_with_its_token_unless_it_is_renewed() -> anyhow::Result<()> {
    let _machine = turn::alone().await;
    let fleet = Fleet::single(&[GRACE, WARNING]).await?;
    let begun = Instant::now();
    let mut careless = Peer::from(fleet.connect(0, &short(&fleet, "careless")?, Encoding::Json).await?);
    let mut careful = Peer::from(fleet.connect(0, &short(&fleet, "careful")?, Encoding::Msgpack).await?);
    told_of_its_end(&mut careful).await?;
    ensure!(begun.elapsed() < Duration::from_secs(LIFE_S), "told too late");
    told_of_its_end(&mut careless).await?;

    // Another's token is none, and changes nothing.
    ensure!(renew(&mut careful, fleet.token("careless")?).await? == Err(ErrorCode::TokenInvalid));
    let foreign = fleet.cluster.minter().identity("other", "careful")?.token;
    ensure!(renew(&mut careful, foreign).await? == Err(ErrorCode::TokenInvalid));
    ensure!(renew(&mut careful, "nonsense".to_owned()).await? == Err(ErrorCode::TokenInvalid));
    ensure!(renew(&mut careful, fleet.token("careful")?).await? == Ok(()));

    let ended = tokio::time::timeout(PATIENCE, end_of(&mut careless)).await.context("it lives on")?;
    ensure!(ended.code == Some(CloseCode::TokenExpired.number()), "{ended:?}");
    ensure!(ended.reason == "token_expired", "{ended:?}");
    let took = begun.elapsed() + Duration::from_secs(1);
    ensure!(took >= ENDS_AFTER && took < ENDS_BEFORE + PATIENCE / 4, "after {took:?}");

    let me = address("agent/careful")?;
    ensure!(careful.ask(&me).await? == Outcome::Queued, "the renewed one is gone");
    let gone = careful.ask(&address("agent/careless")?).await?;
    ensure!(gone == Outcome::Failed(ErrorCode::NoRecipient), "{gone:?}");
    Ok(())
}

fn short(fleet: &Fleet, agent: &str) -> anyhow::Result<String> {
    let minter = fleet.cluster.minter();
    let mut claims = minter.claims(TENANT, agent);
    claims.exp = claims.iat + LIFE_S;
    Ok(minter.sign(&claims)?)
}

async fn told_of_its_end(agent: &mut Peer) -> anyhow::Result<()> {
    agent.wait_for(|frame| matches!(frame, ServerFrame::TokenExpiring { .. }).then_some(())).await
}

async fn renew(agent: &mut Peer, token: String) -> anyhow::Result<Result<(), ErrorCode>> {
    let id = agent.agent.outbox().next_id();
    agent.agent.outbox().push(&ClientFrame::Auth { id, token: token.into() });
    let answer = agent.wait_for(|frame| match frame {
        ServerFrame::Ok { id: answered } if *answered == id => Some(Ok(())),
        ServerFrame::Error { id: Some(answered), code, .. } if *answered == id => Some(Err(*code)),
        _ => None,
    });
    answer.await.context("no answer")
}

async fn end_of(agent: &mut Peer) -> Ended {
    loop {
        if let Err(ended) = agent.agent.receive(|_, _, _| {}).await {
            return ended;
        }
    }
}
