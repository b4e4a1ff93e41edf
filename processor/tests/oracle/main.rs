//! The whole logic behind the log against synthetic races whose truth is known to the microsecond: lap times within the
//! bounds of `lap.crossing` (docs/RULES.md) at every rate, the classification, and one final result for every history of arrival (E3a, E11).
//!
//! A share of the seeds and checkpoints runs in `cargo xtask test`; `cargo xtask campaign` takes many.

#![allow(clippy::unwrap_used, clippy::print_stdout, unreachable_pub)] // Unwrapping is how a test says what must be.

mod records;

use std::collections::BTreeMap;

use boxbox_processor::partition::Partition;
use boxbox_race::timing::{self, Classified};
use boxbox_schemas::frame::CarFrame;
use boxbox_schemas::results::{IncidentStep, Lap, PitKind, PitVisit, Reasons, Tags};
use boxbox_schemas::{EntryId, LogId};
use boxbox_sources::synth::{Action, Circuit, Distance, Race, Spec, Start, Truth, What};
use boxbox_store::memory::MemoryResults;
use boxbox_store::{PartitionState, Sessions, Steps, rows_of};
use boxbox_testkit::campaign::{campaign, seed_asked};
use bytes::Bytes;
use records::{by_time, of_car, of_race, session, shuffled, tenant};

/// Rounding to the microsecond, at both ends of a lap and once in the simulator's own clock.
const ROUNDING_US: f64 = 2.0;

/// What a session came to.
#[derive(Clone, PartialEq, Debug)]
struct Outcome {
    laps: Vec<Lap>,
    visits: Vec<PitVisit>,
    incidents: Vec<IncidentStep>,
    classified: Vec<Classified>,
    digest: String,
}

impl Outcome {
    fn lap(&self, entry: EntryId, number: u32) -> Option<&Lap> {
        self.laps.iter().find(|l| (l.entry, l.number) == (entry, number))
    }
}

/// Runs a future that never waits: the memory store answers at once.
fn now<T>(future: impl Future<Output = T>) -> T {
    let mut future = std::pin::pin!(future);
    match future.as_mut().poll(&mut std::task::Context::from_waker(std::task::Waker::noop())) {
        std::task::Poll::Ready(value) => value,
        std::task::Poll::Pending => panic!("the memory store waits"),
    }
}

fn log() -> LogId {
    LogId("oracle".into())
}

/// Process `records` from where the store stands, a step every `every` records.
fn go_on(store: &MemoryResults, records: &[Bytes], every: usize) {
    let lease = now(store.acquire(&log(), 0)).unwrap();
    let state = now(store.load(&lease)).unwrap();
    let from = state.checkpoint.as_ref().map_or(0, |c| c.offset as usize + 1);
    let mut partition = Partition::restore(log(), 0, 1, state).unwrap();
    for (n, chunk) in records[from..].chunks(every).enumerate() {
        for (i, record) in chunk.iter().enumerate() {
            partition.process((from + n * every + i) as u64, record);
        }
        if let Some(step) = partition.step() {
            assert_eq!(step.quarantine, [], "nothing is refused");
            now(store.commit(&lease, &step)).unwrap();
        }
    }
}

fn outcome(store: &MemoryResults) -> Outcome {
    let (tenant, session) = (tenant(), session());
    let info = now(store.session(&tenant, &session)).unwrap().unwrap();
    let laps = now(store.laps(&tenant, &session, &Default::default(), None, u32::MAX)).unwrap();
    let flags = now(rows_of(store, &tenant, &session)).unwrap();
    let seen = now(rows_of(store, &tenant, &session)).unwrap();
    let visits = timing::pit_visits(&seen);
    let incidents = IncidentStep::fold(now(rows_of(store, &tenant, &session)).unwrap());
    let (states, cars) = (now(rows_of(store, &tenant, &session)).unwrap(), now(store.cars(&tenant, &session)).unwrap());
    let classified =
        timing::classification(&timing::Facts { session: &info, laps: &laps, flags: &flags, states: &states, cars: &cars, pit_visits: &seen });
    let digest = timing::digest(&classified, &laps, &visits, &incidents);
    for ledger in now(store.ledgers(&tenant, &session)).unwrap() {
        assert!(ledger.balances() && ledger.hole == 0 && ledger.gap == 0 && ledger.unreadable == 0, "{ledger:?}");
    }
    Outcome { laps, visits, incidents, classified, digest }
}

