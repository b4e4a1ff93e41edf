//! Spans of the records of streams that are followed: from the seal of a record to its ack. See [`boxbox_schemas::trace`]; without a tracer in
//! this process nothing is kept here.

use std::collections::{BTreeMap, VecDeque};
use std::time::{SystemTime, UNIX_EPOCH};

use boxbox_schemas::grant;
use boxbox_schemas::record::Kind;
use boxbox_schemas::trace::{self, Part, Stage};
use boxbox_schemas::{DriverId, SessionId, StreamKey, TenantId};
use parking_lot::Mutex;

use crate::observe::StreamName;

/// Records whose acks are waited for, of one stream; a spool may hold far more.
const WAITING_MAX: usize = 4_096;

/// What is followed of one client.
#[derive(Default)]
pub(crate) struct Followed {
    /// Who the client is, as its grant says. Only for ids of spans, so the grant need not be verified.
    who: Option<(TenantId, DriverId)>,
    streams: Mutex<BTreeMap<u64, Stream>>,
}

struct Stream {
    key: StreamKey,
    /// First number, first number after it, and when it was sealed, Unix µs.
    waiting: VecDeque<(u64, u64, i64)>,
}

impl Followed {
    pub(crate) fn new(token: &str) -> Self {
        let who = trace::tracer().and_then(|_| grant::peek(token)).map(|grant| (grant.tenant, grant.driver));
        Self { who, streams: Mutex::default() }
    }

    /// A stream begins.
    pub(crate) fn begin(&self, id: u64, name: &StreamName) {
        let Some((tenant, driver)) = self.who else { return };
        let key = StreamKey { tenant, session: SessionId::of(&tenant, &name.source), driver, run: name.run };
        if trace::of(&key).is_some() {
            self.streams.lock().insert(id, Stream { key, waiting: VecDeque::new() });
        }
    }

    /// A record of a stream was sealed.
    pub(crate) fn sealed(&self, id: u64, kind: Kind, first: u64, next: u64) {
        if self.who.is_none() || kind != Kind::CAR {
            return;
        }
        if let Some(stream) = self.streams.lock().get_mut(&id) {
            if stream.waiting.len() == WAITING_MAX {
                stream.waiting.pop_front();
            }
            stream.waiting.push_back((first, next, now_us()));
        }
    }

    /// Everything of a stream below `acked` is durable; `done`: nothing more comes.
    pub(crate) fn acked(&self, id: u64, acked: u64, done: bool) {
        let Some(tracer) = trace::tracer().filter(|_| self.who.is_some()) else { return };
        let mut streams = self.streams.lock();
        let Some(stream) = streams.get_mut(&id) else { return };
        let end_us = now_us();
        while let Some((first, next, start_us)) = stream.waiting.pop_front_if(|(_, next, _)| *next <= acked) {
            tracer.record(Stage::Client, &Part { stream: &stream.key, first, next, start_us, end_us }, false, Vec::new);
        }
        if done {
            streams.remove(&id);
        }
    }
}

fn now_us() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros() as i64)
}
