//! The session text of a recording: what it says of the track, the rules, the sessions and the entries.

use std::borrow::Cow;

use boxbox_schemas::limits::{DISTANCE_MAX_M, META_ENTRIES_MAX, META_SECTORS_MAX, META_STRING_MAX_BYTES, RECORD_MAX_BYTES};
use boxbox_schemas::meta::{MetaEntry, SessionMeta};
use boxbox_schemas::record::{PRELUDE_BYTES, archive};

use super::error::Warning;
use super::limits::SESSIONS_MAX;
use super::numbered::usurped;
use super::units::{MAX_TIME_S, micros};
use super::yaml::{self, Node};

/// Longest texts tried, bytes, until the whole fits into one record: a full grid of long names may not.
const STRING_BYTES: [usize; 5] = [META_STRING_MAX_BYTES, 64, 32, 16, 8];
/// iRacing's "no limit" for laps and for time.
const LAPS_UNLIMITED: u32 = 32_767;
const TIME_UNLIMITED_S: f64 = 604_800.0;

/// One session that the session text lists.
#[derive(Debug, Clone, PartialEq)]
pub struct ListedSession {
    /// Its number.
    pub session_num: u32,
    /// `practice`, `qualify`, `race`, `warmup`, … in lower case.
    pub kind: String,
    /// Laps, 0 without a limit.
    pub laps_limit: u32,
    /// Time, µs, 0 without a limit.
    pub time_limit_us: i64,
}

/// The session text, read.
#[derive(Debug, Clone, Default)]
pub struct SessionText {
    sub_session_id: u64,
    own_slot: Option<u16>,
    electric: bool,
    sessions: Vec<ListedSession>,
    current: Option<u32>,
    /// Everything that all sessions of the recording share.
    shared: SessionMeta,
}

impl SessionText {
    pub(super) fn parse(bytes: &[u8], warnings: &mut Vec<Warning>) -> Self {
        let text = decode(whole_text(bytes));
        let (root, skipped) = yaml::parse(&text);
        if skipped > 0 {
            warnings.push(Warning::SessionText { lines: skipped });
        }
        Reader { root: &root, warnings }.read()
    }

    /// The lobby's id (iRacing: SubSessionID), 0 where there is none.
    pub fn sub_session_id(&self) -> u64 {
        self.sub_session_id
    }

    /// The slot of the recording's own car.
    pub fn own_slot(&self) -> Option<u16> {
        self.own_slot
    }

    /// Whether the car's fuel is energy.
    pub fn electric(&self) -> bool {
        self.electric
    }

    /// The sessions of the event, played in the recording or not.
    pub fn sessions(&self) -> &[ListedSession] {
        &self.sessions
    }

    /// The session that ran when the text was written.
    pub fn current_session(&self) -> Option<u32> {
        self.current
    }

    /// Length of the lap as the text says it, rounded to metres; 0 unknown.
    pub fn track_length_m(&self) -> f64 {
        self.shared.track_length_m
    }

    /// What is known of session `num`, as it goes over the wire: it fits into one record and passes its check.
    pub(super) fn meta(&self, num: u32, own_slot: u16, track_length_m: f64) -> SessionMeta {
        let mut meta = SessionMeta { own_slot, track_length_m, ..self.shared.clone() };
        if let Some(listed) = self.sessions.iter().find(|s| s.session_num == num) {
            meta.session_type = listed.kind.clone();
            (meta.laps_limit, meta.time_limit_us) = (listed.laps_limit, listed.time_limit_us);
        }
        let fits = |meta: &SessionMeta| PRELUDE_BYTES + archive(meta).len() <= RECORD_MAX_BYTES;
        for bytes in STRING_BYTES {
            shorten(&mut meta, bytes);
            if fits(&meta) {
                return meta;
            }
        }
        // Not reached with today's bounds (128 entries of 8-byte texts take 16 KiB), but then the own car is what counts.
        meta.entries.retain(|e| e.slot == own_slot);
        meta
    }
}

fn shorten(meta: &mut SessionMeta, bytes: usize) {
    let cut = |s: &mut String| s.truncate(s.floor_char_boundary(bytes));
    [&mut meta.track_name, &mut meta.track_config, &mut meta.session_type, &mut meta.category].into_iter().for_each(cut);
    for e in &mut meta.entries {
        [&mut e.driver_name, &mut e.team_name, &mut e.number, &mut e.class_name, &mut e.car_name].into_iter().for_each(cut);
    }
}

/// The text without what lies behind its end, a NUL: an older text. A NUL that is followed by more of this text is damage within a line.
fn whole_text(bytes: &[u8]) -> &[u8] {
    let end = bytes.windows(4).position(|w| w == b"\n...").map_or(0, |at| at + 4);
    let nul = bytes[end..].iter().position(|b| *b == 0).map_or(bytes.len(), |at| end + at);
    let used = bytes[..nul].iter().rposition(|b| *b != 0).map_or(0, |at| at + 1);
    &bytes[..used]
}