fn results_of(records: &[Bytes]) -> Outcome {
    let store = MemoryResults::new();
    go_on(&store, records, 200);
    outcome(&store)
}

/// How far from the truth linear interpolation may be at this crossing: a·Δt²/(8v), by the speeds of the frames around it.
fn bound_us(frames: &[CarFrame], at_us: i64, hz: u32) -> f64 {
    let next = frames.partition_point(|f| f.sim_time_us <= at_us);
    let around = &frames[next.saturating_sub(2)..(next + 2).min(frames.len())];
    let slowest = around.iter().map(|f| f64::from(f.speed_mps)).fold(f64::INFINITY, f64::min);
    let accel = around
        .windows(2)
        .map(|w| f64::from((w[1].speed_mps - w[0].speed_mps).abs()) / ((w[1].sim_time_us - w[0].sim_time_us) as f64 / 1e6))
        .fold(0.0, f64::max);
    let step_s = 1.0 / f64::from(hz);
    // A car that comes to a stand on the line: the formula has no end there, but the crossing lies between two frames.
    if slowest < 3.0 {
        return step_s * 1e6 + ROUNDING_US;
    }
    // Braking begins between two frames: the mean over a step can be half of what the car does in it.
    2.0 * accel * step_s * step_s / (8.0 * slowest) * 1e6 + ROUNDING_US
}

fn frames(race: &Race, car: usize, hz: u32) -> Vec<CarFrame> {
    let mut frames: Vec<CarFrame> = race.script(car, hz).filter_map(|a| if let Action::Frame(f) = a { Some(f) } else { None }).collect();
    // Flashbacks go back in time; for looking up speeds the later drive is as good.
    frames.sort_by_key(|f| f.sim_time_us);
    frames
}

fn eventful(seed: u64) -> Spec {
    Spec { cars: 12, distance: Distance::Laps(6), ..Spec::new(seed) }
        .with(1, 2, 0.4, What::OffTrack)
        .with(2, 3, 0.3, What::Spin)
        .with(3, 2, 0.6, What::Flashback { back_us: 6_000_000 })
        .with(4, 3, 0.2, What::Restart { away_us: 400_000 })
        .with(5, 4, 0.5, What::Tow)
        .with(6, 2, 0.7, What::Reset)
        .with(7, 3, 0.9, What::Swap)
        .with(8, 2, 0.1, What::Disconnect { away_us: 4_000_000 })
        .with(9, 4, 0.5, What::Contact)
        .with(10, 2, 0.0, What::DriveThrough)
        .with(11, 3, 0.5, What::Retire)
}

