//! Which bare server to compare with.

use std::fmt;
use std::str::FromStr;

use clap::ValueEnum;

/// How the floor takes the socket from HTTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Upgrade {
    /// axum's `WebSocket`.
    Axum,
    /// The TCP stream itself, taken back from hyper, under tokio-tungstenite.
    Raw,
}

/// A bare server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FloorSpec {
    /// How it takes the socket.
    pub upgrade: Upgrade,
    /// Its read buffer; nothing for the library's default.
    pub read_buffer: Option<usize>,
    /// Whether it writes each message by itself, as plain use of the libraries does.
    pub naive: bool,
}

impl FromStr for FloorSpec {
    type Err = String;

    /// `axum` or `raw`, then in any order a read buffer in bytes and `naive`, joined by commas.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut words = text.split(',');
        let upgrade = match words.next() {
            Some("axum") => Upgrade::Axum,
            Some("raw") => Upgrade::Raw,
            _ => return Err("begins with neither `axum` nor `raw`".to_owned()),
        };
        let mut spec = FloorSpec { upgrade, read_buffer: None, naive: false };
        for word in words {
            match (word, word.parse()) {
                ("naive", _) => spec.naive = true,
                (_, Ok(bytes)) => spec.read_buffer = Some(bytes),
                (word, Err(_)) => return Err(format!("{word} is neither a number of bytes nor `naive`")),
            }
        }
        Ok(spec)
    }
}

impl fmt::Display for FloorSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.upgrade {
            Upgrade::Axum => "axum",
            Upgrade::Raw => "raw",
        })?;
        if let Some(bytes) = self.read_buffer {
            write!(f, ",{bytes}")?;
        }
        if self.naive { f.write_str(",naive") } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spec_is_read_as_it_is_written() {
        for text in ["axum", "raw,4096", "axum,131072,naive", "raw,naive"] {
            assert_eq!(text.parse::<FloorSpec>().unwrap().to_string(), text);
        }
        for text in ["", "tcp", "axum,fast", "raw,-1"] {
            assert!(text.parse::<FloorSpec>().is_err(), "{text}");
        }
    }
}
