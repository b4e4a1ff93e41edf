//! [`Path`]: the line that a car drove, in metres on a plane.

use boxbox_schemas::frame::{ArchivedCarFrame, Presence};

/// Mean radius of the earth, m: within a track, the difference from the ellipsoid is below 0.5 %.
const EARTH_M: f64 = 6_371_008.8;

/// The line that a car drove.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Path {
    /// One point for each frame; `None` where the car's position is not known.
    pub(crate) points: Vec<Option<Point>>,
    /// Whether the second coordinate points north.
    pub(crate) north_up: bool,
}

/// A point of the line.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Point {
    /// East (or right) and north (or up), m.
    pub(crate) at_m: (f64, f64),
    /// Speed there; `None` if it is not known.
    pub(crate) speed_mps: Option<f64>,
}

impl Path {
    /// From latitude and longitude, else from speed and heading, else from speed and yaw; `None` if the frames have none of these.
    pub(crate) fn of(frames: &[&ArchivedCarFrame]) -> Option<Self> {
        let driven = |path: &Path| {
            let places: Vec<_> = path.points.iter().flatten().map(|p| p.at_m).collect();
            let spread = |of: fn(&(f64, f64)) -> f64| {
                let (low, high) = places.iter().map(of).fold((f64::MAX, f64::MIN), |(low, high), v| (low.min(v), high.max(v)));
                high - low
            };
            places.len() >= 2 && spread(|p| p.0).max(spread(|p| p.1)) > 1.0
        };
        [located(frames), reckoned(frames, Presence::HEADING_NORTH), reckoned(frames, Presence::ATTITUDE)].into_iter().find(driven)
    }
}

fn has(frame: &ArchivedCarFrame, presence: Presence) -> bool {
    Presence::from(&frame.presence).has(presence)
}

fn speed(frame: &ArchivedCarFrame) -> Option<f64> {
    has(frame, Presence::SPEED).then(|| f64::from(frame.speed_mps.to_native()))
}

/// Equirectangular projection at the mean latitude. No race track is at (0, 0): some simulators write it for an unknown position.
fn located(frames: &[&ArchivedCarFrame]) -> Path {
    let place = |f: &ArchivedCarFrame| {
        let (lat, lon) = (f.lat_deg.to_native().to_radians(), f.lon_deg.to_native().to_radians());
        (has(f, Presence::LAT_LON) && (lat != 0.0 || lon != 0.0)).then_some((lat, lon))
    };
    let known: Vec<(f64, f64)> = frames.iter().filter_map(|f| place(f)).collect();
    let Some(first) = known.first() else { return Path { points: vec![], north_up: true } };
    let middle = known.iter().map(|(lat, _)| lat).sum::<f64>() / known.len() as f64;
    // The shorter way round the globe, so that a track across the date line stays in one piece.
    let east = |lon: f64| (lon - first.1 + 3.0 * std::f64::consts::PI).rem_euclid(2.0 * std::f64::consts::PI) - std::f64::consts::PI;
    let point = |f: &&ArchivedCarFrame| {
        let (lat, lon) = place(f)?;
        Some(Point { at_m: (EARTH_M * middle.cos() * east(lon), EARTH_M * (lat - first.0)), speed_mps: speed(f) })
    };
    Path { points: frames.iter().map(point).collect(), north_up: true }
}

/// Dead reckoning: the car moves with its speed in the direction in which it points, from frame to frame.
fn reckoned(frames: &[&ArchivedCarFrame], by: Presence) -> Path {
    let north_up = by == Presence::HEADING_NORTH;
    let way = |f: &ArchivedCarFrame| {
        let speed = speed(f).filter(|_| has(f, by))?;
        let (up, right) = if north_up {
            let (sin, cos) = f64::from(f.heading_north_rad.to_native()).sin_cos();
            (cos, sin)
        } else {
            // Yaw is counter-clockwise, from the first axis to the second.
            let (sin, cos) = f64::from(f.yaw_rad.to_native()).sin_cos();
            (sin, cos)
        };
        Some((i64::from(f.sim_time_us), (speed * right, speed * up), speed))
    };
    let (mut at_m, mut last) = ((0.0, 0.0), None);
    let point = |f: &&ArchivedCarFrame| {
        let (us, velocity, speed) = way(f)?;
        if let Some((last_us, was)) = last.replace((us, velocity)) {
            // Trapezoidal rule: the mean of both velocities, times the time between.
            let s = (us - last_us).max(0) as f64 / 2e6;
            at_m = (at_m.0 + (was.0 + velocity.0) * s, at_m.1 + (was.1 + velocity.1) * s);
        }
        Some(Point { at_m, speed_mps: Some(speed) })
    };
    Path { points: frames.iter().map(point).collect(), north_up }
}

