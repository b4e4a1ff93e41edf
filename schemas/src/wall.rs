//! [`WallClock`]: whether this machine's wall clock can be believed. Pure: both clocks are read by the caller.
//!
//! What is deleted, retired or refused by age depends on the wall clock, and a wall clock can be set: by a person, by a time server
//! that is wrong, by a machine without a battery. A monotonic clock cannot be set. When the two disagree, the wall clock has *jumped*.
//! A jump is found once, when it happens, and stands until the wall clock is back or a person confirms it. While a jump stands,
//! [`WallClock::steady_us`] goes on as if the wall clock had not been set.

use std::time::Duration;

/// A difference of less than this between the two clocks is no jump: leap seconds, a time server's first correction, a suspended
/// machine whose monotonic clock stood for a short time.
pub const TOLERANCE: Duration = Duration::from_secs(3_600);
/// From one run of a process to the next there is no monotonic clock. A wall clock that went forward by more than this in between
/// counts as a jump, because a machine that was switched off looks the same; it is confirmed as any other.
pub const TOLERANCE_OFF: Duration = Duration::from_secs(14 * 86_400);
/// The steady time follows the wall clock by at most this part of the time that passes: time servers slew by at most 500 ppm.
const FOLLOW_PPM: i64 = 1_000;

/// A jump of the wall clock.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Jump {
    /// What the wall clock should have shown when the jump was found, Unix µs.
    pub expected_us: i64,
    /// How far it was ahead of that, µs; negative if it was behind.
    pub by_us: i64,
}

impl std::fmt::Display for Jump {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let direction = if self.by_us < 0 { "back" } else { "forward" };
        let hours = self.by_us.unsigned_abs() as f64 / 3.6e9;
        match hours {
            h if h < 48.0 => write!(f, "the clock of this machine went {direction} by {h:.1} hours at once"),
            h => write!(f, "the clock of this machine went {direction} by {:.0} days at once", h / 24.0),
        }
    }
}

/// Compares the wall clock with the monotonic clock. See the [module](self).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct WallClock {
    /// The believed wall time less the monotonic time, µs.
    offset_us: i64,
    /// The monotonic time of the last look, µs.
    looked_us: i64,
    /// The wall clock's last reading, Unix µs.
    wall_us: i64,
    jump: Option<Jump>,
}

impl WallClock {
    /// Begin. `wall_us`: the wall clock, Unix µs; `monotonic`: the monotonic clock, since any moment.
    pub fn new(wall_us: i64, monotonic: Duration) -> Self {
        let looked_us = micros(monotonic);
        Self { offset_us: wall_us.saturating_sub(looked_us), looked_us, wall_us, jump: None }
    }

    /// Begin with what the process before has written down: `last_us`, the steady time of its last look. If the wall clock has gone back
    /// by more than [`TOLERANCE`] or forward by more than [`TOLERANCE_OFF`] since, a jump stands from the beginning.
    pub fn resume(last_us: i64, wall_us: i64, monotonic: Duration) -> Self {
        let since_us = wall_us.saturating_sub(last_us);
        if since_us >= -micros(TOLERANCE) && since_us <= micros(TOLERANCE_OFF) {
            return Self::new(wall_us, monotonic);
        }
        let jump = Some(Jump { expected_us: last_us, by_us: since_us });
        Self { wall_us, jump, ..Self::new(last_us, monotonic) }
    }

    /// Look at both clocks. Returns a jump once, at the look that finds it. A wall clock that is back where it should be ends a jump.
    pub fn look(&mut self, wall_us: i64, monotonic: Duration) -> Option<Jump> {
        let now_us = micros(monotonic).max(self.looked_us);
        let follow = (now_us - self.looked_us).saturating_mul(FOLLOW_PPM) / 1_000_000;
        self.looked_us = now_us;
        self.wall_us = wall_us;
        let expected_us = self.offset_us.saturating_add(now_us);
        let by_us = wall_us.saturating_sub(expected_us);
        if by_us.unsigned_abs() <= micros(TOLERANCE) as u64 {
            self.offset_us += by_us.clamp(-follow, follow);
            self.jump = None;
            return None;
        }
        let found = Jump { expected_us, by_us };
        let new = self.jump.is_none();
        self.jump.get_or_insert(found);
        new.then_some(found)
    }

    /// The jump that stands, if one does.
    pub fn jump(&self) -> Option<Jump> {
        self.jump
    }

