//! A part that fails does not disturb the laps and the other parts: they emit the same facts as without it.

use boxbox_schemas::event::{EventCode, EventFrame};
use boxbox_schemas::frame::{CarFrame, Flags, TrackLoc};
use boxbox_schemas::ids::{DriverId, RunId, SessionId};
use boxbox_schemas::record::{Content, Frame, Kind, Record};
use boxbox_schemas::results::{Lap, PitVisit, Row};
use boxbox_schemas::slow::{SlowFrame, SlowPresence};
use boxbox_testkit::frames;
use proptest::prelude::*;

use super::probe::{BEGINNINGS, PANICS, PLAN, Plan};
use super::*;
use crate::stream::{CarState, Context, Fact};

#[path = "../../../tests/common/synth.rs"]
#[allow(dead_code, unreachable_pub)]
mod synth;

use synth::{PitTrip, flagged, pitting, practice, within};

const HZ: u32 = 10;
const TO_S: f64 = 400.0;

/// A drive with everything that a part observes: a stop, flags, incidents, fuel, tyres.
fn drive() -> Vec<CarFrame> {
    let trip = PitTrip { enter_s: 70.0, stands_s: Some((75.0, 85.0)), exit_s: 95.0, lane_mps: 20.0 };
    let mut frames = pitting(&trip, TO_S, HZ);
    within(&mut frames, 120.0, 125.0, |f| *f = flagged(*f, Flags::YELLOW));
    within(&mut frames, 200.0, TO_S, |f| f.incident_count = 3);
    within(&mut frames, 260.0, TO_S, |f| f.incident_count = 4);
    within(&mut frames, 300.0, 302.0, |f| f.track_loc = TrackLoc::OFF_TRACK);
    frames
}

/// One stream, fed with the drive and its interruptions.
struct Stream {
    ctx: Context,
    race: CarState,
    seq: u64,
    out: Output,
}

impl Stream {
    fn new() -> Self {
        let ctx = Context { session: SessionId([7; 16]), driver: DriverId::new("driver-1").unwrap(), run: RunId([1; 16]), slot: 3 };
        let mut stream = Self { ctx, race: CarState::new(), seq: 0, out: Output::default() };
        stream.race.on_meta(&ctx, &practice(), &mut stream.out);
        stream
    }

    fn record<F: Frame>(&mut self, kind: Kind, frame: F) {
        let prelude = frames::prelude(kind, self.ctx.run, frames::source(1), self.seq);
        let record = Record::parse(frames::sealed(prelude, &[frame])).unwrap();
        let (race, ctx, out) = (&mut self.race, &self.ctx, &mut self.out);
        match record.content().unwrap() {
            Content::Car(frames) => frames.iter().for_each(|f| race.on_frame(ctx, self.seq, f.unwrap(), out)),
            Content::Slow(frames) => frames.iter().for_each(|f| race.on_slow(ctx, f.unwrap(), out)),
            Content::Event(event) => race.on_event(ctx, self.seq, event, out),
            _ => unreachable!(),
        }
        self.seq += 1;
    }

    fn frame(&mut self, frame: &CarFrame) {
        self.record(Kind::CAR, *frame);
    }

    fn tyre_sets(&mut self, us: i64, sets: u16) {
        let presence = SlowPresence::TYRE_SETS;
        self.record(Kind::SLOW, SlowFrame { sim_time_us: us, presence, tyre_sets_used: sets, ..SlowFrame::default() });
    }

    fn rewind(&mut self, tick: u32, sim_time_us: i64) {
        self.record(Kind::EVENT, EventFrame { code: EventCode::REWIND, tick, sim_time_us, ..EventFrame::default() });
    }

    fn restart(&mut self) {
        let before = std::mem::take(&mut self.race);
        self.race.inherit(&before, &mut self.out);
        self.ctx.run.0[0] += 1;
        self.seq = 0;
    }

    fn store_and_load(&mut self) {
        let bytes = self.race.encode(&mut self.out).unwrap();
        let back = CarState::decode(&bytes).unwrap().unwrap();
        assert_eq!(back, self.race);
        self.race = back;
    }

    fn laps(&self) -> Vec<Lap> {
        self.out.facts.iter().filter_map(|f| if let Fact::Lap(lap) = f { Some(lap.clone()) } else { None }).collect()
    }
}

/// Each kind of interruption comes before every n-th frame.
#[derive(Clone, Copy, Debug)]
struct Interruptions {
    slow: usize,
    rewind: usize,
    restart: usize,
    store: usize,
}

/// The drive under `plan`: its stream, how often the probe panicked, the times of the frames with which it began.
fn run(plan: Option<Plan>, at: Interruptions) -> (Stream, u64, Vec<i64>) {
    PLAN.set(plan);
    PANICS.set(0);
    BEGINNINGS.take();
    let (mut stream, frames) = (Stream::new(), drive());
    for (n, frame) in frames.iter().enumerate() {
        if n % at.slow == at.slow - 1 {
            stream.tyre_sets(frame.sim_time_us, (n / at.slow) as u16);
        }
        if n % at.rewind == at.rewind - 1 {
            // Back by 20 s; the frames of the drive continue from there.
            stream.rewind(frame.tick - 20 * 60, frame.sim_time_us - 20_000_000);
        }
        if n % at.restart == at.restart - 1 {
            stream.restart();
        }
        if n % at.store == at.store - 1 {
            stream.store_and_load();
        }
        stream.frame(frame);
    }
    stream.race.on_end(&stream.ctx, &mut stream.out);
    PLAN.set(None);
    (stream, PANICS.get(), BEGINNINGS.take())
}

