//! What the clients of a drawn race send.

use std::collections::BTreeMap;

use boxbox_schemas::event::{Closing, EndReason};
use boxbox_schemas::stamp::closed;
use boxbox_sources::synth::{Action, Race, What};
use bytes::Bytes;
use fastrand::Rng;

use crate::draw::Drawn;
use crate::records::{Sender, Timed, by_time, shuffled, source, tenant};

/// The tick of an event whose record does not arrive.
pub const LOST: u32 = u32::MAX;

/// All records of the race in order of arrival, and the session's close.
pub fn records(drawn: &Drawn, race: &Race) -> Vec<Bytes> {
    let clients: Vec<Vec<Timed>> = (0..race.cars().len()).filter(|car| drawn.clients[*car]).flat_map(|car| of_car(drawn, race, car)).collect();
    let mut rng = Rng::with_seed(!drawn.seed);
    let mut records = if drawn.shuffled { shuffled(&clients, &mut rng) } else { by_time(&clients) };
    records.push(closed(tenant(), source(), Closing::SILENCE, 1_800_000_000_000_000));
    records
}

/// The records of each driver of car `car`.
fn of_car(drawn: &Drawn, race: &Race, car: usize) -> Vec<Vec<Timed>> {
    // Whose time goes back, or who has another run, has no one beside him here.
    let stays = drawn.stays && !drawn.has(car, |w| matches!(w, What::Flashback { .. } | What::Restart { .. } | What::ClientLate | What::ClientLost));
    let script = race.script(car, drawn.hz);
    let script = if drawn.observers.contains(&car) { script.with_field(drawn.field_hz) } else { script };
    by_driver(race, car, script, stays.then_some(drawn.hz)).into_values().collect()
}

/// The records of each driver of car `car`, by driver, who together send `script`. `beside_hz`: the clients of those who do not drive stay
/// connected, with so many frames a second.
pub fn by_driver(race: &Race, car: usize, script: impl IntoIterator<Item = Action>, beside_hz: Option<u32>) -> BTreeMap<usize, Vec<Timed>> {
    let own = &race.cars()[car];
    let mut of_driver: BTreeMap<usize, Vec<(i64, Action)>> = BTreeMap::new();
    let (mut who, mut now_us) = (0, 0);
    for action in script {
        now_us = action.at_us().unwrap_or(now_us);
        if let Action::Driver(next) = action {
            if beside_hz.is_none()
                && let Some(actions) = of_driver.get_mut(&who)
            {
                actions.push((now_us, Action::End(0, now_us, EndReason::FINISHED)));
            }
            who = next;
            // Who comes back has closed the client in between.
            if beside_hz.is_none()
                && let Some(actions) = of_driver.get_mut(&who)
            {
                actions.push((now_us, Action::Restart));
            }
            continue;
        }
        of_driver.entry(who).or_default().push((now_us, action));
    }
    if let Some(hz) = beside_hz.filter(|_| own.drivers.len() > 1) {
        for driver in 0..own.drivers.len() {
            let actions = of_driver.entry(driver).or_default();
            let end = actions.pop_if(|(_, action)| matches!(action, Action::End(..)));
            actions.insert(0, (0, Action::Meta(race.meta(car))));
            actions.extend(race.beside(car, driver, hz).map(|f| (f.sim_time_us, Action::Frame(f))));
            actions.sort_by_key(|(at, _)| *at);
            actions.extend(end);
        }
    }
    let sender = |driver: usize| Sender::new(own.drivers[driver].driver, own.slot, 1);
    of_driver.into_iter().map(|(driver, actions)| (driver, sent(sender(driver), actions))).collect()
}

fn sent(mut sender: Sender, actions: Vec<(i64, Action)>) -> Vec<Timed> {
    let mut held: Option<usize> = None;
    for (at_us, action) in actions {
        sender.at_us = at_us;
        match action {
            Action::Disconnect => {
                sender.flush();
                held = Some(sender.out.len());
            }
            Action::Reconnect => {
                sender.flush();
                // What waited arrives now.
                let from = held.take().unwrap_or(sender.out.len());
                sender.out[from..].iter_mut().for_each(|(at, _)| *at = at_us);
            }
            // The record of this event is lost.
            Action::Event(_, LOST, _) => {
                sender.flush();
                sender.prelude.first_seq += 1;
            }
            other => sender.act(other),
        }
    }
    sender.flush();
    sender.out
}
