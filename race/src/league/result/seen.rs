//! Whether an override changes what is there: the value that the decision saw (`result.override`).

use std::collections::BTreeMap;

use super::{SessionResult, results};
use crate::league::act::{Act, Change, Override};
use crate::league::ids::SessionSlug;
use crate::league::refusal::{Code, Refusal};
use crate::league::{Facts, League};

/// Refuses an override whose `old` is not what the facts, or the result, have now. One of a session without facts, or of an entry without a car,
/// cannot be compared. `facts` are those of the sessions of the event, at least.
pub fn override_sees(league: &League, facts: &BTreeMap<SessionSlug, Facts>, change: &Override) -> Result<(), Refusal> {
    let wrong = |now: String| {
        Err(Refusal::new(Code::Contradicts, "change.old", format!("it is {now}: look at the result again, then say what is to be changed")))
    };
    let of = |league: &League| -> Option<SessionResult> { results(league, league.season_of(change.session)?, facts).remove(&change.session) };
    match &change.change {
        Change::Place { old, .. } => {
            let row = of(&without(league, change)).and_then(|result| result.rows.into_iter().find(|row| row.entry == change.entry));
            match row.map(|row| row.place) {
                Some(now) if now != *old => wrong(now.map_or_else(|| "no place".to_owned(), |place| format!("place {place}"))),
                _ => Ok(()),
            }
        }
        Change::Points { championship, old, .. } => {
            let scores = of(&without(league, change)).and_then(|mut result| result.scores.remove(championship)).unwrap_or_default();
            match scores.into_iter().find(|score| score.entry == change.entry).map(|score| score.points) {
                Some(now) if now != *old => wrong(now.to_string()),
                _ => Ok(()),
            }
        }
        _ => {
            let mut after = league.clone();
            after.apply(after.head() + 1, &Act::Override(change.clone()));
            let rows = of(&after).map(|result| result.rows).unwrap_or_default();
            let corrected = rows.into_iter().filter(|row| row.entry == change.entry).flat_map(|row| row.overrides);
            let outdated = corrected.into_iter().any(|of| of.outdated && of.change.field() == change.change.field());
            if outdated { wrong("another value in the facts".into()) } else { Ok(()) }
        }
    }
}

/// The league without what was decided about the same field before.
fn without(league: &League, change: &Override) -> League {
    let mut before = league.clone();
    before.overrides.remove(&(change.session, change.entry, change.change.field()));
    before
}
