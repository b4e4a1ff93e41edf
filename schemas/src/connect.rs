//! The connect string that a user pastes: `boxbox://GRANT@host:port?pin=…&pin=…` (W1).
//!
//! A pin is the base64url (no padding) SHA-256 of the server's public key (SubjectPublicKeyInfo). There are several
//! during a change of keys. The string holds a secret, so `Debug` does not show the grant.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// SHA-256 of a server's public key.
pub type Pin = [u8; 32];

/// Where to connect, with which grant, and the keys that identify the server.
#[derive(Clone, PartialEq, Eq)]
pub struct ConnectString {
    /// The grant token.
    pub grant: String,
    /// Host name or address; IPv6 without brackets.
    pub host: String,
    /// UDP port.
    pub port: u16,
    /// Acceptable server keys, at least one.
    pub pins: Vec<Pin>,
}

/// What is wrong with a connect string.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ConnectStringError {
    /// Another scheme.
    #[error("it must begin with boxbox:// (copy the whole line that `up` or `grant create` printed, in single quotes)")]
    Scheme,
    /// No grant.
    #[error("no grant before the '@': copy the whole line that `up` or `grant create` printed, in single quotes")]
    Grant,
    /// No host and port.
    #[error("no host:port after the '@'")]
    Address,
    /// An address that means every address of a machine.
    #[error(
        "{0} means every address of a machine, and a client can reach none by it: start the server with --public-host NAME, or give it to `grant create`"
    )]
    Unspecified(IpAddr),
    /// A host that ends in a number and is no address.
    #[error(
        "a host name does not end in a number, and an address of IPv4 is four numbers from 0 to 255, as 192.168.1.20: give --public-host one of both"
    )]
    Number,
    /// No or bad pin.
    #[error("no readable pin=… at the end: was the text cut at a '?' or '&'? Put it in single quotes")]
    Pin,
}

/// A pin as text.
pub fn pin_text(pin: &Pin) -> String {
    URL_SAFE_NO_PAD.encode(pin)
}

/// Parse the text of a pin, as [`pin_text`] writes it.
///
/// # Errors
/// [`ConnectStringError::Pin`].
pub fn parse_pin(text: &str) -> Result<Pin, ConnectStringError> {
    URL_SAFE_NO_PAD.decode(text).ok().and_then(|p| Pin::try_from(p).ok()).ok_or(ConnectStringError::Pin)
}

impl FromStr for ConnectString {
    type Err = ConnectStringError;

    fn from_str(text: &str) -> Result<Self, ConnectStringError> {
        let rest = text.trim().strip_prefix("boxbox://").ok_or(ConnectStringError::Scheme)?;
        let (grant, rest) = rest.rsplit_once('@').filter(|(g, _)| !g.is_empty()).ok_or(ConnectStringError::Grant)?;
        let (address, query) = rest.split_once('?').ok_or(ConnectStringError::Pin)?;
        let address = address.trim_end_matches('/');
        let (host, port) = address.rsplit_once(':').ok_or(ConnectStringError::Address)?;
        let host = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
        let port = port.parse().map_err(|_| ConnectStringError::Address)?;
        check_host(host)?;
        let pins = query.split('&').filter_map(|p| p.strip_prefix("pin=")).map(parse_pin);
        let pins = pins.collect::<Result<Vec<_>, _>>()?;
        if pins.is_empty() {
            return Err(ConnectStringError::Pin);
        }
        Ok(Self { grant: grant.into(), host: host.into(), port, pins })
    }
}

/// Check that a text may be the name or address of a host; an address of IPv6 is without brackets.
///
/// # Errors
/// If no client can reach a host by it.
pub fn check_host(host: &str) -> Result<(), ConnectStringError> {
    // A host name has none of these.
    if host.is_empty() || host.contains(|c: char| c.is_whitespace() || c.is_control() || "/@[]".contains(c)) {
        return Err(ConnectStringError::Address);
    }
    // Behind a '%' an address of one link has its interface.
    match host.split('%').next().unwrap_or(host).parse::<IpAddr>() {
        Ok(address) if is_unspecified(address) => Err(ConnectStringError::Unspecified(address)),
        Ok(_) => Ok(()),
        // An address of IPv6 alone has colons.
        Err(_) if host.contains(':') => Err(ConnectStringError::Address),
        // Systems read it as an address all the same, each in its way: 0 and 0x0 are 0.0.0.0, and 010.0.0.1 is 8.0.0.1.
        Err(_) if ends_in_a_number(host) => Err(ConnectStringError::Number),
        Err(_) => Ok(()),
    }
}

