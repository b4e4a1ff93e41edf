//! [`Progress`]: how far round the lap a car was, and when.

use boxbox_schemas::frame::{ArchivedCarFrame, Presence};
use boxbox_schemas::limits::DISTANCE_MAX_M;
use boxbox_schemas::meta::SessionMeta;
use boxbox_schemas::results::Lap;

use super::Samples;

/// The progress of one lap: fractions of the lap over the time since its start, from line to line.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Progress {
    /// Fractions of the lap, rising from 0.
    share: Vec<f64>,
    /// Times of these fractions, µs since the lap's start; never falling.
    at_us: Vec<f64>,
    /// Frames by fraction of the lap, including those just before its start and behind its end.
    pub(crate) samples: Samples,
}

impl Progress {
    /// The progress of `lap` from its frames, each with its time since the start, µs; `complete`: all frames are there, so that its end is
    /// known too. `None` if no frame has a position on the lap.
    ///
    /// Both ends are the lap's own: fraction 0 is at `start_us`, fraction 1 at `end_us`. The first lap of a race begins on the grid,
    /// behind the line; the time to the line is within its first step.
    pub(crate) fn of(lap: &Lap, frames: (&[&ArchivedCarFrame], &[i64]), length_m: Option<f64>, complete: bool) -> Option<Self> {
        let places: Vec<(f64, f64)> = unwrapped(lap, frames, length_m);
        if places.is_empty() {
            return None;
        }
        let time_us = lap.time_us as f64;
        let (mut share, mut at_us) = (vec![0.0], vec![0.0]);
        for (at, place) in places.iter().copied().filter(|(at, _)| at.is_finite()) {
            let last = (share[share.len() - 1], at_us[at_us.len() - 1]);
            if place > last.0 && place < 1.0 && at >= last.1 && at <= time_us {
                share.push(place);
                at_us.push(at);
            }
        }
        if complete {
            share.push(1.0);
            at_us.push(time_us);
        }
        let samples = Samples::rising(places.iter().enumerate().map(|(frame, (_, place))| (*place, frame)));
        Some(Self { share, at_us, samples })
    }

    /// The fraction of the lap up to which the progress is known: 1 for a whole lap.
    pub(crate) fn end(&self) -> f64 {
        self.share[self.share.len() - 1]
    }

    /// When the car reached this fraction of the lap, µs since the start.
    pub(crate) fn at_us(&self, share: f64) -> f64 {
        let after = self.share.partition_point(|s| *s <= share).min(self.share.len() - 1);
        let before = after.saturating_sub(1);
        let (low, high) = (self.share[before], self.share[after]);
        if share >= high || high <= low {
            return self.at_us[after];
        }
        let part = ((share - low) / (high - low)).clamp(0.0, 1.0);
        self.at_us[before] + (self.at_us[after] - self.at_us[before]) * part
    }
}

/// For each frame: µs since the lap's start, laps since its start; NaN where a frame has no position.
fn unwrapped(lap: &Lap, (frames, at_us): (&[&ArchivedCarFrame], &[i64]), length_m: Option<f64>) -> Vec<(f64, f64)> {
    let half_us = lap.time_us as f64 / 2.0;
    let mut last: Option<f64> = None;
    let mut any = false;
    let places = frames.iter().zip(at_us).map(|(frame, at_us)| {
        let at = *at_us as f64;
        let Some(pct) = fraction(frame, length_m) else { return (f64::NAN, f64::NAN) };
        any = true;
        let place = match last {
            // Near the start, .99 is behind the line; near the end, .01 is beyond it.
            None if at < half_us && pct > 0.5 => pct - 1.0,
            None => pct,
            Some(last) => last + (pct - last) - (pct - last).round(),
        };
        last = Some(place);
        (at, place)
    });
    let places: Vec<_> = places.collect();
    if any { places } else { vec![] }
}

