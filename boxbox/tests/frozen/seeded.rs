//! Synthetic races: small ones, each with other situations and another history of arrival, all by the seed.

use std::collections::BTreeMap;

use boxbox_schemas::event::{Closing, EndReason};
use boxbox_schemas::record::{Kind, archive};
use boxbox_schemas::stamp::closed;
use boxbox_schemas::{DriverId, RunId, Sim, Source};
use boxbox_sources::synth::{Action, Circuit, Distance, Race, Spec, Start, What};
use bytes::Bytes;
use fastrand::Rng;

use crate::records::{Input, Loss, Sender, Timed, by_time, received_us, shuffled, tenant};

/// Frames that a client puts into one record.
const FRAMES_A_RECORD: u16 = 5;
/// How often a client sees the other cars, Hz.
const FIELD_HZ: u32 = 4;

/// How the records of a race arrive: the seed's remainder by 8.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Way {
    /// As they are sent.
    Plain,
    /// Every client loses its connection once, and sends all later.
    Disconnects,
    /// Two clients see the other cars; the first car has no client.
    Field,
    /// Every car has two clients; their records come in any order.
    Twins,
    /// The session is closed half-way, and opened again near the end.
    Reopened,
    /// The session is closed and later retired while clients still send.
    Retired,
    /// Records are given up, refused, and lost.
    Lossy,
    /// One client comes after all others, which are in any order; some see the other cars.
    Behind,
}

impl Way {
    pub fn of(seed: u64) -> Self {
        use Way::{Behind, Disconnects, Field, Lossy, Plain, Reopened, Retired, Twins};
        [Plain, Disconnects, Field, Twins, Reopened, Retired, Lossy, Behind][(seed % 8) as usize]
    }
}

/// Whose changes of driver a client tells.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum News {
    /// Those of all cars, as simulators do.
    All,
    /// Those of the car that it drives, as when the state of version 1 was stored.
    Own,
}

fn source(seed: u64) -> Source {
    Source { sim: Sim::SYNTHETIC, id: 1_000 + u128::from(seed), session_num: 0 }
}

/// Three to six cars, three or four laps of about a kilometre.
pub fn race(seed: u64) -> Race {
    let mut rng = Rng::with_seed(seed);
    let cars = 3 + (seed / 8 % 4) as usize;
    let laps = 3 + (seed % 2) as u32;
    let mut spec = Spec {
        cars,
        circuit: Circuit::new("Frozen Lake", 800.0 + 100.0 * (seed % 5) as f64, seed % 11),
        distance: if seed % 7 == 3 { Distance::Time(60_000_000) } else { Distance::Laps(laps) },
        start: if seed % 5 == 1 { Start::Rolling } else { Start::Standing },
        green_us: 3_000_000,
        stops: u32::from(seed.is_multiple_of(3)),
        trouble: 0.4,
        ..Spec::new(seed)
    };
    for car in 0..cars {
        // Every kind comes up for every place on the grid; now and then two of them for one car.
        for extra in 0..if rng.u8(..4) == 0 { 2 } else { 1 } {
            let what = match (seed as usize + 5 * car + 7 * extra) % 13 {
                0 => What::OffTrack,
                1 => What::Spin,
                2 => What::Contact,
                3 => What::Tow,
                4 => What::Reset,
                5 => What::Flashback { back_us: rng.i64(2_000_000..8_000_000) },
                6 => What::Swap,
                7 => What::Disconnect { away_us: rng.i64(1_000_000..9_000_000) },
                8 => What::Restart { away_us: rng.i64(200_000..3_000_000) },
                9 => What::DriveThrough,
                10 => What::Retire,
                11 => What::Pit { fuel_l: 8.0, tyres: true },
                _ => What::Slow,
            };
            spec = spec.with(car, rng.u32(1..laps), rng.f64(), what);
        }
    }
    if Way::of(seed) == Way::Disconnects {
        for car in 0..cars {
            spec = spec.with(car, rng.u32(1..laps), rng.f64(), What::Disconnect { away_us: rng.i64(1_000_000..20_000_000) });
        }
    }
    Race::new(&spec)
}

/// How many frames a second the clients of the race take.
pub fn rate_hz(seed: u64) -> u32 {
    [20, 10, 20, 60, 10, 20, 10][(seed % 7) as usize]
}

pub fn name(seed: u64) -> String {
    format!("race-{seed:03}")
}

/// What the clients of a race have in common.
struct Clients {
    race: Race,
    name: String,
    source: Source,
    hz: u32,
    news: News,
}

/// The log of the race of `seed`.
pub fn input(seed: u64) -> Input {
    told(seed, News::All)
}

/// The log of the race of `seed` as it was when the state of version 1 was stored.
pub fn input_of_version_1(seed: u64) -> Input {
    told(seed, News::Own)
}

fn told(seed: u64, news: News) -> Input {
    let way = Way::of(seed);
    let of = Clients { race: race(seed), name: name(seed), source: source(seed), hz: rate_hz(seed), news };
    let mut rng = Rng::with_seed(!seed);
    let mut clients: Vec<Vec<Timed>> = vec![];
    for car in 0..of.race.cars().len() {
        let seen = matches!((way, car), (Way::Field, 1 | 2) | (Way::Behind, 0));
        if way == Way::Field && car == 0 {
            continue;
        }
        for copy in 0..if way == Way::Twins { 2 } else { 1 } {
            let mut senders = of.senders(car, seen, copy);
            if way == Way::Lossy {
                let loss = [Loss::Gap, Loss::Void, Loss::Hole][(seed as usize / 8 + car) % 3];
                senders.iter_mut().for_each(|sender| sender.lose(0.3 + 0.1 * car as f64, loss));
            }
            clients.extend(senders.into_iter().map(Sender::sent));
        }
    }
    let records = match way {
        Way::Twins => shuffled(&clients, &mut rng),
        Way::Behind => {
            let last = clients.remove(rng.usize(..clients.len()));
            [shuffled(&clients, &mut rng), last].concat()
        }
        _ => by_time(&clients),
    };
    let records = with_closings(seed, way, records, &mut rng);
    Input { name: name(seed), records, every: rng.usize(60..400), cuts: vec![] }
}

