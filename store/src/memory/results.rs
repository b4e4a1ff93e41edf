//! [`MemoryResults`].

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use boxbox_schemas::results::{Account, AnyRow, Beginning, CarNow, Checkpoint, Lap, Ledger, RowKey, RowKind, SessionInfo, SessionKey, SessionState};
use boxbox_schemas::{DriverId, EntryId, LogId, RunId, SessionId, TenantId};
use parking_lot::Mutex;

use super::league::AllLeagues;
use crate::rules::{QUARANTINE_MAX_ROWS, check_advance, check_sessions, check_step};
use crate::share::{self, PartitionOwner};
use crate::{
    BestLaps, FOUND_AT_ONCE_BYTES, Found, LapFilter, Lease, Member, PartitionState, Quarantined, SessionCursor, Sessions, Share, Step, Steps,
    StoreError, StoredSession, StreamState,
};

/// Results in memory.
#[derive(Clone, Default)]
pub struct MemoryResults {
    inner: Arc<Mutex<Inner>>,
}

type PartitionKey = (LogId, u32);

#[derive(Default)]
struct Inner {
    down: bool,
    shared: bool,
    /// When each member's leases end.
    members: BTreeMap<(LogId, String), Instant>,
    partitions: BTreeMap<PartitionKey, Partition>,
    sessions: BTreeMap<SessionId, (PartitionKey, SessionInfo)>,
    streams: BTreeMap<(SessionId, DriverId, RunId), StreamState>,
    facts: BTreeMap<(SessionId, EntryId, u32, DriverId, RunId, u32), Lap>,
    laps: BTreeMap<(SessionId, EntryId, u32), Lap>,
    rows: BTreeMap<(SessionId, RowKey, RowKind), AnyRow>,
    leagues: AllLeagues,
}

#[derive(Default)]
struct Partition {
    epoch: u64,
    owner: Option<String>,
    leaving: bool,
    checkpoint: Option<Checkpoint>,
    accounts: BTreeMap<(TenantId, DriverId), Account>,
    quarantine: BTreeMap<u64, Quarantined>,
}

impl MemoryResults {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty store that several processors share.
    pub fn shared() -> Self {
        let store = Self::default();
        store.inner.lock().shared = true;
        store
    }

    /// From now on answer, or fail like a store that is down.
    pub fn set_available(&self, up: bool) {
        self.inner.lock().down = !up;
    }

    /// The quarantined records of a partition, oldest first.
    pub async fn quarantine(&self, log: &LogId, partition: u32) -> Result<Vec<Quarantined>, StoreError> {
        self.read(|inner| inner.partitions.get(&(log.clone(), partition)).map(|p| p.quarantine.values().cloned().collect()).unwrap_or_default())
    }

    fn read<T>(&self, f: impl FnOnce(&Inner) -> T) -> Result<T, StoreError> {
        let inner = self.inner.lock();
        super::available(!inner.down)?;
        Ok(f(&inner))
    }

    pub(super) fn read_leagues<T>(&self, f: impl FnOnce(&AllLeagues) -> T) -> Result<T, StoreError> {
        self.read(|inner| f(&inner.leagues))
    }

    pub(super) fn change_leagues<T>(&self, f: impl FnOnce(&mut AllLeagues) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let mut inner = self.inner.lock();
        super::available(!inner.down)?;
        f(&mut inner.leagues)
    }

    fn read_session<T: Default>(&self, tenant: &TenantId, session: &SessionId, f: impl FnOnce(&Inner) -> T) -> Result<T, StoreError> {
        self.read(|inner| if inner.session(tenant, session).is_some() { f(inner) } else { T::default() })
    }
}

impl Inner {
    fn session(&self, tenant: &TenantId, session: &SessionId) -> Option<&SessionInfo> {
        self.sessions.get(session).map(|(_, info)| info).filter(|info| info.tenant == *tenant)
    }

