//! The checker's proof: each way in which a relay can break its promises is found, and none where it keeps them.
#![expect(clippy::expect_used, reason = "a test that cannot go on says so")]

mod fake_relay;

use futures_util::future::join_all;
use futures_util::stream::{self, StreamExt};
use relay_loadtest::cli::{Cli, Command};
use relay_loadtest::limit::Figure;
use relay_loadtest::report::Report;
use relay_loadtest::run::run;
use tokio::join;

use crate::fake_relay::fault::{Fault, Wrong};
use crate::fake_relay::{SECRET, start};

/// Runs that share the thread of a test, so few that each has time in the moment for which it sends.
const AT_ONCE: usize = 4;

/// Runs a scenario briefly against a relay that does this wrong.
async fn run_with(fault: Fault, arguments: &str) -> Report {
    let url = start(fault).await;
    let brief = "--agents 4 --duration 0.3 --warm-up 0 --grace 0.5 --payload 100";
    let (scenario, others) = arguments.split_once(' ').unwrap_or((arguments, ""));
    let line = format!("relay-loadtest run {scenario} --url {url} --hmac-secret {SECRET} {brief} {others}");
    let Command::Run(args) = Cli::complete(line.split_whitespace()).expect("arguments").command else {
        panic!("`run`")
    };
    run(*args).await.expect("a run")
}

/// What was broken by a relay that does this wrong to every 50th message of a run with all receipts.
///
/// A schedule says how many are sent: agents that wait for each other would send fewer where the machine is slow, and none
/// of them might be a 50th.
async fn broken_by(wrong: Wrong) -> (Vec<&'static str>, Report) {
    let report = run_with(Fault::every(50, wrong), "direct --rate 600 --receipt all").await;
    assert!(report.tally.sent > 100, "{:?}", report.tally);
    (report.broken.keys().copied().collect(), report)
}

#[tokio::test]
async fn a_relay_that_keeps_its_promises_is_believed_in_every_scenario() {
    let runs = [
        "direct --depth 4",
        "direct --depth 4 --receipt all --encoding mixed --batch 4 --tenants 2",
        "direct --rate 400 --receipt none --encoding msgpack",
        "request-reply --depth 2 --receipt all --encoding mixed",
        "request-reply --rate 200",
        "fan-out --publishers 2 --depth 8 --receipt all",
        "fan-out --rate 300 --tenants 2 --publishers 2",
        "idle --after-message 2000 --tenants 2",
        "churn --rate 400 --churn 40 --against=",
        "read-heavy --rate 300 --writes 100",
        "multi-agent-swarm",
        "lean-swarm --depth 4 --receipt all",
        "large-payloads --rate 100",
        "bursty --agents 20 --rate 400 --duration 3",
    ];
    let reports = stream::iter(runs).map(|arguments| run_with(Fault::none(), arguments)).buffered(AT_ONCE);
    for (report, arguments) in reports.collect::<Vec<_>>().await.into_iter().zip(runs) {
        assert!(report.is_kept(), "{arguments}: {:?}", report.broken);
        let tally = &report.tally;
        let recipients = match (report.scenario, arguments.contains("--tenants 2")) {
            ("fan-out", true) => 2,
            ("fan-out", false) => 4,
            _ => 1,
        };
        assert!(tally.sent >= 4, "{arguments}: {tally:?}");
        assert_eq!((tally.delivered, tally.accepted), (tally.sent * recipients, tally.sent), "{arguments}");
        assert!(report.latency_ms.max > 0.0 && report.latency_ms.max < 1_000.0, "{arguments}");
    }
}

#[tokio::test]
async fn a_message_that_vanishes_is_lost_whatever_was_said_of_it() {
    let (nothing, queued) = join!(broken_by(Wrong::Drop), broken_by(Wrong::LieQueued));
    for (broken, report) in [nothing, queued] {
        assert_eq!((broken, report.tally.queued_but_lost), (vec!["lost"], report.tally.lost));
    }
}

#[tokio::test]
async fn a_loss_that_is_declared_is_no_breach_and_an_understated_one_is() {
    let ((broken, report), (broken_less, report_less), topic, topic_silent) = join!(
        broken_by(Wrong::DropAndOwnUp),
        broken_by(Wrong::DropAndOwnUpToLess),
        run_with(Fault::every(20, Wrong::DropAndOwnUp), "fan-out --rate 300"),
        run_with(Fault::every(20, Wrong::Drop), "fan-out --rate 300"),
    );
    assert_eq!((broken, report.tally.lost), (vec![], 0));
    assert!(report.tally.lost_declared > 0 && report.tally.gaps == report.tally.lost_declared);
    assert_eq!((broken_less, report_less.tally.lost_declared), (vec!["lost"], 0));
    assert!(topic.is_kept() && topic.tally.lost_declared > 0, "{:?}", topic.tally);
    assert_eq!(topic_silent.broken.keys().copied().collect::<Vec<_>>(), ["lost"]);
}

