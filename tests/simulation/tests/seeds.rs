//! Seeds of which each is another run, and what the checker finds when a part breaks its promise.

use std::sync::Mutex;
use std::time::Duration;

use relay_simulation::{Mode, Plan, Spoil, Way, cores, run, run_many};
use relay_tests::history::Breach;

/// Seeds, of which each is run in both modes.
const SEEDS: u32 = 100;
/// Of all stored messages of a run the store spoils one, at about this place.
const SPOILED_STORED: u64 = 900;
/// Of all messages that take one way over the bus it spoils this one.
const SPOILED_SENT: u64 = 60;

#[test]
fn two_hundred_runs_keep_every_promise() {
    let failures = Mutex::new(Vec::new());
    let note = |_: &Plan, failure: Option<String>| failures.lock().unwrap().extend(failure);
    let figures = run_many(1..1 + SEEDS, &Mode::ALL, cores(), note);
    let failures = failures.into_inner().unwrap();
    assert!(failures.is_empty(), "{} failed; the first:\n{}", failures.len(), failures[0]);
    assert!(figures.iter().all(|(_, figures)| figures.runs == u64::from(SEEDS)));
}

#[test]
fn the_same_seed_makes_the_same_run() {
    for seed in [1, 2, 3] {
        for mode in Mode::ALL {
            let plan = Plan::new(seed, mode);
            assert_eq!(run(&plan).unwrap().digest, run(&plan).unwrap().digest, "seed {seed}, {mode:?}");
        }
    }
    let another = |seed| run(&Plan::new(seed, Mode::Safety)).unwrap().digest;
    assert_ne!(another(1), another(4));
}

/// A run without faults, of some thousands of messages.
fn undisturbed(seed: u32) -> Plan {
    Plan { faults: false, disturbed: Duration::from_secs(8), ..Plan::new(seed, Mode::Liveness) }
}

#[test]
fn a_store_that_spoils_one_message_is_found() {
    for spoil in Spoil::ALL {
        let plan = Plan { spoiled_store: Some((spoil, SPOILED_STORED)), ..undisturbed(1) };
        let report = run(&plan).unwrap();
        assert!(!report.judgement.is_kept(), "{spoil:?} is not found: {report}");
    }
}

#[test]
fn a_bus_that_spoils_one_message_of_a_topic_is_found() {
    let expected = [
        (Spoil::Drop, Breach::Lost),
        (Spoil::Swap, Breach::Reordered),
        (Spoil::Duplicate, Breach::TwiceUnstored),
        (Spoil::Leak, Breach::Leaked),
    ];
    for (spoil, breach) in expected {
        let plan = Plan { spoiled_bus: Some((spoil, Way::Topic, SPOILED_SENT)), ..undisturbed(1) };
        let report = run(&plan).unwrap();
        assert_eq!(report.spoiled, 1);
        assert!(report.judgement.of(breach) > 0, "{spoil:?} is not found: {report}");
    }
}

/// Messages of a link are numbered and reported: what does not come in its turn is refused to its sender, and what comes
/// again is passed over. Whose a message is the number does not say.
#[test]
fn a_bus_that_spoils_one_message_of_a_link_breaks_no_promise_or_is_found() {
    let spoiled = |spoil, nth| {
        let plan = Plan { spoiled_bus: Some((spoil, Way::Link, nth)), ..undisturbed(1) };
        let report = run(&plan).unwrap();
        assert_eq!(report.spoiled, 1);
        report
    };
    for spoil in [Spoil::Drop, Spoil::Swap, Spoil::Duplicate] {
        let report = spoiled(spoil, SPOILED_SENT);
        assert!(report.is_good(), "{spoil:?}: {report}");
    }
    // Where the other tenant has no such agent on the instance it is sent back, as one that moved.
    let leaked = |nth| spoiled(Spoil::Leak, nth).judgement.of(Breach::Leaked) > 0;
    assert!((SPOILED_SENT..SPOILED_SENT + 10).any(leaked), "none of ten is found");
}

#[test]
fn without_faults_nothing_is_found() {
    let report = run(&undisturbed(1)).unwrap();
    assert!(report.is_good(), "{report}");
}
