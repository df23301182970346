//! How a connection ends, or does not begin.

use std::io;

use relay_protocol::ErrorCode;
use thiserror::Error;
use tokio_tungstenite::tungstenite;

/// Why a connection is over.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{reason}")]
pub struct Ended {
    /// The number in the close frame, if one came.
    pub code: Option<u16>,
    /// The reason in `closing` if one came, else in the close frame, else what broke.
    pub reason: String,
}

impl Ended {
    pub(crate) fn broken(reason: impl Into<String>) -> Ended {
        Ended { code: None, reason: reason.into() }
    }
}

impl From<tungstenite::Error> for Ended {
    fn from(error: tungstenite::Error) -> Self {
        match error {
            tungstenite::Error::Io(error) => Ended::broken(format!("socket: {}", error.kind())),
            error => Ended::broken(error.to_string()),
        }
    }
}

/// Why an agent could not connect.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The TCP connection.
    #[error("cannot reach the relay")]
    Tcp(#[source] io::Error),
    /// The upgrade was answered with another status.
    #[error("the upgrade was refused with HTTP {status}")]
    Refused {
        /// The status.
        status: u16,
        /// When to come back, in seconds.
        retry_after_s: Option<u64>,
    },
    /// The upgrade failed otherwise.
    #[error("the upgrade failed")]
    Upgrade(#[source] tungstenite::Error),
    /// The relay chose another subprotocol than the one offered, or none.
    #[error("the relay did not choose {0}")]
    Subprotocol(&'static str),
    /// The relay closed instead of welcoming.
    #[error("the relay closed the connection: {0}")]
    Ended(#[from] Ended),
    /// A command at the beginning was refused.
    #[error("the relay refused {command}: {code}")]
    Command {
        /// The command.
        command: &'static str,
        /// Why.
        code: ErrorCode,
    },
    /// No welcome in time.
    #[error("no welcome within {0} s")]
    Timeout(u64),
}