fn a_plan() -> impl Strategy<Value = Plan> {
    let calls = prop::sample::select(vec![Plan::Slow, Plan::Rewind, Plan::HandOver, Plan::End, Plan::Grow]);
    prop_oneof![(1u64..900).prop_map(Plan::Frame), calls]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 48, ..ProptestConfig::default() })]

    /// Wherever a part panics, and if its state outgrows its bound: every fact of laps and of the other parts is the same.
    #[test]
    fn a_part_that_fails_changes_nothing_else(
        plan in a_plan(), slow in 50usize..300, rewind in 300usize..1_500, restart in 300usize..1_500, store in 20usize..300,
    ) {
        let at = Interruptions { slow, rewind, restart, store };
        let (without, none, _) = run(None, at);
        let (with, panics, _) = run(Some(plan), at);
        prop_assert_eq!(none, 0);
        prop_assert_eq!(&without.out.failed, &[""; 0]);
        prop_assert!(without.laps().len() >= 4 && without.out.facts.iter().any(|f| matches!(f, Fact::Row(row) if row.kind == PitVisit::KIND)));
        prop_assert_eq!(&with.out.facts, &without.out.facts);
        prop_assert!(with.out.failed.iter().all(|part| *part == "probe") && !with.out.failed.is_empty());
        prop_assert_eq!(with.out.failed.len() as u64, if plan == Plan::Grow { with.out.failed.len() as u64 } else { panics });
        // The states are equal too, except for the probe.
        prop_assert_eq!(CarState { parts: Parts { probe: Guarded::Off, ..with.race.parts.clone() }, ..with.race.clone() },
            CarState { parts: Parts { probe: Guarded::Off, ..without.race.parts.clone() }, ..without.race.clone() });
    }
}

/// Interruptions that never come.
const UNDISTURBED: Interruptions = Interruptions { slow: usize::MAX, rewind: usize::MAX, restart: usize::MAX, store: usize::MAX };

#[test]
fn a_part_that_is_off_begins_anew_with_the_next_lap() {
    let (stream, panics, beginnings) = run(Some(Plan::Frame(100)), UNDISTURBED);
    let frames = drive();
    let first_of_lap = |start_us: i64| frames[frames.partition_point(|f| f.sim_time_us < start_us)].sim_time_us;
    let mut laps: Vec<i64> = stream.laps().iter().flat_map(|l| [first_of_lap(l.start_us), first_of_lap(l.end_us)]).collect();
    laps.sort_unstable();
    laps.dedup();
    assert!(laps.len() >= 5, "{laps:?}");
    assert_eq!(beginnings, [vec![frames[0].sim_time_us], laps].concat());
    assert_eq!(panics, beginnings.len() as u64, "each lap is longer than 100 frames");
    // The stored state keeps that the part is off.
    let (_, _, stored) = run(Some(Plan::Frame(100)), Interruptions { store: 30, ..UNDISTURBED });
    assert_eq!(stored, beginnings);
}

/// While the fuel is not observed, the fuel used in the lap is unknown; a rewind within the lap does not change that.
#[test]
fn a_lap_without_its_fuel_has_no_fuel_used() {
    let frames = drive();
    let line = |s: f64| frames.partition_point(|f| f.sim_time_us < (s * 1e6) as i64);
    let used = |stream: &Stream| stream.laps().iter().filter(|l| l.settled).map(|l| (l.number, l.fuel_used_l.is_some())).collect::<Vec<_>>();
    let mut stream = Stream::new();
    frames.iter().for_each(|f| stream.frame(f));
    let watched = used(&stream);
    assert!(watched.iter().filter(|(_, known)| *known).count() >= 3, "{watched:?}");

    for back in [false, true] {
        let mut stream = Stream::new();
        // Somewhere in a lap after the stop.
        let middle = line(265.0);
        frames[..middle].iter().for_each(|f| stream.frame(f));
        let number = stream.race.now(&stream.ctx).unwrap().lap;
        stream.race.parts.fuel.switch_off("fuel", &mut stream.out);
        stream.race.mark_open_lap(&mut stream.out);
        if back {
            let to = &frames[middle - 5 * HZ as usize];
            stream.rewind(to.tick, to.sim_time_us);
            frames[middle - 5 * HZ as usize..].iter().for_each(|f| stream.frame(f));
        } else {
            frames[middle..].iter().for_each(|f| stream.frame(f));
        }
        let expected: Vec<_> = watched.iter().map(|(n, known)| (*n, *known && *n != number)).collect();
        assert_eq!(used(&stream), expected);
        assert_ne!(expected, watched);
    }
}

#[test]
fn a_part_of_a_later_build_is_left_out() {
    let mut bytes = vec![FIXMAP | 2];
    rmp_serde::encode::write(&mut bytes, "clairvoyance").unwrap();
    rmp_serde::encode::write_named(&mut bytes, &Some([1, 2, 3])).unwrap();
    rmp_serde::encode::write(&mut bytes, "fuel").unwrap();
    rmp_serde::encode::write_named(&mut bytes, &Fuel { low_l: Some(1.5) }).unwrap();
    let parts: Parts = rmp_serde::from_slice(&bytes).unwrap();
    assert_eq!(parts, Parts { fuel: Guarded::On(Fuel { low_l: Some(1.5) }), ..Parts::default() });
}
