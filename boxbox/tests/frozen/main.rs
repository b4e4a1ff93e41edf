//! What comes out of the pipeline, frozen: a change that is not meant to change results proves here that it does not.
//!
//! Log records go in, as edges write them; a partition processes them in steps into a store; digests of the sessions' final
//! results and the answers of the API come out. Nothing else of the program is looked at, so its inside may be rebuilt. The
//! same values are frozen for all stores: memory, SQLite, and PostgreSQL with ClickHouse behind a log of Kafka where the environment
//! names all three.
//!
//! | file | of | a line |
//! |---|---|---|
//! | `races.txt` | 200 synthetic races by seed | `RACE/records`: all records; `RACE/N/digest`: the final result of session N |
//! | `answers.txt` | eight of them | `RACE/WHAT`: SHA-256 of one answer of the API |
//! | `recordings.txt` | the recordings of BOXBOX_TESTDATA | both; of the `cases` the answers of the API are one line, `RACE/answers` |
//!
//! State that an earlier version stored in the middle of a race is in `state/`, see [`state`].
//!
//! Where a line has changed:
//!
//! * `BOXBOX_FROZEN_JSON=DIR` writes every answer into `DIR/PROFILE/RACE/…`: run it before and after, and compare the folders.
//! * `BOXBOX_FREEZE=1` freezes what comes out now, for a change that is meant. Lines of recordings that are not here stay.

#![allow(clippy::unwrap_used, unreachable_pub, reason = "in a test, a panic is the answer")]

mod answers;
#[path = "../common/mod.rs"]
mod common;
#[path = "../../../race/tests/common/csv.rs"]
mod csv;
mod golden;
mod logs;
mod pipeline;
mod processed;
mod recordings;
mod records;
mod restarts;
mod seeded;
mod state;

use std::collections::{BTreeMap, BTreeSet};

use boxbox_schemas::results::{PitKind, Tags};
use boxbox_testkit::campaign::campaign;
use common::place::PARTITIONS;
use golden::{Values, sha256};
use pipeline::{Outcome, Profile};
use records::Input;
use tokio::runtime::Runtime;

/// Seeds of the races.
const SEEDS: std::ops::RangeInclusive<u64> = 1..=200;
/// Those whose answers are frozen: one of each [`seeded::Way`].
const SHOWN: std::ops::RangeInclusive<u64> = 1..=8;
/// On servers one of so many races is processed, in a campaign each. The number has no factor in common with those by which kinds of races
/// come round, so there is one of every [`seeded::Way`].
const ON_SERVERS: usize = 17;
/// The recording that takes longest: 28 cars. On servers it is processed in a campaign only, as the `cases` are.
const LONGEST: &str = "monza";
/// Threads that work on races.
const WORKERS: usize = 2;

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

/// SHA-256 of all records, with their lengths.
fn of_records(input: &Input) -> String {
    let all: Vec<u8> = input.records.iter().flat_map(|r| [&(r.len() as u32).to_le_bytes(), &r[..]].concat()).collect();
    sha256(&all)
}

fn digests(input: &Input, outcomes: &[Outcome]) -> Values {
    let digests = outcomes.iter().enumerate().map(|(n, outcome)| (format!("{}/{}/digest", input.name, n + 1), outcome.digest()));
    digests.chain([(format!("{}/records", input.name), of_records(input))]).collect()
}

/// Process the whole of `input` in `profile`, keep its frames, and ask the API everything about it.
fn shown(runtime: &Runtime, profile: &Profile, input: &Input) -> (Vec<Outcome>, answers::Answers) {
    let (outcomes, shown) = runtime.block_on(async {
        let input = &profile.carried(input).await;
        let lease = profile.process(input, input.records.len()).await;
        profile.keep_frames(input, &lease).await;
        (profile.outcomes(input).await, profile.serve(input).await)
    });
    let answers = answers::of(&shown.base);
    answers::keep(profile.name, &input.name, &answers);
    (outcomes, answers)
}

/// Each of `jobs` done by one of some threads.
fn by_workers<T: Sync, R: Send>(jobs: &[T], work: impl Fn(&mut dyn Iterator<Item = &T>) -> R + Sync) -> Vec<R> {
    let next = std::sync::atomic::AtomicUsize::new(0);
    std::thread::scope(|scope| {
        let worker = || {
            let mut mine = std::iter::from_fn(|| jobs.get(next.fetch_add(1, std::sync::atomic::Ordering::Relaxed)));
            work(&mut mine)
        };
        let workers: Vec<_> = (0..WORKERS).map(|_| scope.spawn(worker)).collect();
        workers.into_iter().map(|worker| worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))).collect()
    })
}

