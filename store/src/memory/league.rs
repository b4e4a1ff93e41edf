//! What [`MemoryResults`](super::MemoryResults) keeps of leagues.

use std::collections::BTreeMap;

use boxbox_schemas::TenantId;
use boxbox_schemas::league::{ActRow, Digest, Doc, Erasure, Head, IdempotencyKey, LeagueId, Revision, RevisionOf, StoredFacts, Text, Write, Written};
use boxbox_schemas::limits::LEAGUE_KEY_KEPT_US;

use crate::StoreError;
use crate::league_rules::{check_numbers, decide};

/// All leagues of a store.
pub(super) type AllLeagues = BTreeMap<(TenantId, LeagueId), League>;

/// What is stored of a league.
#[derive(Default)]
pub(super) struct League {
    pub(super) acts: Vec<ActRow>,
    pub(super) docs: BTreeMap<(String, String), Doc>,
    pub(super) texts: BTreeMap<(Digest, String), Text>,
    pub(super) revisions: BTreeMap<(RevisionOf, u32), Revision>,
    pub(super) facts: BTreeMap<Digest, StoredFacts>,
    keys: BTreeMap<(String, String), IdempotencyKey>,
}

impl League {
    pub(super) fn head(&self) -> Head {
        self.acts.last().map_or(Head::default(), |last| Head { seq: last.seq, hash: last.hash })
    }

    pub(super) fn answered(&self, actor: &str, key: &str) -> Option<(Digest, String)> {
        self.keys.get(&(actor.to_owned(), key.to_owned())).map(|known| (known.request, known.answer.clone()))
    }

    pub(super) fn write(&mut self, write: &Write) -> Result<Written, StoreError> {
        let known = write.key.as_ref().and_then(|key| self.answered(&key.actor, &key.key));
        let rows = match decide(write, self.head(), known) {
            Ok(rows) => rows,
            Err(written) => return Ok(written),
        };
        check_numbers(write, self.revisions.keys().cloned().collect())?;
        self.acts.extend(rows);
        if write.rebuilt {
            self.docs.clear();
        }
        self.docs.extend(write.docs.iter().map(|doc| ((doc.kind.clone(), doc.id.clone()), doc.clone())));
        for erased in &write.erased {
            self.texts.retain(|(id, owner), _| match erased {
                Erasure::Owner(gone) => owner != gone,
                Erasure::Text(gone) => id != gone,
            });
        }
        self.texts.extend(write.texts.iter().map(|text| ((text.id, text.owner.clone()), text.clone())));
        self.revisions.extend(write.revisions.iter().map(|r| ((r.info.of.clone(), r.info.number), r.clone())));
        for facts in &write.facts {
            self.facts.entry(facts.digest).or_insert_with(|| facts.clone());
        }
        if let Some(key) = &write.key {
            let oldest = key.at_us.saturating_sub(LEAGUE_KEY_KEPT_US);
            self.keys.retain(|_, known| known.at_us >= oldest);
            self.keys.insert((key.actor.clone(), key.key.clone()), key.clone());
        }
        Ok(Written::Now(self.head()))
    }
}
