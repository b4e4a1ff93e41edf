//! [`Write`]: everything that one decision changes, stored in one transaction.

use serde::{Deserialize, Serialize};

use super::{ActRow, Chain, ChainFault, Digest, Head, LeagueId, NewAct};
use crate::ids::TenantId;

const TEXT_TAG: &str = "boxbox.league.text.v1";

/// What is stored in one transaction.
#[derive(Clone, PartialEq, Debug)]
pub struct Write {
    /// The tenant.
    pub tenant: TenantId,
    /// The league, which its first act makes.
    pub league: LeagueId,
    /// The number of the last act of the ledger from which the rest was computed; 0: the league does not exist yet.
    pub expected: u64,
    /// What was decided, in this order. A write without acts stores the rest alone.
    pub acts: Vec<NewAct>,
    /// With which hash the ledger must end after the acts, where these come from an export.
    pub ends: Option<Digest>,
    /// `docs` are all projections of the league: remove those that are stored before.
    pub rebuilt: bool,
    /// Projections that changed; each replaces the one of its kind and id.
    pub docs: Vec<Doc>,
    /// Texts that the acts refer to.
    pub texts: Vec<Text>,
    /// Texts to remove, before `texts` are stored.
    pub erased: Vec<Erasure>,
    /// What is published.
    pub revisions: Vec<Revision>,
    /// Facts that results were computed from. Those of a digest that is stored are not stored again.
    pub facts: Vec<StoredFacts>,
    /// By what a repetition of the request is known.
    pub key: Option<IdempotencyKey>,
}

impl Write {
    /// A write of acts alone, behind act `expected`.
    pub fn of(tenant: TenantId, league: LeagueId, expected: u64, acts: Vec<NewAct>) -> Self {
        Self {
            tenant,
            league,
            expected,
            acts,
            ends: None,
            rebuilt: false,
            docs: vec![],
            texts: vec![],
            erased: vec![],
            revisions: vec![],
            facts: vec![],
            key: None,
        }
    }

    /// A write of rows of an export, which keep their hashes. A store in which the ledger does not end with the act before the first of them
    /// answers [`Written::Conflict`] or [`Written::Forked`].
    ///
    /// # Errors
    /// If the rows are no ledger of this league, or part of one.
    pub fn imported(tenant: TenantId, league: LeagueId, rows: &[ActRow]) -> Result<Self, ChainFault> {
        let before = rows.first().map_or(Head::default(), |first| Head { seq: first.seq.saturating_sub(1), hash: first.previous });
        let mut chain = Chain::behind(tenant, league, before);
        rows.iter().try_for_each(|row| chain.follow(row))?;
        let ends = Some(chain.head().hash);
        Ok(Self { ends, ..Self::of(tenant, league, before.seq, rows.iter().map(ActRow::act).collect()) })
    }
}

/// What became of a [`Write`].
#[must_use]
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Written {
    /// All of it is stored; the ledger ends with this act.
    Now(Head),
    /// The request was answered before, with this answer. Nothing was stored now.
    Before(String),
    /// The ledger ends with another act than the one expected: this one; 0: there is none. Nothing was stored. Read the league again, check
    /// the acts again, and write again.
    Conflict(u64),
    /// Another request was made with the same key. Nothing was stored.
    KeyReused,
    /// With these acts the ledger would end in another hash than [`Write::ends`]: it is not the ledger that was exported. Nothing was stored.
    Forked,
}

/// A projection: what the acts up to `seq` say about one thing. It can be computed again from the ledger.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Doc {
    /// What it is about (`entry`, `penalty` …): `[a-z0-9_]`, 40 characters at most.
    pub kind: String,
    /// About which one, unique within its kind.
    pub id: String,
    /// The last act that changed it.
    pub seq: u64,
    /// Canonical JSON without names and free text.
    pub body: String,
}

/// A name or a free text. Acts refer to it by its id, which tells nothing about it once the salt is erased with the text.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Text {
    /// [`Text::id`] of salt and text.
    pub id: Digest,
    /// With whom it is erased: an opaque id, as a person's.
    pub owner: String,
    /// Random bytes; those of an account are its league's, so that the same account has the same id everywhere in the league.
    pub salt: [u8; 16],
    /// The text, without NUL.
    pub text: String,
}

impl Text {
    /// The owner of the one text of a league whose salt is that of its accounts and cars.
    pub const SALT_OWNER: &str = "league-salt";
    /// The owner of the texts that are no person's.
    pub const LEAGUE_OWNER: &str = "league";

    /// Whether it is what was written: its id is that of its salt and text.
    pub fn is_whole(&self) -> bool {
        self.id == Self::id(&self.salt, &self.text)
    }

