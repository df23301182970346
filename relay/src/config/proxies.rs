//! Which hops before the relay are believed about whom they speak for.

use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;

/// Hops between clients and the relay that are trusted to say where a request came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TrustedProxies {
    /// The last so many, whatever their addresses: for a platform whose load balancers have no fixed ones.
    Hops(usize),
    /// Those with an address in one of these networks.
    Networks(Vec<IpNet>),
}

/// More hops than any path has.
const HOPS_MAX: usize = 16;

impl FromStr for TrustedProxies {
    type Err = String;

    fn from_str(text: &str) -> Result<TrustedProxies, String> {
        if let Ok(hops) = text.parse() {
            return match hops {
                1..=HOPS_MAX => Ok(TrustedProxies::Hops(hops)),
                _ => Err(format!("hops must be 1 to {HOPS_MAX}")),
            };
        }
        let network = |entry: &str| {
            let entry = entry.trim();
            let network = entry.parse::<IpNet>().ok();
            network
                .or_else(|| entry.parse::<IpAddr>().ok().map(IpNet::from))
                .ok_or_else(|| format!("`{entry}` is neither a network like 10.0.0.0/8 nor a count of hops"))
        };
        text.split(',').map(network).collect::<Result<_, _>>().map(TrustedProxies::Networks)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_addresses_and_hops_are_told_apart() {
        assert_eq!("2".parse(), Ok(TrustedProxies::Hops(2)));
        let Ok(TrustedProxies::Networks(networks)) = "10.0.0.0/8, 192.0.2.1,2001:db8::/32".parse() else {
            panic!("no networks");
        };
        assert_eq!(networks.len(), 3);
        for wrong in ["", "0", "17", "10.0.0.0/33", "proxy.example.com", "10.0.0.0/8,,", "-1"] {
            assert!(wrong.parse::<TrustedProxies>().is_err(), "{wrong}");
        }
    }
}
