//! Ids of leagues: slugs that people choose, opaque ids of persons, salted hashes of accounts and texts. No id has a name in it.

use std::fmt;
use std::str::FromStr;

use boxbox_schemas::ids::ShortId;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// The text is not what this kind of id looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected {0}")]
pub struct InvalidText(pub &'static str);

/// Entries whose slug begins so are made for cars that no entry was found for (`league.unclaimed`); a person cannot choose such a slug.
pub const UNCLAIMED_PREFIX: &str = "u-";

/// What the hash of a text begins with; the same as of texts in stores.
const TEXT_TAG: &str = "boxbox.league.text.v1";
/// What the hash of a car begins with.
const CAR_TAG: &str = "boxbox.league.car.v1";

/// `[a-z0-9][a-z0-9-]{0,39}`
fn slug(text: &str) -> Option<ShortId> {
    let ok = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    if text.starts_with('-') || !text.bytes().all(ok) { None } else { ShortId::new(text).ok() }
}

/// `p-` and 26 characters.
fn person(text: &str) -> Option<ShortId> {
    let rest = text.strip_prefix("p-")?;
    (rest.len() == 26 && rest.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())).then(|| ShortId::new(text).ok())?
}

macro_rules! short_ids {
    ($check:ident, $expected:literal: $($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(ShortId);

        impl $name {
            /// Parse the id.
            pub fn new(text: &str) -> Result<Self, InvalidText> {
                $check(text).map(Self).ok_or(InvalidText($expected))
            }

            /// The id as text.
            pub fn as_str(&self) -> &str {
                self.0.as_str()
            }
        }

        text_impls!($name);
    )+};
}

macro_rules! text_impls {
    ($name:ident) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str().as_ref())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str().as_ref())
            }
        }

        impl FromStr for $name {
            type Err = InvalidText;
            fn from_str(text: &str) -> Result<Self, InvalidText> {
                Self::new(text)
            }
        }

        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
                Self::new(&text).map_err(serde::de::Error::custom)
            }
        }
    };
}

short_ids! { slug, "1 to 40 characters of a-z, 0-9 and '-', the first not '-'":
    /// A league.
    LeagueSlug,
    /// A ruleset; unique in the league.
    RulesetSlug,
    /// A series; unique in the league.
    SeriesSlug,
    /// A season; unique in the league.
    SeasonSlug,
    /// A class; unique in its season.
    ClassSlug,
    /// An event; unique in the league.
    EventSlug,
    /// A session of an event; unique in the league. Not the id of a session in the telemetry.
    SessionSlug,
    /// A championship; unique in the league.
    ChampionshipSlug,
    /// A team; unique in the league.
    TeamSlug,
    /// A manufacturer; unique in the league.
    ManufacturerSlug,
    /// An entry; unique in its season.
    EntrySlug,
    /// A penalty; unique in the league.
    PenaltySlug,
    /// A simulator, or `grant`: whose account is meant ([`AccountHash::of`]).
    SimSlug,
}

short_ids! { person, "'p-' and 26 characters of a-z and 0-9":
    /// A person: opaque, made by the server.
    PersonId,
}

macro_rules! hashes {
    ($len:literal, $digits:literal: $($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        pub struct $name(pub [u8; $len]);

        impl $name {
            /// Parse hexadecimal digits.
            pub fn new(text: &str) -> Result<Self, InvalidText> {
                let invalid = InvalidText($digits);
                let digits = text.as_bytes();
                if digits.len() != 2 * $len {
                    return Err(invalid);
                }
                let nibble = |b: u8| match b {
                    b'0'..=b'9' => Ok(b - b'0'),
                    b'a'..=b'f' => Ok(b - b'a' + 10),
                    _ => Err(invalid),
                };
                let mut out = [0; $len];
                for (byte, pair) in out.iter_mut().zip(digits.chunks_exact(2)) {
                    *byte = nibble(pair[0])? << 4 | nibble(pair[1])?;
                }
                Ok(Self(out))
            }

            /// As hexadecimal digits.
            pub fn as_str(&self) -> String {
                self.0.iter().flat_map(|b| [b >> 4, b & 15]).map(|n| char::from_digit(n.into(), 16).unwrap_or('0')).collect()
            }
        }

        text_impls!($name);
    )+};
}

hashes! { 32, "64 hexadecimal digits of 0-9 and a-f":
    /// SHA-256 of facts, rows, a ruleset.
    Digest,
    /// A text that is kept beside the ledger (a name, a reason): salted SHA-256 of it.
    TextId,
    /// An account of a person in a simulator, or the driver of a grant: salted SHA-256 of it.
    AccountHash,
}

