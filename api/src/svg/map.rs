//! [`Map`]: the line of a lap, coloured by speed.

use super::{Anchor, Canvas, lap_time_or_none, nice_step};
use crate::trace::Path;

const WIDTH: f64 = 1_000.0;
const HEIGHT: f64 = 800.0;
/// The area of the line: left, top, right, bottom, px.
const BOX: [f64; 4] = [50.0, 90.0, 950.0, 690.0];

/// Slow to fast, of equal visual weight on white (after matplotlib's plasma without its lightest end).
const COLOURS: [&str; 10] = ["#0d0887", "#41049d", "#6a00a8", "#8f0da4", "#b12a90", "#cc4778", "#e16462", "#f2844b", "#fca636", "#f0c92a"];
const LABEL: &str = "fill=\"#333a43\"";

/// The data of a map.
pub(crate) struct Map<'a> {
    /// The track.
    pub(crate) title: String,
    /// The driver and the number of the lap.
    pub(crate) name: String,
    pub(crate) time_us: Option<i64>,
    pub(crate) path: &'a Path,
    /// The frames at which sectors begin; the first is the start.
    pub(crate) marks: Vec<usize>,
}

/// Converts metres (east, north) to pixels.
struct Scale {
    px_per_m: f64,
    origin: (f64, f64),
}

impl Scale {
    fn of(points: &[(f64, f64)]) -> Self {
        let (mut low, mut high) = ((f64::MAX, f64::MAX), (f64::MIN, f64::MIN));
        for (x, y) in points {
            low = (low.0.min(*x), low.1.min(*y));
            high = (high.0.max(*x), high.1.max(*y));
        }
        let [left, top, right, bottom] = BOX;
        let size = ((high.0 - low.0).max(1.0), (high.1 - low.1).max(1.0));
        let px_per_m = ((right - left) / size.0).min((bottom - top) / size.1);
        let middle = ((low.0 + high.0) / 2.0, (low.1 + high.1) / 2.0);
        Self { px_per_m, origin: ((left + right) / 2.0 - middle.0 * px_per_m, (top + bottom) / 2.0 + middle.1 * px_per_m) }
    }

    fn at(&self, (x, y): (f64, f64)) -> (f64, f64) {
        (self.origin.0 + x * self.px_per_m, self.origin.1 - y * self.px_per_m)
    }
}

