//! `HTTP request`: from which address it comes, where proxies that are trusted stand in between.

use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

/// The proxies whose word on where a request comes from is taken.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrustedProxies(Vec<Range>);

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be addresses and ranges with commas between them, such as 10.0.0.1, 192.168.0.0/16, fd00::/8")]
pub struct NotProxies;

/// All addresses that begin with the same bits; those of version 4 as their mapped version 6.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Range {
    first: u128,
    bits: u32,
}

impl TrustedProxies {
    /// Who has sent a request: the peer; or, as far as proxies are trusted, whoever they say it was. `forwarded_for` are
    /// the lines of `X-Forwarded-For`, in order. A client may write into them what it likes, even what is no text, but on
    /// the left alone.
    pub fn client<'a>(&self, peer: IpAddr, forwarded_for: impl Iterator<Item = &'a [u8]>) -> IpAddr {
        self.told(peer, forwarded_for).unwrap_or_else(|| peer.to_canonical())
    }

    /// The same, where a proxy that is trusted says it.
    pub(crate) fn told<'a>(&self, peer: IpAddr, forwarded_for: impl Iterator<Item = &'a [u8]>) -> Option<IpAddr> {
        let hops: Vec<&[u8]> = forwarded_for.flat_map(|line| line.split(|byte| *byte == b',')).collect();
        let mut told = None;
        for hop in hops.into_iter().rev() {
            if !self.trust(told.unwrap_or(peer)) {
                break;
            }
            let Some(before) = parse_hop(hop) else { break };
            told = Some(before);
        }
        told
    }

    pub(crate) fn trust(&self, address: IpAddr) -> bool {
        self.0.iter().any(|range| range.contains(number(address)))
    }
}

/// An address, maybe with a port: some proxies write it.
fn parse_hop(hop: &[u8]) -> Option<IpAddr> {
    let hop = str::from_utf8(hop.trim_ascii()).ok()?;
    let bare = hop.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(hop);
    let with_port = || hop.parse::<std::net::SocketAddr>().map(|address| address.ip());
    bare.parse().or_else(|_| with_port()).ok().map(|address: IpAddr| address.to_canonical())
}

/// What counts as one address: of version 6, where everybody has very many, the network.
pub(crate) fn network(ip: &str) -> String {
    match ip.parse().map(|ip: IpAddr| ip.to_canonical()) {
        Ok(IpAddr::V6(ip)) => {
            let [a, b, c, d, ..] = ip.segments();
            format!("{a:x}:{b:x}:{c:x}:{d:x}::/64")
        }
        Ok(IpAddr::V4(ip)) => ip.to_string(),
        Err(_) => ip.to_owned(),
    }
}

fn number(address: IpAddr) -> u128 {
    match address.to_canonical() {
        IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
        IpAddr::V6(address) => address.to_bits(),
    }
}

impl Range {
    const fn contains(self, address: u128) -> bool {
        match u128::MAX.checked_shl(Ipv6Addr::BITS - self.bits) {
            Some(mask) => address & mask == self.first & mask,
            None => true,
        }
    }
}

impl FromStr for Range {
    type Err = NotProxies;

    fn from_str(text: &str) -> Result<Self, NotProxies> {
        let (address, bits) = text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
        let address: IpAddr = address.parse().map_err(|_| NotProxies)?;
        let most = if address.is_ipv4() { 32 } else { Ipv6Addr::BITS };
        let bits = match bits {
            Some(bits) if bits.bytes().all(|digit| digit.is_ascii_digit()) => bits.parse().map_err(|_| NotProxies)?,
            Some(_) => return Err(NotProxies),
            None => most,
        };
        if bits > most {
            Err(NotProxies)
        } else {
            Ok(Self { first: number(address), bits: bits + Ipv6Addr::BITS - most })
        }
    }
}

impl FromStr for TrustedProxies {
    type Err = NotProxies;

