//! Agents at servers of other protocols: the same scenarios, ledger and verdicts, against servers that speak as documented.

mod fake_peer;

use futures_util::future::join_all;
use relay_loadtest::cli::{Cli, Command};
use relay_loadtest::peer::{Peer, SCENARIOS};
use relay_loadtest::report::Report;
use relay_loadtest::run::{run, run_line};

use crate::fake_peer::{SECRET, start};

/// Runs a scenario briefly against a server that drops each of that number of publications.
async fn run_at(peer: Peer, drop_every: u64, arguments: &str) -> anyhow::Result<Report> {
    let url = start(peer, drop_every).await;
    let brief = "--agents 4 --duration 0.3 --warm-up 0 --grace 0.5 --payload 100";
    let line = format!("{arguments} --peer {} --url {url} --hmac-secret {SECRET} {brief}", peer.name());
    run_line(&line).await
}

#[tokio::test]
async fn every_peer_plays_every_scenario_that_it_can_and_nothing_is_missed() {
    let runs = [
        ("direct --depth 4 --batch 4", 1),
        ("direct --rate 400 --tenants 2", 1),
        ("fan-out --publishers 2 --depth 8", 4),
        ("fan-out --rate 200", 4),
        ("idle --after-message 2000", 1),
        ("lean-swarm", 1),
        ("multi-agent-swarm --rate 200", 1),
    ];
    let named = |name: &&str| runs.iter().any(|(arguments, _)| arguments.split(' ').next() == Some(name));
    assert!(SCENARIOS.iter().all(named));
    for peer in Peer::ALL {
        let reports = join_all(runs.map(|(arguments, _)| run_at(peer, 0, arguments))).await;
        for (report, (arguments, recipients)) in reports.into_iter().zip(runs) {
            let report = report.expect(arguments);
            assert!(report.is_kept(), "{} {arguments}: {:?}", peer.name(), report.broken);
            let tally = &report.tally;
            assert!(tally.sent >= 4, "{} {arguments}: {tally:?}", peer.name());
            assert_eq!(tally.delivered, tally.sent * recipients, "{} {arguments}", peer.name());
        }
    }
}

#[tokio::test]
async fn what_a_peer_loses_is_found() {
    for peer in Peer::ALL {
        let report = run_at(peer, 50, "direct --rate 400").await.expect("a run");
        let tally = &report.tally;
        assert_eq!(report.broken.keys().copied().collect::<Vec<_>>(), ["lost"], "{}", peer.name());
        assert_eq!(tally.lost, tally.sent / 50, "{}: {tally:?}", peer.name());
    }
}

#[tokio::test]
async fn a_token_that_a_peer_refuses_is_no_welcome() {
    for peer in [Peer::Centrifugo, Peer::SocketIo] {
        let url = start(peer, 0).await;
        let line =
            format!("relay-loadtest run direct --peer {} --url {url} --hmac-secret wrong", peer.name());
        let Ok(Cli { command: Command::Run(args), .. }) = Cli::complete(line.split(' ')) else {
            panic!("{line}");
        };
        let told = format!("{:#}", run(*args).await.expect_err("a refusal"));
        assert!(told.contains("refused: "), "{told}");
    }
}

#[tokio::test]
async fn what_a_peer_has_not_is_refused_before_anything_is_sent() {
    let asked = [
        ("request-reply", "asks for more than nats has"),
        ("swarm", "asks for more than nats has"),
        ("direct --receipt=all", "no --receipt=all"),
        ("direct --encoding=msgpack", "in JSON"),
        ("direct --processes=2", "from one process"),
    ];
    for (arguments, why) in asked {
        let told = format!("{:#}", run_at(Peer::Nats, 0, arguments).await.expect_err(arguments));
        assert!(told.contains(why), "{arguments}: {told}");
    }
}