hashes! { 16, "32 hexadecimal digits of 0-9 and a-f":
    /// A car of a session, as its facts name it: salted hash.
    CarKey,
}

impl Digest {
    /// SHA-256 of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }
}

impl TextId {
    /// The id of `text`, as stores compute it. `salt` is random, and another for each text, so that a text cannot be guessed from its id once the
    /// text is erased.
    pub fn of(salt: &[u8], text: &str) -> Self {
        Self(hash(TEXT_TAG, &[salt, text.as_bytes()]))
    }
}

impl AccountHash {
    /// The hash of account `id` of simulator `sim` under the salt of the league: the id of the text `sim/id`. The driver of a grant is an account
    /// of `grant`.
    pub fn of(salt: &[u8], sim: &str, id: &str) -> Self {
        Self(TextId::of(salt, &format!("{sim}/{id}")).0)
    }
}

impl CarKey {
    /// The key of what the source of the facts calls `name`, which never changes for a car of a session.
    pub fn of(salt: &[u8], name: &str) -> Self {
        let mut key = [0; 16];
        key.copy_from_slice(&hash(CAR_TAG, &[salt, name.as_bytes()])[..16]);
        Self(key)
    }
}

impl EntrySlug {
    /// The entry of a car that no entry was found for.
    pub fn unclaimed(car: &CarKey) -> Self {
        let text = format!("{UNCLAIMED_PREFIX}{car}");
        Self::new(&text).expect("a prefix of two characters and 32 digits are a valid slug")
    }

    /// Whether this is the entry of a car that no entry was found for.
    pub fn is_unclaimed(&self) -> bool {
        self.as_str().starts_with(UNCLAIMED_PREFIX)
    }
}

/// SHA-256 of a domain tag and parts, each with its length before it, so that no two lists of parts are the same bytes.
fn hash(domain: &str, parts: &[&[u8]]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in std::iter::once(domain.as_bytes()).chain(parts.iter().copied()) {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}

macro_rules! bounded_texts {
    ($($(#[$doc:meta])* $name:ident, $expected:literal, $check:expr;)+) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// Parse the text.
            pub fn new(text: &str) -> Result<Self, InvalidText> {
                let check: fn(&str) -> bool = $check;
                check(text).then(|| Self(text.to_owned())).ok_or(InvalidText($expected))
            }

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        text_impls!($name);
    )+};
}

bounded_texts! {
    /// A date in the league's time zone: `2026-03-08`.
    Date, "a date such as 2026-03-08", is_date;
    /// A time zone: `Europe/Berlin`.
    TimeZone, "the name of a time zone such as Europe/Berlin", |text| !text.is_empty() && text.len() <= 64
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'/' | b'_' | b'-' | b'+'));
    /// A part of a ruleset: `race`, `sprint`, `endurance_12h`.
    PartName, "1 to 40 characters of a-z, 0-9, '_' and '-'", |text| !text.is_empty() && text.len() <= 40
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'_' | b'-'));
    /// A car number: `7`, `007`.
    Number, "a car number of 1 to 8 letters and digits", |text| !text.is_empty() && text.len() <= 8 && text.bytes().all(|b| b.is_ascii_alphanumeric());
    /// What a simulator calls a car or a class; never a person.
    Told, "1 to 64 characters without control characters", |text| !text.is_empty() && text.len() <= 64 && !text.chars().any(char::is_control);
}

fn is_date(text: &str) -> bool {
    let b = text.as_bytes();
    let shape = b.len() == 10 && b.iter().enumerate().all(|(at, b)| if at == 4 || at == 7 { *b == b'-' } else { b.is_ascii_digit() });
    let number = |from: usize, to: usize| text.get(from..to).and_then(|t| t.parse::<u32>().ok()).unwrap_or(0);
    shape && (1..=12).contains(&number(5, 7)) && {
        let (year, month) = (number(0, 4), number(5, 7));
        let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
        let days = [31, if leap { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
        (1..=days[month as usize - 1]).contains(&number(8, 10))
    }
}

#[cfg(test)]
mod tests {
    use boxbox_schemas::league::Text;

    use super::*;

    #[test]
    fn a_text_has_the_id_under_which_stores_keep_it() {
        for text in ["", "Ann Example", "iracing/100001", "Ünï\u{2028}code"] {
            let salt = [7; 16];
            assert_eq!(TextId::of(&salt, text).0, Text::id(&salt, text).0, "{text}");
        }
    }
}
