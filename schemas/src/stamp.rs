//! The log record: an edge's stamp, then the client's bytes unchanged (F5). Identity comes only from the stamp.
//!
//! Layout, little-endian: u8 version, u8 zero, u16 length of the stamp, u64 base, i64 received_at µs, 16 bytes grant,
//! 16 bytes session, then edge, tenant and driver as u8 length + text; the record follows.

use bytes::{Bytes, BytesMut};

use crate::event::{ClosedFrame, Closing, Exclusion, JudgedFrame, Judging};
use crate::ids::{DriverId, GrantId, RunId, SessionId, ShortId, Source, StreamKey, TenantId};
use crate::record::{Kind, Prelude, Record, RecordError, archive, seal};

/// The version that this build writes.
pub const STAMP_VERSION: u8 = 1;
const FIXED_BYTES: usize = 4 + 8 + 8 + 16 + 16;

/// Longest log record, bytes: the longest record and the longest stamp.
pub const LOG_RECORD_MAX_BYTES: usize = crate::limits::RECORD_MAX_BYTES + FIXED_BYTES + 3 * (1 + crate::limits::SHORT_ID_MAX_BYTES);

/// What the edge has verified.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stamp {
    /// The tenant that owns the data.
    pub tenant: TenantId,
    /// The driver of the grant.
    pub driver: DriverId,
    /// The grant.
    pub grant: GrantId,
    /// The session: [`SessionId::of`] tenant and source.
    pub session: SessionId,
    /// The edge.
    pub edge: ShortId,
    /// When the edge received the record, Unix µs. For people and statistics; nothing is ordered by it (F7).
    pub received_at_us: i64,
    /// The lowest unacked sequence number when the record was sent (W5).
    pub base: u64,
}

/// A record as the log holds it.
#[derive(Clone, Debug)]
pub struct LogRecord {
    /// The edge's stamp.
    pub stamp: Stamp,
    /// The client's record.
    pub record: Record,
}

/// The bytes are not a log record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StampError {
    /// Cut or malformed stamp.
    #[error("log record's stamp is malformed")]
    Malformed,
    /// A version that this build does not read.
    #[error("log record's stamp has version {0}; this build reads {STAMP_VERSION}")]
    Version(u8),
    /// The bytes after the stamp are not a record.
    #[error("log record: {0}")]
    Record(#[from] RecordError),
}

impl Stamp {
    /// The stamp and `record` as one log record.
    pub fn seal(&self, record: &[u8]) -> Bytes {
        let texts = [self.edge, self.tenant.0, self.driver.0];
        let length = FIXED_BYTES + texts.iter().map(|t| 1 + t.as_str().len()).sum::<usize>();
        let mut out = BytesMut::with_capacity(length + record.len());
        out.extend_from_slice(&[STAMP_VERSION, 0]);
        out.extend_from_slice(&(length as u16).to_le_bytes());
        out.extend_from_slice(&self.base.to_le_bytes());
        out.extend_from_slice(&self.received_at_us.to_le_bytes());
        out.extend_from_slice(&self.grant.0);
        out.extend_from_slice(&self.session.0);
        for text in texts {
            out.extend_from_slice(&[text.as_str().len() as u8]);
            out.extend_from_slice(text.as_str().as_bytes());
        }
        out.extend_from_slice(record);
        out.freeze()
    }
}

/// When an edge received a log record, Unix µs, without reading the rest of it; `None` if it is too short to say.
pub fn received_at_us(log_record: &[u8]) -> Option<i64> {
    log_record.get(12..20)?.try_into().ok().map(i64::from_le_bytes)
}

/// The log record that closes the session of `tenant` and `source`, opens it again or retires it (E9a). `at_us` is Unix µs, only shown to
/// people. Append it to the session's partition, like all records of the session. It belongs to no stream.
pub fn closed(tenant: TenantId, source: Source, closing: Closing, at_us: i64) -> Bytes {
    by_server(tenant, source, Kind::CLOSED, &archive(&ClosedFrame { reason: closing, ..ClosedFrame::default() }), at_us)
}

/// The log record that excludes `whom` from the session of `tenant` and `source`, or reinstates them (E9e); as [`closed`].
pub fn judged(tenant: TenantId, source: Source, code: Judging, whom: &Exclusion, at_us: i64) -> Bytes {
    by_server(tenant, source, Kind::JUDGED, &archive(&JudgedFrame::of(code, whom)), at_us)
}

/// A record of the server, of one short frame.
fn by_server(tenant: TenantId, source: Source, kind: Kind, payload: &[u8], at_us: i64) -> Bytes {
    let prelude = Prelude { kind, run: RunId::default(), source, slot: 0, meta_rev: 0, first_seq: 0, count: 1 };
    let stamp = Stamp {
        tenant,
        driver: DriverId::SERVER,
        grant: GrantId::default(),
        session: SessionId::of(&tenant, &source),
        edge: DriverId::SERVER.0,
        received_at_us: at_us,
        base: 0,
    };
    // Sealing fails only beyond 32 KiB.
    let record = seal(&prelude, payload).unwrap_or_default();
    stamp.seal(&record)
}

