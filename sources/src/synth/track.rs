//! [`Circuit`]: a closed line with curvature, sectors and a pit lane, drawn from a seed.
//!
//! The line is `r(θ)` with a few harmonics, so it closes by construction and never crosses itself. It is sampled evenly by
//! length; start and finish lie on its straightest part.

use std::f64::consts::{PI, TAU};

/// Points of the line, evenly spaced by length.
const POINTS: usize = 1_024;
/// Points of the angle from which they are made.
const RAW: usize = 8_192;
/// Metres of one degree of latitude.
const METRES_PER_DEGREE: f64 = 111_320.0;
/// Position of the circuit on Earth: a place without a real circuit.
const HOME_DEG: (f64, f64) = (47.0, 9.0);

/// A circuit.
#[derive(Clone, Debug)]
pub struct Circuit {
    /// Its name.
    pub name: String,
    /// Length of the lap, m.
    pub length_m: f64,
    /// Starts of the sectors, as fractions of the lap; the first is 0.
    pub sector_starts: Vec<f64>,
    /// Beginning and end of the pit lane, as fractions of the lap: it passes the line.
    pub pit: (f64, f64),
    /// Positions of the first and the last stall, as fractions of the lap from the line: before it negative.
    pub stalls: (f64, f64),
    /// Pit lane speed limit, m/s.
    pub pit_limit_mps: f64,
    points: Vec<Point>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Point {
    x_m: f64,
    y_m: f64,
    heading_rad: f64,
    curvature_1pm: f64,
}

/// A point of the circuit, with the direction and the curvature there.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct TrackPoint {
    /// East, m.
    pub x_m: f64,
    /// North, m.
    pub y_m: f64,
    /// Direction of travel, rad, counter-clockwise from east.
    pub heading_rad: f64,
    /// Curvature, 1/m, positive to the left.
    pub curvature_1pm: f64,
}

impl TrackPoint {
    /// Latitude and longitude, degrees.
    pub fn lat_lon_deg(&self) -> (f64, f64) {
        let (lat, lon) = HOME_DEG;
        (lat + self.y_m / METRES_PER_DEGREE, lon + self.x_m / (METRES_PER_DEGREE * libm::cos(lat * PI / 180.0)))
    }
}

impl Circuit {
    /// A circuit of `length_m`, 400 m or more, with bends by `seed`.
    pub fn new(name: &str, length_m: f64, seed: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let harmonics: Vec<(f64, f64, f64)> = [(2.0, 0.20), (3.0, 0.16), (4.0, 0.08), (5.0, 0.055), (7.0, 0.03)]
            .into_iter()
            .map(|(k, size)| (k, size * (0.6 + 0.4 * random.f64()), TAU * random.f64()))
            .collect();
        let radius = |angle: f64| 1.0 + harmonics.iter().map(|(k, size, phase)| size * libm::cos(k * angle + phase)).sum::<f64>();
        let raw: Vec<(f64, f64)> =
            (0..RAW).map(|i| TAU * i as f64 / RAW as f64).map(|angle| (radius(angle) * libm::cos(angle), radius(angle) * libm::sin(angle))).collect();
        let mut points = evenly(&raw, length_m);
        let straightest = straightest(&points);
        points.rotate_left(straightest);
        Self {
            name: name.into(),
            length_m,
            sector_starts: vec![0.0, 0.31, 0.667_5],
            pit: (0.955, 0.06),
            stalls: (-0.03, 0.03),
            pit_limit_mps: 22.0,
            points,
        }
    }

    /// The point at `s_m` metres from the line; any number of laps.
    pub fn point(&self, s_m: f64) -> TrackPoint {
        let at = (s_m / self.length_m).rem_euclid(1.0) * POINTS as f64;
        let (i, part) = (at as usize % POINTS, at - libm::floor(at));
        let (a, b) = (self.points[i], self.points[(i + 1) % POINTS]);
        let mix = |a: f64, b: f64| a + (b - a) * part;
        TrackPoint {
            x_m: mix(a.x_m, b.x_m),
            y_m: mix(a.y_m, b.y_m),
            heading_rad: a.heading_rad + wrapped(b.heading_rad - a.heading_rad) * part,
            curvature_1pm: mix(a.curvature_1pm, b.curvature_1pm),
        }
    }

    /// Whether the fraction `pct` of the lap lies beside the pit lane.
    pub fn beside_pit_lane(&self, pct: f64) -> bool {
        pct >= self.pit.0 || pct < self.pit.1
    }
}

/// An angle within -π..π.
pub(super) fn wrapped(rad: f64) -> f64 {
    (rad + PI).rem_euclid(TAU) - PI
}

/// The closed line through `raw`, scaled to `length_m`, at evenly spaced points.
fn evenly(raw: &[(f64, f64)], length_m: f64) -> Vec<Point> {
    let step = |i: usize| {
        let (a, b) = (raw[i], raw[(i + 1) % raw.len()]);
        libm::hypot(b.0 - a.0, b.1 - a.1)
    };
    let whole: f64 = (0..raw.len()).map(step).sum();
    let scale = length_m / whole;
    let (mut i, mut before) = (0, 0.0);
    let mut points: Vec<Point> = (0..POINTS)
        .map(|n| {
            let wanted = whole * n as f64 / POINTS as f64;
            while before + step(i) < wanted {
                before += step(i);
                i += 1;
            }
            let (a, b, part) = (raw[i], raw[(i + 1) % raw.len()], (wanted - before) / step(i));
            Point { x_m: (a.0 + (b.0 - a.0) * part) * scale, y_m: (a.1 + (b.1 - a.1) * part) * scale, ..Point::default() }
        })
        .collect();
    let ds = length_m / POINTS as f64;
    for n in 0..POINTS {
        let (a, b) = (points[(n + POINTS - 1) % POINTS], points[(n + 1) % POINTS]);
        points[n].heading_rad = libm::atan2(b.y_m - a.y_m, b.x_m - a.x_m);
    }
    for n in 0..POINTS {
        let (a, b) = (points[(n + POINTS - 1) % POINTS], points[(n + 1) % POINTS]);
        points[n].curvature_1pm = wrapped(b.heading_rad - a.heading_rad) / (2.0 * ds);
    }
    points
}

/// The point around which the line bends least.
fn straightest(points: &[Point]) -> usize {
    let half = POINTS / 12;
    let bend = |n: usize| (0..=2 * half).map(|k| points[(n + POINTS + k - half) % POINTS].curvature_1pm.abs()).sum::<f64>();
    (0..POINTS).min_by(|a, b| bend(*a).total_cmp(&bend(*b))).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_closes_turns_once_and_is_as_long_as_it_says() {
        for seed in 0..50 {
            let circuit = Circuit::new("", 2_500.0, seed);
            let turned: f64 = circuit.points.iter().map(|p| p.curvature_1pm).sum::<f64>() * circuit.length_m / POINTS as f64;
            assert!((turned - TAU).abs() < 1e-6, "{turned}");
            let points: Vec<TrackPoint> = (0..=2_500).map(|m| circuit.point(f64::from(m))).collect();
            let driven: f64 = points.windows(2).map(|w| libm::hypot(w[1].x_m - w[0].x_m, w[1].y_m - w[0].y_m)).sum();
            assert!((driven / 2_500.0 - 1.0).abs() < 1e-3, "{driven}");
            let tightest = circuit.points.iter().map(|p| p.curvature_1pm.abs()).fold(0.0, f64::max);
            assert!(tightest < 0.2, "a bend of {} m", 1.0 / tightest);
        }
    }
}
