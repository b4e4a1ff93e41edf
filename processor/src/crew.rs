//! [`Crew`]: the partitions that this processor works on, two pumps each.
//!
//! A store for one processor is taken whole. Where several processors share one, each beats (E5): it is told what it owns,
//! starts pumps for what is new, gives back what others lack once its steps are committed, and drops what it has lost. Nothing
//! here keeps two processors apart: the store's fence does, so a processor that slept and does not know yet does no harm.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use boxbox_log::Log;
use boxbox_store::{Archive, Lease, Member, Share, Steps, StoreError};
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::{Interval, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::error::ProcessorError;
use crate::pump::relay::relay;
use crate::pump::{self, Post, Shared};
use crate::status::{Phase, Pump, PumpStatus};

/// Beats within a member's time to live: some may get lost.
const BEATS: u32 = 5;

/// See the [module](self).
pub(crate) struct Crew {
    shared: Arc<Shared>,
    log: Arc<dyn Log>,
    results: Arc<dyn Steps>,
    archive: Arc<dyn Archive>,
    member: Member,
    /// Partitions that pumps work on.
    held: BTreeMap<u32, Held>,
    /// Partitions whose results have failed for good.
    failed: BTreeSet<u32>,
    first: Option<ProcessorError>,
    jobs: JoinSet<Ended>,
    tasks: BTreeMap<Id, (u32, Pump)>,
    /// The last beat was not answered.
    unheard: bool,
}

struct Held {
    lease: Lease,
    stop: CancellationToken,
    /// Pumps at work.
    pumps: u32,
    why_stop: Option<Why>,
}

/// Why a partition is not worked on any more.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Why {
    /// Others lack it.
    GivenBack,
    /// Another has it.
    Lost,
}

enum Ended {
    Acquired(Result<Option<Lease>, ProcessorError>),
    Pump(Result<(), ProcessorError>),
}

