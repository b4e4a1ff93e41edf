//! The table of a championship (`score.order`, steps 9 to 12).

mod adjusted;
mod compute;
mod shares;

pub(super) use compute::published_tables;
pub use compute::tables;

use serde::{Deserialize, Serialize};

use super::act::{State, Subject};
use super::canon;
use super::ids::{ChampionshipSlug, Digest, EventSlug, SeasonSlug, SessionSlug};
use super::result::Why;
use crate::scoring::{Points, TieBreak};

/// The table of a championship.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Table {
    /// The championship.
    pub championship: ChampionshipSlug,
    /// Its season.
    pub season: SeasonSlug,
    /// Who competes.
    pub subject: Subject,
    /// Provisional while any session that counts is not official.
    pub state: State,
    /// Digest of the facts of all sessions that count.
    pub facts: Digest,
    /// Hash of the rules of its season part.
    pub rules: Digest,
    /// The events that count, in their order.
    pub events: Vec<TableEvent>,
    /// The competitors, the first first.
    pub lines: Vec<Line>,
}

/// An event in a table.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct TableEvent {
    /// The event.
    pub event: EventSlug,
    /// Its number among those that count: 1 is the first.
    pub number: u32,
    /// Its sessions that count and have a result.
    pub sessions: Vec<SessionSlug>,
}

/// A competitor in a table.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Line {
    /// The rank; several can share one. None: excluded, too few starts, or gone to another class.
    pub rank: Option<u32>,
    /// The person, team, manufacturer, class or entry.
    pub competitor: String,
    /// What counts, with the adjustment.
    pub points: Points,
    /// All events together.
    pub gross: Points,
    /// Points that decisions about the season added or took off.
    pub adjustment: Points,
    /// Events in which it started.
    pub starts: u32,
    /// It went to another class.
    pub withdrawn: bool,
    /// The tie-break that put it ahead of the next line with as many points.
    pub ahead_by: Option<TieBreak>,
    /// Its events, those that it missed too.
    pub cells: Vec<Cell>,
    /// What decided the line beside its events.
    pub why: Vec<Why>,
}

/// What a competitor has in an event.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Cell {
    /// The event.
    pub event: EventSlug,
    /// Its points; none: it was not there.
    pub points: Option<Points>,
    /// They do not count.
    pub dropped: bool,
    /// It was disqualified in a session.
    pub disqualified: bool,
    /// Where they come from, session by session.
    pub why: Vec<CellWhy>,
}

/// What a competitor has of one car in one session.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct CellWhy {
    /// The session.
    pub session: SessionSlug,
    /// The entry.
    pub entry: String,
    /// Points that the competitor has of it.
    pub points: Points,
    /// False if another car counted instead.
    pub counts: bool,
    /// Where they come from.
    pub why: Vec<Why>,
}

impl Table {
    /// Digest of events, lines and state: tables with the same digest are the same. Explanations, facts and rules are not in it.
    pub fn digest(&self) -> Digest {
        let lines: Vec<_> = self.lines.iter().map(Line::bare).collect();
        canon::digest(&(self.championship, self.state, &self.events, lines))
    }
}

impl Table {
    /// Whether readers see no difference from `before`: events without a session are left out, and so are explanations.
    pub(super) fn reads_as(&self, before: &Table) -> bool {
        let driven = |table: &Table| -> Vec<(EventSlug, Vec<SessionSlug>)> {
            table.events.iter().filter(|event| !event.sessions.is_empty()).map(|event| (event.event, event.sessions.clone())).collect()
        };
        let (of, others) = (driven(self), driven(before));
        let shown = |line: &Line| {
            let bare = Line { cells: vec![], why: vec![], ..line.clone() };
            let is_driven = |cell: &&Cell| of.iter().any(|(event, _)| *event == cell.event);
            let cells: Vec<Cell> = line.cells.iter().filter(is_driven).map(|cell| Cell { why: vec![], ..cell.clone() }).collect();
            (bare, cells)
        };
        let same_lines = || self.lines.len() == before.lines.len() && self.lines.iter().zip(&before.lines).all(|(a, b)| shown(a) == shown(b));
        self.state == before.state && of == others && same_lines()
    }
}

impl Line {
    /// Everything but explanations.
    fn bare(&self) -> impl Serialize {
        let Self { rank, competitor, points, gross, adjustment, starts, withdrawn, ahead_by, cells, why: _ } = self;
        let cells: Vec<_> = cells.iter().map(Cell::bare).collect();
        (rank, competitor, points, gross, adjustment, starts, withdrawn, ahead_by, cells)
    }
}

impl Cell {
    /// Everything but explanations.
    fn bare(&self) -> impl Serialize {
        let Self { event, points, dropped, disqualified, why: _ } = self;
        (event, points, dropped, disqualified)
    }
}