#[cfg(test)]
mod tests {
    use boxbox_schemas::frame::CarFrame;

    use super::*;

    fn path(frames: &[CarFrame]) -> Option<Path> {
        let bytes: Vec<_> = frames.iter().map(|f| rkyv::to_bytes::<rkyv::rancor::Error>(f).unwrap()).collect();
        let frames: Vec<_> = bytes.iter().map(|b| rkyv::access::<ArchivedCarFrame, rkyv::rancor::Error>(b).unwrap()).collect();
        Path::of(&frames)
    }

    /// A circle of 200 m, clockwise from its northernmost point, at 40 m/s.
    fn circle(presence: Presence, lat: f64, lon: f64) -> Vec<CarFrame> {
        (0..=600)
            .map(|k| {
                let turned = f64::from(k) / 600.0 * std::f64::consts::TAU;
                let (north, east) = (200.0 * turned.cos(), 200.0 * turned.sin());
                let heading = turned + std::f64::consts::FRAC_PI_2;
                CarFrame {
                    sim_time_us: (turned * 200.0 / 40.0 * 1e6) as i64,
                    presence,
                    speed_mps: 40.0,
                    lat_deg: lat + (north / EARTH_M).to_degrees(),
                    lon_deg: lon + (east / EARTH_M / lat.to_radians().cos()).to_degrees(),
                    heading_north_rad: heading as f32,
                    yaw_rad: -turned as f32,
                    ..CarFrame::default()
                }
            })
            .collect()
    }

    /// An independent truth: every way to compute the line of a circle gives a circle.
    #[test]
    fn a_circle_is_a_circle_however_it_is_known() {
        let ways = [
            (Presence::LAT_LON, -38.5, 145.2, true),
            (Presence::LAT_LON, 52.0, 179.999, true),
            (Presence::SPEED.with(Presence::HEADING_NORTH), 0.0, 0.0, true),
            (Presence::SPEED.with(Presence::ATTITUDE), 0.0, 0.0, false),
        ];
        for (presence, lat, lon, north_up) in ways {
            let mut frames = circle(presence, lat, lon);
            frames.iter_mut().for_each(|f| f.lon_deg = (f.lon_deg + 180.0).rem_euclid(360.0) - 180.0);
            let path = path(&frames).unwrap();
            assert_eq!(path.north_up, north_up);
            let at = |k: usize| path.points[k].unwrap().at_m;
            let (top, right, bottom, end) = (at(0), at(150), at(300), at(600));
            let near = |a: (f64, f64), b: (f64, f64)| (a.0 - b.0).hypot(a.1 - b.1) < 1.0;
            assert!(near(bottom, (top.0, top.1 - 400.0)), "{presence:?}: {top:?} {bottom:?}");
            assert!(near(right, (top.0 + 200.0, top.1 - 200.0)), "{presence:?}: clockwise: {right:?}");
            assert!(near(end, top), "{presence:?}: it closes");
        }
    }

    #[test]
    fn nowhere_is_not_drawn() {
        let mut frames = circle(Presence::LAT_LON, -38.5, 145.2);
        let whole = path(&frames).unwrap();
        (frames[7].lat_deg, frames[7].lon_deg) = (0.0, 0.0);
        let path_with_hole = path(&frames).unwrap();
        assert_eq!((path_with_hole.points[7], path_with_hole.points.iter().flatten().count()), (None, 600));
        assert_eq!(whole.points.len(), path_with_hole.points.len());
        // All zeros, although the simulator marks them as present: no position is known.
        frames.iter_mut().for_each(|f| (f.lat_deg, f.lon_deg) = (0.0, 0.0));
        assert_eq!(path(&frames), None);
        assert_eq!(path(&[]), None);
    }
}
