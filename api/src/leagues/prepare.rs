//! A draft made into what is written: acts that were checked one after the other, and everything that follows from them. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use boxbox_race::league::{
    Act, Car, Cause, Difference, Doc, EntrySlug, Facts, League, Published, Refusal, Revision, Scope, SessionSlug, Stored, TextId, bindings,
    override_sees, publication, recompute, unclaimed,
};
use boxbox_schemas::league::{self as stored, NewAct, RevisionInfo, RevisionOf, StoredFacts, Text, Write};
use boxbox_schemas::text::plain;
use serde_json::{Value, json};

use super::draft::Draft;
use super::incoming::{random, refused};
use super::loaded::{AllFacts, Loaded};
use super::rights::Acting;
use crate::problem::Problem;

/// Differences that an answer shows.
const SHOWN_DIFFERENCES: usize = 10;
/// Cars without an entry that an answer shows.
const SHOWN_UNCLAIMED: usize = 50;

/// What is written, and what it makes of the league.
pub(super) struct Prepared {
    pub(super) write: Write,
    pub(super) league: League,
    pub(super) facts: Arc<AllFacts>,
    pub(super) salt: Option<[u8; 16]>,
    /// Results and tables that have a new revision and had one before: their latest ones are needed to tell the difference.
    pub(super) revised: Vec<(Scope, u32)>,
    /// Published results whose facts changed: somebody should look.
    pub(super) alerts: Vec<Scope>,
    pub(super) answer: Value,
}

/// Published revisions by scope: their act and their body.
pub(super) type Latest = BTreeMap<Scope, (Published, String)>;

/// The salt under which accounts of the league are hashed, with the text that keeps it if it is new.
pub(super) struct Salt {
    /// It is to be stored.
    pub(super) is_new: bool,
    /// It is that of the league; if not, it is unknown, and nothing may be hashed under this one.
    pub(super) is_known: bool,
    pub(super) salt: [u8; 16],
}

/// Owner of the text whose salt is that of the league's accounts.
pub(super) const SALT_OWNER: &str = Text::SALT_OWNER;

struct Making {
    league: League,
    docs: BTreeMap<(boxbox_race::league::DocKind, String), Doc>,
    acts: Vec<NewAct>,
    revisions: Vec<Revision>,
    at_us: i64,
    actor: String,
}

impl Making {
    fn push(&mut self, act: &Act, at: Option<usize>) -> Result<(), Problem> {
        self.league.check(act).map_err(|refusal| refused(&refusal, at))?;
        for doc in self.league.apply(self.league.head() + 1, act) {
            self.docs.insert((doc.kind, doc.id.clone()), doc);
        }
        self.acts.push(NewAct { at_us: self.at_us, actor: self.actor.clone(), kind: act.kind().to_owned(), body: act.body() });
        Ok(())
    }

    /// What people decide: it must do something, and an override must change what is there (`result.override`).
    fn decide(&mut self, act: &Act, at: usize, facts: &AllFacts) -> Result<(), Problem> {
        self.league.admit(act).map_err(|refusal| refused(&refusal, Some(at)))?;
        if let Act::Override(change) = act {
            let event = self.league.session(change.session).map(|set| set.event);
            let of_event = |id: &SessionSlug| self.league.session(*id).map(|set| set.event) == event;
            let facts: BTreeMap<SessionSlug, Facts> =
                facts.of.iter().filter(|(id, _)| of_event(id)).map(|(id, facts)| (*id, facts.clone())).collect();
            override_sees(&self.league, &facts, change).map_err(|refusal| refused(&refusal, Some(at)))?;
        }
        self.push(act, Some(at))
    }

    fn publish(&mut self, revision: Revision) -> Result<(), Problem> {
        self.push(&revision.published.clone().into(), None)?;
        self.revisions.push(revision);
        Ok(())
    }
}

