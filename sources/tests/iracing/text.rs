//! One damaged line of the session text costs its own value or entry, and nothing else.

use boxbox_schemas::meta::SessionMeta;
use boxbox_sources::iracing::{IbtError, IbtFile, Item, ReplayOptions, SessionText};
use proptest::prelude::*;

use crate::writer::{Ibt, V};

/// What a byte can become.
const INSTEAD: [Option<u8>; 7] = [Some(b'A'), Some(b'.'), Some(b'-'), Some(b' '), Some(b':'), Some(0xe9), None];

/// A text as the simulator writes it: 4 cars, 3 sessions with results, cameras, a setup; in UTF-8 or Windows-1252.
fn written(utf8: bool) -> Vec<u8> {
    let mut text = String::from(
        "---\nWeekendInfo:\n TrackName: testring\n TrackID: 900\n TrackLength: 4.00 km\n TrackDisplayName: Testring\n TrackConfigName: GP\n \
         TrackPitSpeedLimit: 60.00 kph\n SubSessionID: 2103\n TeamRacing: 1\n Category: Road\n WeekendOptions:\n  NumStarters: 4\n  \
         StandingStart: 1\n  IncidentLimit: 17\n TelemetryOptions:\n  TelemetryDiskFile: \"\"\n\nSessionInfo:\n CurrentSessionNum: 2\n Sessions:\n",
    );
    for (num, kind) in ["Practice", "Lone Qualify", "Race"].iter().enumerate() {
        text += &format!(
            " - SessionNum: {num}\n   SessionLaps: {}\n   SessionTime: {}.0000 sec\n   SessionType: {kind}\n   SessionName: {kind}\n   \
             ResultsPositions:\n   - Position: 1\n     CarIdx: 2\n     Time: 95.5990\n   - Position: 2\n     CarIdx: 1\n     Time: 96.0000\n   \
             ResultsFastestLap:\n   - CarIdx: 2\n     FastestLap: 1\n   ResultsOfficial: 0\n",
            10 + num,
            600 * (num + 1),
        );
    }
    text += "\nCameraInfo:\n Groups:\n - GroupNum: 1\n   GroupName: Nose\n   Cameras:\n   - CameraNum: 1\n     CameraName: CamNose\n\nDriverInfo:\n \
             DriverCarIdx: 1\n DriverUserID: 501\n DriverCarFuelKgPerLtr: 0.750\n DriverCarFuelMaxLtr: 100.000\n DriverSetupName: my setup\n \
             DriverTires:\n - TireIndex: 0\n   TireCompoundType: \"Hard\"\n - TireIndex: 1\n   TireCompoundType: \"Wet\"\n Drivers:\n";
    for slot in 0..4 {
        let utf8_names = ["Łucja Testowańska", "Jürgen Beispiel", "Žofie Příkladová", "Anna - \"Ace\""];
        let name = if utf8 { utf8_names[slot] } else { ["Plain One", "Jürgen Beispiel", "Žofie", "Anna: #1"][slot] };
        let class = 1 + slot / 2;
        text += &format!(
            " - CarIdx: {slot}\n   UserName: {name}\n   AbbrevName: {name}\n   Initials: XY\n   UserID: {}\n   TeamID: {}\n   TeamName: Team {slot}\n   \
             CarNumber: \"0{slot}\"\n   CarClassID: {class}\n   CarClassShortName: C{class}\n   CarScreenName: Car\n   CarIsPaceCar: {}\n   \
             CarIsAI: 0\n   IsSpectator: 0\n",
            500 + slot,
            900 + slot,
            usize::from(slot == 0),
        );
    }
    text += "\nSplitTimeInfo:\n Sectors:\n - SectorNum: 0\n   SectorStartPct: 0.000000\n - SectorNum: 1\n   SectorStartPct: 0.300000\n - SectorNum: 2\n   \
             SectorStartPct: 0.650000\n\nCarSetup:\n UpdateCount: 6\n Tires:\n  LeftFront:\n   ColdPressure: 117 kPa\n   LastTempsOMI: 66C, 66C, 66C\n  \
             RightFront:\n   ColdPressure: 117 kPa\n...\n";
    if utf8 { text.into_bytes() } else { encoding_rs::WINDOWS_1252.encode(&text).0.into_owned() }
}

