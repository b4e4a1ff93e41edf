//! [`Slips`]: by how much, and when, the simulator's session time ran ahead of its ticks (`clock.slip`).

use serde::{Deserialize, Serialize};

/// Number of slips kept, so that observed cars learn of them, and a rewind can undo them.
const SLIPS_MAX: usize = 4;

/// The last slips of one stream, oldest first. Unused places are 0.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Slips([Slip; SLIPS_MAX]);

/// One slip.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Slip {
    /// Tick and session time (µs) of the first frame after it.
    pub(super) tick: u32,
    pub(super) at_us: i64,
    /// How far session time ran ahead, µs.
    pub(super) us: i64,
}

/// Slips are stored as arrays, because the state of a car has a bound.
impl Serialize for Slip {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        (self.tick, self.at_us, self.us).serialize(to)
    }
}

impl<'de> Deserialize<'de> for Slip {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Deserialize::deserialize(from).map(|(tick, at_us, us)| Self { tick, at_us, us })
    }
}

impl Slips {
    pub(super) fn add(&mut self, slip: Slip) {
        self.0.rotate_left(1);
        self.0[SLIPS_MAX - 1] = slip;
    }

    /// Sum of the slips after tick `from`, up to tick `to`, µs.
    #[inline]
    pub(super) fn between_us(&self, from: u32, to: u32) -> i64 {
        self.0.iter().filter(|slip| slip.tick > from && slip.tick <= to).map(|slip| slip.us).sum()
    }

    /// The slips after `tick`, newest first.
    pub(super) fn after(&self, tick: u32) -> impl Iterator<Item = Slip> {
        self.0.into_iter().rev().filter(move |slip| slip.tick > tick)
    }

    /// The simulator went back to `tick`: forget the slips after it.
    pub(super) fn rewind(&mut self, tick: u32) {
        self.0.iter_mut().filter(|slip| slip.tick > tick).for_each(|slip| *slip = Slip::default());
        self.0.sort_unstable_by_key(|slip| slip.tick);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_slips_are_kept_and_a_rewind_forgets_those_after_it() {
        let mut slips = Slips::default();
        (1..=6).for_each(|n| slips.add(Slip { tick: n * 100, at_us: 0, us: i64::from(n) }));
        assert_eq!((slips.between_us(0, 600), slips.between_us(300, 599), slips.between_us(400, 400)), (18, 9, 0));
        assert_eq!(slips.after(450).map(|slip| slip.us).collect::<Vec<_>>(), [6, 5]);
        slips.rewind(450);
        slips.add(Slip { tick: 500, at_us: 0, us: 7 });
        assert_eq!(slips.between_us(0, 1_000), 3 + 4 + 7);
    }
}
