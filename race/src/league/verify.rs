//! Whether what is stored beside a ledger is what the ledger says. The chain of hashes is checked where rows are read.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::League;
use super::act::{Act, Scope};
use super::canon::canonical;
use super::doc::{Doc, DocKind};
use super::ids::Digest;
use super::result::SessionResult;
use super::table::Table;

/// What differs.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, thiserror::Error)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum Finding {
    /// An act that the acts before it do not allow.
    #[error("act {seq} cannot follow the acts before it: {message}")]
    Act {
        /// Its number.
        seq: u64,
        /// Why not.
        message: String,
    },
    /// A doc is missing, too many, or other than the acts say.
    #[error("{kind:?} {id}: {message}")]
    Doc {
        /// What kind of thing.
        kind: DocKind,
        /// Which.
        id: String,
        /// How it differs.
        message: String,
    },
    /// A published revision is missing, or is not what was published.
    #[error("revision {revision} of {scope}: {message}")]
    Revision {
        /// Of what.
        scope: Scope,
        /// Its number.
        revision: u32,
        /// How it differs.
        message: String,
    },
}

/// A stored revision.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StoredRevision {
    /// Of what.
    pub scope: Scope,
    /// Its number.
    pub revision: u32,
    /// Its stored body.
    pub body: String,
}

/// Compare acts (with their numbers, in order) with the stored docs and revisions. Empty: all is as it should be.
pub fn verify<'a>(acts: impl IntoIterator<Item = (u64, &'a Act)>, docs: &[Doc], revisions: &[StoredRevision]) -> Vec<Finding> {
    let (mut league, mut findings) = (League::default(), vec![]);
    for (seq, act) in acts {
        if let Err(refusal) = league.check(act) {
            findings.push(Finding::Act { seq, message: refusal.to_string() });
        }
        league.apply(seq, act);
    }
    check_docs(&league.docs(), docs, &mut findings);
    check_revisions(&league, revisions, &mut findings);
    findings
}

fn check_docs(expected: &[Doc], stored: &[Doc], findings: &mut Vec<Finding>) {
    let by_id = |docs: &[Doc]| docs.iter().map(|doc| ((doc.kind, doc.id.clone()), (doc.seq, canonical(&doc.body)))).collect::<BTreeMap<_, _>>();
    let (expected, stored) = (by_id(expected), by_id(stored));
    let ids: BTreeSet<&(DocKind, String)> = expected.keys().chain(stored.keys()).collect();
    for id in ids {
        let message = match (expected.get(id), stored.get(id)) {
            (Some(_), None) => "it is missing".to_owned(),
            (None, Some(_)) => "no act made it".to_owned(),
            (Some((_, a)), Some((_, b))) if a != b => format!("the acts say {a}, stored is {b}"),
            (Some((a, _)), Some((b, _))) if a != b => format!("act {a} changed it last, stored is act {b}"),
            _ => continue,
        };
        findings.push(Finding::Doc { kind: id.0, id: id.1.clone(), message });
    }
}

fn check_revisions(league: &League, stored: &[StoredRevision], findings: &mut Vec<Finding>) {
    let mut by_number: BTreeMap<(Scope, u32), &str> = stored.iter().map(|of| ((of.scope, of.revision), of.body.as_str())).collect();
    for published in league.publications.values().flat_map(|at| &at.it.revisions) {
        let (scope, revision) = (published.scope, published.revision);
        let message = match by_number.remove(&(scope, revision)) {
            None => "it is missing".to_owned(),
            Some(body) if Digest::of(body.as_bytes()) != published.body => "its rows are not those that were published".to_owned(),
            Some(body) => match digest_of(scope, body) {
                Some(digest) if digest != published.digest => "its digest is not that of its rows".to_owned(),
                // A body that an older program wrote may have another form; the digest of its bytes is what was published.
                _ => continue,
            },
        };
        findings.push(Finding::Revision { scope, revision, message });
    }
    findings.extend(by_number.into_keys().map(|(scope, revision)| Finding::Revision { scope, revision, message: "no act published it".into() }));
}

/// The digest of the rows of a body; `None` if this program writes such a body otherwise.
fn digest_of(scope: Scope, body: &str) -> Option<Digest> {
    match scope {
        Scope::Session(_) => serde_json::from_str::<SessionResult>(body).ok().filter(|of| canonical(of) == body).map(|of| of.digest()),
        Scope::Championship(_) => serde_json::from_str::<Table>(body).ok().filter(|of| canonical(of) == body).map(|of| of.digest()),
    }
}
