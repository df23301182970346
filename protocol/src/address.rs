//! Addresses and names: nothing else in the relay holds an address that is not of these forms.

use std::borrow::Cow;

use crate::limit;
use crate::topic;

/// What an address points at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AddressKind {
    /// Every session of an agent.
    Agent,
    /// One session.
    Session,
    /// Every subscriber of a topic.
    Topic,
    /// One member of a group.
    Group,
}

impl AddressKind {
    /// What an address of this kind begins with.
    pub const fn prefix(self) -> &'static str {
        match self {
            AddressKind::Agent => "agent/",
            AddressKind::Session => "session/",
            AddressKind::Topic => "topic/",
            AddressKind::Group => "group/",
        }
    }
}

/// An address whose name is known to be of the right form.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Address<'a> {
    text: Cow<'a, str>,
    kind: AddressKind,
}

impl<'a> Address<'a> {
    /// Stands where one will be written, and is never handed out.
    pub(crate) const EMPTY: Address<'static> = Address { text: Cow::Borrowed(""), kind: AddressKind::Agent };

    /// The address that `text` writes, if it writes one.
    pub fn parse(text: Cow<'a, str>) -> Option<Address<'a>> {
        let (kind, name) = match text.as_bytes().first()? {
            b'a' => (AddressKind::Agent, text.strip_prefix("agent/")?),
            b's' => (AddressKind::Session, text.strip_prefix("session/")?),
            b't' => (AddressKind::Topic, text.strip_prefix("topic/")?),
            b'g' => (AddressKind::Group, text.strip_prefix("group/")?),
            _ => return None,
        };
        let valid = match kind {
            AddressKind::Agent => is_agent(name),
            AddressKind::Session => agent_of_session(name).is_some(),
            AddressKind::Topic | AddressKind::Group => topic::is_topic(name),
        };
        valid.then_some(Address { text, kind })
    }

    /// What it points at.
    pub fn kind(&self) -> AddressKind {
        self.kind
    }

    /// The part after the slash.
    pub fn name(&self) -> &str {
        &self.text[self.kind.prefix().len()..]
    }

    /// The whole address.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The same address, borrowing from this one.
    pub fn borrowed(&self) -> Address<'_> {
        Address { text: Cow::Borrowed(&self.text), kind: self.kind }
    }

    /// The same address, borrowing from nothing.
    pub fn into_owned(self) -> Address<'static> {
        Address { text: Cow::Owned(self.text.into_owned()), kind: self.kind }
    }
}

/// Whether `name` is a tenant: `A–Z a–z 0–9 _ -`.
pub fn is_tenant(name: &str) -> bool {
    (1..=limit::TENANT_BYTES_MAX).contains(&name.len()) && name.bytes().all(is_word)
}

/// Whether `name` is an agent: like a tenant, and `.` except at the beginning.
pub fn is_agent(name: &str) -> bool {
    (1..=limit::AGENT_BYTES_MAX).contains(&name.len())
        && !name.starts_with('.')
        && name.bytes().all(|byte| is_word(byte) || byte == b'.')
}

/// The agent in a session's name, if it is the name of one: `<agent>~<22 characters>`.
pub fn agent_of_session(name: &str) -> Option<&str> {
    let (agent, suffix) = name.split_once('~')?;
    let valid = is_agent(agent) && suffix.len() == limit::SESSION_SUFFIX_BYTES && suffix.bytes().all(is_word);
    valid.then_some(agent)
}

/// Whether `name` is a `mid`, `correlation_id` or `key`.
pub fn is_token_name(name: &str) -> bool {
    (1..=limit::TOKEN_NAME_BYTES_MAX).contains(&name.len())
        && name.bytes().all(|byte| is_word(byte) || matches!(byte, b'.' | b':' | b'~'))
}

pub(crate) const fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_form_is_read_and_each_near_miss_refused() {
        let session = format!("session/bob~{}", "a".repeat(22));
        for good in ["agent/bob", "agent/b.o-b_1", session.as_str(), "topic/a.b", "group/work"] {
            let address = Address::parse(good.into()).map(|address| address.as_str().to_owned());
            assert_eq!(address.as_deref(), Some(good));
        }
        let long = format!("agent/{}", "x".repeat(129));
        for bad in [
            "",
            "agent",
            "agent/",
            "agent/.b",
            "agent/a b",
            "agent/a/b",
            "agent/*",
            "agent/ä",
            "agent/a:b",
            "agent/a\n",
            "session/bob",
            "session/bob~short",
            "topic/",
            "topic/a..b",
            "topic/.a",
            "topic/a.*",
            "group/a.",
            "Agent/a",
            "other/a",
            long.as_str(),
        ] {
            assert_eq!(Address::parse(bad.into()), None, "{bad}");
        }
    }
}
