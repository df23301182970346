//! Names of keys that the key server was asked for and does not have. Whoever makes up names learns at once that there is
//! no such key, and the key server learns nothing of it.

use std::collections::VecDeque;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::auth::digest::{Digest, digest};

/// How long a name counts as unknown: a key that is published later than its first token is found after that.
const MEMORY: Duration = Duration::from_secs(30);
/// Names remembered; the oldest go first. The rate of questions holds without any.
const NAMES_MAX: usize = 1_024;

/// Names of keys that do not exist.
#[derive(Debug, Default)]
pub(super) struct UnknownNames(Mutex<VecDeque<(Digest, Instant)>>);

impl UnknownNames {
    /// Whether the key server said lately that it has no such key.
    pub(super) fn contains(&self, name: &str) -> bool {
        let (name, now) = (digest(&[name.as_bytes()]), Instant::now());
        let mut names = self.0.lock();
        while names.front().is_some_and(|(_, until)| *until <= now) {
            names.pop_front();
        }
        names.iter().any(|(known, _)| *known == name)
    }

    /// The key server has no such key.
    pub(super) fn remember(&self, name: &str) {
        let mut names = self.0.lock();
        if names.len() >= NAMES_MAX {
            names.pop_front();
        }
        names.push_back((digest(&[name.as_bytes()]), Instant::now() + MEMORY));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_name_is_remembered_for_a_while_and_only_so_many_are() {
        let names = UnknownNames::default();
        names.remember("first");
        assert!(names.contains("first") && !names.contains("second"));
        for number in 0..NAMES_MAX {
            names.remember(&number.to_string());
        }
        assert!(!names.contains("first") && names.contains("0"));
        assert_eq!(names.0.lock().len(), NAMES_MAX);
        tokio::time::advance(MEMORY).await;
        assert!(!names.contains("0"));
        assert!(names.0.lock().is_empty());
    }
}
