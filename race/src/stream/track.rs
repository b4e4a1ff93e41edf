//! [`Track`]: the metadata that laps depend on: length, sector lines, kind of session, team.

use boxbox_schemas::limits::DISTANCE_MAX_M;
use boxbox_schemas::meta::SessionMeta;
use serde::{Deserialize, Serialize};

/// Length assumed while the length is unknown, m. It is used only to bound plausible motion.
const DEFAULT_LENGTH_M: f64 = 4_000.0;
/// A shorter length counts as unknown, m.
const MIN_LENGTH_M: f64 = 100.0;
/// Lengths that are accepted, m; others count as unknown. Old logs and old states of streams contain longer ones, because edges had
/// no bound then.
const LENGTHS_M: std::ops::RangeInclusive<f64> = MIN_LENGTH_M..=DISTANCE_MAX_M;

#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Track {
    /// Length of the lap, m; outside [`LENGTHS_M`] while unknown.
    length_m: f64,
    /// Where sectors 2, 3, … start, as fractions of the lap.
    lines: Vec<f64>,
    /// What kind of session it is.
    pub(super) kind: SessionKind,
    /// The simulator's team id; 0 if drivers compete alone.
    pub(super) team_id: u64,
    /// Speed limit in the pit lane, m/s; 0 if unknown.
    pub(super) pit_limit_mps: f32,
    /// The values come from metadata.
    pub(super) described: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(super) enum SessionKind {
    #[default]
    Unknown,
    Race,
    Other,
}

impl Track {
    pub(super) fn of(meta: &SessionMeta, slot: u16) -> Self {
        let own = meta.entries.iter().find(|e| e.slot == slot).or_else(|| meta.own());
        let kind = match meta.session_type.to_ascii_lowercase() {
            text if text.is_empty() => SessionKind::Unknown,
            text if text.contains("race") => SessionKind::Race,
            _ => SessionKind::Other,
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

    /// Compute the length from a frame, if metadata did not give it.
    pub(super) fn learn_length(&mut self, lap_dist_m: f64, lap_pct: f64) {
        let length_m = lap_dist_m / lap_pct;
        if !self.knows_length() && lap_pct > 0.1 && LENGTHS_M.contains(&length_m) {
            self.length_m = length_m;
        }
    }

    pub(super) fn knows_length(&self) -> bool {
        LENGTHS_M.contains(&self.length_m)
    }

    // A length only bounds what motion is plausible (`motion.length`).
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
