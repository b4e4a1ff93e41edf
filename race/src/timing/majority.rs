//! What more than half of the clients report (rule `session.majority`): the session state, and flags that race control shows to all.

use std::collections::BTreeMap;

use boxbox_schemas::frame::{Flags, SessionState};
use boxbox_schemas::ids::{DriverId, RunId};
use boxbox_schemas::results::{CarNow, FlagChange, SessionStateChange};

/// A client: driver and run of its stream.
type Client = (DriverId, RunId);

/// A condition as one client reports it over time.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reports {
    /// The client streams from here, µs …
    pub from_us: i64,
    /// … to here, µs; both included.
    pub until_us: i64,
    /// From when on the condition holds or not, in order of time, µs. Before the first it does not.
    pub changes: Vec<(i64, bool)>,
}

/// From when to when more than half of the clients that stream report a condition.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Held {
    /// From, µs.
    pub from_us: i64,
    /// Until, µs.
    pub until_us: i64,
    /// No client reported its end at `until_us`: clients that reported it stopped streaming.
    pub unseen_end: bool,
    /// It holds since others stopped streaming: until then no more than half of the clients reported it.
    pub by_leaving: bool,
}

impl Held {
    /// Whether it holds at `us`.
    pub fn at(&self, us: i64) -> bool {
        (self.from_us..=self.until_us).contains(&us)
    }
}

/// What happens to the count of clients.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Event {
    Starts,
    Reports(bool),
    Stops,
}

/// When more than half of the clients that stream then report the condition, in order of time. Of two clients that differ, the later
/// one decides; a client that stops streaming is no longer asked.
pub fn majority(clients: &[Reports]) -> Vec<Held> {
    let mut events: Vec<(i64, Event, usize)> = vec![];
    for (n, client) in clients.iter().enumerate() {
        events.extend([(client.from_us, Event::Starts, n), (client.until_us, Event::Stops, n)]);
        // The sort below is stable: of two changes at one moment the later one in the list stays the later one.
        events.extend(client.changes.iter().map(|(us, holds)| ((*us).clamp(client.from_us, client.until_us), Event::Reports(*holds), n)));
    }
    events.sort_by_key(|(us, ..)| *us);
    let (mut streaming, mut reporting) = (0usize, vec![false; clients.len()]);
    let mut held: Vec<Held> = vec![];
    let mut open = false;
    for of_moment in events.chunk_by(|a, b| a.0 == b.0) {
        let us = of_moment[0].0;
        // First all that is reported at this moment, then the clients whose last moment it is.
        for stops in [false, true] {
            for (_, event, n) in of_moment.iter().filter(|(_, event, _)| (*event == Event::Stops) == stops) {
                match event {
                    Event::Starts => streaming += 1,
                    Event::Reports(holds) => reporting[*n] = *holds,
                    Event::Stops => (streaming, reporting[*n]) = (streaming - 1, false),
                }
            }
            let holds = 2 * reporting.iter().filter(|r| **r).count() > streaming;
            match held.last_mut().filter(|_| open) {
                Some(last) if !holds => (last.until_us, last.unseen_end, open) = (us, stops, false),
                None if holds => {
                    held.push(Held { from_us: us, until_us: us, unseen_end: true, by_leaving: stops });
                    open = true;
                }
                _ => {}
            }
        }
    }
    held
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
        Some(Reports { from_us, until_us, changes: of.iter().map(|s| (s.sim_time_us, holds(s.to))).collect() })
    });
    majority(&clients.collect::<Vec<_>>())
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
        Some(Reports { from_us, until_us, changes: of.iter().map(|f| (f.sim_time_us, f.to.has(flag))).collect() })
    });
    majority(&clients.collect::<Vec<_>>())
}