    fn owned(&self, lease: &Lease) -> Result<&Partition, StoreError> {
        let newer = self.partitions.get(&(lease.log.clone(), lease.partition)).filter(|p| p.epoch == lease.epoch);
        newer.ok_or_else(|| StoreError::Fenced {
            partition: lease.partition,
            mine: lease.epoch,
            newer: self.partitions.get(&(lease.log.clone(), lease.partition)).map_or(0, |p| p.epoch),
        })
    }

    /// The sessions of a partition, in order of ids.
    fn of_partition<'a>(&'a self, lease: &Lease) -> impl Iterator<Item = &'a SessionInfo> {
        let key = (lease.log.clone(), lease.partition);
        self.sessions.values().filter(move |(owner, _)| *owner == key).map(|(_, info)| info)
    }

    /// The state of a session of the partition.
    fn state(&self, lease: &Lease, id: &SessionId) -> Option<SessionState> {
        let ((log, partition), info) = self.sessions.get(id)?;
        if (log, *partition) != (&lease.log, lease.partition) {
            return None;
        }
        let mut state = SessionState::new(info.clone());
        if !info.retired {
            state.streams = self.streams.iter().filter(|(k, _)| k.0 == *id).map(|(_, s)| s.clone()).collect();
            state.facts = self.facts.iter().filter(|(k, _)| k.0 == *id).map(|(_, l)| l.clone()).collect();
            state.laps = self.laps.iter().filter(|(k, _)| k.0 == *id).map(|(_, l)| l.clone()).collect();
            state.rows = self.rows.iter().filter(|(k, _)| k.0 == *id).map(|(_, r)| r.clone()).collect();
        }
        Some(state)
    }

    /// All checks of the step, before a change.
    fn check(&self, lease: &Lease, step: &Step) -> Result<(), StoreError> {
        check_step(lease, step)?;
        check_advance(self.owned(lease)?.checkpoint.as_ref(), &step.checkpoint)?;
        check_sessions(step, |id| self.sessions.get(id).map(|(_, info)| info.tenant))
    }

    fn apply(&mut self, step: Step) {
        let key = (step.checkpoint.log.clone(), step.checkpoint.partition);
        for session in &step.replaced {
            self.streams.retain(|k, _| k.0 != *session);
            self.facts.retain(|k, _| k.0 != *session);
            self.laps.retain(|k, _| k.0 != *session);
            self.rows.retain(|k, _| k.0 != *session);
        }
        self.sessions.extend(step.sessions.into_iter().map(|info| (info.id, (key.clone(), info))));
        for mut stream in step.streams {
            let key = (stream.ledger.stream.session, stream.ledger.stream.driver, stream.ledger.stream.run);
            let mut field: BTreeMap<_, _> = self.streams.remove(&key).into_iter().flat_map(|s| s.field).map(|f| (f.slot, f)).collect();
            field.extend(std::mem::take(&mut stream.field).into_iter().map(|f| (f.slot, f)));
            stream.field = field.into_values().collect();
            self.streams.insert(key, stream);
        }
        self.facts.extend(step.facts.into_iter().map(|l| ((l.session, l.entry, l.number, l.driver, l.run, l.timeline), l)));
        for key in &step.withdrawn {
            self.laps.remove(key);
        }
        self.laps.extend(step.laps.into_iter().map(|l| ((l.session, l.entry, l.number), l)));
        self.rows.extend(step.rows.into_iter().map(|r| ((r.head.session, r.head.key, r.kind), r)));
        for session in &step.retired {
            self.facts.retain(|k, _| k.0 != *session);
            self.laps.retain(|k, l| k.0 != *session || !l.superseded);
            self.rows.retain(|k, r| k.0 != *session || !r.head.superseded);
            for (_, stream) in self.streams.iter_mut().filter(|(k, _)| k.0 == *session) {
                stream.race = Default::default();
                stream.field.clear();
            }
        }
        let partition = self.partitions.entry(key).or_default();
        partition.checkpoint = Some(step.checkpoint);
        partition.accounts.extend(step.accounts.into_iter().map(|a| ((a.tenant, a.driver), a)));
        partition.quarantine.extend(step.quarantine.into_iter().map(|q| (q.offset, q)));
        while partition.quarantine.len() > QUARANTINE_MAX_ROWS {
            partition.quarantine.pop_first();
        }
    }
}

