//! Who is connecting, and what it may do. Principals are made by authenticators only.
//!
//! A token is checked once per connection and once per refresh, and again when news come that concern it; what it allows
//! is checked per message, by [`Rights`]. What is not granted is refused. Revocation is no concern of this module: it
//! says what a token was good for when it was made.

pub mod algorithm;
#[cfg(feature = "test-util")]
pub mod credulous;
mod digest;
pub mod error;
mod gated;
mod grants;
mod json;
pub mod jwt;
pub mod key_server;
pub mod keyset;
pub mod mint;
pub mod principal;
pub mod rights;

#[cfg(test)]
mod tests;

use std::fmt::Debug;
use std::time::SystemTime;

use futures_util::future::BoxFuture;

pub use algorithm::Algorithm;
pub use digest::{Digest, digest};
pub use error::AuthError;
pub use gated::{Gate, Gated};
pub use jwt::{FIREBASE_KEYS_URL, FirebaseRules, Issuer, JwtAuthenticator, JwtRules};
pub use key_server::{KeyServer, KeyServerSettings};
pub use keyset::KeySet;
pub use mint::{Minter, TokenRequest};
pub(crate) use principal::Validity;
pub use principal::{Principal, TokenKey};
pub use rights::{InvalidRight, Rights, RightsClaim};

/// Tells who presents a token.
pub trait Authenticator: Debug + Send + Sync {
    /// The principal that `token` stands for at the time `now`. It may wait for what the token is to be checked with, a
    /// few seconds at most; what is at hand is answered at once.
    fn authenticate<'a>(
        &'a self,
        token: &'a str,
        now: SystemTime,
    ) -> BoxFuture<'a, Result<Principal, AuthError>>;

    /// Whether a principal that was authenticated here may stay. Never waits, and says yes while it is not known.
    fn recheck(&self, principal: &Principal) -> Result<(), AuthError>;
}
