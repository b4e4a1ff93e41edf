//! What clients send, as edges log it: [`Sender`] makes the records of one driver's client, [`Input`] is a whole log with
//! everything that decides what comes out of it. No clock and no chance: the same calls give the same bytes.

use boxbox_schemas::event::{EndFrame, EndReason, EventCode, EventFrame, GapFrame, GapReason, Reject, VoidFrame};
use boxbox_schemas::meta::SessionMeta;
use boxbox_schemas::record::{Kind, Prelude, archive, seal};
use boxbox_schemas::stamp::Stamp;
use boxbox_schemas::{DriverId, GrantId, LogId, RunId, SessionId, ShortId, Source, TenantId};
use bytes::Bytes;

/// When session time 0 was, Unix µs.
const EPOCH_US: i64 = 1_700_000_000_000_000;
/// Records that a client has sent and not heard of when its connection is lost: it sends them again.
const UNACKED: usize = 3;

/// The log of one race.
#[derive(Clone)]
pub struct Input {
    /// Names the race, its tenant and its log: letters, digits, `-` and `_`.
    pub name: String,
    /// In order of offsets.
    pub records: Vec<Bytes>,
    /// A step is committed every so many records: how often a lap is told depends on it.
    pub every: usize,
    /// And after this many records.
    pub cuts: Vec<usize>,
}

impl Input {
    pub fn tenant(&self) -> TenantId {
        tenant(&self.name)
    }

    pub fn log(&self) -> LogId {
        LogId(self.name.clone())
    }

    /// Where steps end behind record `from`, the last at `until`.
    pub fn steps(&self, from: usize, until: usize) -> Vec<usize> {
        let regular = (1..).map(|n| n * self.every).take_while(|end| *end < until);
        let mut ends: Vec<usize> = regular.chain(self.cuts.iter().copied()).chain([until]).filter(|end| (from + 1..=until).contains(end)).collect();
        ends.sort_unstable();
        ends.dedup();
        ends
    }
}

/// The tenant of the race `name`.
pub fn tenant(name: &str) -> TenantId {
    TenantId::new(name).unwrap()
}

/// When an edge takes what is sent at session time `us`, Unix µs.
pub fn received_us(us: i64) -> i64 {
    EPOCH_US + us
}

/// A record that a client has made.
struct Made {
    /// Session time at which it arrives, µs.
    at_us: i64,
    /// W5: the lowest number that is not acked.
    base: u64,
    prelude: Prelude,
    bytes: Bytes,
}

/// Stamped records with the session times of their arrival, µs.
pub type Timed = (i64, Bytes);

/// What becomes of a record that never arrives as it was made.
#[derive(Clone, Copy)]
pub enum Loss {
    /// The client gave it up, its spool was full.
    Gap,
    /// An edge refused it.
    Void,
    /// It was acked and is not in the log.
    Hole,
}

/// The client of one driver in one session.
pub struct Sender {
    tenant: TenantId,
    driver: DriverId,
    frames_a_record: u16,
    prelude: Prelude,
    batch: (Kind, Vec<u8>, u16),
    at_us: i64,
    /// The newest frame: tick and session time.
    last: (u32, i64),
    made: Vec<Made>,
    /// The connection is lost since this many records.
    held: Option<usize>,
}

impl Sender {
    /// Not yet in a run: [`Sender::begin`] comes next.
    pub fn new(tenant: TenantId, driver: DriverId, source: Source, slot: u16, frames_a_record: u16) -> Self {
        let prelude = Prelude { kind: Kind::CAR, run: RunId::default(), source, slot, meta_rev: 0, first_seq: 0, count: 1 };
        Self { tenant, driver, frames_a_record, prelude, batch: (Kind::CAR, vec![], 0), at_us: 0, last: (0, 0), made: vec![], held: None }
    }

    /// The client is started (again), at session time `us`.
    pub fn begin(&mut self, run: RunId, us: i64) {
        self.flush();
        self.at_us = us;
        self.prelude = Prelude { run, meta_rev: 0, first_seq: 0, ..self.prelude };
    }

    pub fn meta(&mut self, meta: &SessionMeta) {
        self.flush();
        self.prelude.meta_rev += 1;
        self.one(Kind::META, &archive(meta));
    }

    /// A frame of `kind` of session time `us`; `tick` of the client's own car.
    pub fn frame(&mut self, kind: Kind, own: Option<u32>, us: i64, frame: &[u8]) {
        self.at_us = us;
        self.last = own.map_or(self.last, |tick| (tick, us));
        if self.batch.0 != kind || self.batch.2 == self.frames_a_record {
            self.flush();
        }
        self.batch.0 = kind;
        self.batch.1.extend_from_slice(frame);
        self.batch.2 += 1;
    }

    pub fn event(&mut self, code: EventCode, tick: u32, sim_time_us: i64) {
        self.flush();
        self.one(Kind::EVENT, &archive(&EventFrame { tick, sim_time_us, code, ..EventFrame::default() }));
    }

