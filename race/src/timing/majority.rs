//! What more than half of the drivers' clients report (rule `session.majority`): the session state, and flags that race control shows to all.

use std::collections::{BTreeMap, BTreeSet};

use boxbox_schemas::frame::{Flags, SessionState};
use boxbox_schemas::ids::{DriverId, RunId};
use boxbox_schemas::results::{CarNow, FlagChange, SessionStateChange};

/// A client: driver and run of its stream.
type Client = (DriverId, RunId);

/// A condition as one client reports it over time.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reports {
    /// Whose client it is. All clients of a driver have one vote.
    pub driver: DriverId,
    /// The client streams from here, µs …
    pub from_us: i64,
    /// … to here, µs; both included.
    pub until_us: i64,
    /// From when on the condition holds or not, in order of time, µs. Before the first it does not.
    pub changes: Vec<(i64, bool)>,
}

/// From when to when more than half of the drivers whose clients stream report a condition.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Held {
    /// From, µs.
    pub from_us: i64,
    /// Until, µs.
    pub until_us: i64,
    /// No client reported its end at `until_us`: clients that reported it stopped streaming.
    pub unseen_end: bool,
    /// Its end was reported by fewer than half as many drivers as had reported the condition at once: all others had left by then.
    pub by_few: bool,
    /// It holds since others stopped streaming: until then no more than half of the clients reported it.
    pub by_leaving: bool,
}

impl Held {
    /// Whether it holds at `us`.
    pub fn at(&self, us: i64) -> bool {
        (self.from_us..=self.until_us).contains(&us)
    }
}

/// What happens to the count of drivers.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Event {
    Starts,
    Reports(bool),
    Stops,
}

/// The clients of one driver that stream, each under when it reported last, and what each reported then. The newest report is the driver's
/// word: who runs many clients has one vote all the same.
#[derive(Default)]
struct Voter(BTreeMap<(i64, usize), bool>);

impl Voter {
    /// Whether the driver is asked, and whether the driver reports the condition.
    fn vote(&self) -> (usize, usize) {
        self.0.last_key_value().map_or((0, 0), |(_, holds)| (1, usize::from(*holds)))
    }
}

/// When more than half of the drivers whose clients stream then report the condition, in order of time. Of two that differ, the later
/// one decides; a client that stops streaming is no longer asked.
pub fn majority(clients: &[Reports]) -> Vec<Held> {
    let mut events: Vec<(i64, Event, usize)> = vec![];
    for (n, client) in clients.iter().enumerate() {
        events.extend([(client.from_us, Event::Starts, n), (client.until_us, Event::Stops, n)]);
        // The sort below is stable: of two changes at one moment the later one in the list stays the later one.
        events.extend(client.changes.iter().map(|(us, holds)| ((*us).clamp(client.from_us, client.until_us), Event::Reports(*holds), n)));
    }
    events.sort_by_key(|(us, ..)| *us);
    let mut voters: BTreeMap<DriverId, Voter> = BTreeMap::new();
    let mut reported_us = vec![i64::MIN; clients.len()];
    let (mut asked, mut reporting) = (0usize, 0usize);
    let mut held: Vec<Held> = vec![];
    let (mut open, mut most) = (false, 0);
    for of_moment in events.chunk_by(|a, b| a.0 == b.0) {
        let us = of_moment[0].0;
        // First all that is reported at this moment, then the clients whose last moment it is.
        for stops in [false, true] {
            for (_, event, n) in of_moment.iter().filter(|(_, event, _)| (*event == Event::Stops) == stops) {
                let voter = voters.entry(clients[*n].driver).or_default();
                let before = voter.vote();
                voter.0.remove(&(reported_us[*n], *n));
                match event {
                    Event::Starts => _ = voter.0.insert((reported_us[*n], *n), false),
                    Event::Reports(holds) => {
                        reported_us[*n] = us;
                        voter.0.insert((us, *n), *holds);
                    }
                    Event::Stops => {}
                }
                let after = voter.vote();
                (asked, reporting) = (asked + after.0 - before.0, reporting + after.1 - before.1);
            }
            let holds = 2 * reporting > asked;
            most = if holds { reporting.max(if open { most } else { 0 }) } else { most };
            match held.last_mut().filter(|_| open) {
                Some(last) if !holds => {
                    (last.until_us, last.unseen_end, open) = (us, stops, false);
                    last.by_few = !stops && 2 * (asked - reporting) < most;
                }
                None if holds => {
                    held.push(Held { from_us: us, until_us: us, unseen_end: true, by_few: false, by_leaving: stops });
                    open = true;
                }
                _ => {}
            }
        }
    }
    held
}