/// How often the situations that races are made for have come up.
#[derive(Default)]
struct Situations(BTreeMap<&'static str, usize>);

impl Situations {
    fn note(&mut self, outcome: &Outcome) {
        let mut add = |what, count: usize| *self.0.entry(what).or_default() += count;
        let laps = |tag: Tags| outcome.laps.iter().filter(|l| l.tags.has(tag)).count();
        add("laps", outcome.laps.len());
        add("laps with several spans", outcome.laps.iter().filter(|l| l.spans.len() > 1).count());
        let tags = [
            ("swaps", Tags::DRIVER_SWAP),
            ("yellows", Tags::HAD_YELLOW),
            ("late", Tags::LATE),
            ("resumed", Tags::RESUMED),
            ("field", Tags::FIELD),
            ("estimated", Tags::TIMING_ESTIMATED),
        ];
        tags.into_iter().for_each(|(what, tag)| add(what, laps(tag)));
        let kinds = [("stops", PitKind::STOP), ("drive-throughs", PitKind::DRIVE_THROUGH), ("tows and resets", PitKind::TOW)];
        kinds.into_iter().for_each(|(what, kind)| add(what, outcome.visits.iter().filter(|v| v.kind == kind).count()));
        add("incidents", outcome.incidents.len());
        add("rewinds", outcome.laps.iter().filter(|l| l.timeline > 0).count());
        add("closed", usize::from(outcome.info.closed));
        add("retired", usize::from(outcome.info.retired));
        let ledgers = |count: fn(&boxbox_schemas::results::Ledger) -> bool| outcome.ledgers.iter().filter(|l| count(l)).count();
        add("streams with duplicates", ledgers(|l| l.duplicate > 0));
        add("streams with gaps", ledgers(|l| l.gap > 0));
        add("streams with voids", ledgers(|l| !l.void.is_empty()));
        add("streams with holes", ledgers(|l| l.hole > 0));
        add("streams with late frames", ledgers(|l| l.late > 0));
    }
}

#[test]
fn races_come_out_as_frozen() {
    let seeds: Vec<u64> = SEEDS.collect();
    let worked = by_workers(&seeds, |mine| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let profiles = [Profile::memory(), runtime.block_on(Profile::sqlite())];
        let (mut values, mut situations) = (profiles.each_ref().map(|_| Values::new()), Situations::default());
        for seed in mine {
            let input = seeded::input(*seed);
            for (profile, values) in profiles.iter().zip(&mut values) {
                let outcomes = runtime.block_on(async {
                    profile.process(&input, input.records.len()).await;
                    profile.outcomes(&input).await
                });
                assert_eq!(outcomes.len(), 1, "{}: one session", input.name);
                outcomes.iter().for_each(|outcome| situations.note(outcome));
                values.extend(digests(&input, &outcomes));
            }
        }
        (values, situations)
    });
    let (mut memory, mut sqlite, mut situations) = (Values::new(), Values::new(), BTreeMap::new());
    for ([of_memory, of_sqlite], seen) in worked {
        memory.extend(of_memory);
        sqlite.extend(of_sqlite);
        seen.0.into_iter().for_each(|(what, count)| *situations.entry(what).or_insert(0) += count);
    }
    println!("{situations:?}");
    // Of both profiles: each situation in several races, or the test freezes less than it says.
    let rare: Vec<_> = situations.iter().filter(|(_, count)| **count < 20).collect();
    assert!(rare.is_empty(), "hardly ever seen: {rare:?}");
    let distinct: BTreeSet<&String> = memory.iter().filter(|(name, _)| name.ends_with("/digest")).map(|(_, digest)| digest).collect();
    assert_eq!(distinct.len(), seeds.len(), "two races come out the same");
    golden::check("races.txt", &[("memory", memory), ("sqlite", sqlite)], |_| true);
}

