//! What became of a message, as an answer tells it.

use serde::Serialize;
use utoipa::ToSchema;

use crate::outbound::{Place, Settled};
use crate::telemetry::limit::Limit;
use crate::telemetry::outcome::Outcome;

/// What became of a message.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Receipt {
    /// `queued` on a recipient's socket queue; `accepted` by the bus, at `qos` 1 by the store; `delivered` where this is a
    /// repeat of a message that was; `failed` for a `reason`; or `unknown`: it may have arrived or may still.
    #[schema(example = "queued")]
    outcome: &'static str,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    /// When to try again, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_ms: Option<u64>,
    /// The limit that was met, where one was.
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<&'static str>,
    /// Where it stands in the stream of its topic, at `qos` 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    position: Option<Position>,
}

/// Where a message stands in a stream.
#[derive(Debug, Serialize, ToSchema)]
struct Position {
    /// The address of its topic.
    #[schema(example = "topic/news")]
    stream: String,
    /// Which life of the stream.
    epoch: String,
    /// Its number there.
    seq: u64,
}

impl From<Settled> for Receipt {
    fn from(Settled { outcome, place }: Settled) -> Receipt {
        let told =
            |outcome| Receipt { outcome, reason: None, retry_after_ms: None, limit: None, position: None };
        match outcome {
            Outcome::Queued => told("queued"),
            Outcome::Accepted => Receipt { position: place.map(Position::from), ..told("accepted") },
            Outcome::Delivered => told("delivered"),
            Outcome::Unknown => told("unknown"),
            Outcome::Failed { reason, retry_after_ms, limit } => {
                let (reason, limit) = (Some(reason.name()), limit.map(Limit::name));
                Receipt { reason, retry_after_ms, limit, ..told("failed") }
            }
        }
    }
}

impl From<Place> for Position {
    fn from(Place { stream, epoch, seq }: Place) -> Position {
        Position { stream: stream.to_string(), epoch: epoch.to_string(), seq }
    }
}
