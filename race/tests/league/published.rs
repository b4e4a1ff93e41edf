//! Revisions: what is published stays, and what must be published anew follows from acts and facts.

use std::collections::BTreeMap;

use boxbox_race::league::{
    Act, Cause, Code, Doc, Finding, League, Revision, Role, Sanction, Scope, State, Stored, StoredRevision, publication, recompute, verify,
};

use crate::world::{F1, World, id, order, text, time};

/// A world that publishes, and what it has published.
struct Paper {
    world: World,
    stored: Vec<Revision>,
}

impl Paper {
    /// Two races, A before B before C.
    fn new() -> Self {
        let mut world = World::new(F1);
        world.enter(&["a", "b", "c"]).race("e1", 1, &["a", "b", "c"]).race("e2", 2, &["a", "b", "c"]).bind("e1-race").bind("e2-race");
        Self { world, stored: vec![] }
    }

    fn latest(&self) -> BTreeMap<Scope, Stored<'_>> {
        self.stored.iter().map(|revision| (revision.published.scope, Stored { published: &revision.published, body: &revision.body })).collect()
    }

    fn take(&mut self, revision: Revision) {
        self.world.act(revision.published.clone());
        self.stored.push(revision);
    }

    fn publish(&mut self, scope: Scope, state: State) -> Result<(), boxbox_race::league::Refusal> {
        let latest = self.latest();
        let revision = publication(&self.world.league, scope, state, &self.world.facts, latest.get(&scope), None)?;
        self.take(revision);
        Ok(())
    }

    fn recompute(&mut self) -> Vec<Revision> {
        let made = recompute(&self.world.league, &self.world.facts, &self.latest(), Some(text()));
        made.iter().for_each(|revision| self.take(revision.clone()));
        made
    }
}

fn session(name: &str) -> Scope {
    Scope::Session(id(name))
}

fn table() -> Scope {
    Scope::Championship(id("d"))
}

#[test]
fn a_protest_that_is_upheld_amends_the_session_and_the_table() {
    let mut paper = Paper::new();
    assert_eq!(paper.publish(table(), State::Official).unwrap_err().code, Code::State, "its sessions are not official");
    for scope in [session("e1-race"), session("e2-race")] {
        paper.publish(scope, State::Provisional).unwrap();
        paper.publish(scope, State::Official).unwrap();
    }
    paper.publish(table(), State::Official).unwrap();
    assert!(paper.recompute().is_empty(), "nothing has changed");
    let before = paper.stored.last().unwrap().clone();

    paper.world.penalty("p", "e1-race", "a", Sanction::Disqualified {});
    let made = paper.recompute();
    let what: Vec<_> = made.iter().map(|of| (of.published.scope, of.published.state, of.published.revision, of.cause)).collect();
    assert_eq!(what, [(session("e1-race"), State::Amended, 3, Cause::Decision), (table(), State::Amended, 2, Cause::Decision)]);
    let text: Vec<String> = made[1].difference.iter().map(|of| of.to_string()).collect();
    let short: Vec<String> = text.iter().map(|of| of.trim_start_matches("p-").trim_start_matches('0').to_owned()).collect();
    assert_eq!(short, ["a -25", "b +7", "c +3"]);
    assert_eq!(made[1].difference[0].place, (Some(1), Some(3)));
    assert!(paper.recompute().is_empty(), "published anew, it is what was published");

    // An appeal takes it back: the rows are those of before, in a revision of their own.
    paper.world.rescind("p");
    let made = paper.recompute();
    assert_eq!(made[1].published.digest, before.published.digest);
    assert_eq!(made[1].published.revision, 3);
}

#[test]
fn facts_that_change_after_publication_make_a_provisional_revision_and_an_alert() {
    let mut paper = Paper::new();
    for scope in [session("e1-race"), session("e2-race")] {
        paper.publish(scope, State::Official).unwrap();
    }
    paper.publish(table(), State::Official).unwrap();
    paper.world.drove("e2-race", order(&["b", "a", "c"]));
    let made = paper.recompute();
    let what: Vec<_> = made.iter().map(|of| (of.published.scope, of.published.state, of.cause)).collect();
    assert_eq!(what, [(session("e2-race"), State::Provisional, Cause::Facts), (table(), State::Provisional, Cause::Facts)]);
    // Facts that change nothing change nothing.
    let mut cars = paper.world.facts[&id("e1-race")].cars().to_vec();
    cars[0].valid_laps.push(boxbox_race::league::ValidLap { lap: 3, us: 1, at_us: None });
    paper.world.drove("e1-race", boxbox_race::league::Facts::of(cars, None, true));
    assert!(paper.recompute().is_empty());
}

#[test]
fn a_provisional_session_makes_the_table_provisional() {
    let mut paper = Paper::new();
    paper.publish(session("e1-race"), State::Official).unwrap();
    paper.publish(session("e2-race"), State::Provisional).unwrap();
    paper.publish(table(), State::Provisional).unwrap();
    paper.publish(session("e2-race"), State::Official).unwrap();
    let made = paper.recompute();
    assert_eq!((made.len(), made[0].published.state), (1, State::Official), "its last session became official");
}

#[test]
fn states_follow_each_other() {
    let mut paper = Paper::new();
    let scope = session("e1-race");
    paper.publish(scope, State::Official).unwrap();
    let one = paper.stored[0].published.clone();
    let refused = |published: boxbox_race::league::Published| paper.world.league.check(&published.into()).unwrap_err().code;
    let two = boxbox_race::league::Published { revision: 2, ..one.clone() };
    assert_eq!(refused(one.clone()), Code::Contradicts);
    assert_eq!(refused(two.clone()), Code::State);
    assert_eq!(refused(boxbox_race::league::Published { state: State::Provisional, ..two.clone() }), Code::State);
    assert_eq!(refused(boxbox_race::league::Published { state: State::Amended, ..two.clone() }), Code::ReasonNeeded);
    assert_eq!(refused(boxbox_race::league::Published { seq: 1_000, ..two.clone() }), Code::Contradicts);
    assert_eq!(refused(boxbox_race::league::Published { facts: Default::default(), ..two }), Code::Contradicts);
}

