//! The time of a record, and how one record follows another.

use boxbox_schemas::limits::SIM_TIME_MAX_US;

use super::column::{Binder, Column};
use super::meta::SessionText;
use super::stats::ReadStats;
use super::units::{MAX_TIME_S, SECONDS, micros};

/// The columns that give a record's time.
#[derive(Debug, Clone)]
pub(super) struct ClockColumns {
    pub(super) time: Option<Column>,
    pub(super) tick: Option<Column>,
    pub(super) session_num: Option<Column>,
}

impl ClockColumns {
    pub(super) fn bind(b: &mut Binder<'_>) -> Self {
        Self {
            time: b.number(&["SessionTime"], SECONDS, -MAX_TIME_S..=MAX_TIME_S),
            tick: b.code("SessionTick", 0.0..=f64::from(i32::MAX)),
            session_num: b.code("SessionNum", 0.0..=1_000.0),
        }
    }
}

/// The time of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Clock {
    pub(super) num: u32,
    pub(super) tick: u32,
    pub(super) time_us: i64,
}

/// How a record follows the one before it in its session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// Later, with this many ticks missing in between.
    Forward(u32),
    /// The same tick again.
    Duplicate,
    /// Later by the tick, earlier by less than a tick's time: the clock was adjusted, it is not a rewind.
    Jitter,
    /// F4: earlier.
    Back,
}

impl Clock {
    /// The clock of `record`, if it is possible. If the recording has no time or no tick, it is computed from the other one.
    pub(super) fn read(columns: &ClockColumns, text: &SessionText, rate: u32, record: &[u8], stats: &mut ReadStats) -> Option<Self> {
        let rate = i64::from(rate);
        let num = match &columns.session_num {
            Some(c) => u32::try_from(c.whole(record, stats)?).ok()?,
            None => text.current_session().unwrap_or(0),
        };
        // Ticks are below 2^31 and times within 30 days, by their columns' ranges: no computation here overflows.
        let (tick, time_us) = match (&columns.tick, &columns.time) {
            (Some(tick), Some(time)) => (tick.whole(record, stats)?, micros(time.number(record, stats)?)),
            (Some(tick), None) => {
                let tick = tick.whole(record, stats)?;
                (tick, (tick * 1_000_000 + rate / 2) / rate)
            }
            (None, Some(time)) => {
                let time_us = micros(time.number(record, stats)?);
                ((time_us * rate + 500_000).div_euclid(1_000_000), time_us)
            }
            (None, None) => return None,
        };
        // Ticks may count further than a session can last.
        let possible = (-SIM_TIME_MAX_US..=SIM_TIME_MAX_US).contains(&time_us);
        Some(Self { num, tick: u32::try_from(tick).ok()?, time_us }).filter(|_| possible)
    }

    /// How this record follows `last`, of the same session.
    pub(super) fn after(self, last: Clock, rate: u32) -> Step {
        let tick_us = 1_000_000 / i64::from(rate);
        let ahead_us = self.time_us - last.time_us;
        if self.tick == last.tick && ahead_us > -tick_us {
            Step::Duplicate
        } else if self.tick > last.tick && ahead_us < 0 && ahead_us > -tick_us {
            Step::Jitter
        } else if self.tick <= last.tick || ahead_us < 0 {
            Step::Back
        } else {
            Step::Forward(self.tick - last.tick - 1)
        }
    }

    /// Whether this record does not fit between its neighbours although they fit each other; for the last record,
    /// whether it neither continues from the one before nor begins a session that the session text lists.
    pub(super) fn out_of_line(self, before: Clock, after: Option<Clock>, rate: u32, listed: bool) -> bool {
        match after {
            Some(after) => {
                let neighbours_fit = after.num == before.num
                    && after.tick > before.tick
                    && after.tick - before.tick <= rate
                    && (before.time_us + 1..=before.time_us + 1_000_000).contains(&after.time_us);
                // Tick and time agree on how far it is from `before`: then a fault, if there is one, is in what follows.
                let goes_on = self.tick >= before.tick && self.disagreement_us(before, rate) < 500_000 / i64::from(rate);
                let between = before.tick < self.tick && self.tick < after.tick && (before.time_us..=after.time_us).contains(&self.time_us);
                neighbours_fit && !(self.num == before.num && (goes_on && self.tick <= after.tick || between || self == after))
            }
            None if self.num != before.num => !listed,
            None => self.disagreement_us(before, rate) > 1_000_000,
        }
    }

    /// By how much the ticks and the times since `before` disagree, µs.
    fn disagreement_us(self, before: Clock, rate: u32) -> i64 {
        let by_tick = (i64::from(self.tick) - i64::from(before.tick)) * 1_000_000 / i64::from(rate);
        (by_tick - (self.time_us - before.time_us)).abs()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(tick: u32, time_us: i64) -> Clock {
        Clock { num: 0, tick, time_us }
    }

    #[test]
    fn records_follow_each_other() {
        let last = at(100, 10_000_000);
        for (next, expected) in [
            (at(101, 10_016_667), Step::Forward(0)),
            (at(160, 11_000_000), Step::Forward(59)),
            // A tick may pass without time: a paused simulator.
            (at(101, 10_000_000), Step::Forward(0)),
            (at(100, 10_000_000), Step::Duplicate),
            (at(100, 10_900_000), Step::Duplicate),
            (at(101, 9_999_000), Step::Jitter),
            (at(101, 9_900_000), Step::Back),
            (at(99, 9_983_333), Step::Back),
            (at(0, 11_000_000), Step::Back),
            (at(100, 5_000_000), Step::Back),
        ] {
            assert_eq!(next.after(last, 60), expected, "{next:?}");
        }
    }

    #[test]
    fn one_record_out_of_line_is_not_a_jump() {
        let (before, after) = (at(100, 10_000_000), Some(at(102, 10_033_333)));
        for (clock, out) in [
            (at(101, 10_016_667), false),
            (at(102, 10_033_333), false),
            (at(100, 10_000_000), false),
            (at(4_096 + 101, 10_016_667), true),
            (at(101, 10_516_667), true),
            (at(3, 10_016_667), true),
            (at(102, 10_016_667), true),
            (at(100, 10_016_667), true),
            (Clock { num: 2, ..at(101, 10_016_667) }, true),
        ] {
            assert_eq!(clock.out_of_line(before, after, 60, false), out, "{clock:?}");
        }
        // Of two records with one tick, the one whose time fits it is right.
        assert!(!at(101, 10_016_667).out_of_line(before, Some(at(101, 10_033_333)), 60, false));
        assert!(at(101, 10_033_333).out_of_line(at(101, 10_016_667), Some(at(103, 10_050_000)), 60, false));
        // A jump that lasts is a jump: the neighbours do not fit each other.
        assert!(!at(41, 9_000_000).out_of_line(before, Some(at(42, 9_016_667)), 60, false));
        assert!(!Clock { num: 2, ..at(0, 0) }.out_of_line(before, Some(Clock { num: 2, ..at(1, 16_667) }), 60, false));
        // The last record has one neighbour.
        assert!(!at(101, 10_016_667).out_of_line(before, None, 60, false));
        assert!(at(1 << 20, 10_016_667).out_of_line(before, None, 60, false));
        assert!(Clock { num: 9, ..at(101, 10_016_667) }.out_of_line(before, None, 60, false));
        assert!(!Clock { num: 2, ..at(0, 0) }.out_of_line(before, None, 60, true));
    }
}
