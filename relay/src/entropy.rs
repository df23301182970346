//! Where random numbers and the keys of hash tables come from: the system. A simulation gives its thread a seed instead,
//! from which all of them follow.

use std::hash::BuildHasher;

use rand::RngExt as _;
use rand::distr::uniform::{SampleRange, SampleUniform};
use rand::distr::{Distribution, StandardUniform};

/// A random value.
pub fn random<T>() -> T
where
    StandardUniform: Distribution<T>,
{
    #[cfg(any(test, feature = "test-util"))]
    if let Some(drawn) = seeded::draw(rand::RngExt::random) {
        return drawn;
    }
    rand::rng().random()
}

/// A random value of a range that has one.
pub fn random_range<T: SampleUniform>(range: impl SampleRange<T> + Clone) -> T {
    #[cfg(any(test, feature = "test-util"))]
    if let Some(drawn) = seeded::draw(|chance| chance.random_range(range.clone())) {
        return drawn;
    }
    rand::rng().random_range(range)
}

/// The keys of one hash table, so that nobody outside can choose what collides in it.
#[derive(Debug, Clone)]
pub struct Keys(ahash::RandomState);

impl Default for Keys {
    fn default() -> Keys {
        #[cfg(any(test, feature = "test-util"))]
        if seeded::draw(|_| ()).is_some() {
            // A fixed order in tables that are gone through.
            return Keys(ahash::RandomState::with_seeds(1, 2, 3, 4));
        }
        Keys(ahash::RandomState::new())
    }
}

impl BuildHasher for Keys {
    type Hasher = ahash::AHasher;

    fn build_hasher(&self) -> ahash::AHasher {
        self.0.build_hasher()
    }
}

#[cfg(any(test, feature = "test-util"))]
pub use seeded::{Seeded, seed};

#[cfg(any(test, feature = "test-util"))]
mod seeded {
    use std::cell::RefCell;

    use rand::SeedableRng as _;
    use rand::rngs::StdRng;

    thread_local! {
        static CHANCE: RefCell<Option<StdRng>> = const { RefCell::new(None) };
    }

    /// While it lives the thread's random numbers follow from its seed. A guard.
    #[derive(Debug)]
    pub struct Seeded(());

    /// Gives this thread a seed.
    #[must_use]
    pub fn seed(seed: u64) -> Seeded {
        CHANCE.set(Some(StdRng::seed_from_u64(seed)));
        Seeded(())
    }

    impl Drop for Seeded {
        fn drop(&mut self) {
            CHANCE.set(None);
        }
    }

    /// Draws, if the thread has a seed.
    pub(super) fn draw<T>(draw: impl FnOnce(&mut StdRng) -> T) -> Option<T> {
        CHANCE.with_borrow_mut(|chance| chance.as_mut().map(draw))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_holds_for_its_thread_while_it_is_held() {
        let draw = || (random::<u64>(), random_range(0..1_000_000_u32), Keys::default().hash_one("x"));
        let seeded = |number| {
            let _seeded = seed(number);
            draw()
        };
        assert_eq!(seeded(1), seeded(1));
        assert_ne!(seeded(1).0, seeded(2).0);
        assert_ne!(draw(), draw());
    }
}