/// What a draft comes to. `facts` are those of the whole league; `latest` has what is published and known.
pub(super) fn prepare(
    loaded: &Loaded,
    acting: &Acting,
    draft: Draft,
    salt: &Salt,
    facts: &Arc<AllFacts>,
    latest: &Latest,
    at_us: i64,
) -> Result<Prepared, Problem> {
    let league = loaded.league.clone();
    let mut making = Making { league, docs: BTreeMap::new(), acts: vec![], revisions: vec![], at_us, actor: acting.actor.clone() };
    let (mut facts, mut stored_facts, mut texts) = (facts.clone(), vec![], draft.texts.clone());
    for (at, act) in draft.acts.iter().enumerate() {
        making.decide(act, at, &facts)?;
    }
    for (session, of) in &draft.facts {
        let digest = of.digest();
        if making.league.facts_of(*session) != Some(digest) {
            making.push(&Act::FactsChanged(boxbox_race::league::FactsChanged { session: *session, facts: digest }), None)?;
            stored_facts.push(stored_form(digest, of));
        }
        let all = Arc::make_mut(&mut facts);
        all.bytes += of.body().len();
        all.of.insert(*session, of.clone());
        all.digests.insert(*session, digest);
    }
    let stored: BTreeMap<Scope, Stored<'_>> = latest.iter().map(|(scope, (published, body))| (*scope, Stored { published, body })).collect();
    if let Some(publish) = &draft.publish {
        if let Scope::Session(session) = publish.scope
            && let Some(of) = facts.of.get(&session)
        {
            for bound in bindings(&making.league, session, of).to_bind {
                making.push(&bound.into(), None)?;
            }
        }
        let revision = publication(&making.league, publish.scope, publish.state, &facts.of, stored.get(&publish.scope), publish.reason);
        making.publish(revision.map_err(|refusal| refused(&refusal, None))?)?;
    }
    if draft.can_change_results() && making.league.all_published().next().is_some() {
        let mut new_text = None;
        let reason = reason(&draft).unwrap_or_else(|| {
            let text = Text::new("league", random(), "A decision changed it: see the acts before.");
            let id = TextId(text.id.0);
            new_text = Some(text);
            id
        });
        for revision in recompute(&making.league, &facts.of, &stored, Some(reason)) {
            texts.extend(new_text.take());
            making.publish(revision)?;
        }
    }
    let answer = answer(loaded.head.seq, &making, &draft, &facts);
    Ok(done(loaded, acting, making, facts, (draft, texts, stored_facts), salt, answer))
}

/// The reason that the request gives.
fn reason(draft: &Draft) -> Option<TextId> {
    let of = |act: &Act| match act {
        Act::PenaltyGiven(of) => Some(of.reason),
        Act::PenaltyChanged(of) => Some(of.reason),
        Act::Override(of) => Some(of.reason),
        Act::Rebound(of) => Some(of.reason),
        Act::RulesetAdopted(of) => Some(of.reason),
        Act::PersonMerged(of) => Some(of.reason),
        _ => None,
    };
    draft.publish.as_ref().and_then(|publish| publish.reason).or_else(|| draft.acts.iter().rev().find_map(of))
}

fn done(
    loaded: &Loaded,
    acting: &Acting,
    making: Making,
    facts: Arc<AllFacts>,
    (draft, mut texts, stored_facts): (Draft, Vec<Text>, Vec<StoredFacts>),
    salt: &Salt,
    answer: Value,
) -> Prepared {
    if salt.is_new {
        texts.push(Text::new(SALT_OWNER, salt.salt, "Accounts of this league are hashed under the salt of this text."));
    }
    let docs = making.docs.into_values().map(stored_doc).collect();
    let revised = making.revisions.iter().filter(|of| of.published.revision > 1).map(|of| (of.published.scope, of.published.revision - 1)).collect();
    let alerts = making.revisions.iter().filter(|of| of.cause == Cause::Facts).map(|of| of.published.scope).collect();
    let revisions = making.revisions.into_iter().map(|of| stored_revision(of, making.at_us)).collect();
    let write = Write {
        docs,
        texts,
        erased: draft.erased,
        revisions,
        facts: stored_facts,
        ..Write::of(acting.tenant, loaded.id, loaded.head.seq, making.acts)
    };
    Prepared { write, league: making.league, facts, salt: Some(salt.salt).filter(|_| salt.is_known), revised, alerts, answer }
}

