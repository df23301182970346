//! Where a request came from: the peer, unless it is a hop that is trusted to say for whom it speaks.
//!
//! `X-Forwarded-For` is read from the right, as each hop appends whom it saw: what stands further left than the trusted
//! hops was written by the client itself.

use std::net::{IpAddr, SocketAddr};

use axum::http::HeaderMap;

use crate::config::proxies::TrustedProxies;

/// Appended to by each hop.
const FORWARDED_FOR: &str = "x-forwarded-for";
/// Entries that are looked at; no honest path is longer.
const ENTRIES_MAX: usize = 32;

/// The address that limits of source addresses count for.
pub(super) fn client_address(peer: IpAddr, headers: &HeaderMap, trusted: Option<&TrustedProxies>) -> IpAddr {
    let peer = peer.to_canonical();
    let entries = headers.get_all(FORWARDED_FOR).iter().rev();
    let mut entries =
        entries.flat_map(|value| value.to_str().unwrap_or_default().rsplit(',')).map(entry).take(ENTRIES_MAX);
    match trusted {
        None => peer,
        // The peer is the last hop, so the first is the one that saw the client. Who came around them is the peer.
        Some(TrustedProxies::Hops(hops)) => entries.nth(hops - 1).flatten().unwrap_or(peer),
        Some(TrustedProxies::Networks(networks)) => {
            let is_trusted = |address: &IpAddr| networks.iter().any(|network| network.contains(address));
            let mut client = peer;
            while is_trusted(&client) {
                // Where the path ends, or says what is no address, the last hop that is known stands for the client.
                let Some(Some(before)) = entries.next() else { break };
                client = before;
            }
            client
        }
    }
}

/// An address, with a port or without.
fn entry(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    let address = bare.parse().ok().or_else(|| text.parse::<SocketAddr>().ok().map(|address| address.ip()));
    address.map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(peer: &str, forwarded: &[&str], trusted: &str) -> String {
        let mut headers = HeaderMap::new();
        for value in forwarded {
            headers.append(FORWARDED_FOR, value.parse().unwrap());
        }
        let trusted: Option<TrustedProxies> = (!trusted.is_empty()).then(|| trusted.parse().unwrap());
        client_address(peer.parse().unwrap(), &headers, trusted.as_ref()).to_string()
    }

    #[test]
    fn nobody_is_believed_who_is_not_trusted() {
        assert_eq!(client("198.51.100.9", &["192.0.2.1"], ""), "198.51.100.9");
        assert_eq!(client("198.51.100.9", &["192.0.2.1"], "10.0.0.0/8"), "198.51.100.9");
    }

    #[test]
    fn the_first_from_the_right_who_is_not_trusted_is_the_client() {
        let nets = "10.0.0.0/8,2001:db8:ffff::/48";
        let cases: [(&str, &[&str], &str); 8] = [
            ("10.0.0.1", &["192.0.2.1"], "192.0.2.1"),
            ("10.0.0.1", &["203.0.113.66, 192.0.2.1, 10.0.0.2"], "192.0.2.1"),
            ("10.0.0.1", &["203.0.113.66", "192.0.2.1,10.0.0.2"], "192.0.2.1"),
            ("10.0.0.1", &["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
            ("10.0.0.1", &["192.0.2.1, unknown, 10.0.0.2"], "10.0.0.2"),
            ("10.0.0.1", &["192.0.2.1:4711"], "192.0.2.1"),
            ("2001:db8:ffff::1", &["[2001:db8::7]:443"], "2001:db8::7"),
            ("::ffff:10.0.0.1", &["::ffff:192.0.2.1"], "192.0.2.1"),
        ];
        for (peer, forwarded, expected) in cases {
            assert_eq!(client(peer, forwarded, nets), expected, "{peer} {forwarded:?}");
        }
        assert_eq!(client("10.0.0.1", &[], nets), "10.0.0.1");
    }

    #[test]
    fn counted_hops_are_believed_whatever_their_addresses() {
        let forwarded = ["203.0.113.66, 192.0.2.1, 198.51.100.1"];
        assert_eq!(client("198.51.100.2", &forwarded, "1"), "198.51.100.1");
        assert_eq!(client("198.51.100.2", &forwarded, "2"), "192.0.2.1");
        assert_eq!(client("198.51.100.2", &["192.0.2.1"], "2"), "198.51.100.2", "it came around a hop");
        assert_eq!(client("198.51.100.2", &["nobody"], "1"), "198.51.100.2");
    }

    #[test]
    fn a_long_path_is_not_followed_for_ever() {
        let long = vec!["10.0.0.1"; 1_000].join(",");
        assert_eq!(client("10.0.0.1", &[&format!("192.0.2.1,{long}")], "10.0.0.0/8"), "10.0.0.1");
    }
}
