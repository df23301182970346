//! One message, or several of one topic, on the way to one socket.

use std::sync::Arc;

use relay_protocol::Chunk;
use relay_protocol::client::Lane;
use tokio::time::Instant;

use crate::outbound::Settlement;

/// What waits in a queue.
#[derive(Debug)]
pub struct Item {
    /// Frames in the encoding of the recipient, shared with the other recipients.
    pub chunk: Chunk,
    /// Which lane.
    pub lane: Lane,
    /// Under which only the newest is kept that waits: whose key it is, and the key.
    pub key: Option<Arc<str>>,
    /// When this instance took it.
    pub taken_at: Instant,
    /// When it is worth nothing any more.
    pub expires_at: Option<Instant>,
    /// The pattern by which it comes, of a topic's message that may expire.
    pub pattern: Option<Arc<str>>,
    /// The address whose owner asked to be answered there, if the message is a request.
    pub reply_right: Option<Box<ReplyRight>>,
    /// The work of a group that it is.
    pub job: Option<Box<Job>>,
}

/// A message of a group. It has no outcome before it is written, so that a member that ends leaves no work behind of which
/// nobody knows.
#[derive(Debug)]
pub struct Job {
    /// The address of the group.
    pub group: Arc<str>,
    /// The duty to say what became of it.
    pub settlement: Settlement,
    /// It is stored: it goes back to the store, and the last bytes of the credit suffice for it.
    pub stored: bool,
}

/// Receiving a request gives the right to reply to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplyRight {
    /// Where the answer goes.
    pub reply_to: String,
    /// Until when.
    pub until: Instant,
}

impl Item {
    /// A message without a lifetime in the normal lane.
    pub fn new(chunk: Chunk, taken_at: Instant) -> Item {
        Item {
            chunk,
            lane: Lane::Normal,
            key: None,
            taken_at,
            expires_at: None,
            pattern: None,
            reply_right: None,
            job: None,
        }
    }

    /// The same for another recipient of a topic.
    #[must_use]
    pub fn for_subscriber(&self, chunk: Chunk) -> Item {
        Item {
            chunk,
            lane: self.lane,
            key: self.key.clone(),
            taken_at: self.taken_at,
            expires_at: self.expires_at,
            pattern: None,
            reply_right: None,
            job: None,
        }
    }

    /// The bytes it takes in a queue.
    pub(super) fn weight(&self) -> usize {
        self.chunk.bytes.len() + self.key.as_ref().map_or(0, |key| key.len())
    }
}
