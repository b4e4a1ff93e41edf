//! F8: state that version 1 stored in the middle of a race, and this version goes on with. It must come to what processing
//! from the start comes to. The records are not kept: they are made again from the seed.
//!
//! | file | what it holds |
//! |---|---|
//! | `state/streams_v1.txt` | the processor's own bytes for every stream and every car that it sees, at three moments of one race |
//! | `state/results_v1.db.gz` | an SQLite file of results with two races, each stopped in the middle |
//!
//! They were made once by the code of then; the ignored tests show how. They are not made again for a version that exists.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use boxbox_race::session::{COVERAGE_SLOT, DESCRIBED_SLOTS};
use boxbox_schemas::StreamKey;
use boxbox_schemas::event::EventCode;
use boxbox_schemas::record::Content;
use boxbox_schemas::results::{AnyRow, PitEnds, PitVisit};
use boxbox_schemas::stamp::LogRecord;
use boxbox_store::PartitionState;
use boxbox_store::sqlite::SqliteResults;

use crate::pipeline::{Outcome, Profile, process};
use crate::records::Input;
use crate::{of_records, runtime, seeded, shown};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/frozen/state");
/// The races of the results' file, and the share of their records that was processed: one with cars that others see, one that is
/// closed and will be opened again.
const STOPPED: [(u64, f64); 2] = [(2, 0.5), (4, 0.7)];

/// A moment of the race, and the bytes that were stored then: of each stream its own (`None`) and by slot those of other cars.
struct Moment {
    name: String,
    offset: usize,
    states: BTreeMap<(String, Option<u16>), Vec<u8>>,
}

/// Which stream, as a word.
fn word(stream: &StreamKey) -> String {
    format!("{}/{}", stream.driver, stream.run)
}

/// What the file of streams says: the fingerprint of the race's records, and the moments.
fn stored() -> (String, Vec<Moment>) {
    let (mut of, mut moments) = (String::new(), Vec::<Moment>::new());
    for line in std::fs::read_to_string(format!("{FOLDER}/streams_v1.txt")).unwrap().lines() {
        let words: Vec<&str> = line.split(' ').collect();
        let bytes = |hex: &str| -> Vec<u8> { (0..hex.len() / 2).map(|i| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).unwrap()).collect() };
        match (words[0], &mut moments.last_mut()) {
            ("records", _) => of = words[1].into(),
            ("moment", _) => moments.push(Moment { name: words[1].into(), offset: words[2].parse().unwrap(), states: BTreeMap::new() }),
            ("stream", Some(moment)) => drop(moment.states.insert((words[1].into(), None), bytes(words[2]))),
            ("field", Some(moment)) => drop(moment.states.insert((words[1].into(), Some(words[2].parse().unwrap())), bytes(words[3]))),
            _ => panic!("{line}"),
        }
    }
    (of, moments)
}

/// The processor's own bytes in `state`.
fn own_bytes(state: &PartitionState) -> BTreeMap<(String, Option<u16>), Vec<u8>> {
    let of_stream = |s: &boxbox_store::StreamState| {
        let stream = word(&s.ledger.stream);
        let field: Vec<_> = s.field.iter().map(|f| ((stream.clone(), Some(f.slot)), f.race.to_vec())).collect();
        [((stream, None), s.race.to_vec())].into_iter().chain(field)
    };
    state.streams.iter().flat_map(of_stream).collect()
}

/// Behind how many records each moment is.
fn moments(input: &Input) -> Vec<(&'static str, usize)> {
    let event = |code| {
        let is_it = |record: LogRecord| matches!(record.record.content(), Ok(Content::Event(event)) if EventCode::from(&event.code) == code);
        input.records.iter().position(|bytes| is_it(LogRecord::parse(bytes.clone()).unwrap())).unwrap() + 1
    };
    // The driver who takes over says so, and has not sent a frame yet.
    vec![("rewind", event(EventCode::REWIND)), ("swap", event(EventCode::DRIVER_SWAP))]
}

