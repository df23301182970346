//! What a run is to do, as the command line says it.

use std::time::Duration;

use clap::{Args, ValueEnum};
use relay_protocol::Encoding;
use relay_protocol::client::ReceiptMode;
use serde::{Deserialize, Serialize};

use crate::search::goal::Goal;
use crate::stamp::PAYLOAD_BYTES_MIN;
use crate::trial::live::SHARDS;

/// The bound of row AF1.
const TARGET_P95_MS: f64 = 100.0;
/// Each has counters of its own.
const PROCESSES_MAX: i64 = SHARDS as i64;

/// The load itself.
#[derive(Debug, Clone, Args, Serialize, Deserialize)]
#[command(next_help_heading = "Load")]
pub struct Plan {
    /// How many agents connect, rounded up to whole pairs; for fan-out how many subscribe
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub agents: u32,
    /// Messages per second of all agents together, sent on a schedule fixed in advance and with latency counted from it;
    /// without it each agent sends as its last message arrives
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub rate: Option<u32>,
    /// Messages in flight of each pair; for fan-out how many a publisher may be ahead of the slowest of 16 sampled
    /// subscribers [default: 1, fan-out 64]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=65_536))]
    pub depth: Option<u32>,
    /// Seconds of traffic that count
    #[arg(long, value_name = "S", default_value_t = 10.0, value_parser = seconds)]
    pub duration: f64,
    /// Seconds of traffic before, which are checked but do not count
    #[arg(long, value_name = "S", default_value_t = 1.0, value_parser = seconds)]
    pub warm_up: f64,
    /// Seconds without any arrival after which what is missing is lost
    #[arg(long, value_name = "S", default_value_t = 3.0, value_parser = seconds)]
    pub grace: f64,
    /// Size of each payload
    #[arg(long, value_name = "BYTES", default_value_t = 128, value_parser = payload)]
    pub payload: usize,
    /// How agents write their frames; `mixed` alternates, so that the relay translates
    #[arg(long, value_enum, default_value_t = EncodingChoice::Json)]
    pub encoding: EncodingChoice,
    /// Which outcomes senders ask to be told
    #[arg(long, value_enum, default_value_t = Receipt::Failure)]
    pub receipt: Receipt,
    /// Frames that an agent may put into one WebSocket message
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub batch: u32,
    /// Tenants that the agents are spread over; each has agents of the same names
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub tenants: u32,
    /// Whether the two of a pair connect to different relays, where there are several
    #[arg(long, value_enum, default_value_t = Placement::Cross)]
    pub placement: Placement,
    /// fan-out: how many publish
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub publishers: u32,
    /// request-reply: milliseconds after which an answer is worthless
    #[arg(long, value_name = "MS", default_value_t = 5_000, value_parser = clap::value_parser!(u64).range(1..=60_000))]
    pub deadline: u64,
    /// request-reply: messages per second besides, which ask nothing
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub writes: Option<u32>,
    /// token-streaming: messages of each stream
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub tokens: u32,
    /// priorities: messages per second that each recipient takes
    #[arg(long, value_name = "N", default_value_t = 2_000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub take: u32,
    /// slow-reader: how many get one message in four and may stop reading
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub stalled: u32,
    /// slow-reader: when they stop reading their sockets
    #[arg(long, value_enum, default_value_t = Stall::FromStart)]
    pub stall: Stall,
    /// noisy-tenant: agents of the noisy tenant, besides --agents of the quiet one
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u32).range(2..=10_000))]
    pub noisy: u32,
    /// noisy-tenant: messages per second of the noisy tenant
    #[arg(long, value_name = "N", default_value_t = 30_000, value_parser = clap::value_parser!(u32).range(0..=1_000_000))]
    pub noise: u32,
    /// overload: how many times the rate before is sent
    #[arg(long, value_name = "N", default_value_t = 2.0, value_parser = factor)]
    pub overload: f64,
    /// overload: of the time, what relays started here may run, so that they and not this generator are at their bounds; 1: all
    #[arg(long, value_name = "SHARE", default_value_t = 0.25, value_parser = share)]
    pub relay_share: f64,
    /// churn: agents that come a second, and leave again
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u32).range(0..=10_000))]
    pub churn: u32,
    /// idle: afterwards each agent sends itself one message of that size, and memory is measured again
    #[arg(long, value_name = "BYTES", value_parser = payload)]
    pub after_message: Option<usize>,
    /// Latency that 95 of 100 messages may take, in milliseconds, for --search, --must-meet, overload and peak [default: 100]
    #[arg(long, value_name = "MS", value_parser = milliseconds)]
    pub target_p95: Option<f64>,
    /// The same of 99 of 100 messages [default: none]
    #[arg(long, value_name = "MS", value_parser = milliseconds)]
    pub target_p99: Option<f64>,
    /// A run that misses its target, or of whose messages more than one in a thousand is refused, has broken a promise
    #[arg(long)]
    pub must_meet: bool,
    /// Bytes that the kernel may hold for each agent before it is read [default: the system's, some megabytes]
    #[arg(long, value_name = "BYTES", value_parser = clap::value_parser!(u32).range(4_096..=16_777_216))]
    pub receive_buffer: Option<u32>,
    /// Connections begun per second; without it as fast as they are made
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub connect_rate: Option<u32>,
    /// Loopback addresses 127.0.0.1, 127.0.0.2, … to connect from; each has 28,000 ports
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=250))]
    pub source_addresses: Option<u8>,
    /// Processes that share the agents out among themselves, in whole pairs: each may open as many sockets as one process may,
    /// and begins and ends its traffic with the others. Each has its share of the machine's threads. Not with --peer
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=PROCESSES_MAX))]
    pub processes: u32,
}

