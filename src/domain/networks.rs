//! Which addresses an endpoint may have.
//!
//! Whoever may create an endpoint chooses where this program connects to. Without a limit that would be a way into the
//! network around it: databases, admin pages, the metadata service of a cloud, which hands out credentials. So only
//! addresses of the public internet are connected to, and those that the process's settings name.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    str::FromStr,
};

/// Networks that are connected to although they are not public.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Networks(Vec<Network>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Network {
    /// IPv4 is kept as such, never as mapped IPv6.
    first: IpAddr,
    prefix: u8,
}

/// The text is not a list of networks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no network: write it as in 10.0.0.0/8, 127.0.0.1 or fd00::/8")]
pub struct BadNetwork(String);

impl Networks {
    /// Whether one of them contains this address.
    pub fn contain(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(address))
    }

    /// Whether it may be connected to.
    pub fn allow(&self, address: IpAddr) -> bool {
        is_public(address) || self.contain(address)
    }
}

impl Network {
    fn contains(self, address: IpAddr) -> bool {
        match (self.first, address) {
            (IpAddr::V4(first), IpAddr::V4(address)) => {
                let mask = u32::MAX
                    .checked_shl(32 - u32::from(self.prefix))
                    .unwrap_or(0);
                first.to_bits() & mask == address.to_bits() & mask
            }
            (IpAddr::V6(first), IpAddr::V6(address)) => {
                let mask = u128::MAX
                    .checked_shl(128 - u32::from(self.prefix))
                    .unwrap_or(0);
                first.to_bits() & mask == address.to_bits() & mask
            }
            _ => false,
        }
    }
}

impl FromStr for Network {
    type Err = BadNetwork;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = || BadNetwork(text.to_owned());
        let (first, prefix) = match text.split_once('/') {
            Some((first, prefix)) => (first, Some(prefix)),
            None => (text, None),
        };
        let first: IpAddr = first.parse().map_err(|_not_one| bad())?;
        let most = if first.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            None => most,
            Some(prefix) => prefix.parse().map_err(|_no_number| bad())?,
        };
        if prefix > most {
            return Err(bad());
        }
        Ok(Self { first, prefix })
    }
}

/// Separated by commas.
impl FromStr for Networks {
    type Err = BadNetwork;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let networks = text
            .split(',')
            .map(str::trim)
            .filter(|text| !text.is_empty());
        networks.map(str::parse).collect::<Result<_, _>>().map(Self)
    }
}

/// Whether it is an address of the public internet. An IPv6 address that stands for one of IPv4 is judged by that one.
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => match stands_for(address) {
            Some(address) => is_public_v4(address),
            None => is_public_v6(address),
        },
    }
}

/// The IPv4 address behind a mapped one (`::ffff:0:0/96`) or one of NAT64 (`64:ff9b::/96`), through which a network
/// without IPv4 reaches everybody who has nothing else.
fn stands_for(address: Ipv6Addr) -> Option<Ipv4Addr> {
    if let Some(mapped) = address.to_ipv4_mapped() {
        return Some(mapped);
    }
    let [a, b, 0, 0, 0, 0, high, low] = address.segments() else {
        return None;
    };
    let bits = u32::from(high) << 16 | u32::from(low);
    ((a, b) == (0x64, 0xff9b)).then(|| Ipv4Addr::from_bits(bits))
}

/// RFC 6890 and its registry, and the one metadata service with a public address.
fn is_public_v4(address: Ipv4Addr) -> bool {
    let within = |first: [u8; 4], prefix: u8| {
        let network = Network {
            first: IpAddr::V4(first.into()),
            prefix,
        };
        network.contains(IpAddr::V4(address))
    };
    let special = [
        ([0, 0, 0, 0], 8),
        ([10, 0, 0, 0], 8),
        ([100, 64, 0, 0], 10), // carriers' NAT; a metadata service at 100.100.100.200
        ([127, 0, 0, 0], 8),
        ([168, 63, 129, 16], 32), // Azure's wire server
        ([169, 254, 0, 0], 16),   // link-local; metadata at 169.254.169.254
        ([172, 16, 0, 0], 12),
        ([192, 0, 0, 0], 24), // metadata at 192.0.0.192
        ([192, 0, 2, 0], 24),
        ([192, 88, 99, 0], 24),
        ([192, 168, 0, 0], 16),
        ([198, 18, 0, 0], 15),
        ([198, 51, 100, 0], 24),
        ([203, 0, 113, 0], 24),
        ([224, 0, 0, 0], 3), // multicast, reserved, broadcast
    ];
    !special
        .iter()
        .any(|(first, prefix)| within(*first, *prefix))
}

/// Global unicast, without what is tunnelled (Teredo, 6to4: the IPv4 address inside is anybody's) or documentation.
fn is_public_v6(address: Ipv6Addr) -> bool {
    let [a, b, ..] = address.segments();
    let is_global = a & 0xe000 == 0x2000;
    let is_special = a == 0x2001 && b < 0x200
        || (a, b) == (0x2001, 0xdb8)
        || a == 0x2002
        || a == 0x3fff && b < 0x1000;
    is_global && !is_special
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_public_addresses_are_public() {
        for address in [
            "1.1.1.1",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "128.0.0.1",
            "168.63.129.15",
            "172.15.255.255",
            "172.32.0.0",
            "192.0.1.0",
            "223.255.255.255",
            "2606:4700:4700::1111",
            "2001:200::1",
            "::ffff:1.1.1.1",
            "64:ff9b::101:101",
        ] {
            assert!(is_public(address.parse().unwrap()), "{address}");
        }
        for address in [
            "0.0.0.0",
            "10.1.2.3",
            "100.100.100.200",
            "127.0.0.1",
            "127.255.255.255",
            "168.63.129.16",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.192",
            "192.168.1.1",
            "198.18.0.1",
            "198.19.255.255",
            "203.0.113.9",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::127.0.0.1",
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "64:ff9b::7f00:1",
            "64:ff9b::a9fe:a9fe",
            "64:ff9b:1::7f00:1",
            "2001::1",
            "2001:db8::1",
            "2002:7f00:1::",
            "3fff::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "100::1",
            "5f00::1",
        ] {
            assert!(!is_public(address.parse().unwrap()), "{address}");
        }
    }

    #[test]
    fn a_named_network_is_allowed_and_nothing_beside_it() {
        let networks: Networks = "10.0.0.0/8, 127.0.0.1,fd00::/8".parse().unwrap();
        for address in [
            "10.255.0.1",
            "127.0.0.1",
            "::ffff:10.0.0.1",
            "fd12::1",
            "8.8.8.8",
        ] {
            assert!(networks.allow(address.parse().unwrap()), "{address}");
        }
        for address in ["127.0.0.2", "192.168.0.1", "fc00::1", "::1"] {
            assert!(!networks.allow(address.parse().unwrap()), "{address}");
        }
        let all: Networks = "0.0.0.0/0".parse().unwrap();
        assert!(all.allow([169, 254, 169, 254].into()) && !all.contain("::1".parse().unwrap()));
        assert_eq!("".parse(), Ok(Networks::default()));
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for text in [
            "10",
            "10.0.0.0/33",
            "::1/129",
            "a/8",
            "10.0.0.0/x",
            "10.0.0.0/-1",
        ] {
            let refused = text.parse::<Networks>().unwrap_err();
            assert!(refused.to_string().contains(text), "{refused}");
        }
    }
}
