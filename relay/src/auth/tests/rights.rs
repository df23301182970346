//! What granted patterns allow, against the protocol's own words for it.

use proptest::prelude::*;
use relay_protocol::{Address, topic};

use crate::auth::Rights;
use crate::auth::RightsClaim;
use crate::auth::rights::{InvalidRight, PATTERNS_MAX};

const SUFFIX: &str = "AAAAAAAAAAAAAAAAAAAAAA";

fn owned(patterns: &[&str]) -> Vec<String> {
    patterns.iter().map(|pattern| (*pattern).to_owned()).collect()
}

fn sends(send: &[&str]) -> Result<Rights, InvalidRight> {
    Rights::new(&RightsClaim { send: owned(send), ..RightsClaim::default() })
}

fn topics(patterns: &[&str]) -> Rights {
    let (publish, subscribe) = (owned(patterns), owned(patterns));
    Rights::new(&RightsClaim { publish, subscribe, ..RightsClaim::default() }).unwrap()
}

#[test]
fn a_granted_address_reaches_what_it_says_and_no_more() {
    let bobs = format!("session/bob~{SUFFIX}");
    let bobbys = format!("session/bobby~{SUFFIX}");
    let cases: &[(&str, &[&str], &[&str])] = &[
        ("agent/*", &["agent/bob", "agent/b"], &["group/bob", "topic/bob", &bobs]),
        ("agent/bob", &["agent/bob"], &["agent/bobby", "agent/bo", "agent/Bob", &bobs]),
        ("agent/bo*", &["agent/bo", "agent/bob"], &["agent/b", "agent/abo"]),
        ("agent/team.*", &["agent/team.a", "agent/team.a.b"], &["agent/team", "agent/teams.a"]),
        ("session/*", &[&bobs, &bobbys], &["agent/bob"]),
        ("session/bob~*", &[&bobs], &[&bobbys, "agent/bob"]),
        ("session/bob*", &[&bobs, &bobbys], &["agent/bob"]),
        (&bobs, &[&bobs], &[&bobbys]),
        ("group/*", &["group/work", "group/work.a"], &["agent/work", "topic/work"]),
        ("group/work.*", &["group/work.a", "group/work.a.b"], &["group/work", "group/works.a"]),
        ("group/work", &["group/work"], &["group/work.a", "group/wor"]),
    ];
    for (granted, allowed, refused) in cases {
        let rights = sends(&[granted]).unwrap();
        for address in *allowed {
            assert!(rights.may_send(&Address::parse((*address).into()).unwrap()), "{granted} for {address}");
        }
        for address in *refused {
            assert!(!rights.may_send(&Address::parse((*address).into()).unwrap()), "{granted} for {address}");
        }
    }
}

#[test]
fn sending_to_a_topic_is_publishing() {
    let rights = topics(&["jobs.*"]);
    let to = |address: &'static str| Address::parse(address.into()).unwrap();
    assert!(rights.may_send(&to("topic/jobs.a")) && !rights.may_send(&to("topic/other")));
    assert!(!rights.may_send(&to("agent/jobs.a")) && !rights.may_send(&to("group/jobs.a")));
}

#[test]
fn what_is_no_send_pattern_is_refused() {
    let long = format!("agent/{}*", "a".repeat(129));
    let longer_suffix = format!("session/bob~{SUFFIX}A*");
    for bad in [
        "",
        "*",
        "a*",
        "agent*",
        "agent/",
        "agent/**",
        "agent/*b",
        "agent/a b*",
        "agent/.*",
        "agent/a~*",
        "agent/é*",
        "Agent/*",
        "topic/a",
        "topic/*",
        "topic/a.*",
        "session/bob",
        "session/bob~",
        "session/~*",
        "session/bob~a.b*",
        "session/a~b~*",
        "group/",
        "group/.*",
        "group/a..*",
        "group/a~*",
        "other/*",
        &long,
        &longer_suffix,
    ] {
        assert_eq!(sends(&["agent/*", bad]), Err(InvalidRight::Pattern { list: "send" }), "{bad}");
    }
}

#[test]
fn a_subscription_must_be_covered_by_one_grant() {
    let cases: &[(&[&str], &[&str], &[&str])] = &[
        (&[], &[], &["a", "*", "a.*"]),
        (&["*"], &["*", "a", "a.b", "a.*"], &[]),
        (&["a.*"], &["a.*", "a.b", "a.b.*", "a.b.c"], &["a", "*", "ab", "ab.*", "b"]),
        (&["a"], &["a"], &["a.*", "a.b", "*", "aa"]),
        (&["a", "a.*"], &["a", "a.b", "a.*"], &["*", "b"]),
        (&["a.b.*", "a.*", "a.c.*"], &["a.*", "a.d.*", "a.z"], &["*", "b.*"]),
        (&["a.b", "a.c"], &["a.b", "a.c"], &["a.*", "a.d"]),
    ];
    for (granted, allowed, refused) in cases {
        let rights = topics(granted);
        assert!(allowed.iter().all(|pattern| rights.may_subscribe(pattern)), "{granted:?} {allowed:?}");
        assert!(!refused.iter().any(|pattern| rights.may_subscribe(pattern)), "{granted:?} {refused:?}");
    }
}

#[test]
fn the_number_of_patterns_is_bounded() {
    let claim = |count| RightsClaim { subscribe: vec!["a".to_owned(); count], ..RightsClaim::default() };
    assert!(Rights::new(&claim(PATTERNS_MAX)).is_ok());
    assert_eq!(Rights::new(&claim(PATTERNS_MAX + 1)), Err(InvalidRight::TooMany { list: "subscribe" }));
}

/// Few letters, so that names and patterns often meet; `-` sorts before `.`, and digits after it.
const TOPIC: &str = "[ab0-]{1,2}(\\.[ab0-]{1,2}){0,3}";

fn pattern() -> impl Strategy<Value = String> {
    prop_oneof![3 => TOPIC, 3 => TOPIC.prop_map(|head| format!("{head}.*")), 1 => Just("*".to_owned())]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn topics_are_allowed_as_the_protocol_matches(
        granted in prop::collection::vec(pattern(), 0..12), name in TOPIC, asked in pattern()
    ) {
        let rights = topics(&granted.iter().map(String::as_str).collect::<Vec<_>>());
        prop_assert_eq!(rights.may_publish(&name), granted.iter().any(|wide| topic::matches(wide, &name)));
        prop_assert_eq!(rights.may_subscribe(&asked), granted.iter().any(|wide| topic::covers(wide, &asked)));
    }

    #[test]
    fn addresses_are_allowed_by_their_beginnings(
        granted in prop::collection::vec("(agent|group)/[ab]{1,3}[*]?", 0..12), address in "(agent|group)/[ab]{1,4}"
    ) {
        let rights = sends(&granted.iter().map(String::as_str).collect::<Vec<_>>()).unwrap();
        let expected = granted.iter().any(|pattern| match pattern.strip_suffix('*') {
            Some(head) => address.starts_with(head),
            None => *pattern == address,
        });
        prop_assert_eq!(rights.may_send(&Address::parse(address.into()).unwrap()), expected);
    }
}
