//! Seeds of which each is another run, and what the checker finds when a part breaks its promise.

use std::sync::Mutex;
use std::time::Duration;

use relay_simulation::{Mode, Plan, Spoil, cores, run, run_many};

/// Seeds, of which each is run in both modes.
const SEEDS: u32 = 100;
/// Of all stored messages of a run the store spoils one, at about this place.
const SPOILED_STORED: u64 = 900;

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
fn without_faults_nothing_is_found() {
    let report = run(&undisturbed(1)).unwrap();
    assert!(report.is_good(), "{report}");
}
