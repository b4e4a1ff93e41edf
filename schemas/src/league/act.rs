//! The ledger of a league: acts in a chain of hashes.

use serde::{Deserialize, Serialize};

use super::{Digest, LeagueId};
use crate::ids::TenantId;

const ACT_TAG: &str = "boxbox.league.act.v1";

/// An act that is not stored yet.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewAct {
    /// When it was done, Unix µs. It orders nothing.
    pub at_us: i64,
    /// Who did it: an opaque id, never a name.
    pub actor: String,
    /// What kind of act the body is.
    pub kind: String,
    /// What was decided: canonical JSON without names and free text.
    pub body: String,
}

/// An act in the ledger of its league; as JSON a line of an export.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ActRow {
    /// Its number: 1, 2, 3 … without gaps.
    pub seq: u64,
    /// As [`NewAct::at_us`].
    pub at_us: i64,
    /// As [`NewAct::actor`].
    pub actor: String,
    /// As [`NewAct::kind`].
    pub kind: String,
    /// As [`NewAct::body`].
    pub body: String,
    /// The hash of the act before; of the first act 32 zeros.
    pub previous: Digest,
    /// The hash of this act: SHA-256 over a tag, tenant, league, number, time, actor, kind, body and `previous`.
    pub hash: Digest,
}

impl ActRow {
    /// The act as it was before it was stored.
    pub fn act(&self) -> NewAct {
        let Self { at_us, actor, kind, body, .. } = self;
        NewAct { at_us: *at_us, actor: actor.clone(), kind: kind.clone(), body: body.clone() }
    }
}

/// The last act of a ledger.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Head {
    /// Its number; 0: the ledger is empty.
    pub seq: u64,
    /// Its hash.
    pub hash: Digest,
}

/// A row does not continue the ledger.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ChainFault {
    /// An act is missing, or there twice.
    #[error("act {found} stands where act {expected} must be: acts were removed, added or put in another order")]
    Number {
        /// The number that it must have.
        expected: u64,
        /// The number that it has.
        found: u64,
    },
    /// It follows another act than the one before it.
    #[error("act {seq} does not follow the act before it: one of them was replaced")]
    Previous {
        /// The number of the act.
        seq: u64,
    },
    /// It is not what it was when it was stored, or belongs to another league.
    #[error("act {seq} is not what was written: its hash does not agree with its content, tenant and league")]
    Content {
        /// The number of the act.
        seq: u64,
    },
    /// The last act is not the one that the ledger must end with.
    #[error("the ledger ends with act {found}, and must end with act {expected} and its hash: acts at the end are missing, added or replaced")]
    End {
        /// The number of the act that it must end with.
        expected: u64,
        /// The number of the act that it ends with.
        found: u64,
    },
}

/// The ledger of one league, as far as it has been followed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Chain {
    tenant: TenantId,
    league: LeagueId,
    head: Head,
}

impl Chain {
    /// The ledger of `league`, which goes on behind `head`.
    pub fn behind(tenant: TenantId, league: LeagueId, head: Head) -> Self {
        Self { tenant, league, head }
    }

    /// The ledger of `league` from its beginning.
    pub fn new(tenant: TenantId, league: LeagueId) -> Self {
        Self::behind(tenant, league, Head::default())
    }

    /// The last act so far.
    pub fn head(&self) -> Head {
        self.head
    }

    /// Put `act` behind the last one.
    pub fn append(&mut self, act: NewAct) -> ActRow {
        let NewAct { at_us, actor, kind, body } = act;
        let Head { seq, hash: previous } = self.head;
        let mut row = ActRow { seq: seq.saturating_add(1), at_us, actor, kind, body, previous, hash: Digest::default() };
        row.hash = self.hash(&row);
        self.head = Head { seq: row.seq, hash: row.hash };
        row
    }

    /// Follow a stored act.
    ///
    /// # Errors
    /// If it does not continue the ledger; then the chain stays where it is.
    pub fn follow(&mut self, row: &ActRow) -> Result<(), ChainFault> {
        let expected = self.head.seq.saturating_add(1);
        if row.seq != expected {
            return Err(ChainFault::Number { expected, found: row.seq });
        }
        if row.previous != self.head.hash {
            return Err(ChainFault::Previous { seq: row.seq });
        }
        if row.hash != self.hash(row) {
            return Err(ChainFault::Content { seq: row.seq });
        }
        self.head = Head { seq: row.seq, hash: row.hash };
        Ok(())
    }

    /// Whether the ledger ends with `head`.
    ///
    /// # Errors
    /// If it does not.
    pub fn ends_with(&self, head: &Head) -> Result<(), ChainFault> {
        if self.head == *head { Ok(()) } else { Err(ChainFault::End { expected: head.seq, found: self.head.seq }) }
    }

