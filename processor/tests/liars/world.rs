//! A race, what its clients send, and what the processing of it comes to.

use boxbox_processor::partition::Partition;
use boxbox_race::timing::Classified;
use boxbox_race::view::SessionView;
use boxbox_schemas::event::Closing;
use boxbox_schemas::results::{Conflict, Lap};
use boxbox_schemas::stamp::closed;
use boxbox_schemas::{DriverId, EntryId, LogId};
use boxbox_sources::synth::{Action, Circuit, Distance, Race, Spec};
use boxbox_store::PartitionState;
use bytes::Bytes;

use crate::records::{Sender, Timed, by_time, session, source, tenant};

pub const CARS: usize = 6;
/// Whose client lies: neither first nor last of drivers, nor the winner.
pub const LIAR: usize = 4;
pub const VICTIM: usize = 1;

pub fn race(seed: u64) -> Race {
    Race::new(&Spec { cars: CARS, distance: Distance::Laps(5), circuit: Circuit::new("Liars", 1_200.0, 3), ..Spec::calm(seed) })
}

/// What the client of `car` sends; every client shows all other cars.
pub fn client(race: &Race, car: usize, change: &dyn Fn(&mut Action)) -> Vec<Timed> {
    let own = &race.cars()[car];
    let mut sender = Sender::new(own.drivers[0].driver, own.slot, 1);
    send(&mut sender, race, car, 20, change)
}

pub fn send(sender: &mut Sender, race: &Race, car: usize, hz: u32, change: &dyn Fn(&mut Action)) -> Vec<Timed> {
    for mut action in race.script(car, hz).with_field(4) {
        sender.at_us = action.at_us().unwrap_or(sender.at_us);
        change(&mut action);
        sender.act(action);
    }
    sender.flush();
    std::mem::take(&mut sender.out)
}

pub fn clients(race: &Race, who: impl Iterator<Item = usize>, change: &dyn Fn(&mut Action)) -> Vec<Vec<Timed>> {
    who.map(|car| {
        client(race, car, &|action| {
            if car == LIAR {
                change(action)
            }
        })
    })
    .collect()
}

pub fn driver(race: &Race, car: usize) -> DriverId {
    race.cars()[car].drivers[0].driver
}

/// What the processing of `records` comes to, a step behind every 200; once also with the state stored and read back at each step.
pub fn view(records: &[Bytes]) -> SessionView {
    let mut partition = Partition::restore(LogId("liars".into()), 0, 1, PartitionState::default()).unwrap();
    let mut view = SessionView::new(session());
    for (n, chunk) in records.chunks(200).enumerate() {
        for (i, record) in chunk.iter().enumerate() {
            partition.process((n * 200 + i) as u64, record);
        }
        let step = partition.step().unwrap();
        assert_eq!(step.quarantine, []);
        view.apply(&step);
    }
    view
}

pub fn ended(streams: &[Vec<Timed>]) -> SessionView {
    view(&[by_time(streams), vec![closed(tenant(), source(), Closing::SILENCE, 1_800_000_000_000_000)]].concat())
}

/// Everything about all cars but the liar's.
pub fn others(view: &SessionView, race: &Race) -> (Vec<String>, Vec<Lap>) {
    but(view, race, &[LIAR])
}

/// Everything about all cars but those of `liars`.
pub fn but(view: &SessionView, race: &Race, liars: &[usize]) -> (Vec<String>, Vec<Lap>) {
    let liar = |slot: u16, entry: EntryId| {
        let mut cars = liars.iter().map(|car| &race.cars()[*car]);
        cars.any(|car| car.slot == slot && entry.as_str().contains(':') || entry.0 == car.drivers[0].driver.0)
    };
    let row =
        |c: &Classified| format!("{} {} {} {:?} {:?} {:?} {:?}", c.slot, c.laps, c.status.name(), c.finish_us, c.total_us, c.best_lap_us, c.why);
    let laps = view.laps().iter().filter(|l| !liar(l.slot, l.entry)).map(|l| Lap { revision: 0, ..l.clone() });
    (view.classification().iter().filter(|c| !liar(c.slot, c.entry)).map(row).collect(), laps.collect())
}

pub fn disputes(view: &SessionView) -> Vec<Conflict> {
    view.info().unwrap().conflicts.iter().cloned().chain(view.unheard()).collect()
}
