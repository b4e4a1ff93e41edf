//! One race, several histories, one final result: plain; every car sent twice, by two clients through two edges; with
//! connections cut on the way; with one client that sends everything two minutes behind the others. Real QUIC, a real log,
//! SQLite stores. The logic behind the log has its own oracle in `processor/tests/oracle`.

#![allow(clippy::unwrap_used, clippy::print_stdout, unreachable_pub, reason = "in a test, a panic is the answer")]

#[path = "../common/mod.rs"]
mod common;
mod relay;
mod servers;
mod world;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use boxbox_client::{Client, Config, Stream, Timing};
use boxbox_schemas::Source;
use boxbox_schemas::event::{EndReason, EventCode};
use boxbox_sources::synth::{Action, Distance, Race, Spec, What};
use boxbox_testkit::campaign::{campaign, rounds, seeded};
use boxbox_testkit::frames::source;
use boxbox_testkit::wait::PATIENCE;
use relay::Relay;
use world::World;

/// Frames a second that clients take.
const HZ: u32 = 20;
/// Clients rest this long after so many frames, so that a race lasts some seconds and its clients interleave.
const REST: Duration = Duration::from_millis(25);
const FRAMES_A_BURST: u32 = 25;

fn race(seed: u64) -> Race {
    let spec = Spec { cars: 12, distance: Distance::Laps(5), ..Spec::new(seed) }
        .with(1, 2, 0.4, What::OffTrack)
        .with(2, 3, 0.3, What::Spin)
        .with(3, 2, 0.6, What::Flashback { back_us: 6_000_000 })
        .with(5, 3, 0.5, What::Tow)
        .with(6, 2, 0.7, What::Reset)
        .with(7, 2, 0.9, What::Swap)
        .with(9, 3, 0.5, What::Contact);
    Race::new(&spec)
}

/// What car `car` sends, through `address`. The number of streams that it said the end of.
async fn drive(world: Arc<World>, race: Arc<Race>, car: usize, source: Source, address: SocketAddr) -> usize {
    let mut ends = 0;
    let (mut who, mut last) = (0, (0, 0));
    let mut open: Option<(Client, Stream)> = None;
    let slot = race.cars()[car].slot;
    let mut burst = 0;
    for action in race.script(car, HZ) {
        if let Action::Driver(next) = action {
            ends += leave(open.take(), last).await;
            who = next;
            continue;
        }
        if open.is_none() {
            // Cut connections are noticed by silence: sooner than a person would wait for in a test.
            let timing = Timing { ack_silence: Duration::from_millis(600), backoff_cap: Duration::from_millis(500), ..Timing::default() };
            let config = Config { timing, ..Config::new(world.connect(race.cars()[car].drivers[who].driver, address)) };
            let client = Client::start(config).await.unwrap();
            let stream = client.open(source, slot).unwrap();
            open = Some((client, stream));
        }
        let Some((_, stream)) = &open else { unreachable!("it was opened above") };
        match action {
            Action::Meta(meta) => stream.meta(&meta).unwrap(),
            Action::Frame(frame) => {
                last = (frame.tick, frame.sim_time_us);
                stream.car(&frame).unwrap();
                burst += 1;
            }
            Action::Slow(frame) => stream.slow(&frame).unwrap(),
            Action::Field(frame) => stream.field(&frame).unwrap(),
            Action::Event(EventCode::REWIND, tick, us) => stream.rewind(tick, us).unwrap(),
            Action::Event(code, tick, us) => stream.event(code, tick, us).unwrap(),
            Action::End(tick, us, _) => last = (tick, us),
            Action::Disconnect | Action::Reconnect | Action::Restart | Action::Driver(_) => {}
        }
        if burst == FRAMES_A_BURST {
            burst = 0;
            tokio::time::sleep(REST).await;
        }
    }
    ends + leave(open, last).await
}

async fn leave(open: Option<(Client, Stream)>, (tick, us): (u32, i64)) -> usize {
    let Some((client, stream)) = open else { return 0 };
    stream.end(tick, us, EndReason::FINISHED).unwrap();
    let remained = client.finish(PATIENCE).await;
    assert!(remained.is_empty(), "not acked: {remained:?}");
    1
}