fn fraction(frame: &ArchivedCarFrame, length_m: Option<f64>) -> Option<f64> {
    let has = |p| Presence::from(&frame.presence).has(p);
    let pct = has(Presence::LAP_PCT).then(|| frame.lap_pct.to_native());
    // iRacing reports 0 and not-in-world in the first sample and at a reset: that is no position.
    let nowhere = has(Presence::TRACK_LOC) && frame.track_loc.0 < 0;
    // Frames that were stored before edges had this limit may hold any value.
    let dist_m = Some(f64::from(frame.lap_dist_m.to_native())).filter(|m| has(Presence::LAP_DIST) && m.abs() <= DISTANCE_MAX_M);
    let of_distance = || Some(dist_m? / length_m?);
    pct.or_else(of_distance).filter(|p| p.is_finite() && !nowhere)
}

/// Length of the lap, m, never beyond [`DISTANCE_MAX_M`]: from the session's description, else from the lap's frames.
pub(crate) fn length_m(meta: Option<&SessionMeta>, frames: &[&ArchivedCarFrame]) -> Option<f64> {
    meta.and_then(SessionMeta::known_length_m).or_else(|| driven_length_m(frames))
}

/// Length from the frames: the median of distance over fraction (iRacing rounds the length in its description; this is exact).
/// Frames with an impossible distance are left out.
fn driven_length_m(frames: &[&ArchivedCarFrame]) -> Option<f64> {
    let has_both = |f: &&&ArchivedCarFrame| Presence::from(&f.presence).has(Presence::LAP_PCT.with(Presence::LAP_DIST)) && f.lap_pct > 0.1;
    let lengths = frames.iter().filter(has_both).map(|f| f64::from(f.lap_dist_m.to_native()) / f.lap_pct.to_native());
    let mut all: Vec<f64> = lengths.filter(|length| *length > 1.0 && *length <= DISTANCE_MAX_M).collect();
    all.sort_by(f64::total_cmp);
    all.get(all.len() / 2).copied()
}

/// How far `b` is behind `a` at each fraction of the lap, µs, each since its own start.
pub(crate) fn delta_us(a: &Progress, b: &Progress, shares: &[f64]) -> Vec<i64> {
    // Rounded once, halves away from 0, so that swapping the laps only changes the sign.
    shares.iter().map(|share| (b.at_us(*share) - a.at_us(*share)).round() as i64).collect()
}

#[cfg(test)]
mod tests {
    use boxbox_schemas::frame::CarFrame;
    use proptest::prelude::*;

    use super::*;

    const LENGTH_M: f64 = 4_000.0;

    /// The frames of a lap at 60 Hz with a given speed in each second; the lap starts between two frames.
    fn driven(speeds: &[f64]) -> (Lap, Vec<Vec<u8>>) {
        let (start_us, step_us) = (10_005_000i64, 16_667i64);
        let (mut at_us, mut place, mut frames) = (start_us - 5_000, -0.000_1, vec![]);
        let mut end_us = None;
        for tick in 0.. {
            let frame = CarFrame {
                tick,
                sim_time_us: at_us,
                presence: Presence::LAP_PCT.with(Presence::LAP_DIST),
                lap_pct: place - f64::floor(place),
                lap_dist_m: ((place - f64::floor(place)) * LENGTH_M) as f32,
                ..CarFrame::default()
            };
            frames.push(rkyv::to_bytes::<rkyv::rancor::Error>(&frame).unwrap().to_vec());
            if end_us.is_some() {
                break;
            }
            let speed = speeds[((at_us - start_us).max(0) / 1_000_000) as usize % speeds.len()];
            let next = place + speed * step_us as f64 / 1e6 / LENGTH_M;
            if next >= 1.0 {
                end_us = Some(at_us + ((1.0 - place) / (next - place) * step_us as f64).round() as i64);
            }
            (at_us, place) = (at_us + step_us, next);
        }
        (lap(start_us, end_us.unwrap()), frames)
    }

