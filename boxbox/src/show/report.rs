//! Standard output: laps as a table for people, or as one JSON object on each line for programs.

use std::collections::BTreeMap;
use std::io::Write;

use boxbox_schemas::results::{IncidentStep, Lap, Ledger};
use serde::Serialize;

/// Print one line on standard output. A closed pipe (`| head`) is not an error.
pub fn line(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{text}").and_then(|()| out.flush());
}

/// One object of `--json`.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Event<'a> {
    /// A lap, printed once.
    Lap(LapLine<'a>),
    /// The driver's own incident counter changed.
    IncidentCount {
        /// Session number within the recording.
        session_num: u32,
        /// Count before.
        from: u16,
        /// Count after.
        to: u16,
        /// Session time of the first frame with the new count, µs.
        sim_time_us: i64,
    },
    /// The last object: how many frames were sent, and what became of them.
    Summary {
        /// Frames of the own car that were read and sent.
        frames: u64,
        /// Frames of the own car that the server has acked.
        acked: u64,
        /// What became of every sequence number; null with `--to`, where only the server knows.
        ledger: Option<LedgerSum>,
    },
}

/// A lap for programs.
#[derive(Serialize)]
pub struct LapLine<'a> {
    session_num: u32,
    lap: u32,
    time_us: i64,
    sim_time_us: Option<i64>,
    sectors_us: &'a [i64],
    valid: bool,
    reasons: Vec<String>,
    tags: Vec<String>,
    start_us: i64,
    end_us: i64,
}

/// The ledgers of a recording for programs: their sum, and each ledger.
#[derive(Serialize)]
pub struct LedgerSum {
    #[serde(flatten)]
    sum: Counts,
    streams: Vec<LedgerLine>,
}

#[derive(Serialize)]
struct LedgerLine {
    session: String,
    run: String,
    #[serde(flatten)]
    counts: Counts,
}

#[derive(Serialize, Default)]
struct Counts {
    expected: u64,
    admitted: u64,
    car_frames: u64,
    duplicate: u64,
    early: u64,
    late: u64,
    void: BTreeMap<String, u64>,
    gap: u64,
    hole: u64,
}

impl Counts {
    fn add(mut self, l: &Ledger) -> Self {
        self.expected += l.expected;
        self.admitted += l.admitted;
        self.car_frames += l.car_frames;
        self.duplicate += l.duplicate;
        self.early += l.early;
        self.late += l.late;
        l.void.iter().for_each(|(reason, n)| *self.void.entry(reason.clone()).or_default() += n);
        self.gap += l.gap;
        self.hole += l.hole;
        self
    }
}

impl LedgerSum {
    fn of(ledgers: &[Ledger]) -> Option<Self> {
        let line = |l: &Ledger| LedgerLine { session: l.stream.session.to_string(), run: l.stream.run.to_string(), counts: Counts::default().add(l) };
        let sum = ledgers.iter().fold(Counts::default(), Counts::add);
        (!ledgers.is_empty()).then(|| LedgerSum { sum, streams: ledgers.iter().map(line).collect() })
    }
}

/// Prints laps and incidents in the form asked for.
pub struct Printer {
    json: bool,
    header_done: bool,
}

impl Printer {
    /// With `json`, every line is a JSON object.
    pub fn new(json: bool) -> Self {
        Self { json, header_done: false }
    }

    /// Print a line for people; nothing with `--json`.
    pub fn text(&self, text: &str) {
        if !self.json {
            line(text);
        }
    }

    /// Print a lap, next to the simulator's own time.
    pub fn lap(&mut self, session_num: u32, lap: &Lap) {
        let tags = lap.tags.names();
        if self.json {
            return self.event(&Event::Lap(LapLine {
                session_num,
                lap: lap.number,
                time_us: lap.time_us,
                sim_time_us: lap.sim_time_us,
                sectors_us: &lap.sectors_us,
                valid: lap.valid(),
                reasons: lap.reasons.names(),
                tags,
                start_us: lap.start_us,
                end_us: lap.end_us,
            }));
        }
        if !std::mem::replace(&mut self.header_done, true) {
            line(&format!("{:>4}  {:>10}  {:>10}  {:>9}  {:<24}  notes", "lap", "time", "simulator", "diff ms", "sectors"));
        }
        let sim = lap.sim_time_us.map_or_else(|| "-".into(), lap_time);
        let diff = lap.sim_time_us.map_or_else(|| "-".into(), |t| format!("{:+.3}", (lap.time_us - t) as f64 / 1e3));
        let sectors = lap.sectors_us.iter().map(|s| seconds(*s)).collect::<Vec<_>>().join("  ");
        let mut notes = tags.iter().map(|t| t.replace('_', " ")).collect::<Vec<_>>();
        if !lap.valid() {
            let reasons = lap.reasons.names().iter().map(|t| t.replace('_', " ")).collect::<Vec<_>>().join(", ");
            notes.push(format!("not for best: {reasons}"));
        }
        let row = format!("{:>4}  {:>10}  {sim:>10}  {diff:>9}  {sectors:<24}  {}", lap.number, lap_time(lap.time_us), notes.join("; "));
        line(row.trim_end());
    }

    /// Print a step of the incident counter.
    pub fn incident(&self, session_num: u32, step: &IncidentStep) {
        if self.json {
            self.event(&Event::IncidentCount { session_num, from: step.from, to: step.to, sim_time_us: step.sim_time_us });
        } else {
            line(&format!("      incident count {} to {} at {} s", step.from, step.to, seconds(step.sim_time_us)));
        }
    }

    /// Print the last line.
    pub fn summary(&self, frames: u64, acked: u64, ledgers: &[Ledger]) {
        if self.json {
            return self.event(&Event::Summary { frames, acked, ledger: LedgerSum::of(ledgers) });
        }
        line(&format!("{frames} frames sent, {acked} acked"));
        for l in ledgers {
            let odd = [("duplicate", l.duplicate), ("void", l.voided()), ("gap", l.gap), ("hole", l.hole), ("late", l.late)];
            let odd = odd.iter().filter(|(_, n)| *n > 0).map(|(name, n)| format!(", {n} {name}")).collect::<String>();
            line(&format!("ledger: {} frames and other records expected, {} admitted{odd}", l.expected, l.admitted));
        }
    }

    fn event(&self, event: &Event<'_>) {
        // Numbers and texts can always be serialised.
        line(&serde_json::to_string(event).unwrap_or_default());
    }
}

/// `1:32.556`, rounded to the millisecond.
pub fn lap_time(us: i64) -> String {
    let ms = (us + 500).div_euclid(1_000);
    format!("{}:{:02}.{:03}", ms / 60_000, ms / 1_000 % 60, ms % 1_000)
}

/// `32.556`, rounded to the millisecond.
pub fn seconds(us: i64) -> String {
    format!("{:.3}", us as f64 / 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lap_times_read_as_racers_write_them() {
        assert_eq!(lap_time(92_556_400), "1:32.556");
        assert_eq!(lap_time(59_999_600), "1:00.000");
        assert_eq!(lap_time(8_000), "0:00.008");
    }
}