fn key_of(info: &SessionInfo) -> SessionKey {
    SessionKey { tenant: info.tenant, source: info.source }
}

#[async_trait]
impl Steps for MemoryResults {
    async fn acquire(&self, log: &LogId, partition: u32) -> Result<Lease, StoreError> {
        let mut inner = self.inner.lock();
        super::available(!inner.down)?;
        let owned = inner.partitions.entry((log.clone(), partition)).or_default();
        (owned.epoch, owned.owner, owned.leaving) = (owned.epoch + 1, None, false);
        Ok(Lease { log: log.clone(), partition, epoch: owned.epoch })
    }

    fn shared(&self) -> bool {
        self.inner.lock().shared
    }

    async fn beat(&self, log: &LogId, partitions: u32, member: &Member) -> Result<Share, StoreError> {
        let mut inner = self.inner.lock();
        super::available(!inner.down)?;
        let now = Instant::now();
        inner.members.insert((log.clone(), member.name.clone()), now + member.ttl);
        inner.members.retain(|_, until| *until > now);
        let members: BTreeSet<String> = inner.members.keys().filter(|(of, _)| of == log).map(|(_, name)| name.clone()).collect();
        let owners: Vec<PartitionOwner> = (0..partitions)
            .map(|partition| match inner.partitions.get(&(log.clone(), partition)) {
                Some(p) => PartitionOwner { number: partition, owner: p.owner.clone(), leaving: p.leaving },
                None => PartitionOwner { number: partition, owner: None, leaving: false },
            })
            .collect();
        let turn = share::turn(&owners, &members, &member.name);
        for partition in turn.take {
            let taken = inner.partitions.entry((log.clone(), partition)).or_default();
            (taken.epoch, taken.owner, taken.leaving) = (taken.epoch + 1, Some(member.name.clone()), false);
        }
        for partition in turn.give_back {
            inner.partitions.entry((log.clone(), partition)).or_default().leaving = true;
        }
        let mine = inner.partitions.iter().filter(|((of, _), p)| of == log && p.owner.as_ref() == Some(&member.name));
        let (mut leases, mut give_back) = (vec![], vec![]);
        for ((_, partition), p) in mine {
            leases.push(Lease { log: log.clone(), partition: *partition, epoch: p.epoch });
            give_back.extend(p.leaving.then_some(*partition));
        }
        Ok(Share { leases, give_back, members: members.len() as u32 })
    }

    async fn release(&self, lease: &Lease) -> Result<(), StoreError> {
        let mut inner = self.inner.lock();
        super::available(!inner.down)?;
        let owned = inner.partitions.get_mut(&(lease.log.clone(), lease.partition));
        if let Some(owned) = owned.filter(|p| p.epoch == lease.epoch) {
            (owned.owner, owned.leaving) = (None, false);
        }
        Ok(())
    }

    async fn leave(&self, log: &LogId, member: &Member) -> Result<(), StoreError> {
        let mut inner = self.inner.lock();
        super::available(!inner.down)?;
        inner.members.remove(&(log.clone(), member.name.clone()));
        Ok(())
    }

    async fn begin(&self, lease: &Lease) -> Result<Beginning, StoreError> {
        self.read(|inner| {
            let owned = inner.owned(lease)?;
            let (checkpoint, accounts) = (owned.checkpoint.clone(), owned.accounts.values().cloned().collect());
            Ok(Beginning { checkpoint, accounts, open: inner.of_partition(lease).filter(|s| !s.closed).map(key_of).collect() })
        })?
    }