    fn lap(start_us: i64, end_us: i64) -> Lap {
        crate::tests::plain_lap(start_us, end_us)
    }

    /// The times of a clock that does not slip.
    fn at_us(lap: &Lap, frames: &[&ArchivedCarFrame]) -> Vec<i64> {
        frames.iter().map(|f| i64::from(f.sim_time_us) - lap.start_us).collect()
    }

    fn progress(speeds: &[f64]) -> (Lap, Progress) {
        let (lap, frames) = driven(speeds);
        let frames: Vec<&ArchivedCarFrame> = frames.iter().map(|f| rkyv::access::<ArchivedCarFrame, rkyv::rancor::Error>(f).unwrap()).collect();
        assert!((length_m(None, &frames).unwrap() - LENGTH_M).abs() < 0.01);
        let progress = Progress::of(&lap, (&frames, &at_us(&lap, &frames)), None, true).unwrap();
        (lap, progress)
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn a_comparison_starts_at_0_ends_at_the_difference_and_turns_its_sign(
            a in proptest::collection::vec(15.0f64..90.0, 1..40), b in proptest::collection::vec(15.0f64..90.0, 1..40), points in 2usize..500,
        ) {
            let ((lap_a, a), (lap_b, b)) = (progress(&a), progress(&b));
            let shares: Vec<f64> = (0..points).map(|k| k as f64 / (points - 1) as f64).collect();
            let delta = delta_us(&a, &b, &shares);
            prop_assert_eq!((delta[0], delta[points - 1]), (0, lap_b.time_us - lap_a.time_us));
            prop_assert_eq!(delta_us(&b, &a, &shares), delta.iter().map(|d| -d).collect::<Vec<_>>());
            prop_assert_eq!(delta_us(&a, &a, &shares), vec![0; points]);
        }

        /// An independent truth: at constant speed, the time at each distance is known.
        #[test]
        fn a_steady_car_gets_there_when_it_must(speed in 15.0f64..90.0, share in 0.0f64..1.0) {
            let (_, progress) = progress(&[speed]);
            // The start is 5 ms behind the first frame, which is 0.0001 of a lap before the line: known to 20 ms at 15 m/s.
            let truth = share * LENGTH_M / speed * 1e6;
            let start_off = (0.000_1 * LENGTH_M / speed * 1e6 - 5_000.0).abs();
            prop_assert!((progress.at_us(share) - truth).abs() <= start_off + 2.0, "{} {truth}", progress.at_us(share));
        }
    }

    #[test]
    fn a_car_that_rolls_back_is_where_it_got_to() {
        let places = [0.0, 0.2, 0.4, 0.39, 0.38, 0.41, 0.7, 0.99];
        let frames: Vec<Vec<u8>> = places
            .iter()
            .enumerate()
            .map(|(i, pct)| {
                let frame = CarFrame { sim_time_us: i as i64 * 1_000_000, presence: Presence::LAP_PCT, lap_pct: *pct, ..CarFrame::default() };
                rkyv::to_bytes::<rkyv::rancor::Error>(&frame).unwrap().to_vec()
            })
            .collect();
        let frames: Vec<&ArchivedCarFrame> = frames.iter().map(|f| rkyv::access::<ArchivedCarFrame, rkyv::rancor::Error>(f).unwrap()).collect();
        let (lap, short) = (lap(0, 8_000_000), lap(0, 1));
        let at_us = at_us(&lap, &frames);
        let progress = Progress::of(&lap, (&frames, &at_us), None, true).unwrap();
        assert_eq!((progress.at_us(0.4), progress.at_us(0.41), progress.at_us(1.0)), (2_000_000.0, 5_000_000.0, 8_000_000.0));
        assert_eq!(Progress::of(&lap, (&frames[..3], &at_us[..3]), None, false).unwrap().end(), 0.4);
        assert_eq!(Progress::of(&short, (&[], &[]), None, true), None);
    }
}
