//! [`SessionLog`]: the log of one session, made again from its archive.

use std::collections::VecDeque;

use boxbox_schemas::results::Span;
use boxbox_schemas::stamp::Stamp;
use boxbox_schemas::{DriverId, GrantId, SessionId, StreamKey, TenantId};
use boxbox_store::Archive;
use bytes::Bytes;

use super::closing::{self, Closing};
use super::stream::StreamReader;
use super::{Reached, RecomputeError};

/// Closings read at once: a session has a few.
const CLOSINGS_AT_ONCE: u32 = 100;

/// The log records of one session, made again from its archive. See the [module](super).
pub struct SessionLog<'a> {
    tenant: TenantId,
    session: SessionId,
    streams: Vec<StreamReader<'a>>,
    /// What the server did and is still to come, with when an edge received it, Unix µs.
    closings: VecDeque<(i64, Closing)>,
}

impl<'a> SessionLog<'a> {
    /// The log of `session`, of each stream up to the number that `reached` says.
    pub async fn open(archive: &'a dyn Archive, tenant: TenantId, session: SessionId, reached: &Reached) -> Result<SessionLog<'a>, RecomputeError> {
        let (mut streams, mut closings) = (vec![], VecDeque::new());
        for key in archive.streams(&tenant, &session).await? {
            if key.driver == DriverId::SERVER {
                closings.extend(read_closings(archive, &key).await?);
            } else if let Some(end) = reached.get(&(key.driver, key.run)) {
                streams.push(StreamReader::new(archive, key, *end));
            }
        }
        Ok(Self { tenant, session, streams, closings })
    }

    /// The next record; `None` at the end.
    pub async fn next(&mut self) -> Result<Option<Bytes>, RecomputeError> {
        loop {
            let mut earliest: Option<(u64, usize, u64)> = None;
            for (n, stream) in self.streams.iter_mut().enumerate() {
                let until = until(self.closings.front(), stream.key());
                if let Some((seq, offset)) = stream.peek().await?.filter(|(seq, _)| *seq < until)
                    && earliest.is_none_or(|(first, ..)| offset < first)
                {
                    earliest = Some((offset, n, seq));
                }
            }
            if let Some((_, n, _)) = earliest {
                let until = until(self.closings.front(), self.streams[n].key());
                match self.streams[n].next(until).await? {
                    Some(record) => return Ok(Some(record)),
                    // It was a heading.
                    None => continue,
                }
            }
            let Some((received_at_us, closing)) = self.closings.pop_front() else { return Ok(None) };
            let stamp = Stamp {
                tenant: self.tenant,
                driver: DriverId::SERVER,
                grant: GrantId::default(),
                session: self.session,
                edge: DriverId::SERVER.0,
                received_at_us,
                base: 0,
            };
            return Ok(Some(stamp.seal(&closing.record)));
        }
    }
}

/// The first number of a stream that came after `closing`; without one, all came before.
fn until(closing: Option<&(i64, Closing)>, stream: &StreamKey) -> u64 {
    let Some((_, closing)) = closing else { return u64::MAX };
    closing.reached.iter().find(|(driver, run, _)| (*driver, *run) == (stream.driver, stream.run)).map_or(0, |(.., next)| *next)
}

async fn read_closings(archive: &dyn Archive, key: &StreamKey) -> Result<Vec<(i64, Closing)>, RecomputeError> {
    let (mut found, mut first_seq) = (vec![], 0);
    loop {
        let span = Span { driver: key.driver, run: key.run, first_seq, next_seq: u64::MAX };
        let records = archive.records(&key.tenant, &key.session, &span, CLOSINGS_AT_ONCE).await?;
        let whole = records.len() == CLOSINGS_AT_ONCE as usize;
        for record in records {
            first_seq = record.next_seq;
            let damaged = RecomputeError::Damaged { driver: key.driver, seq: record.first_seq };
            found.push((record.received_at_us, closing::decode(&record.bytes).ok_or(damaged)?));
        }
        if !whole {
            return Ok(found);
        }
    }
}