#[tokio::test]
async fn what_arrives_twice_or_late_or_at_the_wrong_agent_is_seen() {
    let cases = [
        (Wrong::Duplicate, vec!["duplicated"]),
        (Wrong::Misdeliver, vec!["misdelivered"]),
        (Wrong::Forge, vec!["lost", "misdelivered"]),
        (Wrong::Corrupt, vec!["corrupted", "lost"]),
    ];
    each_breaks(&cases).await;
    let (broken, report) = broken_by(Wrong::Swap).await;
    // At the end there may be no next message to deliver it behind, once for each of four recipients.
    assert!(broken.contains(&"out of order") && report.tally.lost <= 4, "{:?}", report.tally);
    let report = run_with(Fault::every(50, Wrong::Leak), "direct --tenants 2 --depth 4").await;
    assert_eq!(report.broken.keys().copied().collect::<Vec<_>>(), ["misdelivered"]);
}

#[tokio::test]
async fn outcomes_that_are_wrong_double_missing_or_of_nothing_are_seen() {
    let cases = [
        (Wrong::LieFailed, vec!["failed but arrived"]),
        (Wrong::AnswerTwice, vec!["contradictory outcomes", "failed but arrived"]),
        (Wrong::AnswerNever, vec!["unanswered"]),
        (Wrong::AnswerStray, vec!["outcomes of no send"]),
    ];
    each_breaks(&cases).await;
}