/// Whether the last label of a name is a number, decimal, octal or hexadecimal: no top-level domain is one (RFC 3696, section 2).
fn ends_in_a_number(host: &str) -> bool {
    let last = host.trim_end_matches('.').rsplit('.').next().unwrap_or_default();
    let hex = last.strip_prefix("0x").or_else(|| last.strip_prefix("0X"));
    hex.is_some_and(|digits| digits.chars().all(|c| c.is_ascii_hexdigit())) || !last.is_empty() && last.chars().all(|c| c.is_ascii_digit())
}

/// Whether an address means every address of a machine: 0.0.0.0 and `::`, also 0.0.0.0 written in IPv6.
pub fn is_unspecified(address: IpAddr) -> bool {
    address.to_canonical().is_unspecified()
}

impl fmt::Display for ConnectString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (open, close) = if self.host.contains(':') { ("[", "]") } else { ("", "") };
        write!(f, "boxbox://{}@{open}{}{close}:{}", self.grant, self.host, self.port)?;
        self.pins.iter().enumerate().try_for_each(|(i, p)| write!(f, "{}pin={}", if i == 0 { '?' } else { '&' }, pin_text(p)))
    }
}

impl fmt::Debug for ConnectString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "boxbox://…@{}:{}", self.host, self.port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn round_trips(grant in "v4\\.public\\.[A-Za-z0-9_.-]{1,80}", host in "[a-z][a-z0-9-]{0,10}(\\.[a-z][a-z0-9-]{0,9}){0,2}|::1|127\\.0\\.0\\.1", port: u16, pins in proptest::collection::vec(any::<Pin>(), 1..3)) {
            let c = ConnectString { grant, host, port, pins };
            prop_assert_eq!(c.to_string().parse::<ConnectString>().unwrap(), c);
        }
        #[test]
        fn rubbish_is_an_error(text in "\\PC{0,80}") {
            prop_assert!(text.parse::<ConnectString>().is_err());
        }
    }

    #[test]
    fn an_address_that_no_client_reaches_is_refused_with_what_to_do() {
        let pin = pin_text(&[7; 32]);
        for host in ["0.0.0.0", "[::]", "[0:0:0:0:0:0:0:0]", "[::ffff:0.0.0.0]"] {
            let error = format!("boxbox://g@{host}:1?pin={pin}").parse::<ConnectString>().unwrap_err();
            assert!(matches!(error, ConnectStringError::Unspecified(_)) && error.to_string().contains("--public-host"), "{host}: {error}");
        }
        for host in ["", "a b", "a/b", "a:1", "[a]:1:2", "[", "a\u{1b}"] {
            let text = format!("boxbox://g@{host}:1?pin={pin}");
            assert_eq!(text.parse::<ConnectString>().unwrap_err(), ConnectStringError::Address, "{host}");
        }
        for host in [
            "0",
            "0x0",
            "0X",
            "000.000.000.000",
            "0.0",
            "00.0.0.0",
            "0.0.0.0.",
            "127.1",
            "010.0.0.1",
            "256.1.1.1",
            "2130706433",
            "race.1",
            "0x7f.0x1",
        ] {
            let text = format!("boxbox://g@{host}:1?pin={pin}");
            assert_eq!(text.parse::<ConnectString>().unwrap_err(), ConnectStringError::Number, "{host}");
            assert!(check_host(host).is_err(), "{host}");
        }
        for host in ["0a", "1.example", "10-0-0-1", "x0", "0xrace", "3com.example."] {
            assert_eq!(check_host(host), Ok(()), "{host}");
        }
        for host in ["localhost", "10.0.0.1", "[::1]", "[2001:db8::1]", "[fe80::1%eth0]", "race.example.org", "räce.example"] {
            let text = format!("boxbox://g@{host}:1?pin={pin}");
            assert!(text.parse::<ConnectString>().is_ok(), "{host}");
        }
    }

    #[test]
    fn debug_hides_the_grant() {
        let c = ConnectString { grant: "secret".into(), host: "h".into(), port: 1, pins: vec![[0; 32]] };
        assert!(!format!("{c:?}").contains("secret"));
    }
}
