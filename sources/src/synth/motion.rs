//! [`Motion`]: a car's position as a function of time, and its inverse, both in closed form.
//!
//! Between two knots acceleration is constant, so `s(t)` is a parabola and its inverse a square root: no search, no error
//! beyond that of `f64` (about 10⁻¹² s over an hour). Speed is continuous.

/// A stretch with constant acceleration.
#[derive(Clone, Copy, PartialEq, Debug)]
struct Stretch {
    /// When it begins, s.
    t: f64,
    /// Position, m, unwrapped: 0 is the line from which lap 1 is counted.
    s: f64,
    /// Speed there, m/s.
    v: f64,
    /// Acceleration, m/s².
    a: f64,
}

/// A car's motion at a moment.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct State {
    /// Position, m, unwrapped.
    pub(super) s_m: f64,
    /// Speed, m/s.
    pub(super) speed_mps: f64,
    /// Acceleration along the track, m/s².
    pub(super) accel_mps2: f64,
}

/// A point of a plan: the car's highest speed there, and how long it stands.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Knot {
    /// Position, m.
    pub(super) s: f64,
    /// Highest speed, m/s.
    pub(super) v: f64,
    /// How long it stands there, s; the speed must then be 0.
    pub(super) stand: f64,
}

/// A car's performance.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Limits {
    /// Acceleration from a standstill, m/s².
    pub(super) accel: f64,
    /// Braking, m/s².
    pub(super) brake: f64,
    /// Highest speed, m/s.
    pub(super) v_max: f64,
}

impl Limits {
    /// Acceleration left at `v`, m/s².
    fn accel_at(&self, v: f64) -> f64 {
        self.accel * (1.0 - v / self.v_max).max(0.02)
    }
}

/// A car's motion from one moment on.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Motion {
    stretches: Vec<Stretch>,
    end: (f64, f64),
}

impl Motion {
    /// The fastest way along `knots`, from `t` on at speed `v`, s and m/s.
    pub(super) fn along(knots: &[Knot], limits: Limits, t: f64, v: f64) -> Self {
        // First the highest allowed speeds; then limited by braking for what comes; then limited by acceleration.
        let mut speed: Vec<f64> = knots.iter().map(|k| if k.stand > 0.0 { 0.0 } else { k.v.min(limits.v_max) }).collect();
        for i in (1..speed.len()).rev() {
            let ds = knots[i].s - knots[i - 1].s;
            speed[i - 1] = speed[i - 1].min(libm::sqrt(speed[i] * speed[i] + 2.0 * limits.brake * ds));
        }
        // A car that begins faster than that, for example in a braking zone after a flashback, brakes until it is not.
        let mut too_fast = speed.first().is_some_and(|first| v > *first);
        if let Some(first) = speed.first_mut() {
            *first = v;
        }
        for i in 1..speed.len() {
            let (ds, before) = (knots[i].s - knots[i - 1].s, speed[i - 1]);
            if too_fast {
                let braked = libm::sqrt((before * before - 2.0 * limits.brake * ds).max(0.0));
                too_fast = knots[i].stand <= 0.0 && braked > speed[i];
                speed[i] = if too_fast { braked } else { speed[i] };
            }
            let gained = libm::sqrt(before * before + 2.0 * limits.accel_at(before) * ds);
            speed[i] = speed[i].min(gained);
        }
        let mut motion = Self { stretches: Vec::with_capacity(knots.len() + 8), end: (t, knots.first().map_or(0.0, |k| k.s)) };
        for (i, knot) in knots.iter().enumerate() {
            motion.stand(knot.stand);
            if let Some(next) = knots.get(i + 1) {
                motion.drive(next.s - knot.s, speed[i], speed[i + 1]);
            }
        }
        motion
    }

    /// Standing at `s` from `t` on, until something follows.
    pub(super) fn at_rest(t: f64, s: f64) -> Self {
        Self { stretches: vec![], end: (t, s) }
    }

    /// Stand for `seconds`.
    pub(super) fn stand(&mut self, seconds: f64) {
        if seconds > 0.0 {
            let (t, s) = self.end;
            self.stretches.push(Stretch { t, s, v: 0.0, a: 0.0 });
            self.end.0 = t + seconds;
        }
    }

    /// Drive `ds` metres while the speed goes from `v0` to `v1`.
    pub(super) fn drive(&mut self, ds: f64, v0: f64, v1: f64) {
        if ds > 0.0 && v0 + v1 <= 0.0 {
            // From a standstill to a standstill: 1 m/s² up, then down.
            let peak = libm::sqrt(ds);
            self.drive(ds / 2.0, 0.0, peak);
            self.drive(ds / 2.0, peak, 0.0);
        } else if ds > 0.0 {
            let (t, s) = self.end;
            self.stretches.push(Stretch { t, s, v: v0, a: (v1 * v1 - v0 * v0) / (2.0 * ds) });
            self.end = (t + 2.0 * ds / (v0 + v1), s + ds);
        }
    }