    /// The driver leaves, at the newest frame.
    pub fn end(&mut self, reason: EndReason) {
        self.flush();
        let (tick, sim_time_us) = self.last;
        self.one(Kind::END, &archive(&EndFrame { tick, sim_time_us, reason, ..EndFrame::default() }));
    }

    /// The connection is lost: nothing arrives until [`Sender::reconnect`].
    pub fn disconnect(&mut self) {
        self.flush();
        self.held = Some(self.made.len());
    }

    /// What waited arrives now, and before it what was not acked, for the second time.
    pub fn reconnect(&mut self) {
        self.flush();
        let Some(held) = self.held.take() else { return };
        let run = self.prelude.run;
        let again = self.made[held.saturating_sub(UNACKED)..held].iter().filter(|m| m.prelude.run == run);
        let again: Vec<Made> = again.map(|m| Made { at_us: self.at_us, base: m.base, prelude: m.prelude, bytes: m.bytes.clone() }).collect();
        let base = again.first().or(self.made.get(held)).map_or(0, |m| m.prelude.first_seq);
        for late in self.made[held..].iter_mut().filter(|m| m.prelude.run == run) {
            (late.at_us, late.base) = (self.at_us, base);
        }
        self.made.splice(held..held, again.into_iter().map(|m| Made { base, ..m }));
    }

    /// `loss` happens to the record of the client's own frames that comes after `share` of all.
    pub fn lose(&mut self, share: f64, loss: Loss) {
        self.flush();
        let from = (self.made.len() as f64 * share) as usize;
        let Some(n) = (from..self.made.len()).find(|n| self.made[*n].prelude.kind == Kind::CAR) else { return };
        let lost = &mut self.made[n];
        let (first, next) = (lost.prelude.first_seq, lost.prelude.first_seq + u64::from(lost.prelude.count));
        let (kind, payload) = match loss {
            Loss::Gap => (Kind::GAP, archive(&GapFrame { next, reason: GapReason::SPOOL_FULL, ..GapFrame::default() })),
            Loss::Void => (Kind::VOID, archive(&VoidFrame { next, reason: Reject::RANGE, ..VoidFrame::default() })),
            Loss::Hole => {
                self.made.remove(n);
                return;
            }
        };
        lost.prelude = Prelude { kind, count: 1, first_seq: first, ..lost.prelude };
        lost.bytes = seal(&lost.prelude, &payload).unwrap();
    }

    /// All that arrives, stamped, in order.
    pub fn sent(mut self) -> Vec<Timed> {
        self.flush();
        let stamp = |m: &Made| Stamp {
            tenant: self.tenant,
            driver: self.driver,
            grant: GrantId([1; 16]),
            session: SessionId::of(&self.tenant, &m.prelude.source),
            edge: ShortId::new("edge").unwrap(),
            received_at_us: received_us(m.at_us),
            base: m.base,
        };
        self.made.iter().map(|m| (m.at_us, stamp(m).seal(&m.bytes))).collect()
    }

    fn one(&mut self, kind: Kind, frame: &[u8]) {
        self.batch = (kind, frame.to_vec(), 1);
        self.flush();
    }

    fn flush(&mut self) {
        let (kind, payload, count) = std::mem::replace(&mut self.batch, (Kind::CAR, vec![], 0));
        if count == 0 {
            return;
        }
        let prelude = Prelude { kind, count, ..self.prelude };
        self.made.push(Made { at_us: self.at_us, base: prelude.first_seq, prelude, bytes: seal(&prelude, &payload).unwrap() });
        self.prelude.first_seq += u64::from(count);
    }
}

/// Everybody's records in order of arrival. Each client's own keep their order, although its session time may go back.
pub fn by_time(clients: &[Vec<Timed>]) -> Vec<Timed> {
    let mut all: Vec<(i64, usize, &Bytes)> = vec![];
    for (n, client) in clients.iter().enumerate() {
        let mut latest = i64::MIN;
        for (at_us, record) in client {
            latest = latest.max(*at_us);
            all.push((latest, n, record));
        }
    }
    // Stable.
    all.sort_by_key(|(at_us, n, _)| (*at_us, *n));
    all.into_iter().map(|(at_us, _, record)| (at_us, record.clone())).collect()
}

/// At random: each client's own records keep their order, and some clients run far ahead of others.
pub fn shuffled(clients: &[Vec<Timed>], rng: &mut fastrand::Rng) -> Vec<Timed> {
    let (mut next, mut out) = (vec![0; clients.len()], vec![]);
    loop {
        let left: Vec<usize> = (0..clients.len()).filter(|n| next[*n] < clients[*n].len()).collect();
        let Some(n) = rng.choice(left) else { return out };
        let stretch = if rng.bool() { 1 } else { rng.usize(1..200) };
        let until = (next[n] + stretch).min(clients[n].len());
        out.extend_from_slice(&clients[n][next[n]..until]);
        next[n] = until;
    }
}