/// Every lap that was timed is told, within the bound; any other lap is told without a time, if at all.
fn check_laps(race: &Race, truth: &Truth, out: &Outcome, hz: u32) {
    let (mut checked, mut worst) = (0, 0.0f64);
    for (index, car) in truth.cars.iter().enumerate() {
        let frames = frames(race, index, hz);
        for lap in &car.laps {
            let told = out.lap(car.entry, lap.number);
            let at = format!("{hz} Hz, {} lap {}", car.entry, lap.number);
            if !lap.timed {
                // `lap.untimed`: the simulator counts it, so it may be told, without a time.
                assert!(told.is_none_or(|lap| lap.timed_us().is_none()), "{at} was not driven from line to line: {told:?}");
                continue;
            }
            let told = told.unwrap_or_else(|| {
                panic!(
                    "{at} is missing among {:?}",
                    out.laps.iter().filter(|l| l.entry == car.entry).map(|l| (l.number, l.start_us, l.end_us, l.tags.names())).collect::<Vec<_>>()
                )
            });
            let end = bound_us(&frames, lap.end_us, hz);
            assert!((told.end_us - lap.end_us).abs() as f64 <= end, "{at}: ends at {} not {} ± {end:.0}", told.end_us, lap.end_us);
            if lap.tags.has(Tags::FIRST_LAP) {
                // The light is seen in the first frame that shows it.
                let late = told.start_us - lap.start_us;
                assert!((0..=1_000_000 / i64::from(hz) + 1).contains(&late), "{at}: the light is {late} µs late");
            } else {
                let start = bound_us(&frames, lap.start_us, hz);
                assert!((told.start_us - lap.start_us).abs() as f64 <= start, "{at}: starts at {} not {} ± {start:.0}", told.start_us, lap.start_us);
                worst = worst.max((told.time_us - lap.time_us()).abs() as f64);
            }
            assert_eq!(told.sectors_us.iter().sum::<i64>(), told.time_us, "{at}: sectors sum to the lap");
            assert_eq!(told.driver, lap.driver, "{at}: credited to whoever crosses the line");
            let pits = Tags::IN_LAP.with(Tags::OUT_LAP).with(Tags::FIRST_LAP).with(Tags::DRIVER_SWAP);
            assert_eq!(told.tags.0 & pits.0, lap.tags.0 & pits.0, "{at}: tags {:?} not {:?}", told.tags.names(), lap.tags.names());
            assert_eq!(told.reasons.has(Reasons::OFF_TRACK), lap.reasons.has(Reasons::OFF_TRACK), "{at}: {:?}", told.reasons.names());
            checked += 1;
        }
        let known: Vec<u32> = car.laps.iter().map(|l| l.number).collect();
        let never: Vec<_> = out.laps.iter().filter(|l| l.entry == car.entry && !known.contains(&l.number)).collect();
        // A reset put the car over the line, and the simulator counted the lap.
        let over = |l: &boxbox_schemas::results::Lap| l.timed_us().is_none() && known.iter().any(|n| *n > l.number);
        let never: Vec<_> = never.into_iter().filter(|l| !over(l)).collect();
        assert!(never.is_empty(), "{hz} Hz, {}: laps that were never driven: {never:?} beside {:?}", car.entry, car.laps);
    }
    assert!(checked >= 20, "only {checked} laps");
    println!("{hz} Hz: {checked} laps, the worst {worst:.0} µs from the truth");
}

#[test]
fn laps_are_within_the_bound_at_every_rate() {
    for seed in seeds(2) {
        for start in [Start::Standing, Start::Rolling] {
            let race = Race::new(&Spec { start, ..eventful(seed) });
            let truth = race.truth();
            for hz in [60, 20, 10] {
                let out = results_of(&by_time(&of_race(&race, hz)));
                check_laps(&race, &truth, &out, hz);
                let table: Vec<_> = out.classified.iter().map(|c| (c.position, c.class_position, c.entry, c.laps, c.finished)).collect();
                let expected: Vec<_> =
                    truth.classification.iter().filter(|c| c.laps > 0).map(|c| (c.position, c.class_position, c.entry, c.laps, c.finished)).collect();
                assert_eq!(table, expected, "seed {seed}, {hz} Hz");
            }
        }
    }
}

/// Cars without a client: one other client sees them at 4 Hz.
#[test]
fn cars_seen_by_others_have_laps_too() {
    const HZ: u32 = 4;
    for seed in seeds(2) {
        let race = Race::new(&Spec { cars: 8, distance: Distance::Laps(5), ..Spec::calm(seed) });
        let truth = race.truth();
        let records: Vec<_> = of_car(&race, 0, 60, Some(HZ), 1).into_values().collect();
        let out = results_of(&by_time(&records));
        let mut checked = 0;
        for (index, car) in truth.cars.iter().enumerate().skip(1) {
            let entry = EntryId::new(&format!("u:{}", race.cars()[index].drivers[0].user_id)).unwrap();
            let frames = frames(&race, index, HZ);
            for lap in car
                .laps
                .iter()
                .filter(|l| l.timed && !l.tags.has(Tags::FIRST_LAP) && l.end_us < race.script(0, 60).filter_map(|a| a.at_us()).max().unwrap())
            {
                let told = out.lap(entry, lap.number).unwrap_or_else(|| {
                    panic!("{entry} lap {} is missing: {:?}", lap.number, out.laps.iter().map(|l| (l.entry, l.number)).collect::<Vec<_>>())
                });
                assert!(told.tags.has(Tags::FIELD) && told.tags.has(Tags::TIMING_ESTIMATED), "{told:?}");
                // A fraction of the lap in 32 bits adds 0.1 µm to each crossing.
                let bound = bound_us(&frames, lap.end_us, HZ) + bound_us(&frames, lap.start_us, HZ);
                assert!(
                    (told.time_us - lap.time_us()).abs() as f64 <= bound,
                    "{entry} lap {}: {} not {} ± {bound:.0}",
                    lap.number,
                    told.time_us,
                    lap.time_us()
                );
                checked += 1;
            }
        }
        assert!(checked >= 20, "only {checked} laps");
    }
}

