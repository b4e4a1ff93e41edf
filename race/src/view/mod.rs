//! [`SessionView`]: the rows of one session, and what [`timing`] computes from them: order, results, stints, flags.
//!
//! A program that shows a session (the API, a live board, a comparison) has its rows from a store, from the steps that a processor
//! commits, or from both. All of them use this view, so all of them give the same answers.
//!
//! Rows are kept sorted by key, and `timing` reads them in place. [`SessionView::order`] looks at each lap once and uses three laps of
//! each entry, so that a program can call it every second in a long race. The other functions go over all laps: call them on demand.

mod apply;
mod rows;

pub use self::apply::Changes;
pub use self::rows::{LapKey, Rows};

use boxbox_schemas::SessionId;
use boxbox_schemas::ids::EntryId;
use boxbox_schemas::meta::SessionMeta;
use boxbox_schemas::results::{CarNow, Conflict, FlagChange, IncidentStep, Lap, PitVisit, SessionInfo, SessionStateChange};

use self::rows::Table;
use crate::timing::{self, Classified, Counting, Facts, Finish, FinishLaps, FlagSpan, Moment, RaceControl, Ranking, Seen, Standing, Stint, Summary};

/// The rows of one session that count.
#[derive(Clone, Debug)]
pub struct SessionView {
    session: SessionId,
    info: Option<SessionInfo>,
    laps: Table<Lap>,
    flags: Table<FlagChange>,
    states: Table<SessionStateChange>,
    pit_visits: Table<PitVisit>,
    incidents: Table<IncidentStep>,
    cars: Table<CarNow>,
    /// Rows of those whose reports do not count (`session.exclude`, `entry.claim`), until they count again.
    aside: Aside,
}

/// Rows that do not count.
#[derive(Clone, Debug, Default)]
struct Aside {
    flags: Table<FlagChange>,
    states: Table<SessionStateChange>,
    pit_visits: Table<PitVisit>,
    incidents: Table<IncidentStep>,
    cars: Table<CarNow>,
}

impl Aside {
    fn is_empty(&self) -> bool {
        self.flags.is_empty() && self.states.is_empty() && self.pit_visits.is_empty() && self.incidents.is_empty() && self.cars.is_empty()
    }
}

/// The classification of a session, and the fingerprint of all its results.
#[derive(Clone, PartialEq, Debug)]
pub struct SessionResult {
    /// How the session ended; `None` while it has not.
    pub finish: Option<Finish>,
    /// First place first.
    pub classified: Vec<Classified>,
    /// [`timing::digest`] of classification, laps, visits and incidents.
    pub digest: String,
}

impl SessionView {
    /// An empty view. Functions that need the [`SessionInfo`] return nothing until it comes.
    pub fn new(session: SessionId) -> Self {
        Self { session, ..tables(Rows::default()) }
    }

    /// A view of a session without rows.
    pub fn of(info: SessionInfo) -> Self {
        Self { session: info.id, info: Some(plain(info)), ..tables(Rows::default()) }
    }

    /// Add these rows of the session: a row replaces the row with its key.
    #[must_use]
    pub fn with(mut self, rows: Rows) -> Self {
        self.laps.fill(rows.laps);
        self.flags.fill(rows.flags);
        self.states.fill(rows.states);
        self.pit_visits.fill(rows.pit_visits);
        self.incidents.fill(rows.incidents);
        self.cars.fill(rows.cars);
        self.silence();
        self
    }

    /// The session's id.
    pub fn session(&self) -> SessionId {
        self.session
    }

    /// The session's description and state; `None` until known.
    pub fn info(&self) -> Option<&SessionInfo> {
        self.info.as_ref()
    }

    /// Its laps, by entry and number.
    pub fn laps(&self) -> &[Lap] {
        self.laps.all()
    }

    /// One lap.
    pub fn lap(&self, key: LapKey) -> Option<&Lap> {
        self.laps.get(key)
    }

