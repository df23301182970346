//! Arbitrary frames that keep to PROTOCOL.md, and a runner that tells the seed.

mod client;
mod name;
mod server;

use std::fmt::Debug;
use std::hash::{BuildHasher, RandomState};

use proptest::strategy::Strategy;
use proptest::test_runner::{Config, RngSeed, TestCaseError, TestRunner};

pub(crate) use client::client;
pub(crate) use server::{message, server};

/// Runs `check` on many inputs; what fails is told with the seed that brings it back.
pub(crate) fn for_all<S: Strategy>(inputs: &S, check: impl Fn(S::Value) -> Result<(), TestCaseError>)
where
    S::Value: Debug,
{
    let config = Config { failure_persistence: None, ..Config::default() };
    let seed = match config.rng_seed {
        RngSeed::Fixed(seed) => seed,
        RngSeed::Random => RandomState::new().hash_one(0),
    };
    let config = Config { rng_seed: RngSeed::Fixed(seed), ..config };
    if let Err(error) = TestRunner::new(config).run(inputs, check) {
        panic!("{error}\nonce more: PROPTEST_RNG_SEED={seed} cargo test -p relay-protocol");
    }
}