impl Map<'_> {
    pub(crate) fn svg(&self) -> String {
        let mut canvas = Canvas::new(WIDTH, HEIGHT, &format!("{}: {}", self.title, self.name));
        canvas.text((40.0, 38.0), Anchor::Start, 20.0, "fill=\"#1c2127\" font-weight=\"bold\"", &self.title);
        canvas.text((40.0, 62.0), Anchor::Start, 15.5, LABEL, &format!("{} · {}", self.name, lap_time_or_none(self.time_us)));
        let known: Vec<(f64, f64)> = self.path.points.iter().flatten().map(|p| p.at_m).collect();
        let scale = Scale::of(&known);
        let speeds = self.path.points.iter().flatten().filter_map(|p| p.speed_mps);
        let range = speeds.fold((f64::MAX, f64::MIN), |(low, high), s| (low.min(s), high.max(s)));
        canvas.polyline(known.iter().map(|at| scale.at(*at)), "stroke=\"#c9ced4\" stroke-width=\"9\" stroke-linecap=\"round\"");
        self.draw_line(&mut canvas, &scale, range);
        for (k, frame) in self.marks.iter().enumerate() {
            self.mark(&mut canvas, &scale, k, *frame);
        }
        if range.0 <= range.1 {
            legend(&mut canvas, range);
        }
        bar(&mut canvas, &scale);
        if self.path.north_up {
            north(&mut canvas);
        } else {
            canvas.text((950.0, 62.0), Anchor::End, 13.5, "fill=\"#5d6670\"", "from speed and heading; north is not known");
        }
        canvas.finish()
    }

    /// The line itself, in segments of one colour.
    fn draw_line(&self, canvas: &mut Canvas, scale: &Scale, (low, high): (f64, f64)) {
        let colour = |speed: Option<f64>| {
            let share = |s: f64| if high > low { (s - low) / (high - low) } else { 0.5 };
            speed.map(|s| ((share(s) * COLOURS.len() as f64) as usize).min(COLOURS.len() - 1))
        };
        let points: Vec<_> = self.path.points.iter().flatten().map(|p| (scale.at(p.at_m), colour(p.speed_mps))).collect();
        let mut from = 0;
        while from + 1 < points.len() {
            let mut to = from + 1;
            while to + 1 < points.len() && points[to].1 == points[from].1 {
                to += 1;
            }
            let paint = points[from].1.map_or("#8a929c", |k| COLOURS[k]);
            canvas.polyline(points[from..=to].iter().map(|p| p.0), &format!("stroke=\"{paint}\" stroke-width=\"5\" stroke-linecap=\"round\""));
            from = to;
        }
    }

    /// A mark across the line where a sector begins, with its name beside it.
    fn mark(&self, canvas: &mut Canvas, scale: &Scale, sector: usize, frame: usize) {
        let before = self.path.points[..frame.min(self.path.points.len())].iter().rev().flatten().nth(3);
        let mut behind = self.path.points[frame.min(self.path.points.len())..].iter().flatten();
        let (Some(here), ahead) = (behind.next(), behind.nth(3)) else { return };
        let (from, to) = (before.unwrap_or(here).at_m, ahead.unwrap_or(here).at_m);
        let along = (to.0 - from.0, to.1 - from.1);
        let length = along.0.hypot(along.1);
        // A car that stands still has no direction; its mark is horizontal.
        let across = if length > 0.01 { (along.1 / length, along.0 / length) } else { (1.0, 0.0) };
        let (x, y) = scale.at(here.at_m);
        let at = |far: f64| (x + across.0 * far, y + across.1 * far);
        let (style, name) = match sector {
            0 => ("stroke=\"#1c2127\" stroke-width=\"4\"", "Start / finish".to_owned()),
            k => ("stroke=\"#1c2127\" stroke-width=\"2\"", format!("S{}", k + 1)),
        };
        canvas.line(at(-13.0), at(13.0), style);
        // The name is on the side away from the middle of the picture.
        let outwards = across.0 * (x - WIDTH / 2.0) + across.1 * (y - HEIGHT / 2.0) >= 0.0;
        let (lx, ly) = at(if outwards { 24.0 } else { -24.0 });
        let anchor = if lx < x - 8.0 {
            Anchor::End
        } else if lx > x + 8.0 {
            Anchor::Start
        } else {
            Anchor::Middle
        };
        let halo = "fill=\"#1c2127\" font-weight=\"bold\" stroke=\"#ffffff\" stroke-width=\"4\" paint-order=\"stroke\"";
        canvas.text((lx, ly + 5.0), anchor, 14.5, halo, &name);
    }
}

fn legend(canvas: &mut Canvas, (low, high): (f64, f64)) {
    let (x, y, width) = (50.0, 738.0, 28.0);
    canvas.text((x, y - 8.0), Anchor::Start, 14.0, LABEL, "Speed, km/h");
    for (k, colour) in COLOURS.iter().enumerate() {
        canvas.rect((x + k as f64 * width, y), (width, 14.0), &format!("fill=\"{colour}\""));
    }
    let whole = width * COLOURS.len() as f64;
    for share in [0.0, 0.5, 1.0] {
        let kmh = (low + (high - low) * share) * 3.6;
        canvas.text((x + whole * share, y + 33.0), Anchor::Middle, 14.0, LABEL, &format!("{kmh:.0}"));
    }
}

/// A scale bar of a round number of metres.
fn bar(canvas: &mut Canvas, scale: &Scale) {
    let metres = nice_step(180.0 / scale.px_per_m, 1.0);
    let metres = if metres * scale.px_per_m > 300.0 { metres / 2.0 } else { metres };
    let (right, y) = (950.0, 752.0);
    let left = right - metres * scale.px_per_m;
    let style = "stroke=\"#333a43\" stroke-width=\"2\"";
    canvas.line((left, y), (right, y), style);
    for x in [left, right] {
        canvas.line((x, y - 5.0), (x, y + 5.0), style);
    }
    canvas.text(((left + right) / 2.0, y - 9.0), Anchor::Middle, 14.0, LABEL, &format!("{metres} m"));
}

fn north(canvas: &mut Canvas) {
    let (x, y) = (935.0, 30.0);
    canvas.polygon([(x, y - 12.0), (x + 8.0, y + 12.0), (x, y + 6.0), (x - 8.0, y + 12.0)], "fill=\"#333a43\"");
    canvas.text((x, y + 30.0), Anchor::Middle, 14.0, LABEL, "N");
}
