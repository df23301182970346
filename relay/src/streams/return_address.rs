//! Who hears that a message was delivered. Stored beside the message as one word, so that the store need not know it.

use std::fmt;
use std::sync::Arc;

use crate::bus::InstanceId;

/// A command of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReturnAddress {
    /// Where the connection was.
    pub instance: InstanceId,
    /// Its session.
    pub session: Arc<str>,
    /// Which connection of the session: ids of commands begin again with each.
    pub generation: u64,
    /// The command.
    pub id: u64,
    /// Only failure is told.
    pub failure_only: bool,
    /// The message's name for good, for who has another connection by then; empty if an earlier release wrote it.
    pub mid: Box<str>,
}

impl ReturnAddress {
    /// The address that `text` writes.
    pub fn parse(text: &str) -> Option<ReturnAddress> {
        let mut words = text.split(' ');
        let instance = InstanceId::parse(words.next()?)?;
        let session = words.next()?.into();
        let (generation, id) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
        let failure_only = words.next()? == "failure";
        let mid = words.next().unwrap_or_default().into();
        Some(ReturnAddress { instance, session, generation, id, failure_only, mid })
    }
}

impl fmt::Display for ReturnAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ReturnAddress { instance, session, generation, id, failure_only, mid } = self;
        let mode = if *failure_only { "failure" } else { "all" };
        write!(f, "{instance} {session} {generation} {id} {mode} {mid}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        for failure_only in [true, false] {
            let address = ReturnAddress {
                instance: InstanceId::random(),
                session: "bob~x".into(),
                generation: 3,
                id: (1 << 53) - 1,
                failure_only,
                mid: "m:1".into(),
            };
            assert_eq!(ReturnAddress::parse(&address.to_string()), Some(address));
        }
        for text in ["", "a", "a b c d all", "a b 1 2"] {
            assert_eq!(ReturnAddress::parse(text), None, "{text}");
        }
    }
}
