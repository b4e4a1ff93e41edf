//! What the metadata says that laps depend on: length, sector lines, kind of session, team.

use boxbox_schemas::meta::SessionMeta;
use serde::{Deserialize, Serialize};

/// Length assumed while nobody has said one, m. It only bounds what is plausible motion.
const DEFAULT_LENGTH_M: f64 = 4_000.0;
/// A shorter "length" is none, m.
const MIN_LENGTH_M: f64 = 100.0;

#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Track {
    /// Length of the lap, m; 0 until known.
    length_m: f64,
    /// Where sectors 2, 3, … start, as fractions of the lap.
    lines: Vec<f64>,
    /// What kind of session it is.
    pub(super) kind: Kind,
    /// The simulator's team id, 0 where drivers compete on their own.
    pub(super) team_id: u64,
    /// Speed limit in the pit lane, m/s; 0 if nobody says.
    pub(super) pit_limit_mps: f32,
    /// Metadata has said it.
    pub(super) described: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(super) enum Kind {
    #[default]
    Unknown,
    Race,
    Other,
}

impl Track {
    pub(super) fn of(meta: &SessionMeta, slot: u16) -> Self {
        let own = meta.entries.iter().find(|e| e.slot == slot).or_else(|| meta.own());
        let kind = match meta.session_type.to_ascii_lowercase() {
            text if text.is_empty() => Kind::Unknown,
            text if text.contains("race") => Kind::Race,
            _ => Kind::Other,
        };
        Self {
            length_m: meta.track_length_m,
            lines: meta.sector_starts.iter().copied().filter(|s| *s > 0.0 && *s < 1.0).collect(),
            kind,
            pit_limit_mps: meta.pit_limit_mps,
            described: true,
            team_id: if meta.team_racing == 1 { own.map_or(0, |e| e.team_id) } else { 0 },
        }
    }

    /// Learn the length from a frame where metadata did not give it.
    pub(super) fn learn_length(&mut self, lap_dist_m: f64, lap_pct: f64) {
        if self.length_m < MIN_LENGTH_M && lap_pct > 0.1 && lap_dist_m / lap_pct >= MIN_LENGTH_M {
            self.length_m = lap_dist_m / lap_pct;
        }
    }

    pub(super) fn knows_length(&self) -> bool {
        self.length_m >= MIN_LENGTH_M
    }

    pub(super) fn length_m(&self) -> f64 {
        if self.knows_length() { self.length_m } else { DEFAULT_LENGTH_M }
    }

    /// The line at which sector `passed + 1` ends, if it is not the finish.
    pub(super) fn line(&self, passed: usize) -> Option<f64> {
        self.lines.get(passed).copied()
    }

    /// Lines between start and finish.
    pub(super) fn lines(&self) -> &[f64] {
        &self.lines
    }
}