#[test]
fn a_session_that_is_still_open_cannot_be_official() {
    let mut paper = Paper::new();
    let facts = boxbox_race::league::Facts::of(order(&["a", "b"]).cars().to_vec(), None, false);
    paper.world.drove("e1-race", facts);
    assert_eq!(paper.publish(session("e1-race"), State::Official).unwrap_err().code, Code::State);
    paper.publish(session("e1-race"), State::Provisional).unwrap();
}

#[test]
fn verify_names_what_was_changed_by_hand() {
    let mut paper = Paper::new();
    paper.publish(session("e1-race"), State::Official).unwrap();
    paper.publish(table(), State::Provisional).unwrap();
    paper.world.penalty("p", "e1-race", "b", time(5)).session("e2-sprint", "e2", Role::Sprint, order(&["a"]));
    paper.recompute();
    let acts: Vec<Act> = paper.world.acts.clone();
    let docs = paper.world.league.docs();
    let stored: Vec<StoredRevision> =
        paper.stored.iter().map(|of| StoredRevision { scope: of.published.scope, revision: of.published.revision, body: of.body.clone() }).collect();
    let found = |acts: &[Act], docs: &[Doc], stored: &[StoredRevision]| verify((1..).zip(acts), docs, stored);
    assert_eq!(found(&acts, &docs, &stored), []);

    for at in 0..docs.len() {
        let mut less = docs.clone();
        let gone = less.remove(at);
        assert!(matches!(&found(&acts, &less, &stored)[..], [Finding::Doc { id, .. }] if *id == gone.id));
        let mut other = docs.clone();
        other[at].body["new"] = 1.into();
        assert!(matches!(&found(&acts, &other, &stored)[..], [Finding::Doc { kind, .. }] if *kind == gone.kind));
    }
    for at in 0..stored.len() {
        let mut other = stored.clone();
        other[at].body = other[at].body.replace("25", "26");
        let changed = other[at].body != stored[at].body;
        assert!(changed && matches!(&found(&acts, &docs, &other)[..], [Finding::Revision { revision, .. }] if *revision == stored[at].revision));
    }
    assert!(matches!(&found(&acts, &docs, &stored[1..])[..], [Finding::Revision { .. }]));
    // An act that is missing shows in what follows from it.
    assert!(!found(&acts[1..], &docs, &stored).is_empty());
}

#[test]
fn acts_that_are_read_again_give_the_same_digests() {
    let mut paper = Paper::new();
    paper.world.penalty("p", "e1-race", "a", time(5));
    let bodies: Vec<String> = paper.world.acts.iter().map(Act::body).collect();
    let read: Vec<Act> = bodies.iter().map(|body| Act::parse(body).unwrap()).collect();
    let league = League::of((1..).zip(&read));
    assert_eq!(league.docs(), paper.world.league.docs());
    let again = World { league, ..paper.world.clone() };
    assert_eq!(again.result("e1-race").digest(), paper.world.result("e1-race").digest());
    assert_eq!(again.table("d").digest(), paper.world.table("d").digest());
}

/// Readers see of a table what is published of its sessions (`result.published`).
#[test]
fn a_published_table_counts_published_sessions_only() {
    let mut paper = Paper::new();
    paper.publish(session("e1-race"), State::Official).unwrap();
    paper.publish(table(), State::Official).unwrap();
    let points = |revision: &Revision| {
        let table: boxbox_race::league::Table = serde_json::from_str(&revision.body).unwrap();
        table.lines.iter().map(|line| line.points.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(points(paper.stored.last().unwrap()), ["25", "18", "15"], "the second race is not published");
    // What is driven, corrected and decided of a session that is not published changes nothing that is.
    paper.world.race("e3", 3, &["b", "a", "c"]).drove("e2-race", order(&["c", "b", "a"])).penalty("p", "e2-race", "a", time(5));
    assert!(paper.recompute().is_empty());
    paper.publish(session("e2-race"), State::Provisional).unwrap();
    let made = paper.recompute();
    assert_eq!(
        made.iter().map(|of| (of.published.scope, of.published.state, of.cause)).collect::<Vec<_>>(),
        [(table(), State::Provisional, Cause::Decision)]
    );
    assert_eq!(points(&made[0]), ["40", "40", "36"], "a and c, b");
}

/// An event that is not driven yet changes no table, wherever it comes and however often it is changed.
#[test]
fn an_event_without_a_session_amends_nothing() {
    let mut paper = Paper::new();
    for scope in [session("e1-race"), session("e2-race")] {
        paper.publish(scope, State::Official).unwrap();
    }
    paper.publish(table(), State::Official).unwrap();
    paper.world.event("e9", 9, |_| {});
    assert!(paper.recompute().is_empty(), "behind the others");
    paper.world.event("e0", 0, |_| {});
    assert!(paper.recompute().is_empty(), "before the others");
    paper.world.event("e9", 9, |event| event.multiplier = 2.into());
    paper.world.event("e0", 0, |event| event.cancelled = true);
    assert!(paper.recompute().is_empty(), "changed and cancelled");
    paper.world.event("e2", 2, |event| event.cancelled = true);
    assert_eq!(paper.recompute().iter().map(|of| of.published.scope).collect::<Vec<_>>(), [table()], "one that was driven counts no more");
}