impl LogRecord {
    /// Read a log record: stamp, then the record with its checksum.
    pub fn parse(bytes: Bytes) -> Result<Self, StampError> {
        let mut r = Reader(&bytes);
        match r.array::<2>()? {
            [STAMP_VERSION, 0] => {}
            [STAMP_VERSION, _] => return Err(StampError::Malformed),
            [version, _] => return Err(StampError::Version(version)),
        }
        let length = usize::from(u16::from_le_bytes(r.array()?));
        let base = u64::from_le_bytes(r.array()?);
        let received_at_us = i64::from_le_bytes(r.array()?);
        let grant = GrantId(r.array()?);
        let session = SessionId(r.array()?);
        let (edge, tenant, driver) = (r.text()?, TenantId(r.text()?), DriverId(r.text()?));
        if bytes.len() - r.0.len() != length {
            return Err(StampError::Malformed);
        }
        let stamp = Stamp { tenant, driver, grant, session, edge, received_at_us, base };
        Ok(Self { stamp, record: Record::parse(bytes.slice(length..))? })
    }

    /// The stream this record belongs to (W4).
    pub fn stream(&self) -> StreamKey {
        StreamKey { tenant: self.stamp.tenant, session: self.stamp.session, driver: self.stamp.driver, run: self.record.prelude().run }
    }
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn array<const N: usize>(&mut self) -> Result<[u8; N], StampError> {
        let (head, rest) = self.0.split_first_chunk::<N>().ok_or(StampError::Malformed)?;
        self.0 = rest;
        Ok(*head)
    }
    fn text(&mut self) -> Result<ShortId, StampError> {
        let [length] = self.array()?;
        let (head, rest) = self.0.split_at_checked(length.into()).ok_or(StampError::Malformed)?;
        self.0 = rest;
        std::str::from_utf8(head).ok().and_then(|t| ShortId::new(t).ok()).ok_or(StampError::Malformed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::Sim;
    use crate::record::Content;
    use proptest::prelude::*;

    fn sealed() -> Bytes {
        let prelude = Prelude {
            kind: Kind::EVENT,
            run: RunId([7; 16]),
            source: Source { sim: Sim::SYNTHETIC, id: 1, session_num: 0 },
            slot: 3,
            meta_rev: 1,
            first_seq: 9,
            count: 1,
        };
        seal(&prelude, &archive(&crate::event::EventFrame::default())).unwrap()
    }

    /// F8: what the first version wrote, every later one reads.
    #[test]
    fn a_closed_record_is_golden() {
        let (tenant, source) = (TenantId::new("league-1").unwrap(), Source { sim: Sim::IRACING, id: 51_234_567, session_num: 2 });
        let bytes = closed(tenant, source, Closing::ASKED, 1_700_000_000_000_000);
        let hex = bytes.chunks(32).map(|row| row.iter().map(|b| format!("{b:02x}")).collect::<String>() + "\n").collect::<String>();
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/v1/closed.hex");
        if std::env::var_os("BOXBOX_WRITE_GOLDEN").is_some() && !path.exists() {
            std::fs::write(&path, &hex).unwrap();
        }
        assert_eq!(hex, std::fs::read_to_string(&path).unwrap(), "the format changed; that needs a new version");

        let read = LogRecord::parse(bytes).unwrap();
        assert_eq!((read.stamp.session, read.stamp.driver), (SessionId::of(&tenant, &source), DriverId::SERVER));
        let Ok(Content::Closed(frame)) = read.record.content() else { panic!("{:?}", read.record.content()) };
        assert_eq!(Closing::from(&frame.reason), Closing::ASKED);
        assert!(!read.record.prelude().kind.from_client());
    }

    proptest! {
        #[test]
        fn stamps_round_trip(edge in "[a-z]{1,40}", tenant in "[a-z]{1,40}", driver in "[a-z0-9]{1,40}", base: u64, at: i64, grant: [u8; 16], session: [u8; 16]) {
            let stamp = Stamp {
                tenant: TenantId::new(&tenant).unwrap(), driver: DriverId::new(&driver).unwrap(), edge: ShortId::new(&edge).unwrap(),
                grant: GrantId(grant), session: SessionId(session), received_at_us: at, base,
            };
            let parsed = LogRecord::parse(stamp.seal(&sealed())).unwrap();
            prop_assert_eq!(parsed.stamp, stamp);
            prop_assert_eq!(parsed.record.bytes(), &sealed());
        }

        #[test]
        fn rubbish_is_an_error_not_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            prop_assert!(LogRecord::parse(bytes.into()).is_err());
        }

        #[test]
        fn cut_log_records_are_refused(cut in 0usize..200) {
            let stamp = Stamp { tenant: TenantId::new("t").unwrap(), driver: DriverId::new("d").unwrap(), edge: ShortId::new("e").unwrap(),
                grant: GrantId::default(), session: SessionId::default(), received_at_us: 0, base: 0 };
            let whole = stamp.seal(&sealed());
            prop_assume!(cut < whole.len());
            prop_assert!(LogRecord::parse(whole.slice(..cut)).is_err());
        }
    }
}
