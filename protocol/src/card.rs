//! What an agent says of itself in `hello`, so that others of its tenant find it.

use serde::Deserialize;

use crate::address::is_token_name;
use crate::error::ErrorCode;
use crate::limit;
use crate::text::Text;
use crate::wire::Bounded;
use crate::write::Writer;

/// What an agent says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Card<'a> {
    /// For people.
    pub name: Option<Text<'a>>,
    /// What it can do, each formed like a `key`.
    pub skills: Vec<Text<'a>>,
    /// Its version, formed like a `key`.
    pub version: Option<Text<'a>>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct WireCard<'a> {
    #[serde(borrow, default)]
    name: Option<Text<'a>>,
    #[serde(borrow, default)]
    skills: Option<Bounded<Text<'a>, { limit::CARD_SKILLS_MAX }>>,
    #[serde(borrow, default)]
    version: Option<Text<'a>>,
}

impl<'a> WireCard<'a> {
    /// The card, or how it is more than one may be.
    pub(crate) fn understand(self) -> Result<Card<'a>, ErrorCode> {
        let WireCard { name, skills, version } = self;
        let skills = skills.map(|skills| skills.0).unwrap_or_default();
        if skills.len() > limit::CARD_SKILLS_MAX {
            return Err(ErrorCode::LimitExceeded);
        }
        let bytes: usize = name.iter().chain(&skills).chain(&version).map(|text| text.len()).sum();
        if bytes > limit::CARD_BYTES_MAX
            || name.as_ref().is_some_and(|name| name.len() > limit::CARD_NAME_BYTES_MAX)
        {
            return Err(ErrorCode::TooLarge);
        }
        let named = name.as_ref().is_none_or(|name| !name.is_empty() && !name.contains(char::is_control));
        let formed = skills.iter().chain(&version).all(|text| is_token_name(text));
        let twice = skills.iter().enumerate().any(|(at, skill)| skills[..at].contains(skill));
        if named && formed && !twice {
            Ok(Card { name, skills, version })
        } else {
            Err(ErrorCode::InvalidFrame)
        }
    }
}

pub(crate) fn write_card<W: Writer>(w: &mut W, card: &Card<'_>) {
    w.key("card");
    w.open_map();
    w.optional_text("name", card.name.as_deref());
    if !card.skills.is_empty() {
        w.key("skills");
        w.open_list();
        for skill in &card.skills {
            w.item();
            w.text(skill);
        }
        w.close_list();
    }
    w.optional_text("version", card.version.as_deref());
    w.close_map();
}