/// One race of version 1 with everything that state is kept of for later: a flashback, a stop, a swap and a tow, seen by two others.
pub fn eventful() -> Input {
    let spec = Spec { cars: 5, circuit: Circuit::new("Frozen Lake", 1_000.0, 5), distance: Distance::Laps(4), ..Spec::calm(1) }
        .with(1, 2, 0.5, What::Flashback { back_us: 5_000_000 })
        .with(2, 2, 0.5, What::Swap)
        .with(3, 1, 0.5, What::Pit { fuel_l: 12.0, tyres: true })
        .with(4, 3, 0.4, What::Tow)
        .with(4, 1, 0.6, What::OffTrack);
    let of = Clients { race: Race::new(&spec), name: "eventful".into(), source: source(0), hz: 20, news: News::Own };
    let clients: Vec<Vec<Timed>> = (1..5).flat_map(|car| of.senders(car, car < 3, 0)).map(Sender::sent).collect();
    let records = by_time(&clients).into_iter().map(|(_, record)| record).collect();
    Input { name: of.name, records, every: 300, cuts: vec![] }
}

impl Clients {
    /// What the clients of car `car` send, of each driver.
    fn senders(&self, car: usize, seen: bool, copy: u8) -> Vec<Sender> {
        let (people, slot) = (&self.race.cars()[car].drivers, self.race.cars()[car].slot);
        let mut runs: BTreeMap<DriverId, u8> = BTreeMap::new();
        // Which copy has the lower run differs between cars.
        let mut next_run = |driver: DriverId| {
            let run = runs.entry(driver).and_modify(|n| *n += 1).or_insert(1);
            let mut id = [*run; 16];
            id[0] = if car.is_multiple_of(2) { copy } else { 9 - copy };
            RunId(id)
        };
        let mut senders: BTreeMap<DriverId, Sender> = BTreeMap::new();
        let (mut who, mut now_us) = (people[0].driver, 0);
        // Whether the next description is about the client's own car.
        let mut own = true;
        let script = self.race.script(car, self.hz);
        let script = if seen { script.with_field(FIELD_HZ) } else { script };
        for action in script {
            now_us = action.at_us().unwrap_or(now_us);
            if let Action::Driver(index) = action {
                // The driver who leaves the car closes the client.
                if let Some(before) = senders.get_mut(&who) {
                    before.end(EndReason::FINISHED);
                }
                (who, own) = (people[index].driver, true);
                continue;
            }
            if let Action::Meta(_) = action
                && !std::mem::take(&mut own)
                && self.news == News::Own
            {
                continue;
            }
            let sender = senders.entry(who).or_insert_with(|| {
                let mut sender = Sender::new(tenant(&self.name), who, self.source, slot, FRAMES_A_RECORD);
                sender.begin(next_run(who), now_us);
                sender
            });
            match action {
                Action::Meta(meta) => sender.meta(&meta),
                Action::Frame(frame) => sender.frame(Kind::CAR, Some(frame.tick), frame.sim_time_us, &archive(&frame)),
                Action::Slow(frame) => sender.frame(Kind::SLOW, None, frame.sim_time_us, &archive(&frame)),
                Action::Field(frame) => sender.frame(Kind::FIELD, None, frame.sim_time_us, &archive(&frame)),
                Action::Event(code, tick, us) => sender.event(code, tick, us),
                Action::End(_, _, reason) => sender.end(reason),
                Action::Restart => {
                    own = true;
                    sender.begin(next_run(who), now_us);
                }
                Action::Disconnect => sender.disconnect(),
                Action::Reconnect => sender.reconnect(),
                Action::Driver(_) => unreachable!("handled above"),
            }
        }
        senders.into_values().collect()
    }
}

/// The records with what the server says of the session's life.
fn with_closings(seed: u64, way: Way, records: Vec<Timed>, rng: &mut Rng) -> Vec<Bytes> {
    let count = records.len();
    let closings: &[(f64, Closing)] = match way {
        // On purpose: silence is over with the next frame.
        Way::Reopened => &[(0.5, Closing::ASKED), (0.85, Closing::REOPENED)],
        Way::Retired => &[(0.6, Closing::ASKED), (0.9, Closing::RETIRED)],
        // Most sessions end so.
        _ if seed.is_multiple_of(3) => &[(1.0, Closing::SILENCE)],
        _ => &[],
    };
    let shift = if closings.len() > 1 { rng.f64() * 0.1 } else { 0.0 };
    let mut out: Vec<Timed> = records;
    for (n, (share, closing)) in closings.iter().enumerate() {
        let at = ((count as f64 * (share - shift)) as usize + n).min(out.len());
        let us = out[at.saturating_sub(1)].0;
        out.insert(at, (us, closed(tenant(&name(seed)), source(seed), *closing, received_us(us))));
    }
    out.into_iter().map(|(_, record)| record).collect()
}
