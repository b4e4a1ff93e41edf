//! [`Follow`]: keeps a [`SessionView`] up to date from the steps that the processor in this process commits.

use std::collections::BTreeSet;
use std::sync::Arc;

use boxbox_race::view::{LapKey, Rows, SessionView};
use boxbox_schemas::results::Lap;
use boxbox_schemas::{SessionId, TenantId};
use boxbox_store::{LapFilter, Sessions, Step, rows_of};
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::TryRecvError;

/// One session, live.
pub struct Follow {
    feed: broadcast::Receiver<Arc<Step>>,
    sessions: Arc<dyn Sessions>,
    tenant: TenantId,
    view: SessionView,
    /// Laps that came since the last call of [`Follow::fresh`].
    fresh: BTreeSet<LapKey>,
}

impl Follow {
    /// Follow `session` from now on.
    pub fn new(feed: broadcast::Receiver<Arc<Step>>, sessions: Arc<dyn Sessions>, tenant: TenantId, session: SessionId) -> Self {
        Self { feed, sessions, tenant, view: SessionView::new(session), fresh: BTreeSet::new() }
    }

    /// Apply the steps that were committed since the last call.
    pub async fn update(&mut self) -> anyhow::Result<()> {
        loop {
            match self.feed.try_recv() {
                Ok(step) => {
                    let changes = self.view.apply(&step);
                    self.note(&changes.new, &changes.withdrawn);
                }
                // The steps that were missed are in the store.
                Err(TryRecvError::Lagged(_)) => self.reload().await?,
                Err(TryRecvError::Empty | TryRecvError::Closed) => return Ok(()),
            }
        }
    }

    /// Read the whole session from the store.
    pub async fn reload(&mut self) -> anyhow::Result<()> {
        // First the feed, then the store: a step that is committed between the two comes twice and is not lost.
        self.feed = self.feed.resubscribe();
        let (sessions, of) = (&*self.sessions, (&self.tenant, &self.view.session()));
        let info = sessions.session(of.0, of.1).await?;
        let rows = Rows {
            laps: sessions.laps(of.0, of.1, &LapFilter::default(), None, u32::MAX).await?,
            flags: rows_of(sessions, of.0, of.1).await?,
            states: rows_of(sessions, of.0, of.1).await?,
            pit_visits: rows_of(sessions, of.0, of.1).await?,
            incidents: rows_of(sessions, of.0, of.1).await?,
            cars: sessions.cars(of.0, of.1).await?,
        };
        let changes = self.view.replace(info, rows);
        self.note(&changes.new, &changes.withdrawn);
        Ok(())
    }

    fn note(&mut self, new: &BTreeSet<LapKey>, withdrawn: &BTreeSet<LapKey>) {
        self.fresh.extend(new);
        self.fresh.retain(|key| !withdrawn.contains(key));
    }

    /// The session as it is known now.
    pub fn view(&self) -> &SessionView {
        &self.view
    }

    /// Laps that came since the last call, in order of time.
    pub fn fresh(&mut self) -> Vec<Lap> {
        let keys = std::mem::take(&mut self.fresh);
        let mut fresh: Vec<Lap> = keys.into_iter().filter_map(|key| self.view.lap(key).cloned()).collect();
        fresh.sort_by_key(|lap| (lap.end_us, lap.entry));
        fresh
    }
}

#[cfg(test)]
mod tests {
    use boxbox_schemas::frame::{Flags, SessionState};
    use boxbox_schemas::meta::SessionMeta;
    use boxbox_schemas::results::{AnyRow, CarNow, Checkpoint, FlagChange, Ledger, Reasons, SessionInfo, Tags};
    use boxbox_schemas::{DriverId, EntryId, LogId, RunId, ShortId, Sim, Source, StreamKey};
    use boxbox_store::memory::MemoryResults;
    use boxbox_store::{FieldState, Lease, Steps, StreamState};

    use super::*;

    /// Steps that the feed holds: one more removes the oldest.
    const FEED: usize = 2;

    /// A processor's store and feed, and a follower.
    struct World {
        store: MemoryResults,
        lease: Lease,
        feed: broadcast::Sender<Arc<Step>>,
        follow: Follow,
        info: SessionInfo,
        offset: u64,
    }

    impl World {
        async fn new() -> Self {
            let (tenant, source) = (TenantId(name("league")), Source { sim: Sim::SYNTHETIC, id: 1, session_num: 0 });
            let meta = SessionMeta { session_type: "Race".into(), ..Default::default() };
            let info = SessionInfo { meta: Some(meta), ..SessionInfo::opened(tenant, source, 0) };
            let store = MemoryResults::new();
            let lease = store.acquire(&LogId("log".into()), 0).await.unwrap();
            let (feed, receiver) = broadcast::channel(FEED);
            let follow = Follow::new(receiver, Arc::new(store.clone()), tenant, info.id);
            Self { store, lease, feed, follow, info, offset: 0 }
        }

        /// Commit what `fill` puts into a step, and send the step to the feed.
        async fn step(&mut self, fill: impl FnOnce(&mut Step)) {
            self.offset += 1;
            let mut step = Step::new(Checkpoint { log: self.lease.log.clone(), partition: 0, offset: self.offset, crc: 0 });
            step.sessions = vec![self.info.clone()];
            fill(&mut step);
            self.store.commit(&self.lease, &step).await.unwrap();
            // The feed may have no receiver.
            let _ = self.feed.send(Arc::new(step));
        }

