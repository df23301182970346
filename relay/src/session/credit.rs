//! How much the client lets the relay push.

/// Room that the client has granted; more than it can use is as good as this.
const CREDIT_MAX: u64 = 1 << 40;

/// What is left of it. A client that never grants any is pushed to as its socket takes it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Credit(Option<(u64, u64)>);

impl Credit {
    /// The client grants so much more.
    pub(super) fn grant(&mut self, messages: u64, bytes: u64) {
        let (had_messages, had_bytes) = self.0.unwrap_or_default();
        let more = |had: u64, granted: u64| had.saturating_add(granted).min(CREDIT_MAX);
        self.0 = Some((more(had_messages, messages), more(had_bytes, bytes)));
    }

    /// Whether a message may be pushed. The last one may exceed the bytes, as it would never come otherwise.
    pub(super) fn allows(&self) -> bool {
        self.0.is_none_or(|(messages, bytes)| messages > 0 && bytes > 0)
    }

    /// A message of so many bytes was pushed.
    pub(super) fn spend(&mut self, size: usize) {
        if let Some((messages, bytes)) = &mut self.0 {
            *messages = messages.saturating_sub(1);
            *bytes = bytes.saturating_sub(size as u64);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_grant_there_is_no_limit_and_with_one_both_count() {
        let mut credit = Credit::default();
        credit.spend(1_000_000);
        assert!(credit.allows());
        credit.grant(2, 100);
        credit.spend(99);
        assert!(credit.allows());
        credit.spend(99);
        assert!(!credit.allows());
        credit.grant(0, 1);
        assert!(!credit.allows(), "no message is left");
        credit.grant(1, 0);
        assert!(credit.allows());
        credit.grant(u64::MAX, u64::MAX);
        credit.spend(1);
        assert!(credit.allows());
    }
}