async fn each_breaks(cases: &[(Wrong, Vec<&'static str>)]) {
    let reports = join_all(cases.iter().map(|(wrong, _)| broken_by(*wrong))).await;
    for ((broken, report), (wrong, expected)) in reports.iter().zip(cases) {
        assert_eq!(broken, expected, "{wrong:?}: {:?}", report.tally);
    }
}

#[tokio::test]
async fn refusals_and_doubts_that_are_told_are_counted_and_break_nothing() {
    let ((broken, report), (doubted, unknown)) = join!(broken_by(Wrong::Refuse), broken_by(Wrong::Unknown));
    assert_eq!((broken, report.tally.lost), (vec![], 0));
    assert!(report.tally.failed["no_recipient"] > 0);
    assert_eq!(report.tally.accepted + report.tally.failed["no_recipient"], report.tally.sent);
    assert_eq!((doubted, unknown.tally.lost), (vec![], 0));
    assert!(unknown.tally.unknown > 0);
}

#[tokio::test]
async fn every_vote_is_gathered_and_a_lost_one_is_missed() {
    let (kept, lost, market) = join!(
        run_with(Fault::none(), "voting-consensus"),
        run_with(Fault::every(7, Wrong::Drop), "voting-consensus"),
        run_with(Fault::none(), "stock-market --rate 100"),
    );
    assert!(kept.is_kept() && market.is_kept(), "{:?} {:?}", kept.broken, market.broken);
    let rounds = kept.extra["elections"]["rounds"].as_u64().expect("rounds");
    // Each round is one call that four hear, and four votes.
    assert_eq!((kept.tally.sent, kept.tally.delivered), (rounds * 5, rounds * 8));
    assert!(lost.broken.contains_key("votes that do not add up"), "{:?}", lost.broken);
    let ticks = market.tally.sent / 3;
    assert_eq!((market.tally.sent, market.tally.delivered), (ticks * 3, ticks * 6), "two of four answer");
}

#[tokio::test]
async fn an_overload_that_is_carried_breaks_nothing_and_one_that_is_lost_is_seen() {
    let arguments = "overload --rate 200 --duration 3 --target-p95 500";
    let (carried, lost) = join!(
        run_with(Fault::none(), arguments),
        run_with(Fault::every(2, Wrong::Drop), "overload --rate 200 --duration 1.5"),
    );
    assert!(carried.is_kept(), "{:?}", carried.broken);
    let during = &carried.extra["overload"]["during"];
    assert!(during["goodput_per_s"].as_f64() > Some(300.0), "{during}");
    assert!(lost.broken.contains_key("lost"), "{:?}", lost.broken);
}

#[tokio::test]
async fn a_peak_that_is_carried_is_no_breach_and_one_that_refuses_is() {
    let arguments = "peak --rate 100 --duration 3 --target-p95 1000";
    let (carried, refused) =
        join!(run_with(Fault::none(), arguments), run_with(Fault::every(100, Wrong::Refuse), arguments),);
    assert!(carried.is_kept(), "{:?} {:?}", carried.broken, carried.extra["peak"]);
    assert_eq!(carried.extra["peak"]["during"]["offered_per_s"].as_f64(), Some(300.0));
    let expected = ["more than 0.1 % refused at three times the normal load"];
    assert_eq!(refused.broken.keys().copied().collect::<Vec<_>>(), expected);
}

#[tokio::test]
async fn streams_go_on_over_a_refused_token_and_a_storm_comes_back() {
    let (streams, refused, storm) = join!(
        run_with(Fault::none(), "token-streaming --tokens 5"),
        run_with(Fault::every(7, Wrong::Refuse), "token-streaming --tokens 5 --duration 1"),
        run_with(Fault::none(), "reconnect-storm"),
    );
    for report in [&streams, &refused, &storm] {
        assert!(report.is_kept(), "{}: {:?}", report.scenario, report.broken);
    }
    assert!(streams.extra["streams"]["completed"].as_u64() >= Some(4), "{:?}", streams.extra);
    // Two pairs, 50 tokens a second: each stream ends though some of its tokens had to be sent again.
    assert!(refused.extra["streams"]["completed"].as_u64() >= Some(4), "{:?}", refused.extra);
    assert_eq!(storm.extra["storm"]["back"].as_u64(), Some(4));
}

#[tokio::test]
async fn a_request_that_nobody_answers_is_seen_unless_it_was_refused() {
    let arguments = "request-reply --depth 4 --deadline 100";
    let (dropped, refused) = join!(
        run_with(Fault::every(40, Wrong::Drop), arguments),
        run_with(Fault::every(40, Wrong::Refuse), arguments),
    );
    assert_eq!(dropped.broken.keys().copied().collect::<Vec<_>>(), ["lost", "unanswered"]);
    assert!(refused.is_kept(), "{:?}", refused.broken);
    assert!(refused.extra["requests"]["refused"].as_u64() > Some(0));
}

#[tokio::test]
async fn a_quota_that_meets_the_quiet_tenant_too_is_seen() {
    let arguments = "noisy-tenant --rate 200 --noisy 4 --noise 2000 --pairs 1 --limit=p99<=1000";
    let (noisy_only, everybody) = join!(
        run_with(Fault::every(2, Wrong::LimitSecondTenant), arguments),
        run_with(Fault::every(2, Wrong::Limit), arguments),
    );
    // How fast the quiet tenant's messages are is for a machine that does nothing else.
    let baseline = &noisy_only.against.as_ref().expect("a baseline").baseline_broken;
    assert!(noisy_only.broken.is_empty() && baseline.is_empty(), "{:?} {baseline:?}", noisy_only.broken);
    assert!(noisy_only.extra["noise"]["offered_per_s"].as_f64() > Some(1_000.0));
    assert!(noisy_only.tally.failed["rate_limited"] > 100);
    assert_eq!(everybody.broken.keys().copied().collect::<Vec<_>>(), ["refused to the quiet tenant"]);
}

#[tokio::test]
async fn a_run_and_its_baseline_take_turns_and_what_breaks_in_either_counts() {
    let arguments = "direct --rate 400 --pairs 2 --against=--receipt=all";
    let (low, high) =
        (format!("{arguments} --limit=throughput>=0.5"), format!("{arguments} --limit=throughput>=2"));
    let (kept, ratio, broken) = join!(
        run_with(Fault::none(), &low),
        run_with(Fault::none(), &high),
        run_with(Fault::every(50, Wrong::AnswerNever), arguments),
    );
    assert!(kept.is_kept(), "{:?}", kept.against);
    let against = kept.against.expect("a baseline");
    assert_eq!((against.pairs, kept.turns), (2, 2));
    let throughput = against.figures[&Figure::Throughput];
    assert!(throughput.min <= throughput.ratio && throughput.ratio <= throughput.max, "{throughput:?}");
    assert!(ratio.broken.is_empty() && !ratio.is_kept());
    // Only the baseline asks for all outcomes.
    let baseline_broken = &broken.against.as_ref().expect("a baseline").baseline_broken;
    assert_eq!(
        (baseline_broken.keys().copied().collect::<Vec<_>>(), broken.is_kept()),
        (vec!["unanswered"], false)
    );
}

#[tokio::test]
async fn a_search_tells_each_rate_and_that_none_met_where_none_did() {
    let report = run_with(Fault::every(3, Wrong::Refuse), "direct --search --rate 20 --target-p95 500").await;
    let found = report.search.as_ref().expect("a search");
    // Each rate is tried again when it missed.
    let rates: Vec<u32> = found.steps.iter().map(|step| step.rate).collect();
    assert_eq!((rates, found.highest_rate), (vec![20, 20, 10, 10], None));
    let why = found.steps[0].missed.as_deref().expect("a reason");
    assert!(why.ends_with("% refused"), "{why}");
    assert!(!report.is_kept());
}

#[tokio::test]
async fn a_page_shows_what_happened_and_loads_nothing() {
    let report = run_with(Fault::none(), "direct --rate 200 --duration 2").await;
    let page = report.html();
    for title in ["Latency", "Throughput", "Connections"] {
        assert!(page.contains(&format!("<h2>{title}</h2>")), "{title}");
    }
    assert!(page.contains("promises: kept") && page.contains("default-src 'none'"));
    for outside in ["http://", "https://", "<script", "url(", "@import"] {
        assert!(!page.contains(outside), "{outside}");
    }
    let connected = report.timeline.iter().map(|moment| moment.connected).max();
    assert_eq!(connected, Some(4));
}

#[tokio::test]
async fn a_connection_that_is_closed_early_is_told_with_its_reason() {
    let report = run_with(Fault::every(100, Wrong::Disconnect), "direct --depth 4").await;
    assert!(report.tally.disconnected["slow_consumer"] > 0, "{:?}", report.tally);
    assert!(report.broken.contains_key("disconnected"));
}