/// How agents write their frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EncodingChoice {
    /// All in JSON.
    Json,
    /// All in MessagePack.
    Msgpack,
    /// Every other one in MessagePack.
    Mixed,
}

/// Which outcomes senders ask to be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Receipt {
    /// None.
    None,
    /// Failures.
    Failure,
    /// Every one.
    All,
}

/// When agents stop reading their sockets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stall {
    /// From the first to the last send.
    FromStart,
    /// They read all the time.
    Never,
}

/// Where the two of a pair connect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Placement {
    /// To different relays.
    Cross,
    /// To the same one.
    Local,
}

impl EncodingChoice {
    /// How the agent of that number writes.
    pub fn of(self, agent: u32) -> Encoding {
        match self {
            EncodingChoice::Mixed if agent % 2 == 1 => Encoding::Msgpack,
            EncodingChoice::Json | EncodingChoice::Mixed => Encoding::Json,
            EncodingChoice::Msgpack => Encoding::Msgpack,
        }
    }
}

impl From<Receipt> for ReceiptMode {
    fn from(receipt: Receipt) -> ReceiptMode {
        match receipt {
            Receipt::None => ReceiptMode::None,
            Receipt::Failure => ReceiptMode::Failure,
            Receipt::All => ReceiptMode::All,
        }
    }
}

/// What the command line means when it says nothing.
impl Default for Plan {
    fn default() -> Plan {
        #[derive(clap::Parser)]
        struct Silence {
            #[command(flatten)]
            plan: Plan,
        }
        <Silence as clap::Parser>::parse_from(["relay-loadtest"]).plan
    }
}

impl Plan {
    /// What the sends ask for.
    pub fn receipt_mode(&self) -> ReceiptMode {
        self.receipt.into()
    }

    /// Traffic that counts.
    pub fn duration(&self) -> Duration {
        Duration::from_secs_f64(self.duration)
    }

    /// Traffic before.
    pub fn warm_up(&self) -> Duration {
        Duration::from_secs_f64(self.warm_up)
    }

    /// The latency target; row AF1's unless the command line says.
    pub fn goal(&self) -> Goal {
        let p95_ms = self.target_p95.or(self.target_p99.is_none().then_some(TARGET_P95_MS));
        Goal { p95_ms, p99_ms: self.target_p99 }
    }

    /// Silence after which a message is lost.
    pub fn grace(&self) -> Duration {
        Duration::from_secs_f64(self.grace)
    }
}

fn seconds(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(seconds) if (0.0..=86_400.0).contains(&seconds) => Ok(seconds),
        _ => Err("seconds between 0 and 86400".to_owned()),
    }
}

fn factor(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(factor) if (1.01..=100.0).contains(&factor) => Ok(factor),
        _ => Err("a factor between 1.01 and 100".to_owned()),
    }
}

fn share(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(share) if (0.05..=1.0).contains(&share) => Ok(share),
        _ => Err("a share between 0.05 and 1".to_owned()),
    }
}

fn milliseconds(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(ms) if (0.1..=60_000.0).contains(&ms) => Ok(ms),
        _ => Err("milliseconds between 0.1 and 60000".to_owned()),
    }
}

fn payload(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(bytes) if (PAYLOAD_BYTES_MIN..=1024 * 1024).contains(&bytes) => Ok(bytes),
        _ => Err(format!("bytes between {PAYLOAD_BYTES_MIN}, which the numbering needs, and 1048576")),
    }
}