    /// Where it ends, m.
    pub(super) fn end_m(&self) -> f64 {
        self.end.1
    }

    /// Set the end exactly; the computed end may differ from it by rounding only.
    pub(super) fn end_at(&mut self, t: f64, s: f64) {
        self.end = (t, s);
    }

    /// The span of time that it covers, s.
    pub(super) fn span_s(&self) -> (f64, f64) {
        (self.stretches.first().map_or(self.end.0, |s| s.t), self.end.0)
    }

    /// The car's motion at `t` s; before and after the span it stands.
    pub(super) fn at(&self, t: f64) -> State {
        let i = self.stretches.partition_point(|s| s.t <= t);
        if t >= self.end.0 {
            return State { s_m: self.end.1, speed_mps: 0.0, accel_mps2: 0.0 };
        }
        let Some(stretch) = i.checked_sub(1).map(|i| self.stretches[i]) else {
            return State { s_m: self.stretches.first().map_or(self.end.1, |s| s.s), speed_mps: 0.0, accel_mps2: 0.0 };
        };
        let tau = t - stretch.t;
        State { s_m: stretch.s + tau * (stretch.v + 0.5 * stretch.a * tau), speed_mps: (stretch.v + stretch.a * tau).max(0.0), accel_mps2: stretch.a }
    }

    /// Its speed just before `t`, m/s: at the end of the span it is not yet a standstill.
    pub(super) fn before(&self, t: f64) -> f64 {
        let stretch = self.stretches[..self.stretches.partition_point(|s| s.t < t)].last();
        stretch.map_or(0.0, |s| (s.v + s.a * (t - s.t)).max(0.0))
    }

    /// When the car first is at `s` metres, s; `None` if it is not within the span.
    pub(super) fn when(&self, s: f64) -> Option<f64> {
        let begins = self.stretches.first().map_or(self.end.1, |first| first.s);
        if !(begins..=self.end.1).contains(&s) {
            return None;
        }
        // The last stretch that begins before `s`: the first moment there, also where the car stands.
        let i = self.stretches.partition_point(|stretch| stretch.s < s);
        let Some(stretch) = i.checked_sub(1).map(|i| self.stretches[i]) else { return Some(self.span_s().0) };
        let ds = s - stretch.s;
        let v = libm::sqrt((stretch.v * stretch.v + 2.0 * stretch.a * ds).max(0.0));
        Some(stretch.t + 2.0 * ds / (stretch.v + v))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_car_that_begins_too_fast_brakes_within_its_limit() {
        let limits = Limits { accel: 9.0, brake: 16.0, v_max: 80.0 };
        let knots: Vec<Knot> = (0..200).map(|n| Knot { s: f64::from(n) * 0.5, v: 20.0, stand: 0.0 }).collect();
        let motion = Motion::along(&knots, limits, 0.0, 30.0);
        let speeds: Vec<f64> = (0..300).map(|n| motion.at(f64::from(n) * 0.01).speed_mps).collect();
        assert_eq!(speeds[0], 30.0);
        assert!(speeds.windows(2).all(|w| w[1] - w[0] <= 1e-9 && w[0] - w[1] <= 16.0 * 0.01 + 1e-9), "{speeds:?}");
        assert!((speeds[299] - 20.0).abs() < 1e-9);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn place_and_time_are_each_others_inverse(
            steps in prop::collection::vec((0.5..30.0f64, 1.0..90.0f64, prop::option::weighted(0.1, 0.1..20.0f64)), 2..200), part in 0.0..1.0f64,
        ) {
            let mut s = -50.0;
            let knots: Vec<Knot> = steps.iter().map(|(ds, v, stand)| {
                s += ds;
                Knot { s, v: *v, stand: stand.unwrap_or(0.0) }
            }).collect();
            let limits = Limits { accel: 9.0, brake: 18.0, v_max: 80.0 };
            let motion = Motion::along(&knots, limits, 3.0, 0.0);
            let (first, last) = (knots[0].s, knots[knots.len() - 1].s);
            let wanted = first + (last - first) * part;
            let t = motion.when(wanted).unwrap();
            prop_assert!((motion.at(t).s_m - wanted).abs() < 1e-9, "{} {wanted}", motion.at(t).s_m);
            // Speed is continuous and within limits.
            let (from, until) = motion.span_s();
            let mut before = motion.at(from);
            let dt = (until - from) / 5_000.0;
            for n in 1..5_000 {
                let now = motion.at(from + dt * f64::from(n));
                prop_assert!(now.s_m >= before.s_m && now.speed_mps <= 80.0 + 1e-9);
                prop_assert!((now.speed_mps - before.speed_mps).abs() <= 18.0 * dt + 1e-6);
                before = now;
            }
        }
    }
}
