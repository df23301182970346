//! What a client shows to go on with its session: the session's name, 128 random bits, of which the store keeps the hash, and
//! the epoch of its agent's stream when it was given.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use relay_protocol::address::agent_of_session;

use crate::auth::{Digest, digest};
use crate::entropy;

/// A ticket, but for whose it is.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Ticket {
    secret: [u8; 16],
    /// Empty where it is not known.
    epoch: Arc<str>,
}

/// A ticket that a client shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Shown {
    pub(super) session: Arc<str>,
    pub(super) hash: Digest,
    /// In which epoch of its agent's stream it was given; empty where that was not known.
    pub(super) epoch: Box<str>,
}

impl Ticket {
    /// One that nobody has.
    pub(super) fn random() -> Ticket {
        Ticket { secret: entropy::random(), epoch: "".into() }
    }

    /// The same, given in this epoch of the stream of its agent.
    pub(super) fn given_in(self, epoch: &Arc<str>) -> Ticket {
        Ticket { epoch: Arc::clone(epoch), ..self }
    }

    /// What is stored of it.
    pub(super) fn hash(&self) -> Digest {
        hash(&self.secret)
    }

    /// What the client of `session` is told.
    pub(super) fn text(&self, session: &str) -> String {
        format!("{session}.{}.{}", URL_SAFE_NO_PAD.encode(self.secret), self.epoch)
    }

    /// What a ticket says, if it is one of `agent`.
    pub(super) fn shown(text: &str, agent: &str) -> Option<Shown> {
        let (named, epoch) = text.rsplit_once('.')?;
        let (session, secret) = named.rsplit_once('.')?;
        if agent_of_session(session) != Some(agent) {
            return None;
        }
        let mut bits = [0; 16];
        let decoded = URL_SAFE_NO_PAD.decode_slice(secret, &mut bits);
        let shown = || Shown { session: session.into(), hash: hash(&bits), epoch: epoch.into() };
        (decoded == Ok(bits.len())).then(shown)
    }
}

fn hash(secret: &[u8; 16]) -> Digest {
    digest(&[b"ticket", secret])
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
        let shown = |epoch: &str| Shown {
            session: session.as_str().into(),
            hash: ticket.hash(),
            epoch: epoch.into(),
        };
        let text = ticket.text(&session);
        assert_eq!(Ticket::shown(&text, "b.ob"), Some(shown("")));
        let given = ticket.clone().given_in(&"epoch".into()).text(&session);
        assert_eq!(Ticket::shown(&given, "b.ob"), Some(shown("epoch")));
        assert_eq!(Ticket::shown(&text, "bob"), None);
        for text in ["", ".", "b.ob", &text[..text.len() - 2], &text[..text.len() - 1], &format!("{text}.A")]
        {
            assert_eq!(Ticket::shown(text, "b.ob"), None, "{text}");
        }
        assert_eq!(format!("{ticket:?}"), "Ticket");
    }
}
