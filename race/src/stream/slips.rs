//! [`Slips`]: by how much, and when, the simulator's session time ran ahead of its ticks (`clock.slip`).

use serde::{Deserialize, Serialize};

/// Number of slips kept, so that a rewind can undo them.
const SLIPS_MAX: usize = 4;

/// The slips of one stream: the last ones, oldest first, and the sum of all before them. Unused places are 0.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(from = "Stored", into = "Stored")]
pub struct Slips {
    last: [Slip; SLIPS_MAX],
    before_us: i64,
}

/// One slip.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Slip {
    /// Tick of the first frame after it.
    pub(super) tick: u32,
    /// How far session time ran ahead, µs.
    pub(super) us: i64,
}

/// As stored: an array of slips, each an array of its tick, 0 and its length, because the state of a car has a bound. The first one
/// stands for all before the others. States of the version before have no such first one, and a time in place of the 0; what is in
/// them is not corrected, and goes on so.
type Stored = Vec<(u32, i64, i64)>;

impl From<Slips> for Stored {
    fn from(slips: Slips) -> Self {
        std::iter::once((0, 0, slips.before_us)).chain(slips.last.iter().map(|slip| (slip.tick, 0, slip.us))).collect()
    }
}

impl From<Stored> for Slips {
    fn from(stored: Stored) -> Self {
        let (mut last, known) = ([Slip::default(); SLIPS_MAX], stored.len().saturating_sub(SLIPS_MAX));
        last.iter_mut().zip(&stored[known..]).for_each(|(slip, (tick, _, us))| *slip = Slip { tick: *tick, us: *us });
        let before_us = if known > 0 { stored[known - 1].2 } else { -last.iter().map(|slip| slip.us).sum::<i64>() };
        Self { last, before_us }
    }
}

impl Slips {
    pub(super) fn add(&mut self, slip: Slip) {
        self.before_us += self.last[0].us;
        self.last.rotate_left(1);
        self.last[SLIPS_MAX - 1] = slip;
    }

    /// How far session time has run ahead so far, µs.
    #[inline]
    pub(super) fn ahead_us(&self) -> i64 {
        self.before_us + self.last.iter().map(|slip| slip.us).sum::<i64>()
    }

    /// How far it had run ahead at `tick`, µs.
    #[inline]
    pub(super) fn ahead_at_us(&self, tick: u32) -> i64 {
        self.before_us + self.last.iter().filter(|slip| slip.tick <= tick).map(|slip| slip.us).sum::<i64>()
    }

    /// The simulator went back to `tick`: forget the slips after it.
    pub(super) fn rewind(&mut self, tick: u32) {
        self.last.iter_mut().filter(|slip| slip.tick > tick).for_each(|slip| *slip = Slip::default());
        self.last.sort_unstable_by_key(|slip| slip.tick);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn six() -> Slips {
        let mut slips = Slips::default();
        (1..=6).for_each(|n| slips.add(Slip { tick: n * 100, us: i64::from(n) }));
        slips
    }

    #[test]
    fn all_slips_count_and_a_rewind_forgets_those_after_it() {
        let mut slips = six();
        assert_eq!((slips.ahead_us(), slips.ahead_at_us(599), slips.ahead_at_us(400)), (21, 15, 10));
        slips.rewind(450);
        slips.add(Slip { tick: 500, us: 7 });
        assert_eq!((slips.ahead_us(), slips.ahead_at_us(499)), (17, 10));
        // Farther back than the slips that are kept: those before them stay.
        slips.rewind(50);
        assert_eq!(slips.ahead_us(), 3);
    }

    #[test]
    fn slips_are_stored_and_those_of_the_version_before_correct_nothing() {
        assert_eq!(Slips::from(Stored::from(six())), six());
        let mut old = Slips::from(vec![(0, 0, 0), (0, 0, 0), (100, 9_000_000, 5), (200, 19_000_000, 6)]);
        assert_eq!(old.ahead_us(), 0);
        old.rewind(150);
        assert_eq!(old.ahead_us(), -6);
    }
}
