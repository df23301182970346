//! Having received a request gives the right to reply to it, whatever the token says.

use std::collections::VecDeque;

use tokio::time::Instant;

use crate::outbound::ReplyRight;

/// The latest requests that may be replied to; more than an agent works on at once.
const RIGHTS_MAX: usize = 64;

/// What a session may answer.
#[derive(Debug, Default)]
pub(super) struct ReplyRights(VecDeque<ReplyRight>);

impl ReplyRights {
    /// A request was handed to the client.
    pub(super) fn grant(&mut self, right: ReplyRight) {
        if let Some(known) = self.0.iter_mut().find(|known| known.reply_to == right.reply_to) {
            known.until = known.until.max(right.until);
            return;
        }
        if self.0.len() == RIGHTS_MAX {
            self.0.pop_front();
        }
        self.0.push_back(right);
    }

    /// Whether `address` may be written to as an answer.
    pub(super) fn allow(&self, address: &str, now: Instant) -> bool {
        self.0.iter().any(|right| right.until > now && right.reply_to == address)
    }
}
