//! The connect string that a user pastes: `boxbox://GRANT@host:port?pin=…&pin=…` (W1).
//!
//! A pin is the base64url (no padding) SHA-256 of the server's public key (SubjectPublicKeyInfo). There are several
//! during a change of keys. The string holds a secret, so `Debug` does not show the grant.

use std::fmt;
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
        if host.is_empty() {
            return Err(ConnectStringError::Address);
        }
        let pins = query.split('&').filter_map(|p| p.strip_prefix("pin=")).map(parse_pin);
        let pins = pins.collect::<Result<Vec<_>, _>>()?;
        if pins.is_empty() {
            return Err(ConnectStringError::Pin);
        }
        Ok(Self { grant: grant.into(), host: host.into(), port, pins })
    }
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
        fn round_trips(grant in "v4\\.public\\.[A-Za-z0-9_.-]{1,80}", host in "[a-z][a-z0-9.-]{0,20}|::1|127\\.0\\.0\\.1", port: u16, pins in proptest::collection::vec(any::<Pin>(), 1..3)) {
            let c = ConnectString { grant, host, port, pins };
            prop_assert_eq!(c.to_string().parse::<ConnectString>().unwrap(), c);
        }
        #[test]
        fn rubbish_is_an_error(text in "\\PC{0,80}") {
            prop_assert!(text.parse::<ConnectString>().is_err());
        }
    }

    #[test]
    fn debug_hides_the_grant() {
        let c = ConnectString { grant: "secret".into(), host: "h".into(), port: 1, pins: vec![[0; 32]] };
        assert!(!format!("{c:?}").contains("secret"));
    }
}