    async fn find(&self, lease: &Lease, sessions: &[SessionId], max_bytes: u64) -> Result<Vec<Found>, StoreError> {
        self.read(|inner| {
            inner.owned(lease)?;
            let (mut found, mut bytes) = (vec![], 0);
            for id in sessions {
                let Some(state) = inner.state(lease, id) else {
                    found.push(Found::Nothing(*id));
                    continue;
                };
                if bytes >= FOUND_AT_ONCE_BYTES {
                    break;
                }
                bytes += state.bytes().min(max_bytes);
                let too_large = state.bytes() > max_bytes && !state.info.retired;
                found.push(if too_large { Found::TooLarge(Box::new(state.info)) } else { Found::Whole(Box::new(state)) });
            }
            Ok(found)
        })?
    }

    async fn closed_before(&self, lease: &Lease, us: i64, limit: u32) -> Result<Vec<SessionKey>, StoreError> {
        self.read(|inner| {
            inner.owned(lease)?;
            let mut due: Vec<_> = inner.of_partition(lease).filter(|s| s.closed && !s.retired && s.opened_at_us.max(s.updated_at_us) <= us).collect();
            due.sort_by_key(|s| (s.opened_at_us, s.id));
            Ok(due.into_iter().take(limit as usize).map(key_of).collect())
        })?
    }

    async fn load(&self, lease: &Lease) -> Result<PartitionState, StoreError> {
        self.read(|inner| {
            let owned = inner.owned(lease)?;
            let (checkpoint, accounts) = (owned.checkpoint.clone(), owned.accounts.values().cloned().collect());
            let key = (lease.log.clone(), lease.partition);
            let here = |id: &SessionId| inner.sessions.get(id).is_some_and(|(owner, info)| *owner == key && !info.retired);
            Ok(PartitionState {
                checkpoint,
                streams: inner.streams.iter().filter(|(k, _)| here(&k.0)).map(|(_, s)| s.clone()).collect(),
                sessions: inner.sessions.iter().filter(|(_, (owner, _))| *owner == key).map(|(_, (_, s))| s.clone()).collect(),
                facts: inner.facts.iter().filter(|(k, _)| here(&k.0)).map(|(_, l)| l.clone()).collect(),
                laps: inner.laps.iter().filter(|(k, _)| here(&k.0)).map(|(_, l)| l.clone()).collect(),
                rows: inner.rows.iter().filter(|(k, _)| here(&k.0)).map(|(_, r)| r.clone()).collect(),
                accounts,
            })
        })?
    }

    async fn stored(&self, session: &SessionId) -> Result<Option<StoredSession>, StoreError> {
        self.read(|inner| {
            let ((log, partition), info) = inner.sessions.get(session)?;
            let place = (log.clone(), *partition);
            Some(StoredSession {
                checkpoint: inner.partitions.get(&place)?.checkpoint.clone()?,
                info: info.clone(),
                ledgers: inner.streams.iter().filter(|(k, _)| k.0 == *session).map(|(_, s)| s.ledger.clone()).collect(),
                laps: inner.laps.iter().filter(|(k, l)| k.0 == *session && !l.superseded).map(|(_, l)| l.clone()).collect(),
                rows: inner.rows.iter().filter(|(k, r)| k.0 == *session && !r.head.superseded).map(|(_, r)| r.clone()).collect(),
            })
        })
    }

    async fn commit(&self, lease: &Lease, step: &Step) -> Result<(), StoreError> {
        let mut inner = self.inner.lock();
        super::available(!inner.down)?;
        inner.check(lease, step)?;
        inner.apply(step.clone());
        Ok(())
    }
}

#[async_trait]
impl Sessions for MemoryResults {
    async fn sessions(&self, tenant: &TenantId, after: Option<SessionCursor>, limit: u32) -> Result<Vec<SessionInfo>, StoreError> {
        self.read(|inner| {
            let place = |opened_at_us: i64, id: SessionId| (std::cmp::Reverse(opened_at_us), id);
            let mut all: Vec<_> = inner.sessions.values().map(|(_, s)| s).filter(|s| s.tenant == *tenant).collect();
            all.sort_by_key(|s| place(s.opened_at_us, s.id));
            let rest = all.into_iter().filter(|s| after.is_none_or(|a| place(s.opened_at_us, s.id) > place(a.opened_at_us, a.id)));
            rest.take(limit as usize).cloned().collect()
        })
    }