/// `A -25`; where no points changed `A 1 to 2`, its places.
fn changed(of: &Difference) -> String {
    if of.points.0 != of.points.1 {
        return of.to_string();
    }
    let place = |place: Option<u32>| place.map_or_else(|| "no place".to_owned(), |place| place.to_string());
    format!("{} {} to {}", of.who, place(of.place.0), place(of.place.1))
}

/// The answer to the request, without names and texts: the service adds the names.
fn answer(before: u64, making: &Making, draft: &Draft, facts: &AllFacts) -> Value {
    let published: Vec<Value> = making
        .revisions
        .iter()
        .map(|of| {
            let difference: Vec<String> = of.difference.iter().take(SHOWN_DIFFERENCES).map(changed).collect();
            json!({ "of": of.published.scope.kind(), "id": of.published.scope.id(), "revision": of.published.revision, "state": of.published.state,
                "digest": of.published.digest, "cause": of.cause, "difference": difference })
        })
        .collect();
    let mut answer = draft.answer.clone();
    answer.insert("first".into(), (before + 1).into());
    answer.insert("head".into(), (before + making.acts.len() as u64).into());
    answer.insert("published".into(), published.into());
    let mut sessions: BTreeSet<SessionSlug> = draft.facts.iter().map(|(session, _)| *session).collect();
    sessions.extend(draft.publish.iter().filter_map(|publish| if let Scope::Session(session) = publish.scope { Some(session) } else { None }));
    if !sessions.is_empty() {
        let of = |session: &SessionSlug| Some((*session, facts.of.get(session)?));
        let cars: Vec<&Car> = sessions.iter().filter_map(of).flat_map(|(session, facts)| unclaimed(&making.league, session, facts)).collect();
        answer.insert("unclaimed".into(), cars.iter().take(SHOWN_UNCLAIMED).map(|car| unclaimed_car(car)).collect());
        answer.insert("unclaimed_count".into(), cars.len().into());
    }
    Value::Object(answer)
}

/// A car for which there is no entry, as far as the simulator tells which it is.
fn unclaimed_car(car: &Car) -> Value {
    json!({ "entry": EntrySlug::unclaimed(&car.key), "number": car.number, "class": plain(&car.class), "car": plain(&car.car), "laps": car.laps })
}

pub(super) fn stored_doc(doc: Doc) -> stored::Doc {
    stored::Doc { kind: doc.kind.as_str().to_owned(), id: doc.id, seq: doc.seq, body: boxbox_race::league::canonical(&doc.body) }
}

fn stored_form(digest: boxbox_race::league::Digest, facts: &Facts) -> StoredFacts {
    StoredFacts { digest: stored::Digest(digest.0), body: facts.body() }
}

/// What a scope is called in the store.
pub(super) fn revision_of(scope: Scope) -> RevisionOf {
    RevisionOf { kind: scope.kind().to_owned(), id: scope.id().to_owned() }
}

fn stored_revision(of: Revision, at_us: i64) -> stored::Revision {
    let Revision { published, body, difference, .. } = of;
    let state = json!(published.state).as_str().unwrap_or_default().to_owned();
    let info = RevisionInfo {
        of: revision_of(published.scope),
        number: published.revision,
        state,
        seq: published.seq,
        at_us,
        digest: stored::Digest(published.digest.0),
        facts: stored::Digest(published.facts.0),
        rules: stored::Digest(published.rules.0),
        reason: published.reason.map(|reason| stored::Digest(reason.0)),
        difference: serde_json::to_string(&difference).unwrap_or_else(|_| "[]".into()),
    };
    stored::Revision { info, body }
}

/// A league as far as its rows say; the error is the number of a row that cannot be read.
pub(super) fn follow(league: &mut League, rows: &[stored::ActRow]) -> Result<(), (u64, Refusal)> {
    for row in rows {
        let act = Act::parse(&row.body).map_err(|refusal| (row.seq, refusal))?;
        league.apply(row.seq, &act);
    }
    Ok(())
}
