//! When a car passed the marks of the race, up to a moment (`order.race`): what order and gaps are made of.

use boxbox_schemas::results::{CarNow, LOOPS, Lap, Tags};

/// A mark of the race: a mini-loop of a lap, counted from the line at the start of lap 0, so that a later mark has a higher number.
pub(super) type Mark = u64;

/// Marks of a lap.
pub(super) const MARKS: Mark = LOOPS as Mark;

/// The mark at mini-loop `k` of lap `number`; 0 is the line.
pub(super) fn mark(number: u32, k: usize) -> Mark {
    Mark::from(number) * MARKS + k as Mark
}

/// The marks that a car passed in its last laps, as far as their times are known.
#[derive(Clone, PartialEq, Debug, Default)]
pub(super) struct Passings {
    /// Mark and session time, µs, by mark.
    known: Vec<(Mark, i64)>,
    /// When it passes the next known mark, µs; only for a moment in the past.
    pub(super) next_us: Option<i64>,
}

impl Passings {
    /// Of these laps, by number, up to `at_us`.
    pub(super) fn of(laps: &[DrivenLap<'_>], at_us: i64) -> Self {
        let mut all: Vec<(Mark, i64)> = laps.iter().flat_map(DrivenLap::passings).collect();
        // A line over which the car was put was not passed, neither as the end of a lap nor as the start of the next (`lap.put-over`).
        all.retain(|(passed, _)| !laps.iter().any(|l| l.put_over && *passed == mark(l.number, LOOPS)));
        // The end of a lap and the start of the next are one mark: the sort is stable, so the start stands behind the end and is kept.
        all.sort_by_key(|(mark, _)| *mark);
        all.reverse();
        all.dedup_by_key(|(mark, _)| *mark);
        all.reverse();
        let (known, later): (Vec<_>, Vec<_>) = all.into_iter().partition(|(_, us)| *us <= at_us);
        let last = known.last().map_or(0, |(mark, _)| *mark);
        Self { next_us: later.into_iter().find(|(mark, _)| *mark > last).map(|(_, us)| us), known }
    }

    /// The last mark, and when it was passed.
    pub(super) fn last(&self) -> Option<(Mark, i64)> {
        self.known.last().copied()
    }

    /// When `mark` was passed, if that is known.
    pub(super) fn at(&self, mark: Mark) -> Option<i64> {
        self.known.binary_search_by_key(&mark, |(mark, _)| *mark).ok().map(|i| self.known[i].1)
    }

    /// When the first known mark beyond `mark` was passed.
    pub(super) fn beyond(&self, mark: Mark) -> Option<i64> {
        self.known.get(self.known.partition_point(|(m, _)| *m <= mark)).map(|(_, us)| *us)
    }

    /// The known marks with their times, the last one first.
    pub(super) fn newest_first(&self) -> impl Iterator<Item = (Mark, i64)> + '_ {
        self.known.iter().rev().copied()
    }
}

/// A lap, finished or open.
#[derive(Clone, Copy, Debug)]
pub(super) struct DrivenLap<'a> {
    pub(super) number: u32,
    pub(super) start_us: i64,
    /// The car crossed the line then: else a client joined in mid-lap.
    from_line: bool,
    pub(super) end_us: Option<i64>,
    /// The car was put over the line at its end.
    put_over: bool,
    loops_us: &'a [i64],
}

impl<'a> DrivenLap<'a> {
    /// A lap that was finished.
    pub(super) fn finished(lap: &'a Lap) -> Self {
        Self {
            number: lap.number,
            start_us: lap.start_us,
            from_line: !lap.tags.has(Tags::JOINED),
            end_us: Some(lap.end_us),
            put_over: lap.tags.has(Tags::PUT_OVER),
            loops_us: &lap.loops_us,
        }
    }

    /// The lap that the car is in.
    pub(super) fn open(car: &'a CarNow) -> Option<Self> {
        Some(Self { number: car.lap, start_us: car.lap_start_us?, from_line: true, end_us: None, put_over: false, loops_us: &car.loops_us })
    }

    fn passings(&self) -> impl Iterator<Item = (Mark, i64)> + '_ {
        let start = self.from_line.then_some((mark(self.number, 0), self.start_us)).into_iter();
        let loops = self.loops_us.iter().take(LOOPS - 1).enumerate().filter(|(_, us)| **us >= 0);
        let loops = loops.map(|(i, us)| (mark(self.number, i + 1), self.start_us.saturating_add(*us)));
        start.chain(loops).chain(self.end_us.map(|us| (mark(self.number, LOOPS), us)))
    }
}
