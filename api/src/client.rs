//! Where a request comes from: the address of its connection, or, through a proxy that is trusted, the address that the proxy names.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use axum::http::header::{FORWARDED, HeaderName};
use axum::http::{HeaderMap, HeaderValue, Version};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Headers that only a proxy adds, besides `X-Forwarded-…`: RFC 7239, RFC 9110, RFC 8586, and those of nginx' examples, of
/// Cloudflare, Akamai, Fastly, Fly, Azure and Amazon, of Envoy and of Varnish.
const OF_PROXIES: [&str; 22] = [
    "forwarded",
    "via",
    "cdn-loop",
    "x-real-ip",
    "x-client-ip",
    "x-cluster-client-ip",
    "x-original-forwarded-for",
    "x-envoy-external-address",
    "true-client-ip",
    "cf-connecting-ip",
    "fastly-client-ip",
    "fly-client-ip",
    "x-azure-clientip",
    "client-ip",
    "cf-ray",
    "x-amzn-trace-id",
    "x-nginx-proxy",
    "x-original-host",
    "x-original-uri",
    "x-proxyuser-ip",
    "x-scheme",
    "x-varnish",
];

/// Whether a proxy has passed the request on: then the connection says nothing of who asks. Some add no header and speak HTTP/1.0, as
/// nginx does of itself, and no browser and no usual program has for long.
pub(crate) fn is_proxied(version: Version, headers: &HeaderMap) -> bool {
    version < Version::HTTP_11 || headers.keys().any(|name| OF_PROXIES.contains(&name.as_str()) || name.as_str().starts_with("x-forwarded"))
}

/// The address by which a request from `peer` counts. A proxy that is trusted names it; the last address that is no trusted proxy's
/// is the client's, because a client can write what it likes before it. What cannot be read, and two headers that contradict each
/// other, count as the proxy's own: then all who come through it so share its places.
pub(crate) fn address(peer: IpAddr, headers: &HeaderMap, trusted: &[Network]) -> IpAddr {
    let peer = peer.to_canonical();
    if !is_trusted(peer, trusted) {
        return peer;
    }
    let chained = last_untrusted(headers, &X_FORWARDED_FOR, trusted, bare_address);
    let forwarded = last_untrusted(headers, &FORWARDED, trusted, forwarded_for);
    let named = match (chained, forwarded) {
        (Named::Nobody, one) | (one, Named::Nobody) => one,
        (Named::One(a), Named::One(b)) if a == b => Named::One(a),
        _ => Named::Unclear,
    };
    if let Named::One(address) = named { address } else { peer }
}

/// Whether `peer` is a trusted proxy.
pub(crate) fn is_trusted(peer: IpAddr, trusted: &[Network]) -> bool {
    trusted.iter().any(|network| network.contains(peer))
}

/// Whom a header names.
#[derive(Clone, Copy)]
enum Named {
    Nobody,
    One(IpAddr),
    Unclear,
}

fn last_untrusted(headers: &HeaderMap, name: &HeaderName, trusted: &[Network], read: fn(&str) -> Option<IpAddr>) -> Named {
    // Several headers of one name are one list, in their order (RFC 9110).
    for value in headers.get_all(name).iter().rev() {
        for part in HeaderValue::to_str(value).unwrap_or("?").rsplit(',') {
            match read(part.trim()) {
                Some(address) if is_trusted(address, trusted) => {}
                Some(address) => return Named::One(address),
                None => return Named::Unclear,
            }
        }
    }
    Named::Nobody
}

/// An address, with a port or without.
fn bare_address(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let address = bare.parse::<IpAddr>().ok().or_else(|| Some(text.parse::<SocketAddr>().ok()?.ip()));
    address.map(|address| address.to_canonical())
}

/// The `for` of one element of `Forwarded` (RFC 7239).
fn forwarded_for(element: &str) -> Option<IpAddr> {
    let mut pairs = element.split(';').filter_map(|pair| pair.trim().split_once('='));
    let (_, value) = pairs.find(|(name, _)| name.trim().eq_ignore_ascii_case("for"))?;
    bare_address(value.trim().trim_matches('"'))
}