    /// The believed time at the last look, Unix µs: it never jumps, and it is never more than the tolerance away from a wall clock that
    /// was not set.
    pub fn steady_us(&self) -> i64 {
        self.offset_us.saturating_add(self.looked_us)
    }

    /// How long ago the jump was found, by the monotonic clock; `None` if none stands.
    pub fn stands_for(&self) -> Option<Duration> {
        let passed = |jump: Jump| self.steady_us().saturating_sub(jump.expected_us).max(0);
        self.jump.map(|jump| Duration::from_micros(passed(jump) as u64))
    }

    /// Believe the wall clock as it stands: a person has said that it is right.
    pub fn confirm(&mut self) {
        self.offset_us = self.wall_us.saturating_sub(self.looked_us);
        self.jump = None;
    }
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HOUR: i64 = 3_600_000_000;
    const START: i64 = 1_700_000_000_000_000;

    fn at(hours: u64) -> Duration {
        Duration::from_secs(hours * 3_600)
    }

    #[test]
    fn a_jump_is_found_once_and_stands_until_the_clock_is_back_or_confirmed() {
        let mut clock = WallClock::new(START, at(5));
        assert_eq!(clock.look(START + HOUR, at(6)), None);
        let jump = clock.look(START + 2 * HOUR + 40 * 24 * HOUR, at(7)).expect("a jump of 40 days");
        assert_eq!(jump.by_us, 40 * 24 * HOUR);
        assert_eq!(jump.to_string(), "the clock of this machine went forward by 40 days at once");
        assert_eq!(clock.look(START + 3 * HOUR + 40 * 24 * HOUR, at(8)), None, "it is told once");
        assert_eq!((clock.jump(), clock.steady_us(), clock.stands_for()), (Some(jump), START + 3 * HOUR, Some(at(1))));
        let mut back = clock;
        assert_eq!(back.look(START + 4 * HOUR, at(9)), None);
        assert_eq!((back.jump(), back.stands_for()), (None, None));
        clock.confirm();
        assert_eq!((clock.jump(), clock.steady_us()), (None, START + 3 * HOUR + 40 * 24 * HOUR));
        assert!(clock.look(START, at(9)).is_some(), "and from there back is a jump again");
    }

    #[test]
    fn a_start_compares_with_what_was_written_down() {
        let day = 24 * HOUR;
        for (since, jumped) in [(0, false), (13 * day, false), (15 * day, true), (-HOUR / 2, false), (-2 * HOUR, true)] {
            let clock = WallClock::resume(START, START + since, at(0));
            assert_eq!(clock.jump().is_some(), jumped, "{since}");
            assert_eq!(clock.steady_us(), if jumped { START } else { START + since });
        }
        let mut clock = WallClock::resume(START, START + 200 * day, at(0));
        assert_eq!(clock.look(START + 200 * day + HOUR, at(1)), None, "it stands already");
        clock.confirm();
        assert_eq!(clock.steady_us(), START + 200 * day + HOUR);
    }

    proptest! {
        /// However a wall clock is slewed (up to 500 ppm) and looked at, it has not jumped, and the steady time stays near it.
        #[test]
        fn a_slewed_clock_has_not_jumped(steps in proptest::collection::vec((1i64..100_000_000_000, -500i64..=500), 1..200)) {
            let (mut wall, mut monotonic) = (START, 0i64);
            let mut clock = WallClock::new(wall, Duration::ZERO);
            for (passed, ppm) in steps {
                monotonic += passed;
                wall += passed + passed * ppm / 1_000_000;
                prop_assert_eq!(clock.look(wall, Duration::from_micros(monotonic as u64)), None);
                prop_assert!((clock.steady_us() - wall).abs() < HOUR);
            }
        }

        /// Whatever both clocks show: no panic, and the steady time never goes back nor faster than a little.
        #[test]
        fn the_steady_time_never_jumps(looks in proptest::collection::vec((any::<i64>(), 0u64..10_000_000_000), 1..100)) {
            let mut monotonic = 0;
            let mut clock = WallClock::new(START, Duration::ZERO);
            for (wall, passed) in looks {
                monotonic += passed;
                let before = clock.steady_us();
                clock.look(wall, Duration::from_micros(monotonic));
                let gone = clock.steady_us() - before;
                let slack = passed as i64 / 1_000 + 1;
                prop_assert!(gone >= passed as i64 - slack && gone <= passed as i64 + slack, "{} for {}", gone, passed);
            }
        }
    }
}