/// All cars but those of `without`, at once; how many streams ended.
async fn drive_all(world: &Arc<World>, race: &Arc<Race>, source: Source, without: &[usize], address: impl Fn(usize) -> SocketAddr) -> usize {
    let cars = (0..race.cars().len()).filter(|car| !without.contains(car));
    let driving: Vec<_> = cars.map(|car| tokio::spawn(drive(world.clone(), race.clone(), car, source, address(car)))).collect();
    let mut ends = 0;
    for car in driving {
        ends += car.await.unwrap();
    }
    ends
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_history_gives_the_same_result() {
    let mut rng = seeded("every_history_gives_the_same_result");
    for round in 0..if campaign() { rounds() } else { 1 } {
        let race = Arc::new(race(u64::from(round) + 1));
        let world = Arc::new(World::new().await);
        let session = |id| world.session(&source(id));

        let ends = drive_all(&world, &race, source(1), &[], |_| world.edges[0]).await;
        let plain = world.outcome(&session(1), ends).await;
        println!("round {round}: {} laps, digest {}", plain.laps.len(), plain.digest);
        let expected: Vec<_> = race.truth().classification.iter().filter(|c| c.laps > 0).map(|c| (c.entry, c.laps, c.finished)).collect();
        assert_eq!(plain.classified.iter().map(|c| (c.entry, c.laps, c.finished)).collect::<Vec<_>>(), expected);

        let (one, other) =
            tokio::join!(drive_all(&world, &race, source(2), &[], |_| world.edges[0]), drive_all(&world, &race, source(2), &[], |_| world.edges[1]));
        let twice = world.outcome(&session(2), one + other).await;
        println!("twice, by two edges: digest {}", twice.digest);

        let relays = [
            Relay::before(world.edges[0], Duration::from_millis(40), fastrand::Rng::with_seed(rng.u64(..))).await,
            Relay::before(world.edges[1], Duration::from_millis(40), fastrand::Rng::with_seed(rng.u64(..))).await,
        ];
        let ends = drive_all(&world, &race, source(3), &[], |car| relays[car % 2].address).await;
        let cut: u32 = relays.iter().map(|r| r.cut.load(Ordering::Relaxed)).sum();
        let cuts = world.outcome(&session(3), ends).await;
        println!("{cut} connections cut: digest {}", cuts.digest);
        assert!(cut > 0, "no connection was cut");

        let late = rng.usize(0..race.cars().len());
        let ends = drive_all(&world, &race, source(4), &[late], |car| world.edges[car % 2]).await;
        // Two minutes of a race that is sent in seconds: behind everything that the others have to say.
        let ends = ends + drive(world.clone(), race.clone(), late, source(4), world.edges[0]).await;
        let behind = world.outcome(&session(4), ends).await;
        println!("car {late} behind the others: digest {}", behind.digest);

        for (what, other) in [("twice", &twice), ("cut", &cuts), ("late", &behind)] {
            assert_eq!(plain.classified, other.classified, "{what}");
            let table = |o: &world::Outcome| o.laps.iter().map(|l| (l.entry, l.number, l.start_us, l.end_us, l.reasons)).collect::<Vec<_>>();
            assert_eq!(table(&plain), table(other), "{what}");
            assert_eq!((plain.visits.len(), plain.incidents.len()), (other.visits.len(), other.incidents.len()), "{what}");
            assert_eq!(plain.digest, other.digest, "{what}");
            for ledger in &other.ledgers {
                assert!(ledger.balances() && ledger.hole == 0 && ledger.gap == 0, "{what}: {ledger:?}");
            }
        }
        let histories = [(1, &plain), (2, &twice), (3, &cuts), (4, &behind)];
        let expected: Vec<_> = histories.into_iter().map(|(id, outcome)| (session(id), outcome.clone())).collect();
        servers::give_the_same(&world, &expected).await;
        Arc::into_inner(world).expect("nobody drives any more").end().await;
    }
}
