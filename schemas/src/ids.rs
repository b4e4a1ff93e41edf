//! Identities: tenants, drivers, runs, sessions, streams, and the partition a session belongs to (F6, W4).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::limits::SHORT_ID_MAX_BYTES;

/// The text is not a [`ShortId`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an id is 1 to {SHORT_ID_MAX_BYTES} characters of a-z, A-Z, 0-9, '-', '_', '.' or ':'")]
pub struct InvalidId;

/// An opaque id of 1 to 40 ASCII characters, copied without allocating.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShortId {
    // Zero padded, so that the derived order is the order of the text.
    bytes: [u8; SHORT_ID_MAX_BYTES],
    len: u8,
}

impl ShortId {
    /// Parse `text`. Only characters that are safe in URLs, file names and logs are allowed.
    pub fn new(text: &str) -> Result<Self, InvalidId> {
        let ok = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b':');
        if text.is_empty() || text.len() > SHORT_ID_MAX_BYTES || !text.bytes().all(ok) {
            return Err(InvalidId);
        }
        let mut bytes = [0; SHORT_ID_MAX_BYTES];
        bytes[..text.len()].copy_from_slice(text.as_bytes());
        Ok(Self { bytes, len: text.len() as u8 })
    }

    /// [`ShortId::new`] for constants of this program that are valid ids.
    pub(crate) const fn known(text: &str) -> Self {
        let mut bytes = [0; SHORT_ID_MAX_BYTES];
        bytes.split_at_mut(text.len()).0.copy_from_slice(text.as_bytes());
        Self { bytes, len: text.len() as u8 }
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        // The constructor allows only ASCII, so this never takes the default.
        std::str::from_utf8(&self.bytes[..self.len as usize]).unwrap_or_default()
    }
}

impl fmt::Display for ShortId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for ShortId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.as_str())
    }
}

impl FromStr for ShortId {
    type Err = InvalidId;
    fn from_str(s: &str) -> Result<Self, InvalidId> {
        Self::new(s)
    }
}

impl Serialize for ShortId {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for ShortId {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(d)?;
        Self::new(&text).map_err(serde::de::Error::custom)
    }
}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub ShortId);

        impl $name {
            /// Parse an id of 1 to 40 characters.
            pub fn new(text: &str) -> Result<Self, InvalidId> {
                ShortId::new(text).map(Self)
            }
            /// The id as text.
            pub fn as_str(&self) -> &str {
                self.0.as_str()
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }
        impl FromStr for $name {
            type Err = InvalidId;
            fn from_str(s: &str) -> Result<Self, InvalidId> {
                Self::new(s)
            }
        }
    };
}

text_id! {
    /// A league or organisation. A tenant's data is visible to that tenant only.
    TenantId
}
text_id! {
    /// A driver. The id comes only from the grant.
    DriverId
}
text_id! {
    /// A competitor: a team (`t:<team id>`) or a driver who competes alone (the driver's id).
    EntryId
}

impl DriverId {
    /// The driver in the stamp of records that the server writes (F5). No grant is for it.
    pub const SERVER: DriverId = DriverId(ShortId::known(":server"));
}

macro_rules! binary_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        pub struct $name(pub [u8; 16]);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|b| write!(f, "{b:02x}"))
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
        impl FromStr for $name {
            type Err = InvalidHex;
            fn from_str(s: &str) -> Result<Self, InvalidHex> {
                parse_hex(s).map(Self)
            }
        }
        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.collect_str(self)
            }
        }
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(d)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

/// The text is not a 16-byte id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected 32 hexadecimal digits")]
pub struct InvalidHex;

fn parse_hex(text: &str) -> Result<[u8; 16], InvalidHex> {
    let digits = text.as_bytes();
    if digits.len() != 32 {
        return Err(InvalidHex);
    }
    let nibble = |b: u8| (b as char).to_digit(16).map(|d| d as u8).ok_or(InvalidHex);
    let mut out = [0; 16];
    for (byte, pair) in out.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = nibble(pair[0])? << 4 | nibble(pair[1])?;
    }
    Ok(out)
}

binary_id! {
    /// One run of a client (a sim client, a replay): random, new at each start.
    RunId
}
binary_id! {
    /// A session of one tenant: [`SessionId::of`].
    SessionId
}
binary_id! {
    /// A grant, for revocation and audit.
    GrantId
}

/// A durable log's identity. Embedded: a UUID made with the log; Kafka: cluster id, topic and partition count (E7).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LogId(pub String);

impl fmt::Display for LogId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Which simulator a frame comes from. Unknown codes are kept.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Sim(pub u16);

