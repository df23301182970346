//! The relay beside servers that others use for the same, where they are.

use crate::matrix::UNLIMITED;
use crate::peer::Peer;
use crate::results::Entry;
use crate::results::cases::Figure;

/// The arguments of a case, without which peer.
struct Comparison {
    name: &'static str,
    arguments: &'static str,
    /// Memory is that of fresh processes: it has one turn.
    memory: bool,
}

const COMPARISONS: [Comparison; 4] = [
    Comparison { name: "direct, 1 in flight", arguments: "direct --agents=100 --depth=1", memory: false },
    Comparison { name: "direct, 16 in flight", arguments: "direct --agents=100 --depth=16", memory: false },
    Comparison { name: "fan-out 1 to 1,000", arguments: "fan-out --agents=1000", memory: false },
    Comparison { name: "idle, 10,000 connections", arguments: "idle --agents=10000", memory: true },
];
/// Both ends of it with a Redis behind them, as where there are several servers.
const OVER_REDIS: Comparison = Comparison {
    name: "direct, 16 in flight, with Redis behind",
    arguments: "direct --agents=100 --depth=16 --redis",
    memory: false,
};

/// Every case beside that peer, which is at `url` or is started.
pub(super) fn entries(peer: Peer, url: Option<&str>) -> Vec<Entry> {
    // At a URL it is not known what is behind.
    let redis = (peer != Peer::Nats && url.is_none()).then_some(&OVER_REDIS);
    COMPARISONS.iter().chain(redis).map(|comparison| entry(peer, url, comparison)).collect()
}

fn entry(peer: Peer, url: Option<&str>, comparison: &Comparison) -> Entry {
    let at = url.map_or_else(String::new, |url| format!(" --url={url}"));
    let mut words: Vec<String> = comparison.arguments.split(' ').map(str::to_owned).collect();
    words.extend(UNLIMITED.split_whitespace().map(str::to_owned));
    words.push(format!("--against=--peer={}{at}", peer.name()));
    Entry {
        name: format!("beside {}: {}", peer.name(), comparison.name),
        words,
        once: comparison.memory,
        at_own_pace: false,
        figure: if comparison.memory {
            Figure::MemoryBeside(memory_at_most(peer))
        } else {
            Figure::Beside(messages_at_least(peer))
        },
        peer: Some(peer),
    }
}

/// The bound of issue 5 on deliveries for each CPU second by the peer's.
fn messages_at_least(peer: Peer) -> Option<f64> {
    match peer {
        Peer::Centrifugo => Some(2.0),
        Peer::Nats => Some(1.0),
        Peer::SocketIo => None,
    }
}

/// The bound of issue 5 on memory for each connection by the peer's as it comes.
fn memory_at_most(peer: Peer) -> Option<f64> {
    (peer == Peer::Centrifugo).then_some(0.4)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{Cli, Command};

    #[test]
    fn every_case_can_be_read_and_is_beside_its_peer() {
        for peer in Peer::ALL {
            for url in [None, Some("ws://127.0.0.1:9000")] {
                for entry in entries(peer, url) {
                    let words =
                        ["relay-loadtest", "run"].into_iter().chain(entry.words.iter().map(String::as_str));
                    let Command::Run(args) = Cli::complete(words).unwrap().command else { panic!("`run`") };
                    assert_eq!((args.peer.peer, args.running.url.len()), (None, 0), "{}", entry.name);
                    let baseline = args.baseline.unwrap();
                    assert_eq!(baseline.peer.peer, Some(peer), "{}", entry.name);
                    assert_eq!(baseline.running.url.first().map(String::as_str), url, "{}", entry.name);
                }
            }
        }
    }
}