/// A recording with that text.
fn read(text: &[u8]) -> IbtFile {
    let rows: Vec<Vec<V>> = (1..3).map(|n| vec![V::F64(f64::from(n) / 60.0), V::Int(n), V::Int(2)]).collect();
    let file = Ibt::table(&[("SessionTime", "s"), ("SessionTick", ""), ("SessionNum", "")], &rows).with_text(text);
    IbtFile::from_bytes(file.bytes()).unwrap()
}

/// What a text says, in the units that one line may cost.
fn units(text: &[u8]) -> Vec<(String, String)> {
    let file = read(text);
    let said: &SessionText = file.session_text();
    // A session that is not listed: what all have in common.
    let meta = file.meta(99);
    let mut units = vec![
        ("lobby".into(), format!("{}", said.sub_session_id())),
        ("own slot".into(), format!("{:?}", said.own_slot())),
        ("electric".into(), format!("{}", said.electric())),
        ("current".into(), format!("{:?}", said.current_session())),
        ("sectors".into(), format!("{:?}", meta.sector_starts)),
    ];
    units.extend((0..4u16).map(|slot| (format!("entry {slot}"), format!("{:?}", meta.entries.iter().find(|e| e.slot == slot)))));
    units.extend((0..3u32).map(|num| (format!("session {num}"), format!("{:?}", said.sessions().iter().find(|s| s.session_num == num)))));
    let shared = SessionMeta { entries: vec![], sector_starts: vec![], own_slot: 0, ..meta };
    units.extend(format!("{shared:#?}").lines().enumerate().map(|(n, line)| (format!("line {n}"), line.to_owned())));
    units
}

fn changed(whole: &[u8], damaged: &[u8]) -> Vec<String> {
    let after = units(damaged);
    units(whole).into_iter().zip(after).filter(|(a, b)| a != b).map(|(a, b)| format!("{}: {} became {}", a.0, a.1, b.1)).collect()
}

/// Where each value of the text stands.
fn values(text: &[u8]) -> Vec<std::ops::Range<usize>> {
    let mut at = 0;
    let mut values = vec![];
    for line in text.split_inclusive(|b| *b == b'\n') {
        let end = at + line.len() - 1;
        if let Some(colon) = line.windows(2).position(|w| w == b": ") {
            values.push(at + colon + 2..end);
        }
        at += line.len();
    }
    values
}

/// The rest of a value behind a newline: as plain names and paths are, and as the text's own structure looks.
fn rest() -> impl Strategy<Value = String> {
    let odd = prop::sample::select(vec![
        "sub\\baseline.sto",
        "b: c",
        "b:",
        "x:y",
        "- b: c",
        "- b:",
        "-",
        "---",
        "...",
        "#1",
        "Drivers:",
        "DriverInfo:",
        "SessionInfo: 1",
        "CarIdx: 99",
        "SessionNum: 9",
        "Sectors:",
        "Drivers: none",
        "UserName: forged",
        "",
    ]);
    let odd = odd.prop_map(str::to_owned);
    (prop_oneof![Just(0usize), Just(1), Just(2), Just(3), Just(4), 0usize..9], prop_oneof![odd, "\\PC{0,12}"])
        .prop_map(|(indent, text)| format!("{}{text}", " ".repeat(indent)))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(3_000) })]

    #[test]
    fn a_newline_in_any_value_costs_that_value_or_entry(utf8: bool, which: prop::sample::Index, at: prop::sample::Index, rest in rest()) {
        let whole = written(utf8);
        let value = which.get(&values(&whole)).clone();
        let at = value.start + at.index(value.len() + 1);
        let mut damaged = whole.clone();
        damaged.splice(at..at, format!("\n{rest}").into_bytes());
        let changed = changed(&whole, &damaged);
        prop_assert!(changed.len() <= 1, "{:#?}\n{}", changed, String::from_utf8_lossy(&damaged));
    }

    /// A byte that is lost, and one that became another, in keys, dashes and white space too.
    #[test]
    fn a_byte_of_any_line_costs_that_lines_value_or_entry(utf8: bool, at: prop::sample::Index, instead in prop::option::of(any::<u8>())) {
        let whole = written(utf8);
        let at = at.index(whole.len());
        let mut damaged = whole.clone();
        damaged.splice(at..=at, instead);
        // Two lines become one, or one becomes two: each of them is damaged.
        let lines = if whole[at] == b'\n' || instead == Some(b'\n') { 2 } else { 1 };
        let changed = changed(&whole, &damaged);
        prop_assert!(changed.len() <= lines, "{:#?}\nat {at}, {instead:?}\n{}", changed, String::from_utf8_lossy(&damaged));
    }
}