/// Without what version 1 did not store, so that nothing can make it again of a race that was stopped: session states, how the car was at
/// the ends of a visit, each client's own description, and so what they tell against each other.
fn as_version_1_knew_it(outcome: &Outcome) -> Outcome {
    let mut outcome = outcome.clone();
    outcome.states.clear();
    outcome.visits.iter_mut().for_each(|visit| visit.ends = PitEnds::default());
    (outcome.info.meta, outcome.info.meta_from, outcome.info.rules) = (None, None, 1);
    outcome.info.conflicts = vec![];
    outcome
}

fn same(what: &str, expected: &[Outcome], found: &[Outcome]) {
    assert_eq!(expected.len(), found.len(), "{what}: sessions");
    let wrong: Vec<String> = expected.iter().zip(found).flat_map(|(a, b)| as_version_1_knew_it(a).differences(&as_version_1_knew_it(b))).collect();
    assert!(wrong.is_empty(), "{what}:\n{}", wrong.join("\n"));
}

#[test]
fn stream_states_of_version_1_are_gone_on_with() {
    let runtime = runtime();
    let (records, stored) = stored();
    let mut input = seeded::eventful();
    assert_eq!(of_records(&input), records, "the race is another than the one that was stopped: give the simulator back what it drove");
    let (told, known): (Vec<_>, Vec<_>) = (stored.iter().map(|m| (&*m.name, m.offset)).collect(), moments(&input));
    assert_eq!((&told[..2], told[2].0, told.len()), (&known[..], "stop", 3));
    for moment in stored {
        input.cuts = vec![moment.offset];
        let (straight, resumed) = (Profile::memory(), Profile::memory());
        let outcomes = runtime.block_on(async {
            straight.process(&input, input.records.len()).await;
            resumed.process(&input, moment.offset).await;
            let (lease, mut state) = resumed.load(&input).await;
            // Version 1 kept of all descriptions one, with the session, and not when a client showed what.
            let known = |slot: u16| !DESCRIBED_SLOTS.contains(&slot) && slot != COVERAGE_SLOT;
            state.streams.iter_mut().for_each(|stream| stream.field.retain(|field| known(field.slot)));
            let now = own_bytes(&state);
            assert!(now.keys().eq(moment.states.keys()), "{}: other streams than were stored", moment.name);
            assert!(now.keys().any(|(_, slot)| slot.is_some()), "{}: no client sees other cars", moment.name);
            let stands = stands(&state);
            assert!(stands || moment.name != "stop", "no car stands in its stall");
            for stream in &mut state.streams {
                let name = word(&stream.ledger.stream);
                stream.race = moment.states[&(name.clone(), None)].clone().into();
                stream.field.iter_mut().for_each(|f| f.race = moment.states[&(name.clone(), Some(f.slot))].clone().into());
            }
            resumed.go_on(&input, &lease, state, input.records.len()).await;
            (straight.outcomes(&input).await, resumed.outcomes(&input).await)
        });
        assert!(outcomes.0[0].laps.len() > 5);
        same(&format!("stopped at {}", moment.name), &outcomes.0, &outcomes.1);
    }
}