    fn from_str(text: &str) -> Result<Self, NotProxies> {
        if text.trim().is_empty() {
            return Ok(Self::default());
        }
        text.split(',').map(|range| range.trim().parse()).collect::<Result<_, _>>().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(trusted: &str, peer: &str, lines: &[&str]) -> String {
        let trusted: TrustedProxies = trusted.parse().unwrap();
        trusted.client(peer.parse().unwrap(), lines.iter().map(|line| line.as_bytes())).to_string()
    }

    #[test]
    fn without_trust_it_is_the_peer_whatever_is_claimed() {
        for trusted in ["", "  ", "10.0.0.2", "10.0.1.0/24", "fd00::/8"] {
            assert_eq!(client(trusted, "10.0.0.1", &["1.2.3.4"]), "10.0.0.1");
        }
        assert_eq!(client("10.0.0.1", "10.0.0.1", &[]), "10.0.0.1");
    }

    #[test]
    fn it_is_the_right_most_hop_that_is_not_trusted() {
        let trusted = "10.0.0.0/8, 192.168.1.1";
        assert_eq!(client(trusted, "10.0.0.1", &["1.2.3.4"]), "1.2.3.4");
        assert_eq!(client(trusted, "10.0.0.1", &["9.9.9.9, 1.2.3.4"]), "1.2.3.4");
        assert_eq!(client(trusted, "10.0.0.1", &["9.9.9.9,1.2.3.4 , 10.3.0.1,192.168.1.1"]), "1.2.3.4");
        assert_eq!(client(trusted, "10.0.0.1", &["9.9.9.9, 1.2.3.4", "10.3.0.1"]), "1.2.3.4");
        assert_eq!(client(trusted, "10.0.0.1", &["10.0.0.3, 10.0.0.2"]), "10.0.0.3");
    }

    #[test]
    fn what_is_no_address_ends_the_walk_at_the_last_good_hop() {
        for garbage in ["unknown", "", "1.2.3", "1.2.3.4.5", "<script>", "_hidden", "1.2.3.4/8"] {
            assert_eq!(client("10.0.0.0/8", "10.0.0.1", &[&format!("1.2.3.4, {garbage}")]), "10.0.0.1");
            assert_eq!(client("10.0.0.0/8", "10.0.0.1", &[&format!("{garbage}, 10.0.0.2")]), "10.0.0.2");
        }
    }

    #[test]
    fn what_is_no_text_hides_nothing_that_a_proxy_has_written() {
        let trusted: TrustedProxies = "10.0.0.0/8".parse().unwrap();
        for (lines, client) in [
            ([&b"\xff, 1.2.3.4"[..], b"10.0.0.2"], "1.2.3.4"),
            ([b"9.9.9.9", b"\xe9\x80, 1.2.3.4, 10.0.0.2"], "1.2.3.4"),
            ([b"9.9.9.9", "m\u{fc}ll, 10.0.0.2".as_bytes()], "10.0.0.2"),
            ([b"9.9.9.9", b"\xff"], "10.0.0.1"),
        ] {
            assert_eq!(trusted.client("10.0.0.1".parse().unwrap(), lines.into_iter()).to_string(), client);
        }
    }

    #[test]
    fn of_version_6_the_network_counts() {
        assert_eq!(network("10.0.0.1"), "10.0.0.1");
        assert_eq!(network("::ffff:10.0.0.1"), "10.0.0.1");
        assert_eq!(network("2001:db8:1:2:3:4:5:6"), network("2001:db8:1:2::1"));
        assert_ne!(network("2001:db8:1:2::1"), network("2001:db8:1:3::1"));
        assert_eq!(network("unix"), "unix");
    }

    #[test]
    fn a_port_and_brackets_are_left_out() {
        for hop in ["1.2.3.4:5678", " 1.2.3.4 "] {
            assert_eq!(client("10.0.0.1", "10.0.0.1", &[hop]), "1.2.3.4");
        }
        for hop in ["2001:db8::1", "[2001:db8::1]", "[2001:db8::1]:443"] {
            assert_eq!(client("10.0.0.1", "10.0.0.1", &[hop]), "2001:db8::1");
        }
    }

    #[test]
    fn a_mapped_address_is_its_version_4() {
        assert_eq!(client("", "::ffff:10.0.0.1", &[]), "10.0.0.1");
        assert_eq!(client("10.0.0.0/8", "::ffff:10.0.0.1", &["::ffff:1.2.3.4"]), "1.2.3.4");
        assert_eq!(client("::ffff:10.0.0.0/104", "10.0.0.1", &["1.2.3.4"]), "1.2.3.4");
    }

    #[test]
    fn a_range_is_what_begins_with_its_bits() {
        let trusts = |range: &str, peer: &str| client(range, peer, &["1.1.1.1"]) == "1.1.1.1";
        for (range, inside, outside) in [
            ("192.168.4.0/22", "192.168.7.255", "192.168.8.0"),
            ("10.0.0.7/32", "10.0.0.7", "10.0.0.6"),
            ("0.0.0.0/0", "255.1.2.3", "2001:db8::1"),
            ("2001:db8::/33", "2001:db8:7fff::1", "2001:db8:8000::1"),
            ("fe80::1", "fe80::1", "fe80::2"),
            ("128.0.0.0/1", "128.0.0.0", "127.255.255.255"),
        ] {
            assert!(trusts(range, inside) && !trusts(range, outside), "{range}");
        }
        assert!(trusts("::/0", "10.0.0.1") && trusts("::/0", "2001:db8::1"));
    }

    #[test]
    fn whatever_else_is_refused_with_a_word_on_what_it_should_be() {
        for text in [
            "proxy",
            "10.0.0",
            "10.0.0.1/33",
            "::/129",
            "10.0.0.1/",
            "10.0.0.1/+8",
            "10.0.0.1,",
            "10.0.0.1 10.0.0.2",
            "1/8",
        ] {
            assert_eq!(text.parse::<TrustedProxies>(), Err(NotProxies), "{text}");
        }
        assert!(NotProxies.to_string().contains("192.168.0.0/16"));
    }
}
