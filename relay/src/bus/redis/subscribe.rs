//! The read loop: from fred's broadcast to the outlet. It never waits on anything but the next message, since Redis
//! closes a subscriber that falls 32 MB behind, and everything on the way there is lost with it.

use std::pin::pin;
use std::sync::Arc;

use ahash::HashSet;
use bytes::Bytes;
use fred::types::{Message, Value};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;

use crate::bus::Channel;
use crate::bus::outlet::Outlet;
use crate::bus::redis::probe::Hearing;

/// Names remembered at a time; one more forgets all, which costs an allocation each.
const NAMES_MAX: usize = 1 << 16;

/// Hands on everything that comes until the token ends it or the client quits.
pub(super) async fn read(
    mut messages: Receiver<Message>,
    outlet: Outlet,
    hearing: Arc<Hearing>,
    token: CancellationToken,
) {
    let mut ended = pin!(token.cancelled());
    let mut names = Names::default();
    loop {
        let message = tokio::select! {
            () = &mut ended => return,
            message = messages.recv() => message,
        };
        match message {
            Ok(message) => {
                hearing.hear();
                let channel = names.channel(&message.channel);
                if channel == *hearing.channel() {
                    hearing.hear_probe();
                } else if let Some(batch) = payload(message.value) {
                    outlet.batch(channel, batch);
                }
            }
            Err(RecvError::Lagged(batches)) => outlet.lagged(batches),
            Err(RecvError::Closed) => return,
        }
    }
}

/// What was published, without a copy: a slice of fred's read buffer (8 KiB, or as much as the message needs), which it
/// keeps from being freed. Batches are taken apart and dropped within milliseconds; who keeps bytes longer copies them.
fn payload(value: Value) -> Option<Bytes> {
    match value {
        Value::Bytes(bytes) => Some(bytes),
        // fred calls a payload that happens to be UTF-8 a string.
        Value::String(text) => Some(text.into_inner()),
        _ => None,
    }
}

/// Channels by name, so that a message costs no allocation for its channel. The names are copies: a slice of the read
/// buffer would pin it.
#[derive(Default)]
struct Names(HashSet<Channel>);

impl Names {
    fn channel(&mut self, name: &str) -> Channel {
        if let Some(channel) = self.0.get(name) {
            return channel.clone();
        }
        if self.0.len() >= NAMES_MAX {
            self.0.clear();
        }
        let channel = Channel::from_name(name);
        self.0.insert(channel.clone());
        channel
    }
}

#[cfg(test)]
mod tests {
    use fred::types::MessageKind;
    use fred::types::config::Server;
    use tokio_util::task::TaskTracker;

    use super::*;
    use crate::bus::{BusEvent, Gap, InstanceId};

    fn message(channel: &str, value: Value) -> Message {
        let (channel, server) = (channel.into(), Server::new("localhost", 6379));
        Message { channel, value, kind: MessageKind::Message, server }
    }

    #[tokio::test]
    async fn what_fred_drops_is_a_gap_and_what_it_calls_a_string_is_bytes() {
        let (tracker, token) = (TaskTracker::new(), CancellationToken::new());
        let (outlet, mut events) = Outlet::new(8, tracker.clone(), token.clone());
        let hearing = Arc::new(Hearing::new(Channel::probe(&InstanceId::random())));
        let (sender, receiver) = tokio::sync::broadcast::channel(2);
        for n in 0..5u8 {
            sender.send(message("lagged", Value::Bytes(vec![n].into()))).unwrap();
        }
        tracker.spawn(read(receiver, outlet, hearing.clone(), token.clone()));
        assert_eq!(events.recv().await, Some(BusEvent::Gap(Gap::Lagged(3))));
        for n in 3..5 {
            let (channel, batch) = (Channel::from_name("lagged"), vec![n].into());
            assert_eq!(
                events.recv().await,
                Some(BusEvent::Batch { channel, batch }),
                "no more than that is lost"
            );
        }

        sender.send(message("é", Value::from_static_str("text"))).unwrap();
        let batch = Bytes::from_static(b"text");
        let channel = Channel::from_name("é");
        assert_eq!(events.recv().await, Some(BusEvent::Batch { channel, batch }));

        // A probe is heard, and is nobody's batch.
        let before = hearing.messages();
        sender.send(message(hearing.channel().name(), Value::from_static_str(""))).unwrap();
        drop(sender);
        assert_eq!(events.recv().await, None);
        assert_eq!(hearing.messages(), before + 1);
    }
}
