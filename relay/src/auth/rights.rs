//! What a principal may do. Least privilege: what is not granted is refused.
//!
//! The checks are made for each message. They allocate nothing, and their cost is a binary search in the patterns of
//! one kind, of which there are at most [`PATTERNS_MAX`].

use relay_protocol::address::{Address, AddressKind, is_agent};
use relay_protocol::{limit, topic};
use serde::Serialize;
use thiserror::Error;

use crate::auth::grants::Grants;
use crate::auth::json::{self, Json, Members};

/// The most patterns in each list of a token: as many as a connection may have subscriptions.
pub const PATTERNS_MAX: usize = 256;

/// The claim `relay` of a token, as PROTOCOL.md §11 has it. What is left out is not granted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct RightsClaim {
    /// Patterns of the topics it may publish to.
    pub publish: Vec<String>,
    /// Patterns of the topics it may subscribe to.
    pub subscribe: Vec<String>,
    /// Addresses it may send to; a trailing `*` stands for any rest.
    pub send: Vec<String>,
    /// Patterns of the groups it may join.
    pub join: Vec<String>,
    /// Agents, groups and topics whose presence it may watch, as addresses; a trailing `*` stands for any rest.
    pub watch: Vec<String>,
    /// Whether it may act on others of its tenant.
    pub admin: bool,
}

impl RightsClaim {
    /// What the members of a claim grant. Members that are not known grant nothing, so that claims of a later release are
    /// good here.
    pub(in crate::auth) fn read(granted: &Members<'_>) -> Result<RightsClaim, InvalidRight> {
        let patterns = |list: &'static str| match granted.get(list) {
            None => Ok(Vec::new()),
            Some(Json::List(patterns)) => {
                let patterns = patterns.iter().map(|pattern| pattern.as_text().map(str::to_owned));
                patterns.collect::<Option<Vec<String>>>().ok_or(InvalidRight::Pattern { list })
            }
            Some(_) => Err(InvalidRight::Type { member: list }),
        };
        let admin = match granted.get("admin") {
            None => false,
            Some(Json::Bool(admin)) => *admin,
            Some(_) => return Err(InvalidRight::Type { member: "admin" }),
        };
        Ok(RightsClaim {
            publish: patterns("publish")?,
            subscribe: patterns("subscribe")?,
            send: patterns("send")?,
            join: patterns("join")?,
            watch: patterns("watch")?,
            admin,
        })
    }

    /// What a claim written as JSON grants, each of its patterns being one.
    pub fn parse(text: &str) -> Result<RightsClaim, InvalidRight> {
        let granted = json::object(text.as_bytes()).ok_or(InvalidRight::Type { member: "relay" })?;
        let claim = RightsClaim::read(&granted)?;
        Rights::new(&claim)?;
        Ok(claim)
    }

    /// Everything within a tenant but to administrate it.
    pub fn everything() -> RightsClaim {
        let every = |patterns: &[&str]| patterns.iter().map(|pattern| (*pattern).to_owned()).collect();
        RightsClaim {
            publish: every(&["*"]),
            subscribe: every(&["*"]),
            send: every(&["agent/*", "session/*", "group/*"]),
            join: every(&["*"]),
            watch: every(&["agent/*", "group/*", "topic/*"]),
            admin: false,
        }
    }
}

/// What is wrong with a claim of rights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum InvalidRight {
    /// One of the patterns is none, or an entry is no text.
    #[error("`{list}` holds something that is not a pattern")]
    Pattern {
        /// In which list.
        list: &'static str,
    },
    /// A list has more patterns than are allowed.
    #[error("`{list}` holds more than {PATTERNS_MAX} patterns")]
    TooMany {
        /// Which list.
        list: &'static str,
    },
    /// A part of the claim, or the claim itself, has the wrong type.
    #[error("`{member}` has the wrong type")]
    Type {
        /// Which.
        member: &'static str,
    },
}

/// What a principal may do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rights {
    publish: Grants,
    subscribe: Grants,
    agents: Grants,
    sessions: Grants,
    groups: Grants,
    joins: Grants,
    watches: Grants,
    admin: bool,
}

