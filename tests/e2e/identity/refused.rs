//! A token that is refused is told so after the upgrade, by a frame and a close code, whichever way it came.

use anyhow::{Context, bail, ensure};
use relay_loadtest::token::Claims;
use relay_tests::fleet::TENANT;
use relay_tests::raw::{Farewell, Raw, TEXT, frame, hello};
use relay_tests::{Fleet, turn};

const JSON: &str = "agent-relay.v1.json";
const DAY_S: u64 = 86_400;

#[tokio::test]
async fn each_refusal_says_what_is_wrong_and_whether_to_come_back() -> anyhow::Result<()> {
    let _machine = turn::shared().await;
    let fleet = Fleet::single(&[]).await?;
    for (name, token, why) in bad_tokens(&fleet)? {
        let (code, reason) = answer(why);
        for way in [Way::Hello, Way::Header, Way::Subprotocol] {
            let farewell = way.farewell(&fleet, &token).await.with_context(|| name.to_owned())?;
            ensure!(farewell.code == Some(code), "{name} by {way:?}: {farewell:?}");
            let reconnect = if code < 4100 { "never" } else { "now" };
            for part in [
                "\"type\":\"closing\"",
                &format!("\"code\":{code}"),
                &format!("\"reason\":\"{reason}\""),
                &format!("\"message\":\"{why}\""),
                &format!("\"reconnect\":\"{reconnect}\""),
            ] {
                ensure!(farewell.said.contains(part), "{name} by {way:?}: no {part} in {farewell:?}");
            }
            ensure!(farewell.messages == 1, "{name} by {way:?}: {farewell:?}");
            ensure!(!farewell.said.contains(&token), "{name}: the token is told back");
        }
    }
    fleet.assert_serves(0).await
}

#[tokio::test]
async fn a_good_token_is_taken_whichever_way_it_came() -> anyhow::Result<()> {
    let _machine = turn::shared().await;
    let fleet = Fleet::single(&[]).await?;
    let token = fleet.token("bob")?;
    for way in [Way::Hello, Way::Header, Way::Subprotocol] {
        let mut raw = way.begin(&fleet, &token).await?;
        let (_, said) = raw.next().await?.context("no welcome")?;
        let said = String::from_utf8_lossy(&said).into_owned();
        ensure!(said.contains("\"welcome\"") && said.contains("agent/bob"), "{way:?}: {said}");
    }
    Ok(())
}

/// How a token travels.
#[derive(Debug, Clone, Copy)]
enum Way {
    Hello,
    Header,
    Subprotocol,
}

impl Way {
    /// Upgrades, which every token must be able to, and says `hello`.
    async fn begin(self, fleet: &Fleet, token: &str) -> anyhow::Result<Raw> {
        let headers = match self {
            Way::Hello => format!("Sec-WebSocket-Protocol: {JSON}\r\n"),
            Way::Header => format!("Sec-WebSocket-Protocol: {JSON}\r\nAuthorization: Bearer {token}\r\n"),
            Way::Subprotocol => format!("Sec-WebSocket-Protocol: {JSON}, agent-relay.token.{token}\r\n"),
        };
        let (mut raw, answer) = Raw::ask(fleet.address(0), &headers).await?;
        ensure!(answer.status == 101, "{answer:?}");
        ensure!(answer.header("sec-websocket-protocol") == Some(JSON), "{answer:?}");
        let first = match self {
            Way::Hello => hello(token),
            Way::Header | Way::Subprotocol => r#"{"type":"hello","id":1}"#.to_owned(),
        };
        raw.send(&frame(TEXT, first.as_bytes())).await?;
        Ok(raw)
    }

    async fn farewell(self, fleet: &Fleet, token: &str) -> anyhow::Result<Farewell> {
        self.begin(fleet, token).await?.farewell().await
    }
}

/// What is presented, under a name, and what the relay calls its fault.
type BadToken = (&'static str, String, &'static str);

/// The close code and its name for a fault.
fn answer(why: &str) -> (u16, &'static str) {
    match why {
        "expired" => (4202, "token_expired"),
        "wrong_audience" => (4003, "forbidden"),
        _ => (4002, "token_invalid"),
    }
}

fn bad_tokens(fleet: &Fleet) -> anyhow::Result<Vec<BadToken>> {
    let good = fleet.token("mallory")?;
    let parts: Vec<&str> = good.split('.').collect();
    let [header, claims, signature] = parts[..] else { bail!("a token has three parts") };
    // {"alg":"none","typ":"JWT"}
    let unsigned = "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0";
    let mut bad = vec![
        ("no token", "nonsense".to_owned(), "malformed"),
        ("no algorithm", format!("{unsigned}.{claims}."), "wrong_algorithm"),
        ("no signature", format!("{header}.{claims}."), "bad_signature"),
        ("other claims", format!("{header}.e30.{signature}"), "bad_signature"),
    ];
    for (name, change, why) in WRONG_CLAIMS {
        let mut claims = fleet.cluster.minter().claims(TENANT, "mallory");
        change(&mut claims);
        bad.push((name, fleet.cluster.minter().sign(&claims)?, why));
    }
    Ok(bad)
}

type WrongClaims = (&'static str, fn(&mut Claims), &'static str);

/// Well signed, and not to be believed all the same.
const WRONG_CLAIMS: [WrongClaims; 9] = [
    ("another issuer", |claims| claims.iss.push('x'), "wrong_issuer"),
    ("another service", |claims| claims.aud.push('x'), "wrong_audience"),
    ("no tenant", |claims| claims.tid.clear(), "invalid_claim"),
    ("a tenant that is none", |claims| claims.tid.push(':'), "invalid_claim"),
    ("an agent that is none", |claims| claims.sub.push('*'), "invalid_claim"),
    ("rights that are none", |claims| claims.relay.send.push("*".to_owned()), "rights"),
    ("too long a life", |claims| claims.exp = claims.iat + 2 * DAY_S, "lives_too_long"),
    (
        "one of tomorrow",
        |claims| (claims.iat, claims.exp) = (claims.iat + 600, claims.exp + 600),
        "not_yet_valid",
    ),
    ("one of yesterday", |claims| (claims.iat, claims.exp) = (claims.iat - 600, claims.iat - 300), "expired"),
];