    fn hash(&self, row: &ActRow) -> Digest {
        let (seq, at_us) = (row.seq.to_le_bytes(), row.at_us.to_le_bytes());
        let texts = [self.tenant.as_str(), self.league.as_str()].map(str::as_bytes);
        let said = [row.actor.as_str(), &row.kind, &row.body].map(str::as_bytes);
        Digest::of(ACT_TAG, texts.into_iter().chain([&seq[..], &at_us[..]]).chain(said).chain([&row.previous.0[..]]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn chain() -> Chain {
        Chain::new(TenantId::new("club").unwrap(), LeagueId::new("gt3").unwrap())
    }

    fn act(body: &str) -> NewAct {
        NewAct { at_us: 1_750_000_000_000_000, actor: "p-1".into(), kind: "league_set".into(), body: body.into() }
    }

    fn rows(count: u64) -> Vec<ActRow> {
        let mut chain = chain();
        (0..count).map(|n| chain.append(act(&format!("{{\"n\":{n}}}")))).collect()
    }

    fn followed(rows: &[ActRow]) -> Result<Head, ChainFault> {
        let mut chain = chain();
        rows.iter().try_for_each(|row| chain.follow(row))?;
        Ok(chain.head())
    }

    /// Golden: computed once with Python's hashlib from the documentation of [`ActRow::hash`]; a change would make every stored ledger look changed.
    #[test]
    fn the_hash_of_an_act_is_golden() {
        let row = chain().append(act("{\"time_zone\":\"Europe/Berlin\"}"));
        assert_eq!(row.hash.to_string(), include_str!("../../tests/golden/act_hash.hex").trim());
    }

    #[test]
    fn a_line_of_an_export_is_golden() {
        let row = chain().append(act("{}"));
        let line = serde_json::to_string(&row).unwrap();
        let zeros = "0".repeat(64);
        let expected = format!(
            r#"{{"seq":1,"at_us":1750000000000000,"actor":"p-1","kind":"league_set","body":"{{}}","previous":"{zeros}","hash":"{}"}}"#,
            row.hash
        );
        assert_eq!(line, expected);
        assert_eq!(serde_json::from_str::<ActRow>(&line).unwrap(), row);
    }

    #[test]
    fn another_league_or_tenant_has_other_hashes() {
        let row = chain().append(act("{}"));
        for (tenant, league) in [("club", "gt4"), ("clu", "bgt3"), ("clubg", "t3")] {
            let mut other = Chain::new(TenantId::new(tenant).unwrap(), LeagueId::new(league).unwrap());
            assert_eq!(other.follow(&row), Err(ChainFault::Content { seq: 1 }));
        }
    }

    #[test]
    fn rows_that_are_gone_or_added_at_the_end_are_found() {
        let all = rows(5);
        let head = followed(&all).unwrap();
        assert_eq!(followed(&all[..4]).unwrap().seq, 4);
        let mut chain = chain();
        all[..4].iter().for_each(|row| chain.follow(row).unwrap());
        assert_eq!(chain.ends_with(&head), Err(ChainFault::End { expected: 5, found: 4 }));
        chain.follow(&all[4]).unwrap();
        assert_eq!(chain.ends_with(&head), Ok(()));
        chain.append(act("{}"));
        assert_eq!(chain.ends_with(&head), Err(ChainFault::End { expected: 5, found: 6 }));
    }

    proptest! {
        /// Whatever is done to one row, it is found at that row or, where its own hash was made anew, at the next one.
        #[test]
        fn any_change_is_found(at in 0usize..7, what in 0u8..8, rehash: bool) {
            let mut all = rows(8);
            let before = all.clone();
            match what {
                0 => all[at].at_us += 1,
                1 => all[at].actor.push('x'),
                2 => all[at].kind.push('x'),
                3 => all[at].body = all[at].body.replace('{', "{ "),
                4 => all[at].previous.0[3] ^= 1,
                5 => drop(all.remove(at)),
                6 => all.swap(at, at + 1),
                _ => all.insert(at, before[at].clone()),
            }
            if rehash && what < 5 {
                all[at].hash = chain().hash(&all[at]);
            }
            let fault = followed(&all).unwrap_err();
            let seq = match fault {
                ChainFault::Number { expected, .. } => expected,
                ChainFault::Previous { seq } | ChainFault::Content { seq } => seq,
                ChainFault::End { .. } => unreachable!("not asked"),
            };
            let (first, last) = (at as u64 + 1, at as u64 + 2);
            prop_assert!((first..=last).contains(&seq), "row {first}, found at {seq}: {fault}");
        }
    }
}