    /// The lap of an entry with the highest number.
    pub fn last_lap(&self, entry: EntryId) -> Option<&Lap> {
        self.laps.range((entry, 0), (entry, u32::MAX)).last()
    }

    /// The fastest of all best laps that count; of equal laps the earlier one.
    pub fn fastest_lap(&self) -> Option<&Lap> {
        let counting = self.counting()?;
        timing::best_lap(self.laps().chunk_by(|a, b| a.entry == b.entry).filter_map(|of| counting.best(of)))
    }

    /// The newest row of an entry's car, the same that [`SessionView::order`] uses.
    pub fn car(&self, entry: EntryId) -> Option<&CarNow> {
        timing::newest_car(self.cars.all().iter().filter(|c| c.entry == entry))
    }

    /// The rows that decide the result.
    fn facts(&self) -> Option<Facts<'_>> {
        let session = self.info.as_ref()?;
        let pit_visits = self.pit_visits.all();
        Some(Facts { session, laps: self.laps(), flags: self.flags.all(), states: self.states.all(), cars: self.cars.all(), pit_visits })
    }

    /// Which laps [`SessionView::finish`] needs, beside flags, states and cars. More laps change nothing. With the laps of the first answer
    /// the second one may be larger; it is the last.
    pub fn finish_laps(&self) -> FinishLaps {
        self.facts().map(|facts| timing::finish_laps(&facts)).unwrap_or_default()
    }

    /// How the session ended ([`timing::finish`]); `None` while it has not.
    pub fn finish(&self) -> Option<Finish> {
        timing::finish(&self.facts()?)
    }

    /// When the winner of a race crossed the line, session time, µs ([`timing::chequered_us`]).
    pub fn chequered_us(&self) -> Option<i64> {
        timing::chequered_us(&self.facts()?)
    }

    /// Which laps count. It needs the laps of [`SessionView::finish_laps`], and of each entry the last two laps of the session.
    pub fn counting(&self) -> Option<Counting> {
        let facts = self.facts()?;
        Some(Counting::of(&facts, timing::finish(&facts).as_ref()))
    }

    /// The order at session time `at_us`; `None`: now.
    ///
    /// A caller that does not want to read all laps needs: flags, states and cars; the laps of [`SessionView::finish_laps`]; of each entry
    /// the last two laps that began by [`SessionView::recent_until_us`]; and of each entry its best lap that ended by `at_us`, among those
    /// that [`SessionView::counting`] lets be a best lap. If the counted laps are limited ([`Counting::laps_counted`]), it needs all laps.
    /// For a moment in the past it also needs the visits to the pits.
    pub fn order(&self, at_us: Option<i64>) -> Vec<Standing> {
        let (Some(session), Some(counting)) = (&self.info, self.counting()) else { return vec![] };
        let chequered_us = self.chequered_us();
        let (begun_us, ended_us) = (until_us(at_us, chequered_us), at_us.unwrap_or(i64::MAX));
        let (mut recent, mut bests) = (vec![], vec![]);
        for of in self.laps().chunk_by(|a, b| a.entry == b.entry) {
            let mut begun: Vec<&Lap> = of.iter().filter(|l| l.start_us <= begun_us).collect();
            begun.sort_by_key(|l| (l.start_us, l.number));
            let last_two = begun[begun.len().saturating_sub(2)..].iter();
            let counts = |l: &&&Lap| l.end_us <= counting.ended_by_us && counting.at_most.is_none_or(|most| l.number <= most);
            recent.extend(last_two.filter(counts).map(|l| (*l).clone()));
            let counting = counting.timed().counting(of).into_iter().filter(|l| l.number >= counting.best_from_number);
            bests.extend(timing::best_lap(counting.filter(|l| l.end_us <= ended_us)).cloned());
        }
        let pit_visits = if at_us.is_some() { self.pit_visits.all() } else { &[] };
        let mut cars = timing::with_laps_begun_by_others(self.cars.all());
        // No car drives for more laps than the winner has completed (`race.counts`).
        let beyond = |car: &CarNow| counting.at_most.is_some_and(|most| car.lap > most);
        if cars.iter().any(beyond) {
            cars.to_mut().iter_mut().filter(|car| beyond(car)).for_each(|car| car.lap = 0);
        }
        timing::order(&Moment { session, at_us, chequered_us, recent: &recent, bests: &bests, cars: &cars, pit_visits })
    }

    /// The latest start of a lap that matters for the order at `at_us`, session time, µs. Laps that begin after the chequered flag do not
    /// count.
    pub fn recent_until_us(&self, at_us: Option<i64>) -> i64 {
        until_us(at_us, self.chequered_us())
    }

    /// The classification ([`timing::classification`]): provisional while the session runs.
    pub fn classification(&self) -> Vec<Classified> {
        self.facts().map(|facts| timing::classification(&facts)).unwrap_or_default()
    }

    /// The classification with the fingerprint of all results.
    pub fn result(&self) -> SessionResult {
        let classified = self.classification();
        let digest = timing::digest(&classified, self.laps(), &self.pit_visits(), &self.incidents());
        SessionResult { finish: self.finish(), classified, digest }
    }

    /// The summary of each entry, by entry.
    pub fn summaries(&self) -> Vec<Summary> {
        self.facts().map(|facts| timing::summaries(&facts)).unwrap_or_default()
    }

    /// Stints, by entry and number.
    pub fn stints(&self) -> Vec<Stint> {
        timing::stints(self.laps(), &self.pit_visits())
    }

    /// Each pit visit once, by entry and time.
    pub fn pit_visits(&self) -> Vec<PitVisit> {
        timing::pit_visits(self.pit_visits.all())
    }

    /// Each rise of a driver's incident counter once, by entry, driver and time.
    pub fn incidents(&self) -> Vec<IncidentStep> {
        IncidentStep::fold(self.incidents.all().to_vec())
    }

    /// The span of each flag, by time, as race control shows it ([`timing::flags_out`]); of a race, if the [`SessionInfo`] says so.
    pub fn flag_spans(&self) -> Vec<FlagSpan> {
        timing::flags_out(timing::flag_spans(self.flags.all(), self.states.all(), self.cars.all()), self.ranking())
    }

    /// What single clients report of the course against all others ([`timing::unheard`]).
    pub fn unheard(&self) -> Vec<Conflict> {
        timing::unheard(self.flags.all(), self.states.all(), self.cars.all())
    }

    fn ranking(&self) -> Ranking {
        self.info.as_ref().map_or(Ranking::BestLap, Ranking::of)
    }

    /// Formation, cautions, red flags and penalties. It needs flags, states, cars, visits and all laps.
    pub fn race_control(&self) -> RaceControl {
        let (spans, visits, ranking) = (self.flag_spans(), self.pit_visits(), self.ranking());
        let (states, cars) = (self.states.all(), self.cars.all());
        timing::race_control(&Seen { ranking, spans: &spans, laps: self.laps(), visits: &visits, states, cars })
    }
}

/// A version before may have stored texts as they came (`session.plain`).
fn plain(info: SessionInfo) -> SessionInfo {
    SessionInfo { meta: info.meta.map(SessionMeta::plain), ..info }
}

fn until_us(at_us: Option<i64>, chequered_us: Option<i64>) -> i64 {
    let at_us = at_us.unwrap_or(i64::MAX);
    chequered_us.map_or(at_us, |flag| at_us.min(flag.saturating_sub(1)))
}

/// A view of these rows without a session.
fn tables(rows: Rows) -> SessionView {
    let (laps, flags, states, pit_visits, incidents, cars) = Default::default();
    SessionView { session: SessionId::default(), info: None, laps, flags, states, pit_visits, incidents, cars, aside: Aside::default() }.with(rows)
}
