//! Reads from the records what must be known before the first frame: the lap's exact length, the recording's identity, and
//! whether its clock can be used.

use boxbox_schemas::frame::Presence;
use ring::digest::{Context, SHA256};

use super::columns::Columns;
use super::error::{IbtError, Warning};
use super::layout::Layout;
use super::meta::SessionText;
use super::records::Records;
use super::stats::ReadStats;
use super::stream::Origin;

/// Samples whose median is the lap's length. Each is good to 1e-7 already, and a median is robust against damaged records.
const LENGTH_SAMPLES: usize = 501;
/// Records after which a tick that never changed counts as standing still.
const TICK_RECORDS: u64 = 30;
/// The part of the lap where a sample is good: not near the line, where distance and fraction may belong to different laps, and
/// far enough from it that the division is exact enough.
const GOOD_PCT: std::ops::RangeInclusive<f64> = 0.05..=0.97;
/// Lengths a lap can have, m.
const LENGTH_M: std::ops::RangeInclusive<f64> = 50.0..=200_000.0;
const CONTENT_DOMAIN: &[u8] = b"boxbox.ibt.v1";

#[derive(Debug, Default)]
pub(super) struct Survey {
    /// LapDist / LapDistPct.
    pub(super) lap_length_m: Option<f64>,
    /// The own slot, from the records.
    pub(super) slot: Option<u16>,
    /// An id computed from the content, the same each time the recording is read.
    pub(super) content_id: u128,
}

impl Survey {
    /// Read as many records as needed; this also decides which columns give the clock.
    pub(super) fn read(
        origin: &Origin,
        layout: &Layout,
        text_bytes: &[u8],
        text: &SessionText,
        columns: &mut Columns,
        warnings: &mut Vec<Warning>,
    ) -> Result<Self, IbtError> {
        if columns.clock.time.is_none() && columns.clock.tick.is_none() {
            return Err(IbtError::NoClock);
        }
        let mut survey = Survey { content_id: content_id(layout, text_bytes, &[]), ..Survey::default() };
        let mut records = Records::open(origin, layout)?;
        let mut stats = ReadStats::default();
        let mut lengths = Vec::new();
        let (mut ticks, mut times) = (Spread::default(), Spread::default());
        let slot = layout.variables.iter().find(|v| v.name == "PlayerCarIdx");
        let mut count = 0;
        while let Some(record) = records.next()? {
            count += 1;
            if count == 1 {
                survey.content_id = content_id(layout, text_bytes, record.bytes);
                survey.slot = slot.and_then(|v| record.get(v)).map(|v| v.as_f64()).filter(|v| (0.0..256.0).contains(v)).map(|v| v as u16);
            }
            ticks.add(columns.clock.tick.as_ref().and_then(|c| c.number(record.bytes, &mut stats)));
            times.add(columns.clock.time.as_ref().and_then(|c| c.number(record.bytes, &mut stats)));
            let frame = columns.car.frame(0, 0, record.bytes, &mut stats);
            let length = f64::from(frame.lap_dist_m) / frame.lap_pct;
            if frame.has(Presence::LAP_PCT.with(Presence::LAP_DIST)) && GOOD_PCT.contains(&frame.lap_pct) && LENGTH_M.contains(&length) {
                lengths.push(length);
            }
            if count >= TICK_RECORDS && (lengths.len() >= LENGTH_SAMPLES || !columns.car.gives_length()) {
                break;
            }
        }
        let tick_rate = layout.header.tick_rate();
        if columns.clock.time.is_none() {
            warnings.push(Warning::TimeFromTick { tick_rate });
        } else if columns.clock.tick.is_none() || ticks.stands_still() && !times.stands_still() {
            columns.clock.tick = None;
            warnings.push(Warning::TickFromTime { tick_rate });
        }
        if columns.clock.session_num.is_none() {
            warnings.push(Warning::SessionNum { used: text.current_session().unwrap_or(0) });
        }
        lengths.sort_by(f64::total_cmp);
        survey.lap_length_m = lengths.get(lengths.len() / 2).copied();
        Ok(survey)
    }
}

/// A version 8 UUID of the content that does not change when a recording is cut, repaired or closed later: not the counts in the
/// header, not the records after the first.
fn content_id(layout: &Layout, text: &[u8], first_record: &[u8]) -> u128 {
    let mut h = Context::new(&SHA256);
    h.update(CONTENT_DOMAIN);
    h.update(&layout.header.start_date_s.to_le_bytes());
    h.update(&layout.header.start_time_s.to_bits().to_le_bytes());
    for part in [text, first_record] {
        h.update(&(part.len() as u64).to_le_bytes());
        h.update(part);
    }
    let mut id = [0; 16];
    id.copy_from_slice(&h.finish().as_ref()[..16]);
    id[6] = id[6] & 0x0f | 0x80;
    id[8] = id[8] & 0x3f | 0x80;
    u128::from_be_bytes(id)
}

/// The smallest and the largest of some numbers.
#[derive(Default)]
struct Spread {
    ends: Option<(f64, f64)>,
    seen: u64,
}

impl Spread {
    fn add(&mut self, value: Option<f64>) {
        if let Some(v) = value {
            let (least, most) = self.ends.unwrap_or((v, v));
            self.ends = Some((least.min(v), most.max(v)));
            self.seen += 1;
        }
    }

    fn stands_still(&self) -> bool {
        self.seen >= 2 && self.ends.is_some_and(|(least, most)| least == most)
    }
}