/// All records of the races in one log, in the order of the seeds, and the real processor with its own steps.
#[test]
fn races_come_out_as_frozen_on_servers() {
    const TEST: &str = "races_come_out_as_frozen_on_servers";
    let runtime = runtime();
    let Some(profile) = runtime.block_on(Profile::servers(TEST)) else { return };
    let inputs: Vec<Input> = SEEDS.step_by(if campaign() { 1 } else { ON_SERVERS }).map(seeded::input).collect();
    let values: Values = runtime.block_on(async {
        let log = profile.log("races", PARTITIONS).await;
        for input in &inputs {
            logs::append(&*log, &input.records).await;
        }
        processed::process(&profile, &log).await;
        let mut values = Values::new();
        for input in &inputs {
            let outcomes = profile.outcomes(input).await;
            processed::assert_archived(&profile, &outcomes[0]).await;
            values.extend(digests(input, &outcomes));
        }
        values
    });
    println!("{TEST}: {} races", inputs.len());
    golden::held("races.txt", &values, |race| inputs.iter().any(|input| input.name == race));
    profile.remove();
}

#[test]
fn answers_are_as_frozen() {
    const TEST: &str = "answers_are_as_frozen";
    let runtime = runtime();
    let mut profiles = vec![Profile::memory(), runtime.block_on(Profile::sqlite())];
    profiles.extend(runtime.block_on(Profile::servers(&format!("{TEST} on servers"))));
    let inputs: Vec<Input> = SHOWN.map(seeded::input).collect();
    let of_profile = |profile: &Profile| -> Values {
        let of_input = |input: &Input| {
            let (_, answers) = shown(&runtime, profile, input);
            answers.into_iter().map(|(what, answer)| (format!("{}/{what}", input.name), answer.sha256())).collect::<Values>()
        };
        inputs.iter().flat_map(of_input).collect()
    };
    let values: Vec<_> = profiles.iter().map(|profile| (profile.name, of_profile(profile))).collect();
    golden::check("answers.txt", &values, |_| true);
    profiles.into_iter().for_each(Profile::remove);
}

/// The lines that are frozen of a recording.
fn recorded_values(runtime: &Runtime, profile: &Profile, input: &Input, whole: bool) -> Values {
    let (outcomes, answers) = shown(runtime, profile, input);
    let mut values = digests(input, &outcomes);
    if whole {
        values.extend(answers.iter().map(|(what, answer)| (format!("{}/{what}", input.name), answer.sha256())));
    } else {
        let all: String = answers.iter().map(|(what, answer)| format!("{what}  {}\n", answer.sha256())).collect();
        values.insert(format!("{}/answers", input.name), sha256(all.as_bytes()));
    }
    values
}

#[test]
fn recordings_come_out_as_frozen_on_servers() {
    const TEST: &str = "recordings_come_out_as_frozen_on_servers";
    let runtime = runtime();
    let Some(profile) = runtime.block_on(Profile::servers(TEST)) else { return };
    let (mut whole, mut cases) = recordings::found(TEST);
    if !campaign() {
        whole.retain(|recorded| recorded.name != LONGEST);
        cases.clear();
    }
    let jobs = whole.iter().map(|r| (true, r)).chain(cases.iter().map(|r| (false, r)));
    let of = |(whole, recorded): (bool, &recordings::Recorded)| recorded_values(&runtime, &profile, &recorded.input(), whole);
    let values: Values = jobs.flat_map(of).collect();
    let here: BTreeSet<&str> = whole.iter().chain(&cases).map(|recorded| recorded.name.as_str()).collect();
    golden::held("recordings.txt", &values, |race| here.contains(race));
    println!("{TEST}: {} recordings", here.len());
    profile.remove();
}

#[test]
fn recordings_come_out_as_frozen() {
    const TEST: &str = "recordings_come_out_as_frozen";
    let (whole, cases) = recordings::found(TEST);
    let jobs: Vec<(bool, &recordings::Recorded)> = whole.iter().map(|r| (true, r)).chain(cases.iter().map(|r| (false, r))).collect();
    let here: BTreeSet<&str> = jobs.iter().map(|(_, recorded)| recorded.name.as_str()).collect();
    let worked = by_workers(&jobs, |mine| {
        let runtime = runtime();
        let profiles = [Profile::memory(), runtime.block_on(Profile::sqlite())];
        let mut values = profiles.each_ref().map(|_| Values::new());
        for (whole, recorded) in mine {
            let input = recorded.input();
            for (profile, values) in profiles.iter().zip(&mut values) {
                values.extend(recorded_values(&runtime, profile, &input, *whole));
            }
        }
        values
    });
    let (mut memory, mut sqlite) = (Values::new(), Values::new());
    for [of_memory, of_sqlite] in worked {
        memory.extend(of_memory);
        sqlite.extend(of_sqlite);
    }
    if memory.is_empty() {
        return;
    }
    golden::check("recordings.txt", &[("memory", memory), ("sqlite", sqlite)], |race| here.contains(race));
}
