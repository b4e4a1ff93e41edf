//! [`Chart`]: two laps over distance, with their speeds above and the time between them below.

use super::{Anchor, Canvas, lap_time_or_none, nice_step, ticks};

const WIDTH: f64 = 1_200.0;
const HEIGHT: f64 = 700.0;
const LEFT: f64 = 78.0;
const RIGHT: f64 = 1_176.0;
const SPEED: Band = Band { top: 92.0, bottom: 438.0 };
const DELTA: Band = Band { top: 474.0, bottom: 638.0 };

const COLOURS: [&str; 2] = ["#1457a8", "#d1490f"];
const GRID: &str = "stroke=\"#e3e6ea\" stroke-width=\"1\"";
const SECTOR: &str = "stroke=\"#8a929c\" stroke-width=\"1.2\" stroke-dasharray=\"5 4\"";
const FRAME: &str = "stroke=\"#4a525c\" stroke-width=\"1.2\"";
const LABEL: &str = "fill=\"#333a43\"";
const FAINT: &str = "fill=\"#5d6670\"";

struct Band {
    top: f64,
    bottom: f64,
}

impl Band {
    fn y(&self, value: f64, low: f64, high: f64) -> f64 {
        self.bottom - (value - low) / (high - low) * (self.bottom - self.top)
    }
}

/// One of the two laps.
pub(crate) struct Curve {
    /// The driver and the number of the lap.
    pub(crate) name: String,
    pub(crate) time_us: Option<i64>,
    /// At each distance, m/s; `None` where it is not known.
    pub(crate) speed_mps: Vec<Option<f64>>,
}

/// The data of a chart.
pub(crate) struct Chart {
    /// The track.
    pub(crate) title: String,
    /// Distances, m.
    pub(crate) dist_m: Vec<f64>,
    pub(crate) laps: [Curve; 2],
    /// How far the second lap is behind at each distance.
    pub(crate) delta_us: Vec<i64>,
    /// Where sectors begin, m, the first included.
    pub(crate) sectors_m: Vec<f64>,
}

impl Chart {
    pub(crate) fn svg(&self) -> String {
        let mut canvas = Canvas::new(WIDTH, HEIGHT, &format!("{}: {} and {}", self.title, self.laps[0].name, self.laps[1].name));
        self.legend(&mut canvas);
        self.distance(&mut canvas);
        self.speed(&mut canvas);
        self.delta(&mut canvas);
        canvas.finish()
    }

    fn length_m(&self) -> f64 {
        self.dist_m.last().copied().unwrap_or(1.0).max(1.0)
    }

    fn x(&self, m: f64) -> f64 {
        LEFT + m / self.length_m() * (RIGHT - LEFT)
    }

    fn legend(&self, canvas: &mut Canvas) {
        canvas.text((LEFT, 30.0), Anchor::Start, 19.0, "fill=\"#1c2127\" font-weight=\"bold\"", &shortened(&self.title, 90));
        for (k, lap) in self.laps.iter().enumerate() {
            let x = LEFT + k as f64 * 560.0;
            canvas.rect((x, 51.0), (26.0, 5.0), &format!("fill=\"{}\"", COLOURS[k]));
            let label = format!("{}: {} · {}", ["A", "B"][k], shortened(&lap.name, 46), lap_time_or_none(lap.time_us));
            canvas.text((x + 35.0, 59.0), Anchor::Start, 15.5, LABEL, &label);
        }
    }

    /// The axis that both bands share, and the marks of sectors.
    fn distance(&self, canvas: &mut Canvas) {
        let step = nice_step(self.length_m(), 12.0);
        for m in ticks(0.0, self.length_m(), step) {
            let x = self.x(m);
            for band in [&SPEED, &DELTA] {
                canvas.line((x, band.top), (x, band.bottom), GRID);
            }
            canvas.text((x, DELTA.bottom + 21.0), Anchor::Middle, 14.0, LABEL, &format!("{m}"));
        }
        canvas.text(((LEFT + RIGHT) / 2.0, DELTA.bottom + 46.0), Anchor::Middle, 14.5, LABEL, "Distance round the lap, m");
        for (k, m) in self.sectors_m.iter().enumerate() {
            let x = self.x(*m);
            if *m > 0.0 {
                for band in [&SPEED, &DELTA] {
                    canvas.line((x, band.top), (x, band.bottom), SECTOR);
                }
            }
            canvas.text((x + 5.0, SPEED.top - 6.0), Anchor::Start, 13.0, FAINT, &format!("S{}", k + 1));
        }
    }

