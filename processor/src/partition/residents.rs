//! How sessions of a partition come into memory and leave it (see [`resident`](crate::resident)).

use std::collections::{BTreeMap, BTreeSet};

use boxbox_schemas::results::{Beginning, SessionKey};
use boxbox_schemas::stamp::LogRecord;
use boxbox_schemas::{LogId, SessionId};
use boxbox_store::Found;
use bytes::Bytes;

use super::Partition;
use crate::account::Accounts;
use crate::error::StateError;
use crate::resident::Elsewhere;
use crate::session::Session;

impl Partition {
    /// Continue from a store's `beginning` of this partition: sessions are put ([`Partition::put`]) when [`Partition::process`] asks for them.
    pub fn resume(log: LogId, partition: u32, partitions: u32, beginning: Beginning) -> Self {
        let open = beginning.open.into_iter().map(|key| (key.id(), (key, 0))).collect();
        let accounts = Accounts::restore(beginning.accounts);
        Self::with((log, partition, partitions), BTreeMap::new(), Some(Elsewhere { open, ..Elsewhere::default() }), accounts)
    }

    /// The sessions that `records` need and that are not here, in the order of the records, at most `most`.
    pub fn missing<'a>(&self, records: impl IntoIterator<Item = &'a Bytes>, most: usize) -> Vec<SessionId> {
        let (mut missing, mut seen) = (vec![], BTreeSet::new());
        let Some(elsewhere) = &self.elsewhere else { return missing };
        for record in records {
            // What cannot be read is quarantined, and needs no session.
            let Ok(LogRecord { stamp, .. }) = LogRecord::parse(record.clone()) else { continue };
            let id = stamp.session;
            if id.partition(self.partitions) == self.partition && !self.sessions.contains_key(&id) && !elsewhere.has_none(&id) && seen.insert(id) {
                missing.push(id);
                if missing.len() == most {
                    break;
                }
            }
        }
        missing
    }

    /// Take a session as it was found in the store. Returns its id if it is parked, because it is too large.
    pub fn put(&mut self, found: Found) -> Result<Option<SessionId>, StateError> {
        let Some(elsewhere) = &mut self.elsewhere else { return Ok(None) };
        let (mut session, parked) = match found {
            Found::Nothing(id) => {
                elsewhere.new.insert(id);
                return Ok(None);
            }
            Found::Whole(state) => (Session::from_state(*state)?, false),
            Found::TooLarge(info) => (Session::restore(*info), true),
        };
        let id = session.info().id;
        session.residence.parked = parked;
        session.residence.used = self.processed;
        session.records = elsewhere.open.remove(&id).map_or(0, |(_, records)| records);
        elsewhere.parked.extend(parked.then_some(id));
        self.bytes += session.residence.bytes;
        self.sessions.insert(id, session);
        Ok(parked.then_some(id))
    }

    /// About how many bytes the sessions take that are here.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// How many sessions are here, and how many of them are parked.
    pub fn here(&self) -> (usize, usize) {
        (self.sessions.len(), self.elsewhere.as_ref().map_or(0, |elsewhere| elsewhere.parked.len()))
    }

    /// Whether this session is here and parked.
    pub fn is_parked(&self, session: &SessionId) -> bool {
        self.elsewhere.as_ref().is_some_and(|elsewhere| elsewhere.parked.contains(session))
    }

    /// Number of records processed since the start.
    pub fn processed(&self) -> u64 {
        self.processed
    }

    /// Closed sessions leave of which nothing has come since [`Partition::processed`] was `mark`. Returns how many. Call it, and
    /// [`Partition::make_room`], only when every step that was taken is committed.
    pub fn leave_closed(&mut self, mark: u64) -> usize {
        let idle = |session: &&Session| session.info().closed && session.residence.used <= mark;
        let leaving: Vec<SessionId> = self.able_to_leave().filter(idle).map(|session| session.info().id).collect();
        leaving.iter().for_each(|id| self.leave(id));
        leaving.len()
    }

    /// Sessions leave, those used least recently first, until `bytes` are free or none can leave. Returns how many.
    pub fn make_room(&mut self, bytes: u64) -> usize {
        let (mut freed, mut left) = (0, 0);
        let mut by_use: Vec<_> = self.able_to_leave().map(|session| (session.residence.used, session.info().id, session.residence.bytes)).collect();
        by_use.sort_unstable();
        for (_, id, taken) in by_use {
            if freed >= bytes {
                break;
            }
            self.leave(&id);
            (freed, left) = (freed + taken, left + 1);
        }
        left
    }

    /// Sessions of which everything is in the store. A parked one stays: it would be read again to find that it is too large.
    fn able_to_leave(&self) -> impl Iterator<Item = &Session> {
        let may = self.elsewhere.is_some();
        self.sessions.values().filter(move |session| may && !session.residence.parked && !self.changed.contains(&session.info().id))
    }

    fn leave(&mut self, id: &SessionId) {
        let (Some(elsewhere), Some(session)) = (&mut self.elsewhere, self.sessions.remove(id)) else { return };
        self.bytes = self.bytes.saturating_sub(session.residence.bytes);
        let info = session.info();
        if !info.closed {
            elsewhere.open.insert(*id, (SessionKey { tenant: info.tenant, source: info.source }, session.records()));
        }
    }

    /// Every open session, here or not, and how many records of it have come since the start.
    pub fn open(&self) -> impl Iterator<Item = (SessionId, SessionKey, u64)> {
        let here = self.sessions.values().filter(|session| !session.info().closed);
        let here =
            here.map(|session| (session.info().id, SessionKey { tenant: session.info().tenant, source: session.info().source }, session.records()));
        let away = self.elsewhere.iter().flat_map(|elsewhere| &elsewhere.open);
        here.chain(away.map(|(id, (key, records))| (*id, *key, *records)))
    }
}
