//! What to compare with.

use std::fmt;
use std::str::FromStr;

use clap::ValueEnum;

/// More would hold Redis up for milliseconds.
const BATCH_MAX: u32 = 1_000;

/// How the floor takes the socket from HTTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Upgrade {
    /// axum's `WebSocket`.
    Axum,
    /// The TCP stream itself, taken back from hyper, under tokio-tungstenite.
    Raw,
}

/// What a relay can be compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FloorSpec {
    /// A bare WebSocket server.
    Server(ServerSpec),
    /// Redis alone, storing so many messages with each script as the relay does.
    Redis {
        /// Messages of a script.
        batch: u32,
    },
}

/// A bare WebSocket server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServerSpec {
    /// How it takes the socket.
    pub upgrade: Upgrade,
    /// Its read buffer; nothing for the library's default.
    pub read_buffer: Option<usize>,
    /// Whether it writes each message by itself, as plain use of the libraries does.
    pub naive: bool,
    /// Whether it writes to all what one sends, framed once, instead of echoing.
    pub broadcasts: bool,
}

impl FromStr for FloorSpec {
    type Err = String;

    /// `axum` or `raw`, then in any order a read buffer in bytes and `naive`, joined by commas; or `redis` and the messages of a
    /// script.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut words = text.split(',');
        let upgrade = match words.next() {
            Some("axum") => Upgrade::Axum,
            Some("raw") => Upgrade::Raw,
            Some("redis") => return redis(words.next()),
            _ => return Err("begins with none of `axum`, `raw` and `redis`".to_owned()),
        };
        let mut spec = ServerSpec { upgrade, read_buffer: None, naive: false, broadcasts: false };
        for word in words {
            match (word, word.parse()) {
                ("naive", _) => spec.naive = true,
                (_, Ok(bytes)) => spec.read_buffer = Some(bytes),
                (word, Err(_)) => return Err(format!("{word} is neither a number of bytes nor `naive`")),
            }
        }
        Ok(FloorSpec::Server(spec))
    }
}

fn redis(batch: Option<&str>) -> Result<FloorSpec, String> {
    match batch.unwrap_or("1").parse() {
        Ok(batch @ 1..=BATCH_MAX) => Ok(FloorSpec::Redis { batch }),
        _ => Err(format!("a script stores 1 to {BATCH_MAX} messages")),
    }
}

impl fmt::Display for FloorSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FloorSpec::Server(server) => server.fmt(f),
            FloorSpec::Redis { batch } => write!(f, "redis,{batch}"),
        }
    }
}

impl fmt::Display for ServerSpec {
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
        for text in ["axum", "raw,4096", "axum,131072,naive", "raw,naive", "redis,16"] {
            assert_eq!(text.parse::<FloorSpec>().unwrap().to_string(), text);
        }
        for text in ["", "tcp", "axum,fast", "raw,-1", "redis,0", "redis,x"] {
            assert!(text.parse::<FloorSpec>().is_err(), "{text}");
        }
    }
}