/// Whether only one driver's clients report this kind of thing at all, and those of two others or more, which stream too, never do. A simulator
/// shows a state, or flags, to all of its clients or to none, so this one is not believed.
fn alone(clients: &[Reports], cars: &[CarNow]) -> bool {
    let Some(first) = clients.first() else { return false };
    let others: BTreeSet<DriverId> = cars.iter().filter(|c| !c.field && c.driver != first.driver).map(|c| c.driver).collect();
    clients.iter().all(|c| c.driver == first.driver) && others.len() >= 2
}

/// The [`majority`] of clients that report this kind of thing.
fn believed(clients: &[Reports], cars: &[CarNow]) -> Vec<Held> {
    if alone(clients, cars) { vec![] } else { majority(clients) }
}

/// From when to when each client streamed: from its first report to its newest frame.
fn streamed<'a>(cars: &[CarNow], reports: impl Iterator<Item = (Client, i64)> + 'a) -> BTreeMap<Client, (i64, i64)> {
    let mut clients: BTreeMap<Client, (i64, i64)> = BTreeMap::new();
    for (client, us) in reports {
        let span = clients.entry(client).or_insert((us, us));
        *span = (span.0.min(us), span.1.max(us));
    }
    for car in cars.iter().filter(|c| !c.field) {
        if let Some(span) = clients.get_mut(&(car.driver, car.run)) {
            span.1 = span.1.max(car.sim_time_us);
        }
    }
    clients
}

/// When a majority reports a session state for which `holds`. Clients that report no state are not asked.
pub(crate) fn state_held(states: &[SessionStateChange], cars: &[CarNow], holds: impl Fn(SessionState) -> bool) -> Vec<Held> {
    let shown = || states.iter().filter(|s| !s.superseded);
    let mut changes: BTreeMap<Client, Vec<&SessionStateChange>> = BTreeMap::new();
    shown().for_each(|s| changes.entry((s.driver, s.run)).or_default().push(s));
    let spans = streamed(cars, shown().map(|s| ((s.driver, s.run), s.sim_time_us)));
    let clients = changes.into_iter().filter_map(|(client, mut of)| {
        of.sort_by_key(|s| (s.sim_time_us, s.timeline, s.tick));
        let (from_us, until_us) = *spans.get(&client)?;
        Some(Reports { driver: client.0, from_us, until_us, changes: of.iter().map(|s| (s.sim_time_us, holds(s.to))).collect() })
    });
    believed(&clients.collect::<Vec<_>>(), cars)
}

/// When a majority reports `flag`, which is one of those that are shown to all. Clients that never showed any flag are not asked.
pub(crate) fn flag_held(flags: &[FlagChange], states: &[SessionStateChange], cars: &[CarNow], flag: Flags) -> Vec<Held> {
    let shown = || flags.iter().filter(|f| !f.superseded);
    let mut changes: BTreeMap<Client, Vec<&FlagChange>> = BTreeMap::new();
    shown().for_each(|f| changes.entry((f.driver, f.run)).or_default().push(f));
    let of_states = states.iter().filter(|s| !s.superseded).map(|s| ((s.driver, s.run), s.sim_time_us));
    let spans = streamed(cars, shown().map(|f| ((f.driver, f.run), f.sim_time_us)).chain(of_states));
    let clients = changes.into_iter().filter_map(|(client, mut of)| {
        of.sort_by_key(|f| (f.sim_time_us, f.timeline, f.tick));
        let (from_us, until_us) = *spans.get(&client)?;
        Some(Reports { driver: client.0, from_us, until_us, changes: of.iter().map(|f| (f.sim_time_us, f.to.has(flag))).collect() })
    });
    believed(&clients.collect::<Vec<_>>(), cars)
}