/// The simulator writes Windows-1252, or UTF-8 where the user has asked for it; tools that rewrite recordings use that, too. What is
/// valid UTF-8 is taken as that (names whose Windows-1252 happens to be valid UTF-8, `Ã©`, do not occur), byte for byte: a letter that
/// was cut in half costs no other letter.
fn decode(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => {
            let mut text = String::with_capacity(bytes.len() + bytes.len() / 8);
            for chunk in bytes.utf8_chunks() {
                text.push_str(chunk.valid());
                text.push_str(&encoding_rs::WINDOWS_1252.decode_without_bom_handling(chunk.invalid()).0);
            }
            Cow::Owned(text)
        }
    }
}

struct Reader<'a, 'w> {
    root: &'a Node<'a>,
    warnings: &'w mut Vec<Warning>,
}

impl Reader<'_, '_> {
    fn read(mut self) -> SessionText {
        let weekend = |key: &str| self.root.text(&["WeekendInfo", key]);
        let clean = |text: Option<&str>| text.map(harmless).unwrap_or_default();
        let shared = SessionMeta {
            track_id: weekend("TrackID").and_then(whole).unwrap_or(0),
            track_name: clean(weekend("TrackDisplayName").or(weekend("TrackName"))),
            track_config: clean(weekend("TrackConfigName")),
            category: clean(weekend("Category")).to_lowercase(),
            team_racing: u8::from(weekend("TeamRacing").is_some_and(|v| v != "0")),
            start_kind: match self.root.text(&["WeekendInfo", "WeekendOptions", "StandingStart"]) {
                Some("1") => 1,
                Some("0") => 2,
                _ => 0,
            },
            track_length_m: self.quantity(&["WeekendInfo", "TrackLength"], &[("km", 1_000.0), ("mi", 1_609.344), ("m", 1.0)], DISTANCE_MAX_M),
            pit_limit_mps: self.quantity(
                &["WeekendInfo", "TrackPitSpeedLimit"],
                &[("kph", 1.0 / 3.6), ("km/h", 1.0 / 3.6), ("mph", 0.447_04), ("m/s", 1.0)],
                150.0,
            ) as f32,
            fuel_kg_per_l: self.quantity(&["DriverInfo", "DriverCarFuelKgPerLtr"], &[("", 1.0)], 100.0) as f32,
            fuel_max_l: self.quantity(&["DriverInfo", "DriverCarFuelMaxLtr"], &[("", 1.0)], 10_000.0) as f32,
            incident_limit: self.incident_limit(),
            sector_starts: self.sector_starts(),
            entries: self.entries(),
            ..SessionMeta::default()
        };
        SessionText {
            sub_session_id: self.root.text(&["WeekendInfo", "SubSessionID"]).and_then(whole).unwrap_or(0),
            own_slot: self.root.text(&["DriverInfo", "DriverCarIdx"]).and_then(whole).filter(|slot| *slot < 256),
            electric: self.root.text(&["DriverInfo", "DriverCarIsElectric"]).is_some_and(|v| v != "0"),
            current: self.root.text(&["SessionInfo", "CurrentSessionNum"]).and_then(whole),
            sessions: self.sessions(),
            shared,
        }
    }