        fn lap(&self, car: &str, number: u32) -> Lap {
            let start_us = i64::from(number - 1) * 100_000_000;
            Lap {
                session: self.info.id,
                entry: EntryId(name(car)),
                number,
                driver: DriverId(name(car)),
                run: RunId([1; 16]),
                slot: 3,
                timeline: 0,
                revision: 1,
                start_us,
                end_us: start_us + 100_000_000,
                time_us: 100_000_000,
                sim_time_us: None,
                sectors_us: vec![],
                loops_us: vec![],
                fuel_l: None,
                fuel_used_l: None,
                reasons: Reasons(0),
                tags: Tags(0),
                frames: 6_000,
                start_tick: 0,
                end_tick: 1,
                settled: true,
                superseded: false,
                spans: vec![],
            }
        }

        fn finished(&self) -> Vec<bool> {
            self.follow.view().order(None).iter().map(|s| s.finished).collect()
        }
    }

    fn name(text: &str) -> ShortId {
        ShortId::new(text).unwrap()
    }

    #[tokio::test]
    async fn a_chequered_flag_that_a_rewind_took_back_ends_no_race() {
        let mut world = World::new().await;
        let shown = FlagChange {
            session: world.info.id,
            entry: EntryId(name("a")),
            driver: DriverId(name("a")),
            run: RunId([1; 16]),
            timeline: 0,
            tick: 6_000,
            sim_time_us: 100_000_000,
            from: Flags::GREEN,
            to: Flags::GREEN.with(Flags::CHECKERED),
            superseded: false,
            late: false,
        };
        let (first, flag) = (world.lap("a", 1), shown.clone());
        world.step(|step| (step.laps, step.rows) = (vec![first], vec![AnyRow::of(&flag)])).await;
        world.follow.update().await.unwrap();
        assert_eq!(world.finished(), [true]);
        world.step(|step| step.rows = vec![AnyRow::of(&FlagChange { superseded: true, ..shown })]).await;
        world.follow.update().await.unwrap();
        assert_eq!(world.finished(), [false]);
    }

    #[tokio::test]
    async fn a_car_that_only_others_see_is_in_the_order() {
        let mut world = World::new().await;
        let stream = StreamKey { tenant: world.info.tenant, session: world.info.id, driver: DriverId(name("a")), run: RunId([1; 16]) };
        let car = |entry: &str, slot: u16, field: bool| CarNow {
            session: stream.session,
            entry: EntryId(name(entry)),
            driver: stream.driver,
            run: stream.run,
            slot,
            field,
            sim_time_us: 10_000_000,
            tick: 600,
            lap: 1,
            lap_start_us: Some(0),
            loops_us: vec![],
            lap_pct: Some(0.1),
            speed_mps: None,
            in_pits: None,
            off_track: false,
            fuel_l: None,
            flags: Flags(0),
            state: SessionState(4),
            watching: false,
            taken_over_us: None,
        };
        let seen = |slot, now| FieldState { slot, race: Default::default(), now: Some(now) };
        let state = |field| StreamState { ledger: Ledger::new(stream), race: Default::default(), now: Some(car("a", 3, false)), field };
        let first = vec![seen(4, car("c:4", 4, true)), seen(5, car("c:5", 5, true))];
        world.step(|step| step.streams = vec![state(first)]).await;
        world.follow.update().await.unwrap();
        let entries = |world: &World| world.follow.view().order(None).iter().map(|s| s.entry.to_string()).collect::<Vec<_>>();
        assert_eq!(entries(&world), ["a", "c:4", "c:5"]);
        // Now a driver's own stream claims one of the cars: it is in the order once, with that driver's entry.
        world.step(|step| step.streams = vec![state(vec![seen(4, car("b", 4, true))])]).await;
        world.follow.update().await.unwrap();
        assert_eq!(entries(&world), ["a", "b", "c:5"]);
    }

    #[tokio::test]
    async fn a_lap_that_was_withdrawn_between_two_updates_is_gone() {
        let mut world = World::new().await;
        let laps = vec![world.lap("a", 1), world.lap("a", 2)];
        world.step(|step| step.laps = laps).await;
        world.follow.update().await.unwrap();
        assert_eq!(world.follow.fresh().len(), 2);
        let gone = (world.info.id, EntryId(name("a")), 2);
        world.step(|step| step.withdrawn = vec![gone]).await;
        for _ in 0..=FEED {
            world.step(|_| ()).await;
        }
        world.follow.update().await.unwrap();
        assert_eq!(world.follow.view().laps().iter().map(|l| l.number).collect::<Vec<_>>(), [1]);
        // A lap that came meanwhile is fresh, and a lap that was known is not.
        let third = world.lap("a", 3);
        world.step(|step| step.laps = vec![third]).await;
        world.follow.reload().await.unwrap();
        world.follow.update().await.unwrap();
        assert_eq!(world.follow.fresh().iter().map(|l| l.number).collect::<Vec<_>>(), [3]);
    }
}
