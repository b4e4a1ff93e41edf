//! [`Revision`]: a published result or table, which never changes, and how it differs from the one before.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::act::{Published, Scope, State};
use super::canon::canonical;
use super::ids::{Digest, SeasonSlug, SessionSlug, TextId};
use super::refusal::{Code, Refusal};
use super::result::{SessionResult, results};
use super::table::{Table, published_tables};
use super::{Facts, League};
use crate::scoring::Points;

/// A revision of a result or a table, to be stored beside the act that publishes it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Revision {
    /// The act.
    pub published: Published,
    /// Canonical JSON of the [`SessionResult`](super::SessionResult) or [`Table`](super::Table).
    pub body: String,
    /// How it differs from the revision before; empty for the first.
    pub difference: Vec<Difference>,
    /// Why it is needed.
    pub cause: Cause,
}

/// Why a revision is needed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// Somebody asked for it.
    Asked,
    /// A decision changed it.
    Decision,
    /// The facts changed after they were published: somebody should look.
    Facts,
}

/// What changed for one entry or competitor.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Difference {
    /// The entry (`championship:entry` for points of a session), or the competitor.
    pub who: String,
    /// Its place before and now.
    pub place: (Option<u32>, Option<u32>),
    /// Its points before and now.
    pub points: (Points, Points),
}

/// `A -25`
impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let change = self.points.1.clone() - self.points.0.clone();
        let sign = if change.is_negative() || change.is_zero() { "" } else { "+" };
        write!(f, "{} {sign}{}", self.who, change.shown())
    }
}

/// A stored revision, as far as the next one needs it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Stored<'a> {
    /// Its act.
    pub published: &'a Published,
    /// Its body.
    pub body: &'a str,
}

/// The next revision of `scope` as `state`, from all facts of its season. `latest` is the newest stored revision of it.
pub fn publication(
    league: &League,
    scope: Scope,
    state: State,
    facts: &BTreeMap<SessionSlug, Facts>,
    latest: Option<&Stored<'_>>,
    reason: Option<TextId>,
) -> Result<Revision, Refusal> {
    let unknown = || Refusal::new(Code::Unknown, format!("scope.{}", scope.kind()), format!("there is no {} {}", scope.kind(), scope.id()));
    let season = match scope {
        Scope::Session(session) => league.season_of(session),
        Scope::Championship(id) => league.championships.get(&id).map(|at| at.it.season),
    };
    let results = results(league, season.ok_or_else(unknown)?, facts);
    let asked = Asked { state: Some(state), cause: Cause::Asked, reason };
    match scope {
        Scope::Session(session) => {
            let missing = || Refusal::new(Code::State, "scope.session", "the session has no facts, or rules that this program cannot read");
            let result = results.get(&session).ok_or_else(missing)?;
            if state != State::Provisional && !result.complete {
                return Err(Refusal::new(Code::State, "state", "the session is still open: close it, or publish the result as provisional"));
            }
            Ok(of_session(league, result, latest, asked))
        }
        Scope::Championship(id) => {
            let tables = published_tables(league, season.ok_or_else(unknown)?, &results);
            let missing = || Refusal::new(Code::State, "scope.championship", "it has rules that this program cannot read");
            let table = tables.into_iter().find(|table| table.championship == id).ok_or_else(missing)?;
            if state != State::Provisional && table.state == State::Provisional {
                let open = table.events.iter().flat_map(|event| &event.sessions).find(|session| !is_final(league, **session));
                let why = match open {
                    Some(session) => format!("session {session} counts and is not official: publish it as official first"),
                    None => "no session that counts is published: publish one as official first".to_owned(),
                };
                return Err(Refusal::new(Code::State, "state", why));
            }
            Ok(of_table(league, &table, latest, asked))
        }
    }
}

/// Whether the result of a session is official.
pub(super) fn is_final(league: &League, session: SessionSlug) -> bool {
    league.published(Scope::Session(session)).is_some_and(|published| published.state != State::Provisional)
}

/// What must be published anew: every published result and table that is not what its latest revision says, sessions first
/// (`result.revision`). Each can follow the ones before it in the ledger. `facts` are those of all sessions of the seasons concerned; `latest`
/// gives the newest stored revision of each scope that was published; `reason` is why, which an amended revision must have.
pub fn recompute(
    league: &League,
    facts: &BTreeMap<SessionSlug, Facts>,
    latest: &BTreeMap<Scope, Stored<'_>>,
    reason: Option<TextId>,
) -> Vec<Revision> {
    let mut seasons: Vec<SeasonSlug> = league
        .all_published()
        .filter_map(|published| match published.scope {
            Scope::Session(session) => league.season_of(session),
            Scope::Championship(id) => league.championships.get(&id).map(|at| at.it.season),
        })
        .collect();
    seasons.sort();
    seasons.dedup();
    // Tables say whether their sessions are official: they are made with the sessions as they will be published.
    let (mut after, mut out) = (league.clone(), vec![]);
    for season in seasons {
        let results = results(league, season, facts);
        let mut moved: Vec<SessionSlug> = vec![];
        for result in results.values() {
            let scope = Scope::Session(result.session);
            let Some(published) = league.published(scope).filter(|published| published.digest != result.digest()) else { continue };
            let cause = if published.facts == result.facts { Cause::Decision } else { Cause::Facts };
            let state = match (published.state, cause) {
                (State::Provisional, _) | (_, Cause::Facts) => State::Provisional,
                _ => State::Amended,
            };
            let revision = of_session(league, result, latest.get(&scope), Asked { state: Some(state), cause, reason });
            after.apply(after.head() + 1, &revision.published.clone().into());
            moved.extend(Some(result.session).filter(|_| cause == Cause::Facts));
            out.push(revision);
        }
        for table in published_tables(&after, season, &results) {
            let scope = Scope::Championship(table.championship);
            if league.published(scope).is_none_or(|published| published.digest == table.digest()) {
                continue;
            }
            // An event that is added or cancelled changes the digest; before it is driven it changes nothing that is shown.
            let before = latest.get(&scope).and_then(|latest| serde_json::from_str::<Table>(latest.body).ok());
            if before.is_some_and(|before| table.reads_as(&before)) {
                continue;
            }
            // A session that is published for the first time changes the facts of the table; those of no session changed.
            let changed = |session: &SessionSlug| moved.contains(session);
            let cause = if table.events.iter().flat_map(|event| &event.sessions).any(changed) { Cause::Facts } else { Cause::Decision };
            out.push(of_table(league, &table, latest.get(&scope), Asked { state: None, cause, reason }));
        }
    }
    out
}

