//! [`Board`]: a session as it is known now, kept up to date by what the processor commits: laps, cars, order.

use std::collections::BTreeMap;
use std::sync::Arc;

use boxbox_race::timing::{self, Classified, Moment, Standing};
use boxbox_schemas::results::{AnyRow, CarNow, FlagChange, Lap, SessionInfo};
use boxbox_schemas::{DriverId, EntryId, RunId, SessionId, TenantId};
use boxbox_store::{LapFilter, Sessions, Step, rows_of};
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::TryRecvError;

/// One session, live.
pub struct Board {
    feed: broadcast::Receiver<Arc<Step>>,
    sessions: Arc<dyn Sessions>,
    tenant: TenantId,
    session: SessionId,
    info: Option<SessionInfo>,
    laps: BTreeMap<(EntryId, u32), Lap>,
    cars: BTreeMap<(EntryId, DriverId, RunId, u16), CarNow>,
    flags: Vec<FlagChange>,
    /// Laps timed since they were last asked for.
    fresh: Vec<Lap>,
}

impl Board {
    /// Of `session`, from now on.
    pub fn new(feed: broadcast::Receiver<Arc<Step>>, sessions: Arc<dyn Sessions>, tenant: TenantId, session: SessionId) -> Self {
        Self { feed, sessions, tenant, session, info: None, laps: BTreeMap::new(), cars: BTreeMap::new(), flags: vec![], fresh: vec![] }
    }

    /// Take in what has been committed since the last call.
    pub async fn update(&mut self) -> anyhow::Result<()> {
        loop {
            match self.feed.try_recv() {
                Ok(step) => self.step(&step),
                // What was missed is in the store.
                Err(TryRecvError::Lagged(_)) => self.reload().await?,
                Err(TryRecvError::Empty | TryRecvError::Closed) => return Ok(()),
            }
        }
    }

    /// Read all of it from the store.
    pub async fn reload(&mut self) -> anyhow::Result<()> {
        self.info = self.sessions.session(&self.tenant, &self.session).await?.or(self.info.take());
        for lap in self.sessions.laps(&self.tenant, &self.session, &LapFilter::default(), None, u32::MAX).await? {
            self.lap(lap);
        }
        self.flags = rows_of(&*self.sessions, &self.tenant, &self.session).await?;
        for car in self.sessions.cars(&self.tenant, &self.session).await? {
            self.car(car);
        }
        Ok(())
    }

    fn step(&mut self, step: &Step) {
        if let Some(info) = step.sessions.iter().find(|s| s.id == self.session) {
            self.info = Some(info.clone());
        }
        for (_, entry, number) in step.withdrawn.iter().filter(|(session, ..)| *session == self.session) {
            self.laps.remove(&(*entry, *number));
        }
        let session = self.session;
        for lap in step.laps.iter().filter(|l| l.session == session) {
            self.lap(lap.clone());
        }
        for car in step.streams.iter().filter_map(|s| s.now.as_ref()).filter(|c| c.session == session) {
            self.car(car.clone());
        }
        // This program told them: it can read them.
        let told = AnyRow::read_all::<FlagChange>(step.rows.iter().filter(|row| row.head.session == session));
        self.flags.extend(told.unwrap_or_default());
    }

    fn lap(&mut self, lap: Lap) {
        let key = (lap.entry, lap.number);
        if self.laps.insert(key, lap.clone()).is_none() {
            self.fresh.push(lap);
        }
    }

    fn car(&mut self, car: CarNow) {
        self.cars.insert((car.entry, car.driver, car.run, car.slot), car);
    }

    /// Laps timed since the last call, in order of time.
    pub fn fresh(&mut self) -> Vec<Lap> {
        let mut fresh = std::mem::take(&mut self.fresh);
        fresh.sort_by_key(|lap| (lap.end_us, lap.entry));
        fresh
    }

    /// Which session.
    pub fn session(&self) -> SessionId {
        self.session
    }
    /// The session as it is known.
    pub fn info(&self) -> Option<&SessionInfo> {
        self.info.as_ref()
    }
    /// Its laps, by entry and number.
    pub fn laps(&self) -> &BTreeMap<(EntryId, u32), Lap> {
        &self.laps
    }
    /// The newest that is known of an entry's car.
    pub fn car_of(&self, entry: EntryId) -> Option<&CarNow> {
        self.cars.values().filter(|c| c.entry == entry).max_by_key(|c| (!c.field, c.sim_time_us))
    }
    /// The order now, with gaps.
    pub fn order(&self) -> Vec<Standing> {
        let Some(info) = &self.info else { return vec![] };
        let laps: Vec<Lap> = self.laps.values().cloned().collect();
        let cars: Vec<CarNow> = self.cars.values().cloned().collect();
        let chequered_us = timing::chequered_us(info, &laps, &self.flags);
        timing::order(&Moment { session: info, at_us: None, chequered_us, recent: &laps, bests: &laps, cars: &cars })
    }

    /// The result as it is known.
    pub fn result(&self) -> Vec<Classified> {
        let Some(info) = &self.info else { return vec![] };
        let laps: Vec<Lap> = self.laps.values().cloned().collect();
        timing::classification(info, &laps, &self.flags)
    }
}