impl Rights {
    /// The rights that `claim` grants, if each of its patterns is one.
    pub fn new(claim: &RightsClaim) -> Result<Rights, InvalidRight> {
        check("publish", &claim.publish, topic::is_pattern)?;
        check("subscribe", &claim.subscribe, topic::is_pattern)?;
        check("join", &claim.join, topic::is_pattern)?;
        check("watch", &claim.watch, is_watch_pattern)?;
        check("send", &claim.send, is_send_pattern)?;
        let send = |kind: AddressKind| {
            claim.send.iter().filter_map(move |address| address.strip_prefix(kind.prefix()))
        };
        Ok(Rights {
            publish: Grants::new(claim.publish.iter().map(String::as_str)),
            subscribe: Grants::new(claim.subscribe.iter().map(String::as_str)),
            agents: Grants::new(send(AddressKind::Agent)),
            sessions: Grants::new(send(AddressKind::Session)),
            groups: Grants::new(send(AddressKind::Group)),
            joins: Grants::new(claim.join.iter().map(String::as_str)),
            watches: Grants::new(claim.watch.iter().map(String::as_str)),
            admin: claim.admin,
        })
    }

    /// Whether it may publish to a topic.
    pub fn may_publish(&self, topic: &str) -> bool {
        self.publish.allow(topic)
    }

    /// Whether it may subscribe to a pattern: some granted pattern must match all that this one does.
    pub fn may_subscribe(&self, pattern: &str) -> bool {
        self.subscribe.cover(pattern)
    }

    /// Whether it may become a member of a group.
    pub fn may_join(&self, group: &str) -> bool {
        self.joins.allow(group)
    }

    /// Whether it may know who is present at an address.
    pub fn may_watch(&self, to: &Address<'_>) -> bool {
        to.kind() != AddressKind::Session && self.watches.allow(to.as_str())
    }

    /// Whether it may send to an address. For a topic that is whether it may publish to it. The right to reach an agent
    /// is not the right to pick out its sessions.
    pub fn may_send(&self, to: &Address<'_>) -> bool {
        let grants = match to.kind() {
            AddressKind::Agent => &self.agents,
            AddressKind::Session => &self.sessions,
            AddressKind::Topic => &self.publish,
            AddressKind::Group => &self.groups,
        };
        grants.allow(to.name())
    }

    /// Whether it may act on others of its tenant.
    pub fn is_admin(&self) -> bool {
        self.admin
    }
}

fn check(list: &'static str, patterns: &[String], is_valid: fn(&str) -> bool) -> Result<(), InvalidRight> {
    if patterns.len() > PATTERNS_MAX {
        return Err(InvalidRight::TooMany { list });
    }
    if !patterns.iter().all(|pattern| is_valid(pattern)) {
        return Err(InvalidRight::Pattern { list });
    }
    Ok(())
}

/// Whether `pattern` is an address, but of a topic, or can be continued to one when its trailing `*` is taken away.
fn is_send_pattern(pattern: &str) -> bool {
    let Some(head) = pattern.strip_suffix('*') else {
        return Address::parse(pattern.into()).is_some_and(|address| address.kind() != AddressKind::Topic);
    };
    if let Some(agent) = head.strip_prefix(AddressKind::Agent.prefix()) {
        agent.is_empty() || is_agent(agent)
    } else if let Some(session) = head.strip_prefix(AddressKind::Session.prefix()) {
        session.is_empty() || is_agent(session) || begins_session(session)
    } else if let Some(group) = head.strip_prefix(AddressKind::Group.prefix()) {
        group.is_empty() || topic::is_topic(group.strip_suffix('.').unwrap_or(group))
    } else {
        false
    }
}

/// Whether `pattern` is an address whose presence can be watched, or can be continued to one.
fn is_watch_pattern(pattern: &str) -> bool {
    let topics = pattern.strip_prefix(AddressKind::Topic.prefix());
    topics.map_or_else(
        || is_send_pattern(pattern) && !pattern.starts_with(AddressKind::Session.prefix()),
        topic::is_pattern,
    )
}

/// Whether `head` is an agent, `~`, and no more of the random part than there is.
fn begins_session(head: &str) -> bool {
    head.split_once('~').is_some_and(|(agent, suffix)| {
        is_agent(agent)
            && suffix.len() <= limit::SESSION_SUFFIX_BYTES
            && suffix.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
    })
}
