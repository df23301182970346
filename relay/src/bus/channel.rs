//! Names of channels. Made here and nowhere else, so that nothing a client sends can name another tenant's.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// One life of one relay process: a restart is another instance, so nothing of the former is mistaken for it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct InstanceId(Arc<str>);

impl InstanceId {
    /// An id that no other instance has: 96 random bits.
    pub fn random() -> InstanceId {
        let bits: [u8; 12] = rand::random();
        InstanceId(URL_SAFE_NO_PAD.encode(bits).into())
    }

    /// The id that `text` writes, if it is short enough to be one.
    pub fn parse(text: &str) -> Option<InstanceId> {
        let valid = (1..=32).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
        valid.then(|| InstanceId(text.into()))
    }

    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for InstanceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A channel of the bus. Cloning shares the name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Channel(Arc<str>);

impl Channel {
    /// What is meant for one instance: messages to its agents, answers to its messages.
    pub fn inbox(instance: &InstanceId) -> Channel {
        Channel(format!("r1:i:{instance}").into())
    }

    /// What an instance says to itself, to find out whether it hears.
    pub fn probe(instance: &InstanceId) -> Channel {
        Channel(format!("r1:p:{instance}").into())
    }

    /// The same for each of several servers: which one carries it depends on the number.
    pub fn numbered_probe(instance: &InstanceId, number: u32) -> Channel {
        Channel(format!("r1:p:{instance}:{number}").into())
    }

    /// What is meant for every instance.
    pub fn fleet() -> Channel {
        Channel("r1:fleet".into())
    }

    /// Messages to a topic, or copies of them for the subscribers of a pattern. `tenant` and `pattern` are checked
    /// names, in which `:` cannot stand.
    pub fn topic(tenant: &str, pattern: &str) -> Channel {
        Channel(format!("r1:t:{tenant}:{pattern}").into())
    }

    /// Its name on the bus.
    pub fn name(&self) -> &str {
        &self.0
    }

    /// The channel of a name that came from the bus.
    pub fn from_name(name: &str) -> Channel {
        Channel(name.into())
    }

    /// The tenant and pattern of a topic channel.
    pub fn as_topic(&self) -> Option<(&str, &str)> {
        self.0.strip_prefix("r1:t:")?.split_once(':')
    }
}

impl Borrow<str> for Channel {
    fn borrow(&self) -> &str {
        &self.0
    }
}
