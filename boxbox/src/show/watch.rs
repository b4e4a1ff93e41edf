//! [`Watcher`]: follows what the processor commits for one client's streams, and prints each lap once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use boxbox_client::Stream;
use boxbox_schemas::results::{AnyRow, IncidentStep, Ledger};
use boxbox_schemas::{DriverId, RunId, SessionId, StreamKey, TenantId};
use boxbox_store::{Sessions, Step};
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::TryRecvError;

use crate::show::report::Printer;

/// How often to check whether the processor has finished.
const ASK_EVERY: Duration = Duration::from_millis(50);

/// Prints the laps of one client's streams. A lap is printed when the simulator has reported its own lap time, or without that time
/// 5 s of session time after the line.
pub struct Watcher {
    feed: broadcast::Receiver<Arc<Step>>,
    sessions: Arc<dyn Sessions>,
    tenant: TenantId,
    driver: DriverId,
    // The values are the sessions' numbers within their lobby.
    streams: BTreeMap<(SessionId, RunId), u32>,
    laps: BTreeSet<(SessionId, RunId, u32, u32)>,
    incidents: BTreeSet<(SessionId, RunId, u32, u32)>,
    /// What of them was taken back.
    undone: BTreeSet<(&'static str, SessionId, RunId, u32, u32)>,
}

impl Watcher {
    /// For streams of `driver`, named by [`Watcher::follow`].
    pub fn new(feed: broadcast::Receiver<Arc<Step>>, sessions: Arc<dyn Sessions>, tenant: TenantId, driver: DriverId) -> Self {
        Self { feed, sessions, tenant, driver, streams: BTreeMap::new(), laps: BTreeSet::new(), incidents: BTreeSet::new(), undone: BTreeSet::new() }
    }

    /// Print the laps of this stream as well.
    pub fn follow(&mut self, stream: &Stream) {
        let source = stream.source();
        self.streams.insert((SessionId::of(&self.tenant, &source), stream.run()), source.session_num);
    }

    /// Print what has been committed since the last call.
    pub fn drain(&mut self, printer: &mut Printer) {
        loop {
            match self.feed.try_recv() {
                Ok(step) => self.step(&step, printer),
                // Laps that are missed here are read from the results at the end.
                Err(TryRecvError::Lagged(missed)) => tracing::info!(missed, "fell behind the processor"),
                Err(TryRecvError::Empty | TryRecvError::Closed) => return,
            }
        }
    }

    fn step(&mut self, step: &Step, printer: &mut Printer) {
        let rows = step.rows.iter().filter(|row| row.head.key.driver == self.driver && !row.head.late);
        // This program wrote the rows, so it can read them.
        for incident in AnyRow::read_all::<IncidentStep>(rows).unwrap_or_default() {
            let Some(num) = self.streams.get(&(incident.session, incident.run)) else { continue };
            if self.incidents.insert((incident.session, incident.run, incident.timeline, incident.tick)) {
                printer.incident(*num, &incident);
            }
            if incident.superseded && self.undone.insert(("incident", incident.session, incident.run, incident.timeline, incident.tick)) {
                printer.incident_undone(*num, &incident);
            }
        }
        // The facts of these streams, and not the laps that were chosen among several runs. What was taken back is printed all the same, and
        // then said to be: how much of a recording a step covers must not change what is printed.
        for lap in step.facts.iter().filter(|l| l.driver == self.driver && l.settled) {
            let Some(num) = self.streams.get(&(lap.session, lap.run)) else { continue };
            if self.laps.insert((lap.session, lap.run, lap.number, lap.timeline)) {
                printer.lap(*num, lap);
            }
            if lap.superseded && self.undone.insert(("lap", lap.session, lap.run, lap.number, lap.timeline)) {
                printer.lap_undone(*num, lap);
            }
        }
    }

    /// Wait until the processor has reached the end of every session, print the remaining laps, and return the ledgers.
    pub async fn finish(&mut self, printer: &mut Printer, within: Duration) -> anyhow::Result<Vec<Ledger>> {
        let deadline = Instant::now() + within;
        loop {
            let mut ledgers = vec![];
            for (session, run) in self.streams.keys() {
                let all = self.sessions.ledgers(&self.tenant, session).await?;
                ledgers.extend(
                    all.into_iter().find(|l| l.stream == StreamKey { tenant: self.tenant, session: *session, driver: self.driver, run: *run }),
                );
            }
            self.drain(printer);
            let ended = ledgers.len() == self.streams.len() && ledgers.iter().all(|l| l.ended) || self.is_any_retired().await?;
            if ended || Instant::now() >= deadline {
                self.rest(printer).await?;
                return Ok(ledgers);
            }
            tokio::time::sleep(ASK_EVERY).await;
        }
    }

    /// Of a retired session nothing more is accounted for, and no end is seen.
    async fn is_any_retired(&self) -> anyhow::Result<bool> {
        Ok(self.closed_sessions().await?.values().any(|retired| *retired))
    }

    /// The sessions that are closed on purpose, so that what came now changes nothing; and whether they are retired.
    pub async fn closed_sessions(&self) -> anyhow::Result<BTreeMap<SessionId, bool>> {
        let mut closed = BTreeMap::new();
        for session in self.streams.keys().map(|(session, _)| *session).collect::<BTreeSet<_>>() {
            let info = self.sessions.session(&self.tenant, &session).await?;
            if let Some(info) = info.filter(|info| info.closed && !info.provisional) {
                closed.insert(session, info.retired);
            }
        }
        Ok(closed)
    }

    async fn rest(&mut self, printer: &mut Printer) -> anyhow::Result<()> {
        for ((session, run), num) in &self.streams {
            for lap in self.sessions.laps(&self.tenant, session, &Default::default(), None, u32::MAX).await? {
                if lap.run == *run && lap.driver == self.driver && self.laps.insert((lap.session, lap.run, lap.number, lap.timeline)) {
                    printer.lap(*num, &lap);
                }
            }
        }
        Ok(())
    }
}
