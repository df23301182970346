//! One key of a JWKS document (RFC 7517, RFC 7518 §6, RFC 8037).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::auth::json::{Json, Members};
use crate::auth::keyset::error::KeyError;
use crate::auth::keyset::key::VerifyingKey;

/// A key and the name that tokens call it by.
#[derive(Debug)]
pub(super) struct NamedKey<'a> {
    pub(super) key_id: Option<&'a str>,
    pub(super) key: VerifyingKey,
}

/// The key that `entry` describes; none if it is for something else than verifying signatures.
pub(super) fn read<'a>(entry: &'a Json<'_>) -> Result<Option<NamedKey<'a>>, KeyError> {
    let Json::Object(members) = entry else { return Err(KeyError::UnsupportedType) };
    if !is_for_verifying(members)? {
        return Ok(None);
    }
    let key_id = optional(members, "kid", Json::as_text)?;
    let key = match (optional(members, "kty", Json::as_text)?, optional(members, "crv", Json::as_text)?) {
        (Some("oct"), _) => VerifyingKey::hmac(&bytes(members, "k")?)?,
        _ if members.contains_key("d") => return Err(KeyError::Private),
        (Some("RSA"), _) => VerifyingKey::rsa(&bytes(members, "n")?, &bytes(members, "e")?)?,
        (Some("EC"), Some("P-256")) => {
            VerifyingKey::p256(&coordinate(members, "x")?, &coordinate(members, "y")?)
        }
        (Some("OKP"), Some("Ed25519")) => VerifyingKey::ed25519(&coordinate(members, "x")?),
        _ => return Err(KeyError::UnsupportedType),
    };
    // A type goes with one algorithm of ours, so that an absent `alg` leaves nothing open.
    let wanted = key.algorithm();
    match optional(members, "alg", Json::as_text)? {
        Some(name) if name != wanted.name() => Err(KeyError::UnsupportedAlgorithm { wanted }),
        Some(_) | None => Ok(Some(NamedKey { key_id, key })),
    }
}

fn is_for_verifying(members: &Members<'_>) -> Result<bool, KeyError> {
    let usage = optional(members, "use", Json::as_text)?;
    let operations = optional(members, "key_ops", Json::as_texts)?;
    Ok(usage.is_none_or(|usage| usage == "sig")
        && operations.is_none_or(|operations| operations.contains(&"verify")))
}

/// What `read` makes of a member that may be absent.
fn optional<'a, 'j: 'a, T>(
    members: &'a Members<'j>,
    member: &'static str,
    read: fn(&'a Json<'j>) -> Option<T>,
) -> Result<Option<T>, KeyError> {
    members.get(member).map(|value| read(value).ok_or(KeyError::Member { member })).transpose()
}

fn bytes(members: &Members<'_>, member: &'static str) -> Result<Vec<u8>, KeyError> {
    let text = members.get(member).and_then(Json::as_text);
    text.and_then(|text| URL_SAFE_NO_PAD.decode(text).ok()).ok_or(KeyError::Member { member })
}

fn coordinate(members: &Members<'_>, member: &'static str) -> Result<[u8; 32], KeyError> {
    bytes(members, member)?.try_into().map_err(|_| KeyError::Member { member })
}
