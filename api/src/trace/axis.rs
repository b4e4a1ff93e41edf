//! Samples along a rising axis, and values between them.

/// Samples, each further along the axis than the one before.
#[derive(Clone, PartialEq, Debug, Default)]
pub(crate) struct Samples {
    at: Vec<f64>,
    /// The frame of each sample.
    frame: Vec<usize>,
}

/// A position between two samples.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Between {
    /// The frame at or before the position.
    pub(crate) before: usize,
    /// The frame behind it.
    pub(crate) after: usize,
    /// How far it is from `before` to `after`, 0..=1.
    pub(crate) share: f64,
}

impl Samples {
    /// Takes those samples (position, frame) that are beyond all before them: a car that stands or rolls back adds none.
    pub(crate) fn rising(all: impl IntoIterator<Item = (f64, usize)>) -> Self {
        let mut samples = Self::default();
        for (at, frame) in all {
            if at.is_finite() && samples.at.last().is_none_or(|last| at > *last) {
                samples.at.push(at);
                samples.frame.push(frame);
            }
        }
        samples
    }

    /// The position `x` between samples; beyond either end, the sample at the end. `None` without samples.
    pub(crate) fn between(&self, x: f64) -> Option<Between> {
        let after = self.at.partition_point(|at| *at <= x).min(self.at.len().checked_sub(1)?);
        let before = self.at[..after].partition_point(|at| *at <= x).saturating_sub(1);
        let (low, high) = (self.at[before], self.at[after]);
        let share = if high > low { ((x - low) / (high - low)).clamp(0.0, 1.0) } else { 0.0 };
        // Exactly at a sample, and beyond the last, the sample alone counts, even if its neighbour lacks a value.
        let (before, after) = if share >= 1.0 {
            (after, after)
        } else if share <= 0.0 {
            (before, before)
        } else {
            (before, after)
        };
        Some(Between { before: self.frame[before], after: self.frame[after], share: if before == after { 0.0 } else { share } })
    }
}

impl Between {
    /// The value there by linear interpolation.
    pub(crate) fn linear(self, low: f64, high: f64) -> f64 {
        // Clamped, because rounding could lead beyond either value.
        (low + (high - low) * self.share).clamp(low.min(high), low.max(high))
    }
}

/// 0, `step`, 2 `step`, … below `end`, then `end`. `None` if those are more than `most`, or if there is no such list: `end` is
/// negative or not finite, or `step` is not positive. Their number is computed before the first is made.
pub(crate) fn steps(end: f64, step: f64, most: u32) -> Option<Vec<f64>> {
    if !(end.is_finite() && end >= 0.0 && step.is_finite() && step > 0.0) {
        return None;
    }
    let mut below = (end / step).ceil();
    // If the quotient was rounded up, the last multiple is `end` itself.
    if below >= 1.0 && (below - 1.0) * step >= end {
        below -= 1.0;
    }
    // An infinite number of steps is not below the bound either.
    (below < f64::from(most)).then(|| (0..below as u32).map(|k| f64::from(k) * step).chain([end]).collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_value_between_two_samples_is_between_their_values(
            places in proptest::collection::vec((-100.0f64..5_000.0, -1e6f64..1e6), 1..60), x in -200.0f64..6_000.0,
        ) {
            let samples = Samples::rising(places.iter().enumerate().map(|(i, (at, _))| (*at, i)));
            let between = samples.between(x).unwrap();
            let (low, high) = (places[between.before].1, places[between.after].1);
            let value = between.linear(low, high);
            prop_assert!((low.min(high)..=low.max(high)).contains(&value));
            prop_assert!(between.before <= between.after);
            let (first, last) = (places[samples.frame[0]].0, places[*samples.frame.last().unwrap()].0);
            if x >= first {
                prop_assert!(places[between.before].0 <= x, "the nearest before is not behind");
                prop_assert!(samples.at.iter().filter(|at| **at <= x).all(|at| *at <= places[between.before].0), "and it is the nearest");
            }
            if x <= last {
                prop_assert!(places[between.after].0 >= x);
            }
        }

        #[test]
        fn at_a_sample_its_own_value_is_given(places in proptest::collection::vec(-100.0f64..5_000.0, 1..60)) {
            let samples = Samples::rising(places.iter().enumerate().map(|(i, at)| (*at, i)));
            for frame in &samples.frame {
                let between = samples.between(places[*frame]).unwrap();
                let values: Vec<f64> = (0..places.len()).map(|i| (i * i) as f64).collect();
                prop_assert_eq!(between.linear(values[between.before], values[between.after]), values[*frame]);
                prop_assert_eq!(between.before, *frame);
            }
        }

        #[test]
        fn steps_are_equal_and_reach_from_end_to_end(end in 1.0f64..30_000.0, step in 0.5f64..1_000.0) {
            let all = steps(end, step, 100_000).unwrap();
            prop_assert_eq!((all[0], *all.last().unwrap()), (0.0, end));
            prop_assert!(all.windows(2).all(|w| w[1] > w[0] && w[1] - w[0] <= step * (1.0 + 1e-9)));
            prop_assert!(all.len() as f64 <= end / step + 2.0);
            // The bound is the exact number of steps.
            let count = all.len() as u32;
            prop_assert_eq!(steps(end, step, count), Some(all));
            prop_assert_eq!(steps(end, step, count - 1), None);
        }

        /// For any numbers, the result is an axis within the bound, or none.
        #[test]
        fn steps_are_never_more_than_the_bound(end: u64, step: u64, most in 0u32..1_000) {
            let (end, step) = (f64::from_bits(end), f64::from_bits(step));
            if let Some(all) = steps(end, step, most) {
                prop_assert!(all.len() <= most as usize && all.capacity() <= most as usize);
                prop_assert!(all.windows(2).all(|w| w[0] < w[1]) && all.last() == Some(&end));
            }
        }
    }

    #[test]
    fn what_is_no_axis_has_no_steps() {
        const LONG: f64 = 60.0 * 24.0 * 3_600.0 * 1e6;
        for (end, step) in [
            (LONG, 1_000.0),
            (28_800_000_000.0, 1_000.0),
            (1e30, 5.0),
            (f64::MAX, f64::MIN_POSITIVE),
            (1.0, 5e-324),
            (f64::INFINITY, 5.0),
            (f64::INFINITY, f64::INFINITY),
            (f64::NAN, 5.0),
            (-1.0, 5.0),
            (1e6, 0.0),
            (1e6, -5.0),
            (1e6, f64::NAN),
        ] {
            assert_eq!(steps(end, step, 36_000), None, "{end} {step}");
        }
        assert_eq!(steps(0.0, 5.0, 1), Some(vec![0.0]));
        assert_eq!(steps(0.0, 5.0, 0), None);
        assert_eq!(steps(10.0, 5.0, 3), Some(vec![0.0, 5.0, 10.0]));
        assert_eq!(steps(10.0, 5.0, 2), None);
        assert_eq!(steps(1.0, 1e300, 2), Some(vec![0.0, 1.0]));
    }
}
