//! Limits as sessions meet them.

use clap::{Args as _, Command, FromArgMatches as _};
use tokio_util::task::TaskTracker;

use super::*;
use crate::config::Config;
use crate::quota::memory::MemoryQuota;

fn limits(args: &[&str]) -> Arc<Limits> {
    let command = Config::augment_args(Command::new("relay").no_binary_name(true));
    let matches = command.try_get_matches_from([&["--dev"], args].concat()).unwrap();
    let config = Config::from_arg_matches(&matches).unwrap();
    assert_eq!(config.validate(), Ok(()));
    let quotas = Arc::new(MemoryQuota::default());
    Limits::new(&config.limits, &config.scopes, quotas, &Metrics::new().unwrap())
}

fn enter(limits: &Arc<Limits>, address: &str, tenant: &str, agent: &str) -> Result<SessionLimits, Limit> {
    let place = limits.address(address.parse().unwrap())?;
    SessionLimits::enter(limits, place, &tenant.into(), &agent.into())
}

#[test]
fn an_ipv6_subscriber_is_one_source_however_many_addresses_it_uses() {
    let source = |text: &str| super::source(text.parse().unwrap()).to_string();
    assert_eq!(source("2001:db8:1:2:aaaa:bbbb:cccc:dddd"), "2001:db8:1:2::");
    assert_eq!(source("192.0.2.7"), "192.0.2.7");
    assert_eq!(source("::ffff:192.0.2.7"), "192.0.2.7", "IPv4 in IPv6 is not all one /64");
}

#[test]
fn each_scope_bounds_connections_and_gives_them_back() {
    let limits =
        limits(&["--agent-connections", "1", "--address-connections", "2", "--tenant-connections", "3"]);
    let first = enter(&limits, "192.0.2.1", "acme", "a").unwrap();
    assert_eq!(enter(&limits, "192.0.2.1", "acme", "a").unwrap_err(), Limit::AgentConnections);
    let _second = enter(&limits, "192.0.2.1", "acme", "b").unwrap();
    assert_eq!(enter(&limits, "192.0.2.1", "acme", "c").unwrap_err(), Limit::AddressConnections);
    let _third = enter(&limits, "192.0.2.2", "acme", "c").unwrap();
    assert_eq!(enter(&limits, "192.0.2.2", "acme", "d").unwrap_err(), Limit::TenantConnections);
    enter(&limits, "192.0.2.2", "globex", "d").expect("another tenant is not concerned");
    drop(first);
    enter(&limits, "192.0.2.1", "acme", "a").expect("refusals and ends gave back what they had taken");
}

#[test]
fn each_scope_bounds_rates_and_names_itself() {
    let limits = limits(&[
        "--agent-rate-messages",
        "10",
        "--address-rate-messages",
        "14",
        "--tenant-rate-messages",
        "18",
    ]);
    let mut sessions = [("192.0.2.1", "a"), ("192.0.2.1", "b"), ("192.0.2.2", "c")]
        .map(|(address, agent)| enter(&limits, address, "acme", agent).unwrap());
    let mut burst = |at: usize| {
        let passed = (0..100).take_while(|_| sessions[at].frame().is_ok()).count();
        (passed, sessions[at].frame().unwrap_err().limit)
    };
    assert_eq!(burst(0), (50, Limit::AgentRateMessages));
    assert_eq!(burst(1), (20, Limit::AddressRateMessages));
    assert_eq!(burst(2), (20, Limit::TenantRateMessages));
}

#[tokio::test(start_paused = true)]
async fn a_burst_is_given_once() {
    let limits = limits(&["--rate-burst", "10"]);
    tokio::time::advance(Duration::from_hours(1)).await;
    let mut session = enter(&limits, "192.0.2.1", "acme", "a").unwrap();
    // Frames may come together with `hello`, before the first turn.
    assert_eq!((0..20).filter(|_| session.frame().is_ok()).count(), 10);
    session.at(Instant::now());
    assert!(session.frame().is_err());
}