/// Addresses with the same first bits: `10.0.0.0/8`, `2001:db8::/32`, or one address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Network {
    first: IpAddr,
    bits: u8,
}

/// Why a text is no [`Network`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NotANetwork {
    /// It is no address and no network.
    #[error("a network is an address such as 10.0.0.5, or the first address of a network and the number of its fixed bits, such as 10.0.0.0/8")]
    Text,
    /// So many addresses are not those of one's own proxies.
    #[error(
        "this network has so many addresses that anybody could be in it, and say of itself what it likes: give the proxy's own address or network"
    )]
    TooWide,
}

/// Bits that the widest networks of one's own have: 10.0.0.0/8, and fc00::/7.
const LEAST_BITS: u8 = 7;

impl Network {
    /// Whether `address` is one of them; an IPv4 address that is mapped into IPv6 is one of IPv4.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.first, address.to_canonical()) {
            (IpAddr::V4(first), IpAddr::V4(address)) => same_bits(u128::from(first.to_bits()) << 96, u128::from(address.to_bits()) << 96, self.bits),
            (IpAddr::V6(first), IpAddr::V6(address)) => same_bits(first.to_bits(), address.to_bits(), self.bits),
            _ => false,
        }
    }
}

fn same_bits(a: u128, b: u128, bits: u8) -> bool {
    (a ^ b).leading_zeros() >= u32::from(bits)
}

