//! What agents say of themselves: found in the tenant, on whatever instance, and nowhere else.

use anyhow::ensure;
use relay_tests::api::{Answer, OPERATORS, Program};
use relay_tests::fleet::TENANT;
use relay_tests::raw::{Raw, TEXT, frame};
use relay_tests::{Fleet, turn};
use serde_json::{Value, json};

use super::pair;

const JSON: &str = "agent-relay.v1.json";

#[tokio::test]
async fn agents_are_found_by_what_they_say_of_themselves_in_their_tenant_alone() -> anyhow::Result<()> {
    let _machine = turn::shared().await;
    let fleet = pair().await?;
    let painter = json!({"name": "Ann | 7", "skills": ["paint", "draw:ink"], "version": "1.2"});
    let _ann = joined(&fleet, 0, "ann", &painter).await?;
    let _bob = joined(&fleet, 1, "bob", &json!({"name": "Bob", "skills": ["draw:ink"]})).await?;
    let _plain = fleet.peer(1, "carol").await?;
    let admin = Program::admin(&fleet, TENANT)?;
    let list = async |who: &Program, query: &str| {
        let path = format!("/v1/agents?{query}");
        who.call(&fleet, 0, "GET", &path, None).await
    };

    ensure!(names(&list(&admin, "").await?) == ["ann", "bob", "carol"]);
    ensure!(names(&list(&admin, "skill=draw:ink").await?) == ["ann", "bob"]);
    ensure!(names(&list(&admin, "skill=draw").await?).is_empty());
    for unsound in ["skill=", "skill=a%20b", "name="] {
        ensure!(list(&admin, unsound).await?.status == 400, "{unsound}");
    }
    let found = list(&admin, "skill=draw:ink&name=Ann%20%7C%207").await?;
    ensure!(names(&found) == ["ann"], "{found:?}");
    let session = &found.body["agents"][0]["sessions"][0];
    ensure!(session["card"] == painter, "{found:?}");
    let since = session["since_ms"].as_u64().unwrap_or_default();
    ensure!(since > 1_700_000_000_000, "{found:?}");
    let path = format!("/v1/sessions/{}", session["session"].as_str().unwrap_or_default());
    let shown = admin.call(&fleet, 1, "GET", &path, None).await?;
    ensure!(shown.body["since_ms"] == since && shown.body["card"] == painter, "{shown:?}");

    // A page looks at so many names, found or not.
    let first = list(&admin, "skill=paint&limit=1").await?;
    ensure!(names(&first) == ["ann"] && first.body["next"] == "ann", "{first:?}");
    let second = list(&admin, "skill=paint&limit=1&after=ann").await?;
    ensure!(names(&second).is_empty() && second.body["next"] == "bob", "{second:?}");

    let stranger = Program::admin(&fleet, "other")?;
    ensure!(names(&list(&stranger, "skill=draw:ink").await?).is_empty());
    ensure!(list(&stranger, &format!("skill=paint&tenant={TENANT}")).await?.status == 403);
    ensure!(list(&Program::plain(&fleet, TENANT, "dave")?, "skill=paint").await?.status == 403);
    let operator = Program::admin(&fleet, OPERATORS)?;
    ensure!(names(&list(&operator, &format!("skill=paint&tenant={TENANT}")).await?) == ["ann"]);
    Ok(())
}

#[tokio::test]
async fn a_card_that_is_too_much_is_refused_and_says_how() -> anyhow::Result<()> {
    let _machine = turn::shared().await;
    let fleet = Fleet::single(&[]).await?;
    let many: Vec<String> = (0..17).map(|number| format!("s{number}")).collect();
    for (card, told) in [
        (json!({"name": "x".repeat(129)}), "too_large: card"),
        (json!({"skills": many}), "limit_exceeded: card"),
        (json!({"version": "one two"}), "invalid_frame: card"),
        (json!(["n"]), "invalid_frame: card"),
    ] {
        let mut raw = Raw::upgraded(fleet.address(0), JSON).await?;
        raw.send(&frame(TEXT, hello(&fleet, "ann", &card)?.as_bytes())).await?;
        let farewell = raw.farewell().await?;
        ensure!(farewell.code == Some(4005) && farewell.said.contains(told), "{told}: {farewell:?}");
    }
    Ok(())
}

fn hello(fleet: &Fleet, agent: &str, card: &Value) -> anyhow::Result<String> {
    Ok(json!({"type": "hello", "id": 1, "token": fleet.token(agent)?, "card": card}).to_string())
}

async fn joined(fleet: &Fleet, instance: usize, agent: &str, card: &Value) -> anyhow::Result<Raw> {
    let mut raw = Raw::upgraded(fleet.address(instance), JSON).await?;
    raw.send(&frame(TEXT, hello(fleet, agent, card)?.as_bytes())).await?;
    let welcome = raw.next().await?;
    ensure!(welcome.is_some_and(|(_, said)| String::from_utf8_lossy(&said).contains("\"welcome\"")));
    Ok(raw)
}

fn names(page: &Answer) -> Vec<&str> {
    let agents = page.body["agents"].as_array().map(Vec::as_slice).unwrap_or_default();
    agents.iter().filter_map(|agent| agent["agent"].as_str()).collect()
}
