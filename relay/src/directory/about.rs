//! What is known of a session beside where it is: for who looks at a listing, never for who routes a message.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// What is known of a session.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct About {
    /// Since when it is connected where it is, in milliseconds of Unix time.
    pub since_ms: u64,
    /// What its agent says of itself.
    pub card: Option<Box<Card>>,
}

/// What an agent says of itself; bounded by the protocol.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Card {
    /// For people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<Box<str>>,
    /// What it can do.
    #[serde(default)]
    pub skills: Box<[Box<str>]>,
    /// Its version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<Box<str>>,
}

impl Card {
    /// The card as a client showed it.
    pub fn of(card: &relay_protocol::card::Card<'_>) -> Card {
        let own = |text: &relay_protocol::Text<'_>| Box::from(&**text);
        Card {
            name: card.name.as_ref().map(own),
            skills: card.skills.iter().map(own).collect(),
            version: card.version.as_ref().map(own),
        }
    }
}

impl About {
    /// As it is stored: `since,` and the card in JSON where there is one. Never to be taken for an entry, which has no comma.
    pub(super) fn text(&self) -> String {
        let card = self.card.as_ref().and_then(|card| serde_json::to_string(card).ok()).unwrap_or_default();
        format!("{},{card}", self.since_ms)
    }

    /// From that text, if this release can read it.
    pub(super) fn parse(text: &str) -> Option<Arc<About>> {
        let (since, card) = text.split_once(',')?;
        let card = if card.is_empty() { None } else { Some(serde_json::from_str(card).ok()?) };
        Some(Arc::new(About { since_ms: since.parse().ok()?, card }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let bare = Card { name: None, skills: [].into(), version: None };
        let full = Card {
            name: Some("a, \"b\" | 7".into()),
            skills: ["x:y".into(), "z".into()].into(),
            version: Some("1".into()),
        };
        for card in [None, Some(bare), Some(full)] {
            let about = About { since_ms: 7, card: card.map(Box::new) };
            assert_eq!(About::parse(&about.text()).as_deref(), Some(&about));
        }
        for unreadable in ["", "7", "x,", "7,{", "7,[]", "i|7"] {
            assert_eq!(About::parse(unreadable), None, "{unreadable}");
        }
    }
}