    /// A text with its id.
    pub fn new(owner: impl Into<String>, salt: [u8; 16], text: impl Into<String>) -> Self {
        let text = text.into();
        Self { id: Self::id(&salt, &text), owner: owner.into(), salt, text }
    }

    /// The id of a text: SHA-256 over a tag, the salt and the text.
    pub fn id(salt: &[u8; 16], text: &str) -> Digest {
        Digest::of(TEXT_TAG, [&salt[..], text.as_bytes()])
    }
}

/// Texts that are removed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Erasure {
    /// All that are erased with this owner.
    Owner(String),
    /// One text, of any owner.
    Text(Digest),
}

/// What is published: a session's result, a championship's table.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct RevisionOf {
    /// `session`, `championship` …: `[a-z0-9_]`, 40 characters at most.
    pub kind: String,
    /// Which one, unique within its kind.
    pub id: String,
}

/// What a revision says about itself.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RevisionInfo {
    /// What it is of.
    #[serde(flatten)]
    pub of: RevisionOf,
    /// 1, 2, 3 … without gaps.
    pub number: u32,
    /// `provisional`, `official`, `amended`: `[a-z0-9_]`, 40 characters at most.
    pub state: String,
    /// The last act that it takes into account.
    pub seq: u64,
    /// When it was published, Unix µs.
    pub at_us: i64,
    /// Of its rows.
    pub digest: Digest,
    /// Of the facts that it was computed from.
    pub facts: Digest,
    /// Of the ruleset.
    pub rules: Digest,
    /// Why it was published: a [`Text`].
    pub reason: Option<Digest>,
    /// What differs from the revision before: JSON.
    pub difference: String,
}

/// A published revision. It never changes.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Revision {
    /// What it says about itself.
    #[serde(flatten)]
    pub info: RevisionInfo,
    /// Its rows: canonical JSON without names and free text.
    pub body: String,
}

/// Facts that results were computed from, so that a revision can be computed again when the log is gone. They never change.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct StoredFacts {
    /// Their digest.
    pub digest: Digest,
    /// Canonical JSON without names.
    pub body: String,
}

/// By what a repetition of a request is known. It holds for a day at least.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct IdempotencyKey {
    /// Who makes the request: an opaque id. Keys of others are apart.
    pub actor: String,
    /// As the caller chose it.
    pub key: String,
    /// Of everything that the request says.
    pub request: Digest,
    /// When the request came, Unix µs.
    pub at_us: i64,
    /// What the request is answered, without names and free text.
    pub answer: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids() -> (TenantId, LeagueId) {
        (TenantId::new("club").unwrap(), LeagueId::new("gt3").unwrap())
    }

    #[test]
    fn an_import_is_the_acts_with_the_hash_that_they_end_with() {
        let (tenant, league) = ids();
        let mut chain = Chain::new(tenant, league);
        let acts: Vec<NewAct> = (0..4).map(|n| NewAct { at_us: n, actor: "p-1".into(), kind: "x".into(), body: "{}".into() }).collect();
        let rows: Vec<ActRow> = acts.iter().map(|act| chain.append(act.clone())).collect();
        let of = |rows: &[ActRow]| Write::imported(tenant, league, rows);
        let all = of(&rows).unwrap();
        assert_eq!((all.expected, &all.acts, all.ends), (0, &acts, Some(chain.head().hash)));
        let rest = of(&rows[2..]).unwrap();
        assert_eq!((rest.expected, &rest.acts[..], rest.ends), (2, &acts[2..], Some(chain.head().hash)));
        assert_eq!(of(&[rows[0].clone(), rows[2].clone()]), Err(ChainFault::Number { expected: 2, found: 3 }));
        let other = LeagueId::new("gt4").unwrap();
        assert_eq!(Write::imported(tenant, other, &rows), Err(ChainFault::Content { seq: 1 }));
        let zero = ActRow { seq: 0, ..rows[0].clone() };
        assert_eq!(of(&[zero]), Err(ChainFault::Number { expected: 1, found: 0 }));
    }

    /// Golden: computed once with Python's hashlib from the documentation of [`Text::id`]; a change would orphan every stored text.
    #[test]
    fn the_id_of_a_text_is_golden() {
        let text = Text::new("p-1", std::array::from_fn(|n| n as u8), "Zoë Müller");
        assert_eq!(text.id.to_string(), include_str!("../../tests/golden/text_id.hex").trim());
    }

    #[test]
    fn the_id_of_a_text_depends_on_its_salt() {
        let one = Text::new("p-1", [1; 16], "Jenny Doe");
        assert_eq!(one.id, Text::new("p-2", [1; 16], "Jenny Doe").id);
        assert_ne!(one.id, Text::new("p-1", [2; 16], "Jenny Doe").id);
        assert_ne!(one.id, Text::new("p-1", [1; 16], "Jenny Do").id);
    }
}
