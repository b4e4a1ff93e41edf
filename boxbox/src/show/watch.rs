//! Follows what the processor commits for one producer's sessions, and prints each lap once.

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

/// How often to ask whether the processor is done.
const ASK_EVERY: Duration = Duration::from_millis(50);

/// Prints the laps that one producer's streams tell: each when the simulator's own time of it has come, or 5 s of session
/// time after the line without.
pub struct Watcher {
    feed: broadcast::Receiver<Arc<Step>>,
    sessions: Arc<dyn Sessions>,
    tenant: TenantId,
    driver: DriverId,
    // With the session's number within its lobby.
    streams: BTreeMap<(SessionId, RunId), u32>,
    laps: BTreeSet<(SessionId, RunId, u32, u32)>,
    incidents: BTreeSet<(SessionId, RunId, u32, u32)>,
}

impl Watcher {
    /// For streams of `driver`, named by [`Watcher::follow`].
    pub fn new(feed: broadcast::Receiver<Arc<Step>>, sessions: Arc<dyn Sessions>, tenant: TenantId, driver: DriverId) -> Self {
        Self { feed, sessions, tenant, driver, streams: BTreeMap::new(), laps: BTreeSet::new(), incidents: BTreeSet::new() }
    }

    /// Print what this stream tells, too.
    pub fn follow(&mut self, stream: &Stream) {
        let source = stream.source();
        self.streams.insert((SessionId::of(&self.tenant, &source), stream.run()), source.session_num);
    }

    /// Print what has been committed since the last call.
    pub fn drain(&mut self, printer: &mut Printer) {
        loop {
            match self.feed.try_recv() {
                Ok(step) => self.step(&step, printer),
                // What was missed here is found in the results at the end.
                Err(TryRecvError::Lagged(missed)) => tracing::info!(missed, "fell behind the processor"),
                Err(TryRecvError::Empty | TryRecvError::Closed) => return,
            }
        }
    }

    fn step(&mut self, step: &Step, printer: &mut Printer) {
        let rows = step.rows.iter().filter(|row| row.head.key.driver == self.driver && !row.head.superseded);
        // This program told them: it can read them.
        for incident in AnyRow::read_all::<IncidentStep>(rows).unwrap_or_default() {
            if let Some(num) = self.streams.get(&(incident.session, incident.run))
                && self.incidents.insert((incident.session, incident.run, incident.timeline, incident.tick))
            {
                printer.incident(*num, &incident);
            }
        }
        // Facts, not the choice among several runs: what is printed is what these streams tell.
        for lap in step.facts.iter().filter(|l| l.driver == self.driver && !l.superseded) {
            if let (Some(num), true) = (self.streams.get(&(lap.session, lap.run)), lap.settled)
                && self.laps.insert((lap.session, lap.run, lap.number, lap.timeline))
            {
                printer.lap(*num, lap);
            }
        }
    }

    /// Wait until the processor has seen the end of every session, print the rest, and give the ledgers.
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
            let ended = ledgers.len() == self.streams.len() && ledgers.iter().all(|l| l.ended);
            if ended || Instant::now() >= deadline {
                self.rest(printer).await?;
                return Ok(ledgers);
            }
            tokio::time::sleep(ASK_EVERY).await;
        }
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