/// Once the car's own client sends as well, its word counts, whoever came first.
#[test]
fn a_cars_own_client_counts_before_others() {
    for seed in seeds(2) {
        let mut rng = fastrand::Rng::with_seed(seed);
        let race = Race::new(&Spec { cars: 4, distance: Distance::Laps(4), ..Spec::calm(seed) });
        let own: Vec<_> = of_race(&race, 20);
        let with_field: Vec<_> = (0..4).flat_map(|car| of_car(&race, car, 20, Some(4), 1).into_values()).collect();
        let (alone, seen) = (results_of(&by_time(&own)), results_of(&shuffled(&with_field, &mut rng)));
        assert_eq!(alone.digest, seen.digest, "seed {seed}");
        assert!(seen.laps.iter().all(|l| !l.tags.has(Tags::FIELD)));
    }
}

/// E3a, E11: the same frames in any order across drivers, twice, late: one result.
#[test]
fn every_history_of_arrival_gives_the_same_result() {
    for seed in seeds(3) {
        let mut rng = fastrand::Rng::with_seed(seed);
        let race = Race::new(&eventful(seed));
        let streams = of_race(&race, 20);
        let straight = results_of(&by_time(&streams));
        println!("seed {seed}: {}", straight.digest);
        assert_eq!(results_of(&shuffled(&streams, &mut rng)).digest, straight.digest, "shuffled, seed {seed}");

        // One client two minutes late, after everybody else.
        let late = rng.usize(0..streams.len());
        let (mut rest, last): (Vec<_>, Vec<_>) = (streams.clone(), vec![streams[late].clone()]);
        rest.remove(late);
        let records = [by_time(&rest), by_time(&last)].concat();
        assert_eq!(results_of(&records).digest, straight.digest, "{late} late, seed {seed}");

        // Every client's twin, as runs of their own.
        let twins: Vec<_> = (0..race.cars().len()).flat_map(|car| of_car(&race, car, 20, None, 2).into_values()).collect();
        let both = [streams.clone(), twins].concat();
        assert_eq!(results_of(&shuffled(&both, &mut rng)).digest, straight.digest, "twice, seed {seed}");
    }
}

/// E11: from any checkpoint, the same.
#[test]
fn reprocessing_from_any_checkpoint_gives_the_same_result() {
    let race = Race::new(&eventful(11));
    let records = by_time(&of_race(&race, 20));
    let straight = results_of(&records);
    let checkpoints = if campaign() { 100 } else { 10 };
    println!("digest {}, {checkpoints} checkpoints", straight.digest);
    let mut rng = fastrand::Rng::with_seed(seeds(1)[0]);
    for _ in 0..checkpoints {
        let store = MemoryResults::new();
        let stop = rng.usize(1..records.len());
        go_on(&store, &records[..stop], rng.usize(1..1_000));
        go_on(&store, &records, 300);
        assert_eq!(outcome(&store), straight_with_revisions(&outcome(&store), &straight), "from checkpoint {stop}");
    }
}

/// How often a lap was told depends on where steps were cut, and nothing else does.
fn straight_with_revisions(of: &Outcome, straight: &Outcome) -> Outcome {
    let revisions: BTreeMap<_, _> = of.laps.iter().map(|l| ((l.entry, l.number), l.revision)).collect();
    let laps = straight.laps.iter().map(|l| Lap { revision: revisions.get(&(l.entry, l.number)).copied().unwrap_or(0), ..l.clone() }).collect();
    Outcome { laps, ..straight.clone() }
}