/// White space and dashes say which block a line stands in: each byte of them in turn becomes a letter, which may make a key of the line that
/// seems to stand farther out, or is lost.
#[test]
fn a_byte_of_the_indent_or_the_dash_costs_that_lines_value_or_entry() {
    let whole = written(true);
    let before = units(&whole);
    let mut line_at = 0;
    for line in whole.split_inclusive(|b| *b == b'\n') {
        let places = line.iter().take_while(|b| matches!(b, b' ' | b'-')).count();
        for (at, instead) in (line_at..line_at + places).flat_map(|at| INSTEAD.map(|instead| (at, instead))) {
            let mut damaged = whole.clone();
            damaged.splice(at..=at, instead);
            let changed = before.iter().zip(units(&damaged)).filter(|(a, b)| *a != b).count();
            assert!(changed <= 1, "at {at}, {instead:?}: {:#?}\n{}", self::changed(&whole, &damaged), String::from_utf8_lossy(&damaged));
        }
        line_at += line.len();
    }
}

/// Each item's own number in turn becomes that of another item: the other item is not lost.
#[test]
fn a_number_that_becomes_another_items_costs_its_own_item() {
    let text = String::from_utf8(written(true)).unwrap();
    for (key, count) in [("SessionNum", 3), ("CarIdx", 4)] {
        for (damaged, other) in (0..count).flat_map(|n| (0..count).map(move |k| (n, k))) {
            let became = text.replace(&format!("\n - {key}: {damaged}\n"), &format!("\n - {key}: {other}\n"));
            assert_eq!(became == text, damaged == other);
            let changed = changed(text.as_bytes(), became.as_bytes());
            assert!(changed.len() <= 1, "{key} {damaged} became {other}: {changed:#?}");
        }
    }
}

#[test]
fn the_written_text_is_read_whole() {
    for utf8 in [true, false] {
        let file = read(&written(utf8));
        assert_eq!(file.warnings(), []);
        let (said, meta) = (file.session_text(), file.meta(2));
        assert_eq!((said.sub_session_id(), said.own_slot(), said.current_session(), said.sessions().len()), (2103, Some(1), Some(2), 3));
        assert_eq!(
            meta.entries.iter().map(|e| (e.slot, e.team_id, e.special)).collect::<Vec<_>>(),
            [(0, 900, 1), (1, 901, 0), (2, 902, 0), (3, 903, 0)]
        );
        assert_eq!(meta.entries[1].driver_name, "Jürgen Beispiel");
        assert_eq!(meta.sector_starts, [0.0, 0.3, 0.65]);
        assert_eq!((meta.incident_limit, meta.team_racing, meta.start_kind, meta.laps_limit), (17, 1, 1, 12));
    }
}