#[test]
fn results_of_version_1_are_gone_on_with() {
    let runtime = runtime();
    let folder = tempfile::tempdir().unwrap();
    let mut file = std::fs::File::create(folder.path().join("results.db")).unwrap();
    let packed = std::fs::File::open(format!("{FOLDER}/results_v1.db.gz")).unwrap();
    std::io::copy(&mut flate2::read::GzDecoder::new(packed), &mut file).unwrap();
    drop(file);
    let (straight, resumed) = (Profile::memory(), runtime.block_on(Profile::sqlite_in(folder)));
    for (seed, _) in STOPPED {
        let mut input = seeded::input_of_version_1(seed);
        let (_, state) = runtime.block_on(resumed.load(&input));
        let behind = state.checkpoint.unwrap().offset as usize + 1;
        assert!((100..input.records.len() - 100).contains(&behind) && !state.streams.is_empty(), "{}: stopped behind {behind}", input.name);
        input.cuts = vec![behind];
        let stopped_us = runtime.block_on(resumed.outcomes(&input))[0].info.sim_time_us;
        let (expected, found) = (shown(&runtime, &straight, &input), shown(&runtime, &resumed, &input));
        assert!(expected.0[0].laps.len() > 5);
        // What was stored before the stop was made by the rules of then, which the session says: they had no laps without a time. The laps
        // that have one are the same.
        let timed = |outcome: &Outcome| -> Vec<_> { outcome.laps.iter().filter(|l| l.timed_us().is_some()).map(|l| (l.entry, l.number)).collect() };
        let numbers = |of: &[Outcome]| of.iter().flat_map(timed).collect::<Vec<_>>();
        assert_eq!(numbers(&expected.0), numbers(&found.0), "{}", input.name);
        let after = |of: &[Outcome]| -> Vec<Outcome> { of.iter().map(|outcome| begun_after(outcome, stopped_us)).collect() };
        same(&input.name, &after(&expected.0), &after(&found.0));
        assert!(found.0.iter().all(|outcome| outcome.info.rules == 1), "{}", input.name);
        assert!(expected.1.keys().eq(found.1.keys()), "{}: other questions are answered", input.name);
    }
}

/// What of the outcome began after session time `us`, and the ledgers.
fn begun_after(outcome: &Outcome, us: i64) -> Outcome {
    let mut outcome = outcome.clone();
    outcome.laps.retain(|lap| lap.start_us > us);
    outcome.visits.retain(|visit| visit.enter_us > us);
    outcome.incidents.retain(|step| step.sim_time_us > us);
    outcome.flags.retain(|change| change.sim_time_us > us);
    outcome.cars.clear();
    outcome
}

/// Whether a car stands in its stall.
fn stands(state: &PartitionState) -> bool {
    let visits: Vec<PitVisit> = AnyRow::read_all(&state.rows).unwrap();
    visits.iter().any(|v| v.exit_us.is_none() && v.stationary_us > 0)
}

#[test]
#[ignore = "writes state/: only for a version that does not exist yet"]
fn write_the_state() {
    let (runtime, mut input) = (runtime(), seeded::eventful());
    let mut text = format!("records {}\n", of_records(&input));
    let profile = Profile::memory();
    let mut moments = moments(&input);
    runtime.block_on(async {
        // The first record behind which a car stands in its stall.
        for behind in 1..input.records.len() {
            profile.process(&input, behind).await;
            if stands(&profile.load(&input).await.1) {
                moments.push(("stop", behind));
                break;
            }
        }
        for (name, offset) in moments {
            input.cuts = vec![offset];
            let profile = Profile::memory();
            profile.process(&input, offset).await;
            let _ = writeln!(text, "moment {name} {offset}");
            for ((stream, slot), bytes) in own_bytes(&profile.load(&input).await.1) {
                let hex: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
                let _ = match slot {
                    None => writeln!(text, "stream {stream} {hex}"),
                    Some(slot) => writeln!(text, "field {stream} {slot} {hex}"),
                };
            }
        }
    });
    std::fs::create_dir_all(FOLDER).unwrap();
    std::fs::write(format!("{FOLDER}/streams_v1.txt"), text).unwrap();

    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("results.db");
    runtime.block_on(async {
        let results = SqliteResults::open(&path).await.unwrap();
        for (seed, share) in STOPPED {
            let input = seeded::input_of_version_1(seed);
            process(&results, &input, (input.records.len() as f64 * share) as usize).await;
        }
        results.close().await;
    });
    let file = std::fs::File::create(format!("{FOLDER}/results_v1.db.gz")).unwrap();
    let mut packed = flate2::write::GzEncoder::new(file, flate2::Compression::best());
    std::io::copy(&mut std::fs::File::open(path).unwrap(), &mut packed).unwrap();
    packed.finish().unwrap();
}
