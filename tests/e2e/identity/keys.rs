//! Static keys of each algorithm on one relay, and tokens that its own program makes for them.

use anyhow::{Context, ensure};
use relay_protocol::{CloseCode, Encoding};
use relay_tests::fleet::{TENANT, address};
use relay_tests::peer::{Outcome, Peer};
use relay_tests::raw::{Raw, TEXT, frame, hello};
use relay_tests::{Fleet, program, turn};

const SECRET: &str = "0123456789abcdef0123456789abcdef";
const SECRET_IN_BASE64: &str = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY";
const ISSUER: (&str, &str) = ("RELAY_AUTH_ISSUER", "identity-tests");

/// The name of a key, and the file of its private half; none for the secret.
const KEYS: [(&str, Option<&str>); 4] = [
    ("hmac", None),
    ("rs", Some("test-only-rsa-2048.private.pem")),
    ("es", Some("test-only-p256.private.pem")),
    ("ed", Some("test-only-ed25519.private.pem")),
];

#[tokio::test]
async fn tokens_of_each_algorithm_are_believed_under_their_own_key_only() -> anyhow::Result<()> {
    let _machine = turn::shared().await;
    let pems = [
        ("rs", "RS256", "test-only-rsa-2048.public.pem"),
        ("es", "ES256", "test-only-p256.public.pem"),
        ("ed", "EdDSA", "test-only-ed25519.public.pem"),
    ];
    let pems = pems.map(|(kid, algorithm, file)| format!("{kid}:{algorithm}:{}", key_file(file)));
    let environment = [ISSUER, ("RELAY_AUTH_PEM_KEYS", &*pems.join(",")), ("RELAY_AUTH_HMAC_SECRET", SECRET)];
    let fleet = Fleet::single(&environment).await?;
    for (kid, file) in KEYS {
        let agent = format!("agent-{kid}");
        let token = token(&agent, file, Some(kid)).await?;
        let agent = fleet.connect(0, &token, Encoding::Json).await.with_context(|| kid.to_owned())?;
        let mut agent = Peer::from(agent);
        let me = agent.agent.greeting().agent.clone();
        ensure!(agent.ask(&me).await? == Outcome::Queued, "{kid}");
        ensure!(agent.hear().await?.from == me.as_str(), "{kid}");
        agent.agent.leave().await;
        for (other, _) in KEYS.into_iter().filter(|(other, _)| *other != kid) {
            refused(&fleet, &self::token("mallory", file, Some(other)).await?, "wrong_algorithm").await?;
        }
        refused(&fleet, &self::token("mallory", file, Some("unheard-of")).await?, "unknown_key").await?;
        refused(&fleet, &self::token("mallory", file, None).await?, "unknown_key").await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_key_set_in_a_file_is_believed() -> anyhow::Result<()> {
    let _machine = turn::shared().await;
    let folder = tempfile::TempDir::with_prefix("relay-tests-keys-")?;
    let file = folder.path().join("jwks.json");
    let set = format!(r#"{{"keys":[{{"kty":"oct","kid":"one","alg":"HS256","k":"{SECRET_IN_BASE64}"}}]}}"#);
    std::fs::write(&file, set)?;
    let path = file.to_str().context("a path that is not text")?;
    let fleet = Fleet::single(&[ISSUER, ("RELAY_AUTH_JWKS_FILE", path)]).await?;
    let token_of_one = token("bob", None, Some("one")).await?;
    let mut agent = Peer::from(fleet.connect(0, &token_of_one, Encoding::Msgpack).await?);
    ensure!(agent.ask(&address("agent/bob")?).await? == Outcome::Queued);
    refused(&fleet, &token("bob", None, Some("two")).await?, "unknown_key").await
}

fn key_file(name: &str) -> String {
    format!("{}/relay/tests/keys/{name}", program::root().display())
}

/// A token as `agent-relay token` prints it.
async fn token(agent: &str, key: Option<&str>, kid: Option<&str>) -> anyhow::Result<String> {
    let key = key.map(key_file);
    let mut arguments = vec!["token", "--tenant", TENANT, "--agent", agent, "--send", "agent/*"];
    arguments.extend(key.as_deref().into_iter().flat_map(|file| ["--key", file]));
    arguments.extend(kid.into_iter().flat_map(|kid| ["--kid", kid]));
    let ended = program::run(&arguments, &[ISSUER, ("RELAY_AUTH_HMAC_SECRET", SECRET)]).await?;
    ensure!(ended.status == Some(0), "{ended:?}");
    Ok(ended.said.trim().to_owned())
}

async fn refused(fleet: &Fleet, token: &str, why: &str) -> anyhow::Result<()> {
    let mut raw = Raw::upgraded(fleet.address(0), "agent-relay.v1.json").await?;
    raw.send(&frame(TEXT, hello(token).as_bytes())).await?;
    let farewell = raw.farewell().await?;
    let told = farewell.said.contains(&format!("\"message\":\"{why}\""));
    ensure!(farewell.code == Some(CloseCode::TokenInvalid.number()) && told, "{why}: {farewell:?}");
    Ok(())
}