    fn speed(&self, canvas: &mut Canvas) {
        let all = self.laps.iter().flat_map(|lap| &lap.speed_mps).flatten().map(|mps| mps * 3.6);
        let highest = all.fold(10.0, f64::max);
        let step = nice_step(highest, 7.0);
        let high = (highest / step + 0.15).ceil() * step;
        for kmh in ticks(0.0, high, step) {
            let y = SPEED.y(kmh, 0.0, high);
            canvas.line((LEFT, y), (RIGHT, y), GRID);
            canvas.text((LEFT - 9.0, y + 5.0), Anchor::End, 14.0, LABEL, &format!("{kmh:.0}"));
        }
        canvas.upwards((24.0, (SPEED.top + SPEED.bottom) / 2.0), 14.5, LABEL, "Speed, km/h");
        self.frame(canvas, &SPEED);
        for (lap, colour) in self.laps.iter().zip(COLOURS) {
            let points: Vec<_> = self.dist_m.iter().zip(&lap.speed_mps).collect();
            // Where the speed is not known the line is interrupted, not drawn at 0.
            for known in points.split(|(_, mps)| mps.is_none()).filter(|known| known.len() > 1) {
                let line = known.iter().filter_map(|(m, mps)| Some((self.x(**m), SPEED.y((**mps)? * 3.6, 0.0, high))));
                canvas.polyline(line, &format!("stroke=\"{colour}\" stroke-width=\"1.9\""));
            }
        }
    }

    fn delta(&self, canvas: &mut Canvas) {
        let seconds: Vec<f64> = self.delta_us.iter().map(|us| *us as f64 / 1e6).collect();
        let (low, high) = seconds.iter().fold((0.0f64, 0.0f64), |(low, high), s| (low.min(*s), high.max(*s)));
        let step = nice_step((high - low).max(0.02), 5.0);
        let (low, high) = ((low / step - 0.1).floor() * step, (high / step + 0.1).ceil() * step);
        let decimals = (-step.log10().floor()).clamp(0.0, 3.0) as usize;
        for s in ticks(low, high, step) {
            let y = DELTA.y(s, low, high);
            canvas.line((LEFT, y), (RIGHT, y), GRID);
            canvas.text((LEFT - 9.0, y + 5.0), Anchor::End, 14.0, LABEL, &signed(s, decimals));
        }
        canvas.upwards((24.0, (DELTA.top + DELTA.bottom) / 2.0), 14.5, LABEL, "B behind A, s");
        let zero = DELTA.y(0.0, low, high);
        let line: Vec<_> = self.dist_m.iter().zip(&seconds).map(|(m, s)| (self.x(*m), DELTA.y(*s, low, high))).collect();
        let area = [(LEFT, zero)].into_iter().chain(line.iter().copied()).chain([(RIGHT, zero)]);
        canvas.polygon(area, "fill=\"#6b7683\" fill-opacity=\"0.16\"");
        canvas.line((LEFT, zero), (RIGHT, zero), "stroke=\"#4a525c\" stroke-width=\"1.2\"");
        canvas.polyline(line.iter().copied(), "stroke=\"#22272e\" stroke-width=\"1.9\"");
        self.frame(canvas, &DELTA);
        if let (Some((x, y)), Some(last)) = (line.last(), seconds.last()) {
            // Below the line if there is not enough space above.
            let y = if *y - DELTA.top > 26.0 { y - 9.0 } else { y + 20.0 };
            canvas.text((x - 6.0, y), Anchor::End, 14.5, "fill=\"#22272e\" font-weight=\"bold\"", &format!("{} s", signed(*last, 3)));
        }
    }

    fn frame(&self, canvas: &mut Canvas, band: &Band) {
        canvas.line((LEFT, band.top), (LEFT, band.bottom), FRAME);
        canvas.line((LEFT, band.bottom), (RIGHT, band.bottom), FRAME);
    }
}

fn signed(s: f64, decimals: usize) -> String {
    // A value that is rounded to 0 has no sign.
    let nothing = s.abs() < 0.5 * 10f64.powi(-(decimals as i32));
    if nothing { format!("{:.decimals$}", 0.0) } else { format!("{s:+.decimals$}") }
}

fn shortened(text: &str, most: usize) -> String {
    if text.chars().count() <= most { text.to_owned() } else { text.chars().take(most - 1).chain(['…']).collect() }
}