/// Visits to the pits, fuel and the counter, against the truth.
#[test]
fn stops_fuel_and_points_are_those_that_were_made() {
    for seed in seeds(2) {
        let race = Race::new(&eventful(seed));
        let truth = race.truth();
        for hz in [60, 10] {
            let out = results_of(&by_time(&of_race(&race, hz)));
            let frame_us = 1_000_000 / i64::from(hz);
            // Between two drivers' streams a frame's worth of fuel is seen by neither.
            let flow = 3.0 / f64::from(hz);
            for (index, car) in truth.cars.iter().enumerate() {
                let at = format!("seed {seed}, {hz} Hz, {}", car.entry);
                let told: Vec<_> = out.visits.iter().filter(|v| v.entry == car.entry && v.kind != PitKind::START).collect();
                assert_eq!(told.iter().map(|v| v.kind).collect::<Vec<_>>(), car.visits.iter().map(|v| v.kind).collect::<Vec<_>>(), "{at}: {told:?}");
                for (told, visit) in told.iter().zip(&car.visits) {
                    // After a jump the first sample is blank.
                    let late_us = if visit.kind == PitKind::TOW { 2 * frame_us } else { frame_us };
                    assert!((told.enter_us - visit.enter_us).abs() <= late_us, "{at}: in at {} not {}", told.enter_us, visit.enter_us);
                    if let (Some(told), Some(exit)) = (told.exit_us, visit.exit_us) {
                        assert!((told - exit).abs() <= frame_us, "{at}: out at {told} not {exit}");
                    }
                    // Ours begins below 0.5 m/s, the truth's at a standstill: 40 ms of hard braking, and again off the mark.
                    assert!(
                        (told.stationary_us - visit.stationary_us).abs() <= 2 * frame_us + 80_000,
                        "{at}: stood {} not {}",
                        told.stationary_us,
                        visit.stationary_us
                    );
                    assert!(
                        (f64::from(told.fuel_added_l.unwrap_or(0.0)) - visit.fuel_l).abs() < 0.1 + flow,
                        "{at}: {:?} l not {}",
                        told.fuel_added_l,
                        visit.fuel_l
                    );
                }
                for lap in car.laps.iter().filter(|l| l.timed) {
                    if let (Some(told), Some(used)) = (out.lap(car.entry, lap.number).and_then(|l| l.fuel_used_l), lap.fuel_used_l) {
                        assert!((f64::from(told) - used).abs() < 0.02, "{at} lap {}: used {told} l not {used}", lap.number);
                    }
                }
                let rises: u32 = car.incidents.iter().map(|r| u32::from(r.points)).sum();
                let counted: u32 = out.incidents.iter().filter(|i| i.entry == car.entry).map(|i| u32::from(i.to - i.from)).sum();
                assert_eq!(counted, rises, "{at}: points of {}", race.cars()[index].number);
            }
        }
    }
}

/// Another circuit, timed races, many seeds: nothing the seed does makes a lap out of nothing.
#[test]
fn races_of_any_seed_come_out_as_driven() {
    for seed in seeds(if campaign() { 40 } else { 4 }) {
        let circuit = Circuit::new("Any", 1_200.0 + 300.0 * (seed % 7) as f64, seed);
        let distance = if seed % 2 == 0 { Distance::Laps(4) } else { Distance::Time(150_000_000) };
        let race = Race::new(&Spec { cars: 10, circuit, distance, trouble: 0.6, ..Spec::new(seed) });
        let truth = race.truth();
        let hz = [60, 20, 10][(seed % 3) as usize];
        let out = results_of(&by_time(&of_race(&race, hz)));
        check_laps(&race, &truth, &out, hz);
        // A lap that was not timed is not known: whoever ends with one is classified by the laps before it.
        let timed = |entry: &EntryId| truth.cars.iter().any(|c| c.entry == *entry && c.laps.last().is_some_and(|l| l.timed));
        let order: Vec<_> = out.classified.iter().map(|c| (c.entry, c.laps)).filter(|(e, _)| timed(e)).collect();
        let expected: Vec<_> = truth.classification.iter().map(|c| (c.entry, c.laps)).filter(|(e, _)| timed(e)).collect();
        assert_eq!(order, expected, "seed {seed}, {hz} Hz");
    }
}

#[test]
fn an_empty_partition_has_nothing() {
    assert_eq!(Partition::restore(log(), 0, 1, PartitionState::default()).unwrap().step(), None);
}

/// `count` seeds from BOXBOX_SEED on.
fn seeds(count: u64) -> Vec<u64> {
    let first = seed_asked().unwrap_or(1);
    (0..count).map(|n| first.wrapping_add(n)).collect()
}