impl Sim {
    /// The project's own synthetic cars.
    pub const SYNTHETIC: Sim = Sim(1);
    /// iRacing.
    pub const IRACING: Sim = Sim(2);
    /// EA F1 series.
    pub const F1: Sim = Sim(3);
    /// Assetto Corsa Competizione.
    pub const ACC: Sim = Sim(4);
    /// rFactor 2.
    pub const RF2: Sim = Sim(5);
    /// Le Mans Ultimate.
    pub const LMU: Sim = Sim(6);
    /// Automobilista 2.
    pub const AMS2: Sim = Sim(7);

    /// The simulator's name, or `unknown`.
    pub fn name(self) -> &'static str {
        match self {
            Sim::SYNTHETIC => "synthetic",
            Sim::IRACING => "iracing",
            Sim::F1 => "f1",
            Sim::ACC => "acc",
            Sim::RF2 => "rf2",
            Sim::LMU => "lmu",
            Sim::AMS2 => "ams2",
            _ => "unknown",
        }
    }
}

/// The session that a client reports: one session of one lobby of one simulator.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Source {
    /// The simulator.
    pub sim: Sim,
    /// The lobby's id (iRacing: SubSessionID), or a UUID made by the client if the simulator gives 0.
    #[serde(with = "hex_u128")]
    pub id: u128,
    /// Practice, qualifying and race of one lobby have different numbers (iRacing: SessionNum).
    pub session_num: u32,
}

mod hex_u128 {
    pub(super) fn serialize<S: serde::Serializer>(v: &u128, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(&format_args!("{v:032x}"))
    }
    pub(super) fn deserialize<'de, D: serde::Deserializer<'de>>(d: D) -> Result<u128, D::Error> {
        let text = <std::borrow::Cow<'de, str> as serde::Deserialize>::deserialize(d)?;
        u128::from_str_radix(&text, 16).map_err(serde::de::Error::custom)
    }
}

const SESSION_DOMAIN: &[u8] = b"boxbox.session.v1";

impl SessionId {
    /// The first 16 bytes of SHA-256 over a domain tag, the length-prefixed tenant, and the source (F6) (`session.is`).
    pub fn of(tenant: &TenantId, source: &Source) -> Self {
        let mut h = Sha256::new();
        h.update(SESSION_DOMAIN);
        h.update([tenant.as_str().len() as u8]);
        h.update(tenant.as_str().as_bytes());
        h.update(source.sim.0.to_le_bytes());
        h.update(source.id.to_le_bytes());
        h.update(source.session_num.to_le_bytes());
        let digest = h.finalize();
        let mut id = [0; 16];
        id.copy_from_slice(&digest[..16]);
        Self(id)
    }

    /// The partition of a log with `partitions` partitions (≥ 1) that holds this session. It never changes for a log.
    pub fn partition(&self, partitions: u32) -> u32 {
        let mut first = [0; 8];
        first.copy_from_slice(&self.0[..8]);
        (u64::from_le_bytes(first) % u64::from(partitions.max(1))) as u32
    }
}

/// A stream: it has one gapless sequence (W4).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct StreamKey {
    /// The tenant that owns the data.
    pub tenant: TenantId,
    /// The session.
    pub session: SessionId,
    /// The driver of the grant.
    pub driver: DriverId,
    /// The run of the client. Two drivers with the same run id have different streams.
    pub run: RunId,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn source() -> Source {
        Source { sim: Sim::IRACING, id: 51_234_567, session_num: 2 }
    }

    /// Golden: computed once with Python's hashlib from the definition in F6; a change would orphan every stored session.
    #[test]
    fn session_id_is_golden() {
        let id = SessionId::of(&TenantId::new("league-1").unwrap(), &source());
        assert_eq!(id.to_string(), include_str!("../tests/golden/session_id.hex").trim());
        assert_eq!(id.partition(1), 0);
    }

    #[test]
    fn a_tenant_cannot_be_shifted_into_the_source() {
        let a = SessionId::of(&TenantId::new("a").unwrap(), &source());
        let b = SessionId::of(&TenantId::new("ab").unwrap(), &source());
        assert_ne!(a, b);
    }

    proptest! {
        #[test]
        fn short_ids_round_trip_and_sort_as_text(a in "[a-zA-Z0-9_.:-]{1,40}", b in "[a-zA-Z0-9_.:-]{1,40}") {
            let (x, y) = (ShortId::new(&a).unwrap(), ShortId::new(&b).unwrap());
            prop_assert_eq!(x.as_str(), a.as_str());
            prop_assert_eq!(x.cmp(&y), a.cmp(&b));
        }

        #[test]
        fn other_texts_are_refused(a in "[a-z]{0,5}[ /\\x00é][a-z]{0,5}") {
            prop_assert!(ShortId::new(&a).is_err());
        }

        #[test]
        fn hex_round_trips(bytes: [u8; 16]) {
            let id = RunId(bytes);
            prop_assert_eq!(id.to_string().parse::<RunId>().unwrap(), id);
        }
    }
}