    async fn session(&self, tenant: &TenantId, session: &SessionId) -> Result<Option<SessionInfo>, StoreError> {
        self.read(|inner| inner.session(tenant, session).cloned())
    }

    async fn laps(
        &self,
        tenant: &TenantId,
        session: &SessionId,
        filter: &LapFilter,
        after: Option<(EntryId, u32)>,
        limit: u32,
    ) -> Result<Vec<Lap>, StoreError> {
        self.read_session(tenant, session, |inner| {
            let shown = inner.laps.values().filter(|l| l.session == *session && !l.superseded && filter.lets_pass(l));
            shown.filter(|l| after.is_none_or(|a| (l.entry, l.number) > a)).take(limit as usize).cloned().collect()
        })
    }

    async fn laps_at(&self, tenant: &TenantId, session: &SessionId, at_us: i64) -> Result<Vec<Lap>, StoreError> {
        self.read_session(tenant, session, |inner| {
            let mut begun: Vec<_> = inner.laps.values().filter(|l| l.session == *session && !l.superseded && l.start_us <= at_us).collect();
            begun.sort_by_key(|l| (l.entry, l.start_us, l.number));
            let mut found: Vec<Lap> =
                begun.chunk_by(|a, b| a.entry == b.entry).flat_map(|of| &of[of.len().saturating_sub(2)..]).map(|l| (*l).clone()).collect();
            found.sort_by_key(|l| (l.entry, l.number));
            found
        })
    }

    async fn best_laps(&self, tenant: &TenantId, session: &SessionId, of: BestLaps) -> Result<Vec<Lap>, StoreError> {
        self.read_session(tenant, session, |inner| {
            let counting = inner.laps.values().filter(|l| l.session == *session && !l.superseded && of.lets_pass(l));
            let mut best: BTreeMap<EntryId, &Lap> = BTreeMap::new();
            for lap in counting {
                let kept = best.entry(lap.entry).or_insert(lap);
                if (lap.deciding_us(), lap.end_us) < (kept.deciding_us(), kept.end_us) {
                    *kept = lap;
                }
            }
            best.into_values().cloned().collect()
        })
    }

    async fn lap(&self, tenant: &TenantId, session: &SessionId, entry: &EntryId, number: u32) -> Result<Option<Lap>, StoreError> {
        self.read_session(tenant, session, |inner| inner.laps.get(&(*session, *entry, number)).filter(|l| !l.superseded).cloned())
    }

    async fn rows(&self, tenant: &TenantId, session: &SessionId, kind: RowKind) -> Result<Vec<AnyRow>, StoreError> {
        self.read_session(tenant, session, |inner| {
            let of_kind = |r: &&AnyRow| r.head.session == *session && r.kind == kind && !r.head.superseded;
            let mut shown: Vec<_> = inner.rows.values().filter(of_kind).cloned().collect();
            shown.sort_by_key(|AnyRow { head, .. }| {
                let RowKey { driver, run, timeline, slot, tick } = head.key;
                (head.entry, head.sim_time_us, driver, run, slot, timeline, tick)
            });
            shown
        })
    }

    async fn cars(&self, tenant: &TenantId, session: &SessionId) -> Result<Vec<CarNow>, StoreError> {
        self.read_session(tenant, session, |inner| {
            let of = |s: &StreamState| s.now.clone().into_iter().chain(s.field.iter().filter_map(|f| f.now.clone())).collect::<Vec<_>>();
            let mut shown: Vec<_> = inner.streams.iter().filter(|(k, _)| k.0 == *session).flat_map(|(_, s)| of(s)).collect();
            shown.sort_by_key(|c| (c.entry, c.driver, c.run, c.slot));
            shown
        })
    }

    async fn ledgers(&self, tenant: &TenantId, session: &SessionId) -> Result<Vec<Ledger>, StoreError> {
        self.read_session(tenant, session, |inner| inner.streams.iter().filter(|(k, _)| k.0 == *session).map(|(_, s)| s.ledger.clone()).collect())
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.read(|_| ())
    }
}
