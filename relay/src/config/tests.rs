//! A configuration is right as a whole or refused as a whole.

use clap::{Command, FromArgMatches as _};

use super::*;

fn command() -> Command {
    Config::augment_args(Command::new("relay").no_binary_name(true))
}

fn problems(args: &[&str]) -> Vec<&'static str> {
    let matches = command().try_get_matches_from(args).unwrap();
    let config = Config::from_arg_matches(&matches).unwrap();
    config.validate().err().unwrap_or_default().iter().map(|problem| problem.setting).collect()
}

#[test]
fn development_mode_needs_nothing_and_stays_on_loopback() {
    assert_eq!(problems(&["--dev"]), [""; 0]);
    assert_eq!(problems(&["--dev", "--listen", "0.0.0.0:80"]), ["RELAY_LISTEN"]);
    assert_eq!(problems(&["--dev", "--listen", "[::1]:80"]), [""; 0]);
}

#[test]
fn key_servers_are_checked_as_a_whole() {
    assert_eq!(problems(&["--auth-firebase-project", "agents-prod"]), [""; 0], "all that one sets");
    assert_eq!(problems(&["--auth-jwks-url", "https://keys.test/jwks"]), [""; 0]);
    assert_eq!(problems(&["--auth-jwks-url", "http://keys.test/jwks"]), ["RELAY_AUTH_JWKS_URL"]);
    assert_eq!(problems(&["--auth-firebase-project", "x/../y"]), ["RELAY_AUTH_FIREBASE_PROJECT"]);
    let stray = problems(&["--dev", "--auth-firebase-tenant", "a:b", "--auth-firebase-rights", "{}"]);
    let expected = ["RELAY_AUTH_FIREBASE_TENANT", "RELAY_AUTH_FIREBASE_TENANT", "RELAY_AUTH_FIREBASE_RIGHTS"];
    assert_eq!(stray, expected);
    let ages = problems(&[
        "--auth-jwks-url",
        "https://keys.test",
        "--auth-jwks-age-min-s",
        "0",
        "--auth-jwks-age-max-s",
        "90000",
        "--auth-jwks-stale-s",
        "1",
    ]);
    let expected = ["RELAY_AUTH_JWKS_AGE_MIN_S", "RELAY_AUTH_JWKS_AGE_MAX_S", "RELAY_AUTH_JWKS_STALE_S"];
    assert_eq!(ages, expected);
}

#[test]
fn every_problem_is_told_at_once() {
    let found = problems(&[
        "--allowed-origins",
        "app.example.com",
        "--payload-bytes",
        "0",
        "--heartbeat-ms",
        "1",
        "--redis-url",
        "http://x",
        "--log",
        "a=b=c",
    ]);
    let expected = [
        "RELAY_ALLOWED_ORIGINS",
        "RELAY_AUTH_JWKS_FILE",
        "RELAY_HEARTBEAT_MS",
        "RELAY_REDIS_URL",
        "RELAY_PAYLOAD_BYTES",
        "RELAY_LOG",
    ];
    assert_eq!(found, expected);
}

#[test]
fn the_reference_names_every_variable_and_no_secret() {
    let page = markdown(&command());
    for arg in command().get_arguments().filter_map(|arg| arg.get_env()) {
        assert!(page.contains(arg.to_str().unwrap()), "{arg:?}");
    }
    assert!(text(&command()).contains("RELAY_DRAIN_MS"));
}
