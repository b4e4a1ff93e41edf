//! What stores keep of a league: its ledger, and what is stored beside it in the same transaction (D1).
//!
//! * [`act`]: what people decided, one after the other, each bound to the one before by a hash: the *ledger* of a league.
//! * [`write`]: everything that one decision changes: acts, projections, texts, revisions, facts.
//!
//! What an act says, and what follows from it, is defined in the crate `race`. Stores look at none of the bodies.

mod act;
mod digest;
mod write;

pub use act::{ActRow, Chain, ChainFault, Head, NewAct};
pub use digest::{Digest, InvalidDigest};
pub use write::{Doc, Erasure, IdempotencyKey, Revision, RevisionInfo, RevisionOf, StoredFacts, Text, Write, Written};

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::ids::ShortId;

/// The text is not a [`LeagueId`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the id of a league is 1 to 40 characters of a-z, 0-9 and '-', and does not begin with '-'")]
pub struct InvalidLeagueId;

/// A league of a tenant: `[a-z0-9][a-z0-9-]{0,39}`, chosen by whoever makes it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct LeagueId(ShortId);

impl LeagueId {
    /// Parse an id.
    ///
    /// # Errors
    /// If it has other characters, or is too long.
    pub fn new(text: &str) -> Result<Self, InvalidLeagueId> {
        let ok = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        match ShortId::new(text) {
            Ok(id) if text.bytes().all(ok) && !text.starts_with('-') => Ok(Self(id)),
            _ => Err(InvalidLeagueId),
        }
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl fmt::Display for LeagueId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for LeagueId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl FromStr for LeagueId {
    type Err = InvalidLeagueId;
    fn from_str(text: &str) -> Result<Self, InvalidLeagueId> {
        Self::new(text)
    }
}

impl<'de> Deserialize<'de> for LeagueId {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(d)?;
        Self::new(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_leagues_are_slugs() {
        for id in ["a", "0", "gt3-winter-2026", &"a".repeat(40)] {
            assert_eq!(LeagueId::new(id).map(|id| id.to_string()), Ok(id.to_owned()));
        }
        for id in ["", "-a", "A", "a_b", "a.b", "a b", "é", &"a".repeat(41)] {
            assert_eq!(LeagueId::new(id), Err(InvalidLeagueId), "{id:?}");
            assert!(serde_json::from_str::<LeagueId>(&format!("{id:?}")).is_err());
        }
    }
}
