//! [`Membership`]: the group membership of this processor. It runs two pumps for each partition that the processor owns.
//!
//! If the results store serves one processor only, this processor owns all partitions. If several processors share the store, each
//! sends a beat at intervals (E5b). The answer says which partitions it owns. It then starts pumps for new partitions, gives back
//! partitions that others should have once its steps are committed, and stops the pumps of partitions that it has lost. Only the
//! store's fence keeps two processors from writing to one partition (E5a), so a processor that was suspended does no harm.
//!
//! A processor that dies loses its partitions when it has not sent a beat for [`Config::member_ttl`](crate::Config::member_ttl) (5 s by
//! default), by the store's clock. The others have its partitions within about twice that time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use boxbox_log::Log;
use boxbox_store::{Archive, Lease, Member, Share, Steps, StoreError};
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::{Interval, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::error::ProcessorError;
use crate::pump::relay::relay;
use crate::pump::{self, PumpContext, Shared};
use crate::status::{Phase, Pump, PumpStatus};

/// Number of beats within a member's time to live, so that some may get lost.
const BEATS: u32 = 5;

/// See the [module](self).
pub(crate) struct Membership {
    shared: Arc<Shared>,
    log: Arc<dyn Log>,
    results: Arc<dyn Steps>,
    archive: Arc<dyn Archive>,
    member: Member,
    /// Partitions with running pumps.
    held: BTreeMap<u32, Held>,
    /// Partitions whose results have failed for good.
    failed: BTreeSet<u32>,
    first_error: Option<ProcessorError>,
    jobs: JoinSet<Ended>,
    tasks: BTreeMap<Id, (u32, Pump)>,
    /// The last beat failed.
    beat_failed: bool,
}

struct Held {
    lease: Lease,
    stop: CancellationToken,
    /// Number of running pumps.
    pumps: u32,
    stop_reason: Option<StopReason>,
}

/// Why the pumps of a partition are stopped.
#[derive(Clone, Copy, PartialEq, Eq)]
enum StopReason {
    /// Another processor should have it.
    GivenBack,
    /// Another processor has it.
    Lost,
}

enum Ended {
    Acquired(Result<Option<Lease>, ProcessorError>),
    Pump(Result<(), ProcessorError>),
}

impl Membership {
    pub(crate) fn new(shared: Arc<Shared>, log: Arc<dyn Log>, results: Arc<dyn Steps>, archive: Arc<dyn Archive>) -> Self {
        let member = Member { name: uuid::Uuid::new_v4().to_string(), ttl: shared.config.member_ttl };
        Self {
            shared,
            log,
            results,
            archive,
            member,
            held: BTreeMap::new(),
            failed: BTreeSet::new(),
            first_error: None,
            jobs: JoinSet::new(),
            tasks: BTreeMap::new(),
            beat_failed: false,
        }
    }

    /// See [`Processor::run`](crate::Processor::run).
    pub(crate) async fn run(mut self, asked: CancellationToken) -> Result<(), ProcessorError> {
        let stop = asked.child_token();
        let sharing = self.results.shared();
        let mut beats = (sharing).then(|| self.beats());
        if !sharing {
            (0..self.log.partitions()).for_each(|partition| self.acquire(partition, &stop));
        }
        while !(self.jobs.is_empty() && (stop.is_cancelled() || !sharing)) {
            tokio::select! {
                Some(ended) = self.jobs.join_next_with_id() => self.on_task_end(ended, &stop).await,
                () = tick(&mut beats), if !stop.is_cancelled() => {
                    let (results, log) = (self.results.clone(), self.log.clone());
                    tokio::select! {
                        share = results.beat(log.id(), log.partitions(), &self.member) => self.reconcile(share, &stop),
                        () = stop.cancelled() => {}
                    }
                }
                // Wakes up the loop, which then checks its condition.
                () = stop.cancelled(), if beats.is_some() => beats = None,
            }
            // All results pumps have failed, so stop. Archive pumps commit their pending blocks and end.
            if self.failed.len() as u32 == self.log.partitions() {
                stop.cancel();
            }
        }
        if sharing && let Err(error) = self.results.leave(self.log.id(), &self.member).await {
            tracing::warn!(%error, "could not leave the group: others take over when this processor's time to live is over");
        }
        self.first_error.filter(|_| !asked.is_cancelled()).map_or(Ok(()), Err)
    }

    fn beats(&self) -> Interval {
        let mut beats = interval(self.member.ttl / BEATS);
        beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        beats
    }

    fn context(&self, partition: u32, pump: Pump, stop: &CancellationToken) -> PumpContext {
        PumpContext { shared: self.shared.clone(), log: self.log.clone(), partition, pump, stop: stop.clone() }
    }

    /// Take a partition of a store that is not shared.
    fn acquire(&mut self, partition: u32, stop: &CancellationToken) {
        let (ctx, results) = (self.context(partition, Pump::Results, stop), self.results.clone());
        let acquire = async move {
            let log = ctx.log.clone();
            let (results, log) = (&results, &log);
            Ended::Acquired(ctx.with_retries("start", || async move { Ok(results.acquire(log.id(), partition).await?) }).await)
        };
        let task = self.jobs.spawn(acquire);
        self.tasks.insert(task.id(), (partition, Pump::Results));
    }

    /// Start and stop pumps so that they match the partitions that the store assigns to this processor.
    fn reconcile(&mut self, share: Result<Share, StoreError>, stop: &CancellationToken) {
        let share = match share {
            Ok(share) => share,
            Err(error) => {
                // The pumps continue: if a partition is lost, the fence refuses its writes.
                if !std::mem::replace(&mut self.beat_failed, true) {
                    tracing::warn!(%error, "the beat of this processor fails; trying again");
                }
                self.shared.metrics.retries.increment(1);
                return;
            }
        };
        if std::mem::take(&mut self.beat_failed) {
            tracing::info!("the results store answers again");
        }
        self.shared.metrics.members.set(f64::from(share.members));
        let ours: BTreeMap<u32, &Lease> = share.leases.iter().map(|lease| (lease.partition, lease)).collect();
        for (partition, held) in &mut self.held {
            let reason = match ours.get(partition) {
                Some(lease) if lease.epoch == held.lease.epoch => share.give_back.contains(partition).then_some(StopReason::GivenBack),
                _ => Some(StopReason::Lost),
            };
            if let (None, Some(reason)) = (held.stop_reason, reason) {
                tracing::info!(partition, lost = reason == StopReason::Lost, "a partition goes to another processor");
                held.stop_reason = Some(reason);
                held.stop.cancel();
            }
        }
        for (partition, lease) in ours {
            if !self.held.contains_key(&partition) && !self.failed.contains(&partition) && !share.give_back.contains(&partition) {
                self.start_pumps(lease.clone(), stop);
            }
        }
        for partition in 0..self.log.partitions() {
            if !self.held.contains_key(&partition) && !self.failed.contains(&partition) {
                self.set_elsewhere(partition);
            }
        }
        self.measure();
    }

    /// Start the pumps of a partition that this processor owns.
    fn start_pumps(&mut self, lease: Lease, stop: &CancellationToken) {
        let (partition, stop) = (lease.partition, stop.child_token());
        for pump in [Pump::Results, Pump::Archive] {
            self.shared.status.update(partition, pump, |s| *s = PumpStatus::default());
        }
        let pace = self.shared.config.pace.unwrap_or_else(|| self.archive.pace());
        let (feeder, follower) = relay(pace.bytes);
        let (ctx, results, mine) = (self.context(partition, Pump::Results, &stop), self.results.clone(), lease.clone());
        let task = self.jobs.spawn(async move { Ended::Pump(pump::results::run(ctx, results, mine, feeder).await) });
        self.tasks.insert(task.id(), (partition, Pump::Results));
        let (ctx, archive, mine) = (self.context(partition, Pump::Archive, &stop), self.archive.clone(), lease.clone());
        let task = self.jobs.spawn(async move { Ended::Pump(pump::archive::run(ctx, archive, mine, pace, follower).await) });
        self.tasks.insert(task.id(), (partition, Pump::Archive));
        self.held.insert(partition, Held { lease, stop, pumps: 2, stop_reason: None });
        self.measure();
    }

    async fn on_task_end(&mut self, ended: Result<(Id, Ended), JoinError>, stop: &CancellationToken) {
        let (id, ended) = match ended {
            Ok((id, ended)) => (id, Some(ended)),
            Err(panic) => (panic.id(), None),
        };
        let Some((partition, pump)) = self.tasks.remove(&id) else { return };
        match ended.unwrap_or(Ended::Pump(Err(ProcessorError::Panicked(partition)))) {
            Ended::Acquired(Ok(Some(lease))) => self.start_pumps(lease, stop),
            Ended::Acquired(Ok(None)) => self.shared.status.update(partition, pump, |s| s.phase = Phase::Ended),
            Ended::Acquired(Err(error)) => self.fail(partition, pump, error),
            Ended::Pump(outcome) => self.pump_ended(partition, pump, outcome).await,
        }
    }

    async fn pump_ended(&mut self, partition: u32, pump: Pump, outcome: Result<(), ProcessorError>) {
        if matches!(outcome, Err(ProcessorError::Store(StoreError::Fenced { .. }))) {
            self.shared.metrics.fenced.increment(1);
        }
        match outcome {
            // The store refuses the writes of both pumps, so both end. The next beat says which partitions this processor owns.
            Err(error @ ProcessorError::Store(StoreError::Fenced { .. })) if self.results.shared() => {
                tracing::warn!(partition, ?pump, %error, "this processor has lost a partition, and the store has refused its write");
                if let Some(held) = self.held.get_mut(&partition) {
                    held.stop_reason = Some(StopReason::Lost);
                    held.stop.cancel();
                }
            }
            Err(error) => self.fail(partition, pump, error),
            Ok(()) => self.shared.status.update(partition, pump, |s| s.phase = Phase::Ended),
        }
        let Some(held) = self.held.get_mut(&partition) else { return };
        held.pumps -= 1;
        if held.pumps > 0 {
            return;
        }
        let Some(Held { lease, stop_reason, .. }) = self.held.remove(&partition) else { return };
        if let Some(reason) = stop_reason.filter(|_| !self.failed.contains(&partition)) {
            self.set_elsewhere(partition);
            if reason == StopReason::GivenBack
                && let Err(error) = self.results.release(&lease).await
            {
                // The next beat asks for it again, and it is given back then.
                tracing::warn!(partition, %error, "could not give a partition back");
            }
        }
        self.measure();
    }

    fn fail(&mut self, partition: u32, pump: Pump, error: ProcessorError) {
        tracing::error!(partition, ?pump, %error, "a pump of a partition has stopped for good");
        self.shared.status.update(partition, pump, |s| s.phase = Phase::Stopped(error.to_string()));
        if pump == Pump::Results {
            self.failed.insert(partition);
            self.first_error.get_or_insert(error);
        }
        let stopped = |s: &PumpStatus| u64::from(matches!(s.phase, Phase::Stopped(_)));
        self.shared.metrics.stopped_partitions.set(self.shared.status.sum(Pump::Results, stopped) as f64);
    }

    fn set_elsewhere(&self, partition: u32) {
        for pump in [Pump::Results, Pump::Archive] {
            self.shared.status.update(partition, pump, |s| *s = PumpStatus { phase: Phase::Elsewhere, ..PumpStatus::default() });
        }
    }

    fn measure(&self) {
        self.shared.metrics.partitions.set(self.held.len() as f64);
    }
}

/// Wait for the next beat; for ever, if there are no beats.
async fn tick(beats: &mut Option<Interval>) {
    match beats {
        Some(beats) => _ = beats.tick().await,
        None => std::future::pending().await,
    }
}
