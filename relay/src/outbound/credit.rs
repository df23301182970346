//! How much work of its groups a client can take. It grants more as it finishes, so that what it holds unfinished keeps new
//! work from it, which what waits for its socket does not show.

/// What a client granted and was not given yet; a client that never grants anything takes what its queue takes.
#[derive(Debug, Default)]
pub(super) struct Credit(Option<Left>);

#[derive(Debug, Default)]
struct Left {
    messages: u64,
    bytes: u64,
}

impl Credit {
    /// So many more.
    pub(super) fn grant(&mut self, messages: u64, bytes: u64) {
        let left = self.0.get_or_insert_default();
        left.messages = left.messages.saturating_add(messages);
        left.bytes = left.bytes.saturating_add(bytes);
    }

    /// Whether there is enough for a message.
    pub(super) fn covers(&self, bytes: usize) -> bool {
        self.0.as_ref().is_none_or(|left| left.messages > 0 && left.bytes >= bytes as u64)
    }

    /// A message of so many bytes was given.
    pub(super) fn spend(&mut self, bytes: usize) {
        if let Some(left) = &mut self.0 {
            left.messages = left.messages.saturating_sub(1);
            left.bytes = left.bytes.saturating_sub(bytes as u64);
        }
    }

    /// Messages that it covers at most.
    pub(super) fn messages(&self) -> u64 {
        self.0.as_ref().map_or(u64::MAX, |left| if left.bytes == 0 { 0 } else { left.messages })
    }
}
