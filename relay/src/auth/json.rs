//! JSON read strictly: no member of an object may stand twice, at any depth.
//!
//! With two members of one name, what was checked and what is used may differ. `serde_json` bounds the depth.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// The members of an object.
pub(in crate::auth) type Members<'a> = BTreeMap<Cow<'a, str>, Json<'a>>;

/// A value, as far as tokens and keys need to tell values apart.
#[derive(Debug)]
pub(in crate::auth) enum Json<'a> {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// An integer of 0 or more, written without fraction or exponent.
    Integer(u64),
    /// Any other number.
    OtherNumber,
    /// A string.
    Text(Cow<'a, str>),
    /// An array.
    List(Vec<Json<'a>>),
    /// An object.
    Object(Members<'a>),
}

/// The members of the one object that `bytes` are, if they are one.
pub(in crate::auth) fn object(bytes: &[u8]) -> Option<Members<'_>> {
    match serde_json::from_slice(bytes) {
        Ok(Json::Object(members)) => Some(members),
        _ => None,
    }
}

impl<'a> Json<'a> {
    /// The text, if it is one.
    pub(in crate::auth) fn as_text(&self) -> Option<&str> {
        match self {
            Json::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The entries, if it is a list.
    pub(in crate::auth) fn as_list(&self) -> Option<&[Json<'a>]> {
        match self {
            Json::List(entries) => Some(entries),
            _ => None,
        }
    }

    /// The entries, if it is a list of nothing but text.
    pub(in crate::auth) fn as_texts(&self) -> Option<Vec<&str>> {
        self.as_list()?.iter().map(Json::as_text).collect()
    }
}

impl<'de> Deserialize<'de> for Json<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Json<'de>, D::Error> {
        deserializer.deserialize_any(JsonVisitor)
    }
}

struct JsonVisitor;

impl<'de> Visitor<'de> for JsonVisitor {
    type Value = Json<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON without repeated members")
    }

    fn visit_unit<E>(self) -> Result<Json<'de>, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json<'de>, E> {
        Ok(Json::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Json<'de>, E> {
        Ok(Json::Integer(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Json<'de>, E> {
        Ok(u64::try_from(value).map_or(Json::OtherNumber, Json::Integer))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Json<'de>, E> {
        Ok(Json::OtherNumber)
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Json<'de>, E> {
        Ok(Json::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Json<'de>, E> {
        Ok(Json::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<Json<'de>, A::Error> {
        let mut list = Vec::new();
        while let Some(entry) = entries.next_element()? {
            list.push(entry);
        }
        Ok(Json::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Json<'de>, A::Error> {
        let mut members = Members::new();
        while let Some((name, value)) = entries.next_entry::<Json<'de>, Json<'de>>()? {
            let Json::Text(name) = name else { return Err(A::Error::custom("a name that is no text")) };
            if members.insert(name, value).is_some() {
                return Err(A::Error::custom("a member stands twice"));
            }
        }
        Ok(Json::Object(members))
    }
}