    /// A number with a unit; 0 and a warning if it is not understood, 0 if it is missing.
    fn quantity(&mut self, path: &[&'static str], units: &[(&str, f64)], max: f64) -> f64 {
        let Some(text) = self.root.text(path) else { return 0.0 };
        let (number, unit) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
        let factor = units.iter().find(|(known, _)| *known == unit.trim()).map(|(_, factor)| *factor);
        match (real(number), factor) {
            (Some(number), Some(factor)) if (0.0..=max).contains(&(number * factor)) => number * factor,
            _ => {
                self.odd(path[path.len() - 1], text, "taken as not known");
                0.0
            }
        }
    }

    fn incident_limit(&mut self) -> u16 {
        match self.root.text(&["WeekendInfo", "WeekendOptions", "IncidentLimit"]) {
            None | Some("unlimited") => 0,
            Some(text) => whole(text).unwrap_or_else(|| {
                self.odd("IncidentLimit", text, "taken as no limit");
                0
            }),
        }
    }

    fn sector_starts(&mut self) -> Vec<f64> {
        let mut starts = Vec::new();
        for sector in self.root.items(&["SplitTimeInfo", "Sectors"], "SectorStartPct") {
            let text = sector.text(&["SectorStartPct"]).unwrap_or_default();
            match real(text).filter(|start| (0.0..1.0).contains(start)) {
                // Adding 0 makes a negative zero a plain one.
                Some(start) => starts.push(start + 0.0),
                None => self.odd("SectorStartPct", text, "that sector is left out"),
            }
        }
        starts.sort_by(f64::total_cmp);
        starts.dedup();
        if starts.first().is_some_and(|first| *first > 0.0) {
            self.odd("SectorStartPct", &starts[0].to_string(), "a sector from the line is put before it");
            starts.insert(0, 0.0);
        }
        starts.truncate(META_SECTORS_MAX);
        starts
    }

    fn sessions(&mut self) -> Vec<ListedSession> {
        let mut sessions: Vec<ListedSession> = Vec::new();
        let nodes = self.root.items(&["SessionInfo", "Sessions"], "SessionType");
        let usurped = usurped(&numbers(nodes, "SessionNum"));
        for (n, node) in nodes.iter().enumerate().take(SESSIONS_MAX) {
            if usurped.get(n) == Some(&true) {
                self.odd("SessionNum", node.text(&["SessionNum"]).unwrap_or_default(), "another session has that number: it is left out");
                continue;
            }
            let Some(session_num) = node.text(&["SessionNum"]).and_then(whole) else {
                self.odd("SessionNum", node.text(&["SessionNum"]).unwrap_or_default(), "that session is left out");
                continue;
            };
            sessions.push(ListedSession {
                session_num,
                kind: session_kind(node.text(&["SessionType"]).unwrap_or_default()),
                laps_limit: node.text(&["SessionLaps"]).and_then(whole).filter(|laps| *laps < LAPS_UNLIMITED).unwrap_or(0),
                time_limit_us: node.text(&["SessionTime"]).and_then(time_limit).unwrap_or(0),
            });
        }
        sessions
    }

    fn entries(&mut self) -> Vec<MetaEntry> {
        let mut entries: Vec<MetaEntry> = Vec::new();
        let nodes = self.root.items(&["DriverInfo", "Drivers"], "UserName");
        let usurped = usurped(&numbers(nodes, "CarIdx"));
        for (n, node) in nodes.iter().enumerate() {
            let text = |key: &str| node.text(&[key]).map(harmless).unwrap_or_default();
            let flag = |key: &str| node.text(&[key]).is_some_and(|v| v != "0");
            // By its own number, not by its index in the list: indexes shift when a driver leaves.
            let Some(slot) = node.text(&["CarIdx"]).and_then(whole).filter(|slot: &u16| *slot < 256) else {
                self.odd("CarIdx", node.text(&["CarIdx"]).unwrap_or_default(), "that entry is left out");
                continue;
            };
            if usurped.get(n) == Some(&true) || entries.len() >= META_ENTRIES_MAX || entries.iter().any(|e| e.slot == slot) {
                self.odd("CarIdx", &slot.to_string(), "it is there already or there are too many: that entry is left out");
                continue;
            }
            entries.push(MetaEntry {
                slot,
                // The pace car has -1.
                user_id: node.text(&["UserID"]).and_then(whole).unwrap_or(0),
                team_id: node.text(&["TeamID"]).and_then(whole).unwrap_or(0),
                driver_name: text("UserName"),
                team_name: text("TeamName"),
                number: text("CarNumber"),
                class_id: node.text(&["CarClassID"]).and_then(whole).unwrap_or(0),
                class_name: text("CarClassShortName"),
                car_name: text("CarScreenName"),
                special: match (flag("CarIsPaceCar"), flag("IsSpectator"), flag("CarIsAI")) {
                    (true, _, _) => 1,
                    (_, true, _) => 2,
                    (_, _, true) => 3,
                    _ => 0,
                },
            });
        }
        entries
    }

    fn odd(&mut self, key: &'static str, value: &str, done: &'static str) {
        let value = value.chars().take(64).collect();
        let warning = Warning::SessionValue { key, value, done };
        // One warning of each text is enough; a broken list would repeat it for each item.
        if !self.warnings.contains(&warning) && self.warnings.len() < 1_000 {
            self.warnings.push(warning);
        }
    }
}

fn session_kind(name: &str) -> String {
    let name = harmless(name).to_lowercase();
    // "Open Qualify" and "Lone Qualify" differ in which cars are on track, not in the rules.
    if name.contains("qualify") { "qualify".into() } else { name }
}

fn time_limit(text: &str) -> Option<i64> {
    let (number, unit) = text.split_once(' ').unwrap_or((text, "sec"));
    let seconds = real(number).filter(|s| unit.trim() == "sec" && (0.0..=MAX_TIME_S).contains(s) && *s < TIME_UNLIMITED_S)?;
    Some(micros(seconds))
}

/// The number of each of `nodes`.
fn numbers(nodes: &[Node<'_>], key: &str) -> Vec<Option<u32>> {
    nodes.iter().map(|node| node.text(&[key]).and_then(whole)).collect()
}

/// A finite decimal number.
fn real(text: &str) -> Option<f64> {
    text.trim().parse().ok().filter(|v: &f64| v.is_finite())
}

/// A whole number.
fn whole<T: std::str::FromStr>(text: &str) -> Option<T> {
    text.trim().parse().ok()
}

/// Text of one line without control characters.
fn harmless(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).collect::<String>().trim().to_owned()
}
