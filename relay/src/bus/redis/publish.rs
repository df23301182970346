//! Publishing, and what an error of it means.

use bytes::Bytes;
use fred::error::{Error, ErrorKind};
use futures_util::future::{self, BoxFuture, FutureExt as _};

use crate::bus::{Channel, PublishError};
use crate::redis::Commands;

/// Publishes once: never tried again, so never twice.
pub(super) fn publish(
    commands: &Commands,
    channel: &Channel,
    batch: Bytes,
) -> BoxFuture<'static, Result<u64, PublishError>> {
    let Ok(question) = commands.begin_publish(batch.len()) else {
        return future::ready(Err(PublishError::NotSent)).boxed();
    };
    let name = channel.name().to_owned();
    async move { question.judge(question.publish_once(&name, batch).await).map_err(|error| meaning(&error)) }
        .boxed()
}

/// Whether a publish that failed may have been carried out all the same. Seven of seven that timed out were, when it was
/// measured on a stopped Redis, so only what is certain is called not sent.
fn meaning(error: &Error) -> PublishError {
    match error.kind() {
        // fred says it of all that was under way to a node.
        ErrorKind::Cluster if error.details().starts_with("CLUSTERDOWN") => PublishError::Unknown,
        // fred refused it before it reached a connection, or no node that it asked holds the slot.
        ErrorKind::Canceled
        | ErrorKind::Backpressure
        | ErrorKind::Config
        | ErrorKind::Routing
        // Redis answered that it did not do it.
        | ErrorKind::Auth
        | ErrorKind::Cluster
        | ErrorKind::InvalidArgument
        | ErrorKind::InvalidCommand => PublishError::NotSent,
        _ => PublishError::Unknown,
    }
}