#[test]
fn a_cut_letter_costs_no_other_letter_of_its_value() {
    let text = String::from_utf8(written(true)).unwrap().replace("Initials: XY", "Initials: \u{1}Y").into_bytes();
    let text: Vec<u8> = text.into_iter().map(|b| if b == 1 { 0xc5 } else { b }).collect();
    assert_eq!(changed(&written(true), &text), Vec::<String>::new());
    // A name that ends in half a letter: the other letters stay.
    let name = "UserName: Łucja Testowańska".as_bytes();
    let at = text.windows(name.len()).position(|w| w == name).unwrap() + "UserName: Łucja Testowa".len();
    let mut cut = text.clone();
    cut.splice(at + 1..at + 5, []);
    assert!(read(&cut).meta(2).entries[0].driver_name.starts_with("Łucja Testowa"));
}

#[test]
fn what_stands_behind_the_end_is_not_read() {
    let mut text = written(true);
    text.extend_from_slice(b"\0\n\nDriverInfo:\n DriverCarIdx: 7\n");
    assert_eq!(read(&text).session_text().own_slot(), Some(1));
}

/// The session, slot and description under which a recording is imported by name.
fn imported(text: &str, name: &str) -> Result<(u128, u16, SessionMeta), IbtError> {
    let options = ReplayOptions { named: Some(name.into()), ..ReplayOptions::default() };
    match read(text.as_bytes()).replay(options)?.next() {
        Some(Ok(Item::Session { source, slot, meta })) => Ok((source.id, slot, *meta)),
        other => panic!("{other:?}"),
    }
}

#[test]
fn recordings_of_one_name_are_one_session() {
    let text = String::from_utf8(written(true)).unwrap();
    assert!(matches!(imported(&text, "sunday"), Err(IbtError::HasLobby { lobby: 2103 })));
    let anna = text.replace("SubSessionID: 2103", "SubSessionID: 0");
    // Another driver at the same place, in the same slot of the own grid.
    let bert = anna.replace("UserID: 501\n   TeamID", "UserID: 777\n   TeamID").replace("Jürgen Beispiel", "Bert");
    let (one, two) = (imported(&anna, "sunday").unwrap(), imported(&bert, "sunday").unwrap());
    assert_eq!(one.0, two.0, "one session");
    assert_eq!(imported(&anna, "sunday").unwrap(), one, "the same each time");
    assert_ne!(one.1, two.1, "the two drivers' cars have different slots");
    for (_, slot, meta) in [&one, &two] {
        assert_eq!((meta.own_slot, meta.entries.iter().map(|e| e.slot).collect::<Vec<_>>()), (*slot, vec![*slot]));
    }
    assert_eq!((&*one.2.entries[0].driver_name, &*two.2.entries[0].driver_name), ("Jürgen Beispiel", "Bert"));
    assert_ne!(imported(&anna, "monday").unwrap().0, one.0);
    assert_ne!(imported(&anna.replace("TrackID: 900", "TrackID: 901"), "sunday").unwrap().0, one.0);
}

#[test]
fn dumps_of_memory_and_other_files_are_refused() {
    let refused = |bytes: Vec<u8>| match IbtFile::from_bytes(bytes) {
        Err(e @ IbtError::NotIbt { .. }) => e.to_string(),
        other => panic!("{other:?}"),
    };
    // The simulator's memory: as a recording, with three buffers for records and no count of them.
    let rows: Vec<Vec<V>> = (1..3).map(|n| vec![V::F64(f64::from(n) / 60.0), V::Int(n), V::Int(2)]).collect();
    let mut memory = Ibt::table(&[("SessionTime", "s"), ("SessionTick", ""), ("SessionNum", "")], &rows).with_text(written(true)).bytes();
    for buffers in [2, 3, 4] {
        memory[32..36].copy_from_slice(&i32::to_le_bytes(buffers));
        assert!(refused(memory.clone()).contains("memory"), "{buffers}");
    }
    let with = |magic: &[u8]| [magic, &[0; 4096]].concat();
    assert!(refused(with(b"MDMP\x93\xa7")).contains("memory dump"));
    assert!(refused(with(b"PK\x03\x04")).contains("unpack"));
    assert!(refused(with(b"YLPR")).contains("replay"));
}
