//! Standard output: laps as a table for people, or as one JSON object on each line for programs.

use std::collections::BTreeMap;
use std::io::Write;

use boxbox_schemas::SessionId;
use boxbox_schemas::results::{IncidentStep, Lap, Ledger};
use serde::Serialize;

use crate::show::columns;

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
    /// A restart of the race, or a flashback, in the recording took back what was printed before.
    Undone(UndoneLine),
    /// The server keeps what was sent for a session, or drops it (`retired`), but it changes no result: the session is closed on purpose.
    SessionClosed {
        /// The session's id.
        session: String,
        /// What was sent is dropped.
        retired: bool,
    },
    /// The last object: how many frames were sent, and what became of them.
    Summary {
        /// Frames of the own car that were read and sent.
        frames: u64,
        /// Frames of the own car that the server has acked.
        acked: u64,
        /// Frames that the simulator recorded are missing in the recording, or may be: it was cut, or the simulator crashed.
        incomplete: bool,
        /// What is wrong with the recording, in words.
        warnings: &'a [String],
        /// What became of every sequence number; null with `--to`, where the server knows.
        ledger: Option<LedgerSum>,
    },
}

/// A lap for programs.
#[derive(Serialize)]
pub struct LapLine<'a> {
    session_num: u32,
    lap: u32,
    timeline: u32,
    /// `null` if the lap counts and has no time.
    time_us: Option<i64>,
    sim_time_us: Option<i64>,
    sectors_us: &'a [i64],
    valid: bool,
    reasons: Vec<String>,
    tags: Vec<String>,
    start_us: i64,
    end_us: i64,
}

/// What was taken back: the lap or the incident step of the same session, timeline and number or time.
#[derive(Serialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum UndoneLine {
    /// A lap.
    Lap {
        /// Session number within the recording.
        session_num: u32,
        /// Its number.
        lap: u32,
        /// Which of the drives of that number: it rises with each time that the simulator goes back.
        timeline: u32,
        /// When it began, session time, µs.
        start_us: i64,
        /// When it ended, session time, µs.
        end_us: i64,
    },
    /// A step of the incident counter.
    IncidentCount {
        /// Session number within the recording.
        session_num: u32,
        /// Which timeline it was in.
        timeline: u32,
        /// Session time, µs.
        sim_time_us: i64,
    },
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

/// What is wrong with a recording.
#[derive(Default)]
pub struct Faults {
    /// Frames are missing in it, or may be.
    pub incomplete: bool,
    /// Each in words.
    pub warnings: Vec<String>,
}

/// Prints laps and incidents in the form asked for.
pub struct Printer {
    json: bool,
    header_done: bool,
    /// Columns of the terminal, if it is one.
    width: Option<usize>,
}

impl Printer {
    /// With `json`, every line is a JSON object.
    pub fn new(json: bool) -> Self {
        Self { json, header_done: false, width: columns::of_terminal() }
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
                timeline: lap.timeline,
                time_us: lap.timed_us(),
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
            line(&self.row(["lap", "time", "simulator", "diff ms", "sectors"], "notes"));
        }
        let sim = lap.sim_time_us.map_or_else(|| "-".into(), lap_time);
        let diff = lap.sim_time_us.zip(lap.timed_us()).map_or_else(|| "-".into(), |(sim, us)| format!("{:+.3}", (us - sim) as f64 / 1e3));
        let time = lap.timed_us().map_or_else(|| "-".into(), lap_time);
        let sectors = lap.sectors_us.iter().map(|s| seconds(*s)).collect::<Vec<_>>().join("  ");
        let mut notes = tags.iter().map(|t| t.replace('_', " ")).collect::<Vec<_>>();
        if !lap.valid() {
            let reasons = lap.reasons.names().iter().map(|t| t.replace('_', " ")).collect::<Vec<_>>().join(", ");
            notes.push(format!("not for best: {reasons}"));
        }
        line(&self.row([&lap.number.to_string(), &time, &sim, &diff, &sectors], &notes.join("; ")));
    }

    /// A line of the table of laps. A narrow terminal has no room for all columns; notes may go on in the next line.
    fn row(&self, cells: [&str; 5], notes: &str) -> String {
        let columns = [(0, 4, true), (1, 10, true), (2, 10, true), (3, 9, true), (4, 24, false)];
        let row = columns::padded(&[cells.map(str::to_owned)], &columns, 2, self.width).concat();
        format!("{row}  {notes}").trim_end().to_owned()
    }

    /// Print a step of the incident counter.
    pub fn incident(&self, session_num: u32, step: &IncidentStep) {
        if self.json {
            self.event(&Event::IncidentCount { session_num, from: step.from, to: step.to, sim_time_us: step.sim_time_us });
        } else {
            line(&format!("      incident count {} to {} at {} s", step.from, step.to, seconds(step.sim_time_us)));
        }
    }

    /// A lap was taken back.
    pub fn lap_undone(&self, session_num: u32, lap: &Lap) {
        let Lap { number, timeline, start_us, end_us, .. } = *lap;
        if self.json {
            self.event(&Event::Undone(UndoneLine::Lap { session_num, lap: number, timeline, start_us, end_us }));
        } else {
            line(&format!("      lap {number} of {} was undone: the race was restarted, or went back", lap_time(lap.time_us)));
        }
    }

    /// A step of the incident counter was taken back.
    pub fn incident_undone(&self, session_num: u32, step: &IncidentStep) {
        if self.json {
            self.event(&Event::Undone(UndoneLine::IncidentCount { session_num, timeline: step.timeline, sim_time_us: step.sim_time_us }));
        } else {
            line(&format!("      incident count {} to {} at {} s was undone", step.from, step.to, seconds(step.sim_time_us)));
        }
    }

    /// The session is closed on purpose, so that what was sent changes nothing.
    pub fn session_closed(&self, session: SessionId, retired: bool) {
        if self.json {
            self.event(&Event::SessionClosed { session: session.to_string(), retired });
        }
    }

    /// The last line; `recording`: what is wrong with it.
    pub fn summary(&self, frames: u64, acked: u64, recording: &Faults, ledgers: &[Ledger]) {
        let Faults { incomplete, warnings } = recording;
        if self.json {
            return self.event(&Event::Summary { frames, acked, incomplete: *incomplete, warnings, ledger: LedgerSum::of(ledgers) });
        }
        if *incomplete {
            line("the recording is incomplete: see the warnings on standard error");
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
