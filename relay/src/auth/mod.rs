//! Who is connecting, and what it may do. Nothing else in the relay makes a [`Principal`].
//!
//! A token is checked once per connection and once per refresh; what it allows is checked per message, by
//! [`Rights`]. What is not granted is refused. Revocation is no concern of this module: it says what a token was good
//! for when it was made.

pub mod algorithm;
pub mod error;
mod grants;
mod json;
pub mod jwt;
pub mod keyset;
pub mod mint;
pub mod principal;
pub mod rights;

#[cfg(test)]
mod tests;

use std::fmt::Debug;
use std::time::SystemTime;

pub use algorithm::Algorithm;
pub use error::AuthError;
pub use jwt::{JwtAuthenticator, JwtRules};
pub use keyset::KeySet;
pub use mint::{Minter, TokenRequest};
pub use principal::Principal;
pub use rights::{Rights, RightsClaim};

/// Tells who presents a token.
///
/// It never waits: an authenticator that fetches keys holds the set it fetched last.
pub trait Authenticator: Debug + Send + Sync {
    /// The principal that `token` stands for at the time `now`.
    fn authenticate(&self, token: &str, now: SystemTime) -> Result<Principal, AuthError>;
}