/// How a revision is asked for.
struct Asked {
    /// None: as it follows from the sessions and the revision before.
    state: Option<State>,
    cause: Cause,
    reason: Option<TextId>,
}

fn of_session(league: &League, result: &SessionResult, latest: Option<&Stored<'_>>, asked: Asked) -> Revision {
    let before = latest.and_then(|latest| serde_json::from_str(latest.body).ok());
    let difference = before.map_or(vec![], |before| difference(session_lines(&before), session_lines(result)));
    let state = asked.state.unwrap_or(State::Provisional);
    let digests = Digests { rows: result.digest(), facts: result.facts, rules: result.rules };
    made(league, Scope::Session(result.session), (canonical(result), digests, difference), state, asked)
}

fn of_table(league: &League, table: &Table, latest: Option<&Stored<'_>>, asked: Asked) -> Revision {
    let before = latest.and_then(|latest| serde_json::from_str(latest.body).ok());
    let difference = before.map_or(vec![], |before| difference(table_lines(&before), table_lines(table)));
    let scope = Scope::Championship(table.championship);
    let was_final = league.published(scope).is_some_and(|published| published.state != State::Provisional);
    let state = asked.state.unwrap_or(match table.state {
        State::Provisional => State::Provisional,
        _ if was_final => State::Amended,
        _ => State::Official,
    });
    let digests = Digests { rows: table.digest(), facts: table.facts, rules: table.rules };
    made(league, scope, (canonical(table), digests, difference), state, asked)
}

struct Digests {
    rows: Digest,
    facts: Digest,
    rules: Digest,
}

fn made(league: &League, scope: Scope, (body, digests, difference): (String, Digests, Vec<Difference>), state: State, asked: Asked) -> Revision {
    let published = Published {
        scope,
        state,
        revision: league.published(scope).map_or(1, |latest| latest.revision + 1),
        digest: digests.rows,
        body: Digest::of(body.as_bytes()),
        facts: digests.facts,
        rules: digests.rules,
        seq: league.head(),
        reason: asked.reason,
    };
    Revision { published, body, difference, cause: asked.cause }
}

type Lines = BTreeMap<String, (Option<u32>, Points)>;

/// Each entry with its place, and each of its scores.
fn session_lines(result: &SessionResult) -> Lines {
    let places: BTreeMap<&str, Option<u32>> = result.rows.iter().map(|row| (row.entry.as_str(), row.place)).collect();
    let mut lines: Lines = result.rows.iter().map(|row| (row.entry.to_string(), (row.place, Points::default()))).collect();
    for (championship, scores) in &result.scores {
        for score in scores {
            let place = places.get(score.entry.as_str()).copied().flatten();
            lines.insert(format!("{championship}:{}", score.entry), (place, score.points.clone()));
        }
    }
    lines
}

fn table_lines(table: &Table) -> Lines {
    table.lines.iter().map(|line| (line.competitor.clone(), (line.rank, line.points.clone()))).collect()
}

/// What differs, by who. An entry that is in one of the two only has no place and no points in the other.
fn difference(before: Lines, after: Lines) -> Vec<Difference> {
    let who: std::collections::BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let of = |lines: &Lines, who: &String| lines.get(who).cloned().unwrap_or_default();
    let one = |who: &String| {
        let (old, new) = (of(&before, who), of(&after, who));
        (old != new).then(|| Difference { who: who.clone(), place: (old.0, new.0), points: (old.1, new.1) })
    };
    who.into_iter().filter_map(one).collect()
}

/// How the body `after` of a revision of `scope` differs from the body `before`; none if this program writes one of them otherwise.
pub fn difference_between(scope: Scope, before: &str, after: &str) -> Option<Vec<Difference>> {
    let lines = |body: &str| match scope {
        Scope::Session(_) => serde_json::from_str(body).ok().filter(|of| canonical(of) == body).map(|of| session_lines(&of)),
        Scope::Championship(_) => serde_json::from_str(body).ok().filter(|of| canonical(of) == body).map(|of| table_lines(&of)),
    };
    Some(difference(lines(before)?, lines(after)?))
}
