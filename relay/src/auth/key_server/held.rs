//! The keys that are held, and which of them the key server no longer shows.
//!
//! A key that is missing is believed withdrawn after [`MISSES`] answers without it, so that a key server behind a load
//! balancer, whose parts do not change at the same moment, drops nobody. Until then it stays good.

use std::collections::HashMap;
use std::sync::Arc;

use crate::auth::keyset::{Fingerprint, KeySet};

/// Answers in a row without a key that withdraw it.
const MISSES: u32 = 3;

/// The keys that are held.
#[derive(Debug, Default, Clone)]
pub(super) struct Held {
    keys: Arc<KeySet>,
    missing: HashMap<Fingerprint, u32>,
}

impl Held {
    /// The keys.
    pub(super) fn keys(&self) -> &Arc<KeySet> {
        &self.keys
    }

    /// Whether some key is missing, and the key server is to be asked again soon.
    pub(super) fn is_unsure(&self) -> bool {
        !self.missing.is_empty()
    }

    /// What is held after another answer, and how many keys are withdrawn by it.
    pub(super) fn after(&self, mut published: KeySet) -> (Held, u64) {
        let (mut missing, mut withdrawn) = (HashMap::new(), 0);
        for (name, key) in self.keys.iter() {
            let fingerprint = key.fingerprint();
            if published.contains(&fingerprint) {
                continue;
            }
            let misses = self.missing.get(&fingerprint).copied().unwrap_or(0) + 1;
            // A name that now stands for another key has no room for the former one.
            if misses < MISSES && published.add(name, Arc::clone(key)).is_ok() {
                missing.insert(fingerprint, misses);
            } else {
                withdrawn += 1;
            }
        }
        (Held { keys: Arc::new(published), missing }, withdrawn)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::keyset::VerifyingKey;

    fn set(keys: &[(&str, u8)]) -> KeySet {
        let mut set = KeySet::new();
        for (name, byte) in keys {
            set.add(Some(name), VerifyingKey::hmac(&[*byte; 32]).unwrap()).unwrap();
        }
        set
    }

    fn names(held: &Held) -> Vec<&str> {
        let mut names: Vec<&str> = held.keys().iter().filter_map(|(name, _)| name).collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn a_key_is_withdrawn_by_the_third_answer_without_it() {
        let (held, _) = Held::default().after(set(&[("a", 1), ("b", 2)]));
        let (held, withdrawn) = held.after(set(&[("b", 2), ("c", 3)]));
        assert_eq!((names(&held), withdrawn, held.is_unsure()), (vec!["a", "b", "c"], 0, true));
        let (held, withdrawn) = held.after(set(&[("b", 2), ("c", 3)]));
        assert_eq!((names(&held), withdrawn), (vec!["a", "b", "c"], 0));
        let (held, withdrawn) = held.after(set(&[("b", 2), ("c", 3)]));
        assert_eq!((names(&held), withdrawn, held.is_unsure()), (vec!["b", "c"], 1, false));
    }

    #[test]
    fn a_key_that_comes_and_goes_stays() {
        let (mut held, _) = Held::default().after(set(&[("a", 1), ("b", 2)]));
        for _ in 0..10 {
            for keys in [&[("b", 2)][..], &[("b", 2)], &[("a", 1), ("b", 2)]] {
                let withdrawn;
                (held, withdrawn) = held.after(set(keys));
                assert_eq!((names(&held), withdrawn), (vec!["a", "b"], 0));
            }
        }
    }

    #[test]
    fn a_name_that_stands_for_another_key_loses_the_former_at_once() {
        let (held, _) = Held::default().after(set(&[("a", 1)]));
        let former = held.keys().iter().next().unwrap().1.fingerprint();
        let (held, withdrawn) = held.after(set(&[("a", 9)]));
        assert_eq!(withdrawn, 1);
        assert!(!held.keys().contains(&former) && !held.is_unsure());
    }
}
