//! [`Loaded`]: a league as its ledger says it at one act, and what was made of it so far.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use boxbox_race::league::{Digest, DocKind, Facts, League, SeasonSlug, SessionResult, SessionSlug, Table, results, tables};
use boxbox_schemas::league::{self as stored, Head, LeagueId};
use bytes::Bytes;
use parking_lot::Mutex;
use serde_json::Value;
use tokio::sync::OnceCell;

use super::names::{NAMED, Names};

/// Bytes of answers that are kept for one league.
const ANSWERS_MAX_BYTES: usize = 4 << 20;

/// The facts of all sessions of a league.
#[derive(Default, Clone)]
pub(crate) struct AllFacts {
    pub(crate) of: BTreeMap<SessionSlug, Facts>,
    pub(crate) digests: BTreeMap<SessionSlug, Digest>,
    /// Bytes that they have as they are stored.
    pub(crate) bytes: usize,
}

/// Results and tables of a season.
pub(crate) struct Computed {
    pub(crate) results: BTreeMap<SessionSlug, SessionResult>,
    pub(crate) tables: Vec<Table>,
}

/// An answer that is kept.
#[derive(Clone)]
pub(crate) struct Rendered {
    pub(crate) etag: Arc<str>,
    pub(crate) body: Bytes,
}

/// A league at one act.
pub(crate) struct Loaded {
    pub(crate) id: LeagueId,
    pub(crate) head: Head,
    pub(crate) league: League,
    /// Under which accounts are hashed; none: it is not known here, as after an import without texts.
    pub(crate) salt: Option<[u8; 16]>,
    pub(super) facts: OnceCell<Arc<AllFacts>>,
    /// Those of an earlier act: most of them are the same.
    pub(super) facts_before: Option<Arc<AllFacts>>,
    pub(super) names: OnceCell<Arc<Names>>,
    docs: OnceLock<BTreeMap<(DocKind, String), Value>>,
    answers: Mutex<(usize, BTreeMap<String, Rendered>)>,
}

impl Loaded {
    pub(super) fn new(id: LeagueId, head: Head, league: League, salt: Option<[u8; 16]>, facts_before: Option<Arc<AllFacts>>) -> Self {
        let (facts, names, docs, answers) = Default::default();
        Self { id, head, league, salt, facts, facts_before, names, docs, answers }
    }

    /// A league that has no act yet.
    pub(crate) fn none(id: LeagueId) -> Self {
        Self::new(id, Head::default(), League::default(), None, None)
    }

    /// Whether its ledger has anything that is hashed under the salt: accounts, cars of facts.
    pub(super) fn hashes(&self) -> bool {
        self.league.has_accounts() || self.docs_of(DocKind::Session).any(|(_, body)| !body["facts"].is_null())
    }

    /// What the acts say about each thing.
    pub(crate) fn docs(&self) -> &BTreeMap<(DocKind, String), Value> {
        self.docs.get_or_init(|| self.league.docs().into_iter().map(|doc| ((doc.kind, doc.id), doc.body)).collect())
    }

    /// The things of one kind, in order of ids.
    pub(crate) fn docs_of(&self, kind: DocKind) -> impl Iterator<Item = (&str, &Value)> {
        self.docs().range((kind, String::new())..).take_while(move |((of, _), _)| *of == kind).map(|((_, id), body)| (id.as_str(), body))
    }

    /// The ids of the texts that are names, and what each names.
    pub(super) fn names_wanted(&self) -> BTreeMap<stored::Digest, Vec<(DocKind, String)>> {
        let mut wanted: BTreeMap<stored::Digest, Vec<(DocKind, String)>> = BTreeMap::new();
        for kind in NAMED {
            for (id, body) in self.docs_of(kind) {
                let erased = body["erased"] == true;
                if let Some(text) = body["name"].as_str().filter(|_| !erased).and_then(|text| text.parse().ok()) {
                    wanted.entry(text).or_default().push((kind, id.to_owned()));
                }
            }
        }
        wanted
    }

    /// One thing.
    pub(crate) fn doc(&self, kind: DocKind, id: &str) -> Option<&Value> {
        self.docs().get(&(kind, id.to_owned()))
    }

    /// The facts, once they were loaded.
    pub(super) fn known_facts(&self) -> Option<Arc<AllFacts>> {
        self.facts.get().cloned().or_else(|| self.facts_before.clone())
    }

    /// Bytes of facts that it keeps.
    pub(super) fn facts_bytes(&self) -> usize {
        self.known_facts().map_or(0, |facts| facts.bytes)
    }

    /// An answer that was made before.
    pub(crate) fn answer(&self, key: &str) -> Option<Rendered> {
        self.answers.lock().1.get(key).cloned()
    }

    /// Keep an answer, if there is room.
    pub(crate) fn keep(&self, key: String, answer: &Rendered) {
        let mut answers = self.answers.lock();
        if answers.0 + answer.body.len() <= ANSWERS_MAX_BYTES && answers.1.insert(key, answer.clone()).is_none() {
            answers.0 += answer.body.len();
        }
    }
}

/// Results and tables of a season, from all facts.
pub(crate) fn computed(league: &League, season: SeasonSlug, facts: &AllFacts) -> Computed {
    let results = results(league, season, &facts.of);
    let tables = tables(league, season, &results);
    Computed { results, tables }
}