impl FromStr for Network {
    type Err = NotANetwork;
    fn from_str(text: &str) -> Result<Self, NotANetwork> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits.parse::<u8>().map_err(|_| NotANetwork::Text)?)),
            None => (text, None),
        };
        let first = address.parse::<IpAddr>().map_err(|_| NotANetwork::Text)?;
        if first != first.to_canonical() {
            return Err(NotANetwork::Text);
        }
        let most = if first.is_ipv4() { 32 } else { 128 };
        let bits = bits.unwrap_or(most);
        // Bits behind the fixed ones are a slip, and which part of it is meant cannot be known: refused.
        let whole = match first {
            IpAddr::V4(first) => first.to_bits().checked_shl(bits.into()).unwrap_or(0) == 0,
            IpAddr::V6(first) => first.to_bits().checked_shl(bits.into()).unwrap_or(0) == 0,
        };
        match bits {
            _ if bits > most || !whole => Err(NotANetwork::Text),
            ..LEAST_BITS => Err(NotANetwork::TooWide),
            _ => Ok(Self { first, bits }),
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.first, self.bits)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(HeaderName::from_static(name), value.parse().unwrap());
        }
        headers
    }

    fn from(peer: &str, pairs: &[(&'static str, &str)]) -> String {
        let trusted = ["10.0.0.0/8", "127.0.0.1", "fd00::/8"].map(|text| text.parse().unwrap());
        address(peer.parse().unwrap(), &headers(pairs), &trusted).to_string()
    }

    #[test]
    fn only_a_trusted_proxy_names_the_client_and_only_what_it_added_itself_counts() {
        for (peer, pairs, expected) in [
            ("192.0.2.9", &[("x-forwarded-for", "198.51.100.1")][..], "192.0.2.9"),
            ("10.0.0.1", &[], "10.0.0.1"),
            ("10.0.0.1", &[("x-forwarded-for", "198.51.100.1")], "198.51.100.1"),
            ("::ffff:10.0.0.1", &[("x-forwarded-for", "198.51.100.1")], "198.51.100.1"),
            // What the client wrote stands before what the proxy added.
            ("10.0.0.1", &[("x-forwarded-for", "127.0.0.1, 6.6.6.6, 198.51.100.1")], "198.51.100.1"),
            ("10.0.0.1", &[("x-forwarded-for", "6.6.6.6"), ("x-forwarded-for", "198.51.100.1, 10.0.0.2")], "198.51.100.1"),
            ("10.0.0.1", &[("x-forwarded-for", "[2a00::1]:4711")], "2a00::1"),
            ("10.0.0.1", &[("x-forwarded-for", "198.51.100.1:4711")], "198.51.100.1"),
            ("10.0.0.1", &[("x-forwarded-for", "unknown")], "10.0.0.1"),
            ("10.0.0.1", &[("x-forwarded-for", "198.51.100.1, rubbish")], "10.0.0.1"),
            ("10.0.0.1", &[("x-forwarded-for", "10.0.0.7")], "10.0.0.1"),
            ("fd00::1", &[("forwarded", "for=6.6.6.6, For=\"[2a00::1]:80\";proto=https;by=10.0.0.3")], "2a00::1"),
            ("10.0.0.1", &[("forwarded", "proto=https")], "10.0.0.1"),
            ("10.0.0.1", &[("forwarded", "for=198.51.100.1"), ("x-forwarded-for", "198.51.100.1")], "198.51.100.1"),
            // One of the two is the client's own, passed on as it was.
            ("10.0.0.1", &[("forwarded", "for=6.6.6.6"), ("x-forwarded-for", "198.51.100.1")], "10.0.0.1"),
        ] {
            assert_eq!(from(peer, pairs), expected, "{peer} {pairs:?}");
        }
    }

    #[test]
    fn what_a_proxy_adds_is_seen() {
        for name in
            ["forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-forwarded-anything", "x-real-ip", "cf-connecting-ip"]
        {
            assert!(is_proxied(Version::HTTP_11, &headers(&[("host", "localhost"), (name, "")])), "{name}");
        }
        assert!(is_proxied(Version::HTTP_10, &headers(&[("host", "localhost")])));
        assert!(!is_proxied(
            Version::HTTP_11,
            &headers(&[("host", "localhost"), ("user-agent", "curl"), ("x-boxbox", "1"), ("accept", "*/*"), ("te", "trailers")])
        ));
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for text in
            ["", "localhost", "10.0.0.0/33", "10.0.0.1/8", "2001:db8::/129", "10.0.0.0/", "/8", "::ffff:10.0.0.1", "10.0.0.0/8 ", "2001:db8::1/32"]
        {
            assert_eq!(text.parse::<Network>(), Err(NotANetwork::Text), "{text}");
        }
        // All addresses, also in two halves.
        for text in ["0.0.0.0/0", "::/0", "0.0.0.0/1", "128.0.0.0/1", "::/1", "8000::/1", "2000::/3"] {
            assert_eq!(text.parse::<Network>(), Err(NotANetwork::TooWide), "{text}");
        }
        for text in ["10.0.0.0/8", "127.0.0.1/32", "fc00::/7", "fd00::/8", "::1/128"] {
            assert_eq!(text.parse::<Network>().unwrap().to_string(), text);
        }
    }

    proptest! {
        #[test]
        fn a_network_has_the_addresses_with_its_first_bits(first: u32, bits in LEAST_BITS..=32, other: u32) {
            let mask = u32::MAX.checked_shl(32 - u32::from(bits)).unwrap_or(0);
            let network: Network = format!("{}/{bits}", std::net::Ipv4Addr::from(first & mask)).parse().unwrap();
            prop_assert!(network.contains(IpAddr::from(first.to_be_bytes())));
            prop_assert_eq!(network.contains(IpAddr::from(other.to_be_bytes())), first & mask == other & mask);
        }

        /// Whatever the headers say, an address comes out, and for those who are not trusted it is their own.
        #[test]
        fn nobody_but_a_proxy_chooses_an_address(chained in "[ -~]{0,60}", forwarded in "(for=)?[ -~]{0,60}", peer: u32) {
            let pairs = [("x-forwarded-for", &*chained), ("forwarded", &*forwarded)];
            let peer = IpAddr::from(peer.to_be_bytes());
            let trusted = ["10.0.0.0/8".parse().unwrap()];
            let counted = address(peer, &headers(&pairs), &trusted);
            prop_assert!(is_trusted(peer, &trusted) || counted == peer);
        }
    }

    #[test]
    fn the_names_of_headers_are_as_they_are_compared() {
        assert!(OF_PROXIES.iter().all(|name| HeaderName::from_static(name).as_str() == *name));
        assert!(OF_PROXIES.contains(&axum::http::header::VIA.as_str()));
    }
}