impl Crew {
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
            first: None,
            jobs: JoinSet::new(),
            tasks: BTreeMap::new(),
            unheard: false,
        }
    }

    /// See [`Processor::run`](crate::Processor::run).
    pub(crate) async fn work(mut self, asked: CancellationToken) -> Result<(), ProcessorError> {
        let stop = asked.child_token();
        let sharing = self.results.shared();
        let mut beats = (sharing).then(|| self.beats());
        if !sharing {
            (0..self.log.partitions()).for_each(|partition| self.acquire(partition, &stop));
        }
        while !(self.jobs.is_empty() && (stop.is_cancelled() || !sharing)) {
            tokio::select! {
                Some(ended) = self.jobs.join_next_with_id() => self.ended(ended, &stop).await,
                () = tick(&mut beats), if !stop.is_cancelled() => {
                    let (results, log) = (self.results.clone(), self.log.clone());
                    tokio::select! {
                        share = results.beat(log.id(), log.partitions(), &self.member) => self.reconcile(share, &stop),
                        () = stop.cancelled() => {}
                    }
                }
                // Only to look at the condition again.
                () = stop.cancelled(), if beats.is_some() => beats = None,
            }
            // Without results there is nothing to wait for; archive pumps commit what they hold and end.
            if self.failed.len() as u32 == self.log.partitions() {
                stop.cancel();
            }
        }
        if sharing && let Err(error) = self.results.leave(self.log.id(), &self.member).await {
            tracing::warn!(%error, "could not say that this processor leaves: others take over when its time is up");
        }
        self.first.filter(|_| !asked.is_cancelled()).map_or(Ok(()), Err)
    }

    fn beats(&self) -> Interval {
        let mut beats = interval(self.member.ttl / BEATS);
        beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        beats
    }

    fn post(&self, partition: u32, pump: Pump, stop: &CancellationToken) -> Post {
        Post { shared: self.shared.clone(), log: self.log.clone(), partition, pump, stop: stop.clone() }
    }

    /// Take a partition of a store that is not shared.
    fn acquire(&mut self, partition: u32, stop: &CancellationToken) {
        let (post, results) = (self.post(partition, Pump::Results, stop), self.results.clone());
        let acquire = async move {
            let log = post.log.clone();
            let (results, log) = (&results, &log);
            Ended::Acquired(post.patiently("start", || async move { Ok(results.acquire(log.id(), partition).await?) }).await)
        };
        let task = self.jobs.spawn(acquire);
        self.tasks.insert(task.id(), (partition, Pump::Results));
    }

    /// Make what pumps work on what the store says is ours.
    fn reconcile(&mut self, share: Result<Share, StoreError>, stop: &CancellationToken) {
        let share = match share {
            Ok(share) => share,
            Err(error) => {
                // What is held goes on: the fence decides, not this process.
                if !std::mem::replace(&mut self.unheard, true) {
                    tracing::warn!(%error, "the results store does not hear that this processor is alive; trying again");
                }
                self.shared.metrics.retries.increment(1);
                return;
            }
        };
        if std::mem::take(&mut self.unheard) {
            tracing::info!("the results store answers again");
        }
        self.shared.metrics.members.set(f64::from(share.members));
        let ours: BTreeMap<u32, &Lease> = share.leases.iter().map(|lease| (lease.partition, lease)).collect();
        for (partition, held) in &mut self.held {
            let why = match ours.get(partition) {
                Some(lease) if lease.epoch == held.lease.epoch => share.give_back.contains(partition).then_some(Why::GivenBack),
                _ => Some(Why::Lost),
            };
            if let (None, Some(why)) = (held.why_stop, why) {
                tracing::info!(partition, lost = why == Why::Lost, "a partition is another processor's from now on");
                held.why_stop = Some(why);
                held.stop.cancel();
            }
        }
        for (partition, lease) in ours {
            if !self.held.contains_key(&partition) && !self.failed.contains(&partition) && !share.give_back.contains(&partition) {
                self.begin(lease.clone(), stop);
            }
        }
        for partition in 0..self.log.partitions() {
            if !self.held.contains_key(&partition) && !self.failed.contains(&partition) {
                self.elsewhere(partition);
            }
        }
        self.measure();
    }

    /// Work on a partition that is ours.
    fn begin(&mut self, lease: Lease, stop: &CancellationToken) {
        let (partition, stop) = (lease.partition, stop.child_token());
        for pump in [Pump::Results, Pump::Archive] {
            self.shared.status.update(partition, pump, |s| *s = PumpStatus::default());
        }
        let pace = self.shared.config.pace.unwrap_or_else(|| self.archive.pace());
        let (feeder, follower) = relay(pace.bytes);
        let (post, results, mine) = (self.post(partition, Pump::Results, &stop), self.results.clone(), lease.clone());
        let task = self.jobs.spawn(async move { Ended::Pump(pump::results::run(post, results, mine, feeder).await) });
        self.tasks.insert(task.id(), (partition, Pump::Results));
        let (post, archive, mine) = (self.post(partition, Pump::Archive, &stop), self.archive.clone(), lease.clone());
        let task = self.jobs.spawn(async move { Ended::Pump(pump::archive::run(post, archive, mine, pace, follower).await) });
        self.tasks.insert(task.id(), (partition, Pump::Archive));
        self.held.insert(partition, Held { lease, stop, pumps: 2, why_stop: None });
        self.measure();
    }

    async fn ended(&mut self, ended: Result<(Id, Ended), JoinError>, stop: &CancellationToken) {
        let (id, ended) = match ended {
            Ok((id, ended)) => (id, Some(ended)),
            Err(panic) => (panic.id(), None),
        };
        let Some((partition, pump)) = self.tasks.remove(&id) else { return };
        match ended.unwrap_or(Ended::Pump(Err(ProcessorError::Panicked(partition)))) {
            Ended::Acquired(Ok(Some(lease))) => self.begin(lease, stop),
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
            // What one pump is refused, the other is too: both end, and the next beat says what is ours.
            Err(error @ ProcessorError::Store(StoreError::Fenced { .. })) if self.results.shared() => {
                tracing::warn!(partition, ?pump, %error, "this processor had lost a partition and wrote nothing more to it");
                if let Some(held) = self.held.get_mut(&partition) {
                    held.why_stop = Some(Why::Lost);
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
        let Some(Held { lease, why_stop, .. }) = self.held.remove(&partition) else { return };
        if let Some(why) = why_stop.filter(|_| !self.failed.contains(&partition)) {
            self.elsewhere(partition);
            if why == Why::GivenBack
                && let Err(error) = self.results.release(&lease).await
            {
                // It is asked for again at the next beat, and given back once more.
                tracing::warn!(partition, %error, "could not give a partition back");
            }
        }
        self.measure();
    }

    fn fail(&mut self, partition: u32, pump: Pump, error: ProcessorError) {
        tracing::error!(partition, ?pump, %error, "a partition is not worked on any more");
        self.shared.status.update(partition, pump, |s| s.phase = Phase::Stopped(error.to_string()));
        if pump == Pump::Results {
            self.failed.insert(partition);
            self.first.get_or_insert(error);
        }
        let stopped = |s: &PumpStatus| u64::from(matches!(s.phase, Phase::Stopped(_)));
        self.shared.metrics.stopped_partitions.set(self.shared.status.sum(Pump::Results, stopped) as f64);
    }

    fn elsewhere(&self, partition: u32) {
        for pump in [Pump::Results, Pump::Archive] {
            self.shared.status.update(partition, pump, |s| *s = PumpStatus { phase: Phase::Elsewhere, ..PumpStatus::default() });
        }
    }

    fn measure(&self) {
        self.shared.metrics.partitions.set(self.held.len() as f64);
    }
}

/// The next beat; never, if there is none.
async fn tick(beats: &mut Option<Interval>) {
    match beats {
        Some(beats) => _ = beats.tick().await,
        None => std::future::pending().await,
    }
}
