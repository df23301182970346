//! What a client shows to go on with its session: the session's name and 128 random bits. The store keeps its hash.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use relay_protocol::address::agent_of_session;

use crate::auth::{Digest, digest};
use crate::entropy;

/// The secret part of a ticket.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Ticket([u8; 16]);

impl Ticket {
    /// One that nobody has.
    pub(super) fn random() -> Ticket {
        Ticket(entropy::random())
    }

    /// What is stored of it.
    pub(super) fn hash(&self) -> Digest {
        digest(&[b"ticket", &self.0])
    }

    /// What the client of `session` is told.
    pub(super) fn text(&self, session: &str) -> String {
        format!("{session}.{}", URL_SAFE_NO_PAD.encode(self.0))
    }

    /// The session that a ticket names, and its hash, if it is one of `agent`.
    pub(super) fn shown(text: &str, agent: &str) -> Option<(Arc<str>, Digest)> {
        let (session, secret) = text.rsplit_once('.')?;
        if agent_of_session(session) != Some(agent) {
            return None;
        }
        let mut bits = [0; 16];
        let decoded = URL_SAFE_NO_PAD.decode_slice(secret, &mut bits);
        (decoded == Ok(bits.len())).then(|| (session.into(), Ticket(bits).hash()))
    }
}

impl std::fmt::Debug for Ticket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Ticket")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_is_of_one_session_of_one_agent() {
        let (ticket, session) = (Ticket::random(), format!("b.ob~{}", "x".repeat(22)));
        let text = ticket.text(&session);
        assert_eq!(Ticket::shown(&text, "b.ob"), Some((session.as_str().into(), ticket.hash())));
        assert_eq!(Ticket::shown(&text, "bob"), None);
        for text in ["", ".", "b.ob", &text[..text.len() - 1], &format!("{text}A")] {
            assert_eq!(Ticket::shown(text, "b.ob"), None, "{text}");
        }
        assert_eq!(format!("{ticket:?}"), "Ticket");
    }
}
