//! A hostile tenant tries ten thousand things at random, over sockets and HTTP, to reach another tenant or hear from it.

mod intruder;
mod victims;

use anyhow::{Context, ensure};
use relay_tests::api::Program;
use relay_tests::fleet::UNLIMITED;
use relay_tests::seed::{Chance, seed};
use relay_tests::{Fleet, turn};

use intruder::Intruder;
use victims::Victims;

/// Frames in one go, among which the victims talk.
const ROUND: u32 = 50;
const ROUNDS: u32 = 170;
/// Connections with tickets that are not the intruder's.
const RESUMES: u32 = 100;
/// Calls of the HTTP API; with the frames and the connections 10,000.
const CALLS: u32 = 1_400;

#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::print_stdout, reason = "a count")]
async fn nothing_of_another_tenant_is_reached_whatever_is_tried() -> anyhow::Result<()> {
    let _machine = turn::alone().await;
    let limits = [("RELAY_API_RATE", "100000"), ("RELAY_API_BURST", "100000")];
    let fleet = Fleet::joined(2, &[&limits[..], &UNLIMITED].concat()).await?;
    let mut victims = Victims::gather(&fleet).await?;
    let mut chance = Chance::new(seed(), 0);
    let secrets = victims.secrets();
    let mut intruders =
        [Intruder::enter(&fleet, 0, &secrets).await?, Intruder::enter(&fleet, 1, &secrets).await?];
    for round in 0..ROUNDS {
        victims.talk().await?;
        let intruder = &mut intruders[(round % 2) as usize];
        intruder.attack(&mut chance, ROUND).await.with_context(|| format!("round {round}"))?;
    }
    let mut resumed = 0;
    for _ in 0..RESUMES {
        resumed += u32::from(intruder::resumes(&fleet, &secrets, &mut chance).await?);
    }
    ensure!(resumed == 0, "{resumed} sessions were resumed by others");
    let stranger = Program::admin(&fleet, intruder::TENANT)?;
    for _ in 0..CALLS {
        let (method, path, body) = intruder::call(&secrets, &mut chance);
        let instance = chance.below(2) as usize;
        let answer = stranger.call(&fleet, instance, method, &path, body.clone()).await?;
        let (asked, told) = (format!("{path} {body:?}"), answer.body.to_string());
        ensure!(
            !secrets
                .sessions
                .iter()
                .any(|name| told.contains(name.as_str()) && !asked.contains(name.as_str())),
            "{method} {path} {body:?}: {answer:?}"
        );
    }
    victims.talk().await?;
    for intruder in intruders {
        intruder.heard_only_its_own().await?;
    }
    victims.heard_only_each_other().await?;
    println!("{} attempts", ROUNDS * ROUND + RESUMES + CALLS);
    Ok(())
}