#[test]
fn subscriptions_are_counted_over_connections_and_given_back() {
    let limits = limits(&["--agent-subscriptions", "2", "--tenant-subscriptions", "3"]);
    let mut one = enter(&limits, "192.0.2.1", "acme", "a").unwrap();
    let mut two = enter(&limits, "192.0.2.1", "acme", "b").unwrap();
    assert_eq!([one.subscribe(), one.subscribe()], [Ok(()); 2]);
    assert_eq!(one.subscribe(), Err(Limit::AgentSubscriptions));
    assert_eq!([two.subscribe(), two.subscribe()], [Ok(()), Err(Limit::TenantSubscriptions)]);
    one.unsubscribe();
    assert_eq!([two.subscribe(), two.subscribe()], [Ok(()), Err(Limit::AgentSubscriptions)]);
    drop(two);
    assert_eq!(one.subscribe(), Ok(()), "what a refusal had taken came back too");
}

#[test]
fn a_dry_run_refuses_nothing_and_counts() {
    let scopes = ["--agent-connections", "1", "--agent-subscriptions", "1", "--agent-rate-messages", "1"];
    let limits = limits(&[&scopes[..], &["--limits-dry-run"]].concat());
    let _one = enter(&limits, "192.0.2.1", "acme", "a").unwrap();
    let mut two = enter(&limits, "192.0.2.1", "acme", "a").unwrap();
    assert!((0..2_000).all(|_| two.frame().is_ok() && two.bytes(100_000).is_ok()));
    assert_eq!([two.subscribe(), two.subscribe()], [Ok(()); 2]);
    let page = limits.metrics.render();
    for limit in
        ["rate_messages", "rate_bytes", "agent_rate_messages", "agent_connections", "agent_subscriptions"]
    {
        let line = format!(r#"relay_limited_total{{limit="{limit}",mode="dry_run"}} "#);
        let count = page.lines().find_map(|found| found.strip_prefix(&line)).unwrap();
        assert_ne!(count, "0", "{limit}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_quota_holds_over_all_connections_of_a_tenant() {
    let limits = limits(&["--tenant-quota-messages", "100"]);
    let stop = CancellationToken::new();
    let running = TaskTracker::new().spawn(Arc::clone(&limits).run(stop.clone()));
    let mut sessions = ["a", "b"].map(|agent| enter(&limits, "192.0.2.1", "acme", agent).unwrap());
    let (mut passed, mut limit) = (0, None);
    for _ in 0..200 {
        for session in &mut sessions {
            session.at(Instant::now());
            for _ in 0..20 {
                match session.frame() {
                    Ok(()) => passed += 1,
                    Err(limited) => limit = Some(limited.limit),
                }
            }
        }
        tokio::time::advance(Duration::from_millis(100)).await;
        tokio::task::yield_now().await;
    }
    assert_eq!(limit, Some(Limit::TenantQuotaMessages));
    // 20 s at 100 a second, a burst of 500, and a credit of 62.
    assert!((2_300..=2_600).contains(&passed), "{passed}");
    stop.cancel();
    running.await.unwrap();
}

fn own(limits: &Arc<Limits>, tenant: &str, own: TenantLimits) {
    limits.change_tenant(&Arc::from(tenant), own);
}

#[test]
fn limits_of_a_tenant_begin_and_end_for_those_who_are_connected() {
    let limits = limits(&[]);
    let mut session = enter(&limits, "192.0.2.1", "acme", "a").unwrap();
    let mut other = enter(&limits, "192.0.2.1", "globex", "a").unwrap();
    let mut burst = |limits: &Arc<Limits>| {
        session.at(limits.since);
        (0..40).take_while(|_| session.frame().is_ok() && session.bytes(10).is_ok()).count()
    };
    assert_eq!(burst(&limits), 40);
    let rate = TenantLimits { rate_messages: Some(2), ..TenantLimits::default() };
    own(&limits, "acme", rate);
    assert_eq!((burst(&limits), burst(&limits)), (10, 0), "five seconds' worth");
    own(&limits, "acme", rate);
    assert_eq!(burst(&limits), 0, "what is said again fills nothing");
    own(&limits, "acme", TenantLimits { rate_bytes: Some(50), ..rate });
    assert_eq!(burst(&limits), 10);
    own(&limits, "acme", TenantLimits::default());
    assert_eq!(burst(&limits), 40);
    assert!((0..40).all(|_| other.frame().is_ok()), "another tenant is not concerned");
}

#[test]
fn connections_and_subscriptions_of_a_tenant_are_counted_before_they_are_limited() {
    let limits = limits(&["--tenant-connections", "9"]);
    let mut first = enter(&limits, "192.0.2.1", "acme", "a").unwrap();
    let second = enter(&limits, "192.0.2.1", "acme", "b").unwrap();
    assert_eq!([first.subscribe(), first.subscribe()], [Ok(()); 2]);
    let low = TenantLimits { connections: Some(1), subscriptions: Some(2), ..TenantLimits::default() };
    own(&limits, "acme", low);
    assert_eq!(enter(&limits, "192.0.2.1", "acme", "c").unwrap_err(), Limit::TenantConnections);
    assert_eq!(first.subscribe(), Err(Limit::TenantSubscriptions));
    drop(second);
    assert_eq!(enter(&limits, "192.0.2.1", "acme", "c").unwrap_err(), Limit::TenantConnections);
    own(&limits, "acme", TenantLimits::default());
    enter(&limits, "192.0.2.1", "acme", "c").expect("as configured");
    assert_eq!(first.subscribe(), Ok(()));
}

#[test]
fn a_tenant_with_limits_of_its_own_shares_nobodys() {
    let limits = limits(&["--limit-keys-max", "1"]);
    let _full = enter(&limits, "192.0.2.1", "globex", "a").unwrap();
    own(&limits, "acme", TenantLimits { connections: Some(1), ..TenantLimits::default() });
    let _first = enter(&limits, "192.0.2.1", "acme", "a").unwrap();
    assert_eq!(enter(&limits, "192.0.2.1", "acme", "a").unwrap_err(), Limit::TenantConnections);
    enter(&limits, "192.0.2.1", "initech", "a").expect("those beyond the bound are not limited");
}

#[tokio::test(start_paused = true)]
async fn a_quota_of_a_tenants_own_begins_and_ends() {
    let limits = limits(&[]);
    let stop = CancellationToken::new();
    let running = TaskTracker::new().spawn(Arc::clone(&limits).run(stop.clone()));
    let mut session = enter(&limits, "192.0.2.1", "acme", "a").unwrap();
    let mut passed = async || {
        let mut passed = 0;
        for _ in 0..100 {
            session.at(Instant::now());
            passed += (0..20).filter(|_| session.frame().is_ok()).count();
            tokio::time::advance(Duration::from_millis(100)).await;
            tokio::task::yield_now().await;
        }
        passed
    };
    assert_eq!(passed().await, 2_000);
    own(&limits, "acme", TenantLimits { quota_messages: Some(20), ..TenantLimits::default() });
    let some = passed().await;
    // 10 s at 20 a second, a burst of 100, and a credit of 12.
    assert!((250..=320).contains(&some), "{some}");
    own(&limits, "acme", TenantLimits::default());
    assert_eq!(passed().await, 2_000);
    stop.cancel();
    running.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_call_counts_where_a_session_of_its_agent_would() {
    let limits = limits(&["--agent-rate-messages", "10", "--tenant-rate-messages", "14"]);
    let (acme, globex): (Arc<str>, Arc<str>) = ("acme".into(), "globex".into());
    let mut session = enter(&limits, "192.0.2.1", "acme", "a").unwrap();
    assert_eq!((0..100).take_while(|_| session.frame().is_ok()).count(), 50);
    let met = |tenant, agent: &str, messages| {
        limits.call(tenant, &agent.into(), messages, 1).map_err(|limited| limited.limit)
    };
    assert_eq!(met(&acme, "a", 1), Err(Limit::AgentRateMessages), "with the session's");
    assert_eq!(met(&acme, "b", 20), Ok(()));
    assert_eq!(met(&acme, "b", 1), Err(Limit::TenantRateMessages), "with the tenant's");
    assert_eq!(met(&globex, "b", 20), Ok(()));
}

#[tokio::test(start_paused = true)]
async fn calls_spend_a_tenants_quota_and_do_not_find_it_fresh() {
    let limits = limits(&["--tenant-quota-messages", "80"]);
    let (stop, tracker) = (CancellationToken::new(), TaskTracker::new());
    tracker.spawn(Arc::clone(&limits).run(stop.clone()));
    let (tenant, agent): (Arc<str>, Arc<str>) = ("acme".into(), "a".into());
    let (mut sent, begun) = (0, Instant::now());
    while begun.elapsed() < Duration::from_mins(1) {
        sent += u32::from(limits.call(&tenant, &agent, 1, 1).is_ok());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    // 5 s of burst, then what a second allows; and what one instance may owe.
    assert!((80 * 60..=80 * 65 + 50).contains(&sent), "{sent}");
    stop.cancel();
    tracker.close();
    tracker.wait().await;
}
