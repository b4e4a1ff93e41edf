//! A record: a sealed batch of frames of one stream (F3).
//!
//! A fixed little-endian prelude of 64 bytes, then `count` archived frames back to back. The CRC32C covers bytes 8 to
//! the end. A record is sealed once and sent byte for byte again until it is acked.
//!
//! | offset | type | field |   | offset | type | field |
//! |---|---|---|---|---|---|---|
//! | 0 | u32 | length of the whole | | 16 | 16 bytes | producer run |
//! | 4 | u32 | CRC32C of bytes 8.. | | 32 | u128 | source id |
//! | 8 | u8 | version | | 48 | u32 | session_num |
//! | 9 | u8 | kind | | 52 | u32 | meta_rev |
//! | 10 | u16 | simulator | | 56 | u64 | first_seq |
//! | 12 | u16 | slot | | 64 | | payload |
//! | 14 | u16 | count | | | | |

use bytes::Bytes;
use rkyv::api::high::{HighSerializer, HighValidator};
use rkyv::bytecheck::CheckBytes;
use rkyv::rancor;
use rkyv::ser::allocator::ArenaHandle;
use rkyv::util::AlignedVec;
use rkyv::{Archive, Portable, Serialize};

use crate::event::{ArchivedClosedFrame, ArchivedEndFrame, ArchivedEventFrame, ArchivedGapFrame, ArchivedJudgedFrame, ArchivedVoidFrame};
use crate::field::ArchivedFieldFrame;
use crate::frame::{ArchivedCarFrame, CarFrame};
use crate::ids::{RunId, Sim, Source};
use crate::limits::{RECORD_MAX_BYTES, SEQUENCE_END};
use crate::meta::{ArchivedSessionMeta, SessionMeta};
use crate::slow::ArchivedSlowFrame;

/// Bytes of the prelude.
pub const PRELUDE_BYTES: usize = 64;
/// The version that this build writes. It is the first; a later build reads the previous version too (F8).
pub const RECORD_VERSION: u8 = 1;

/// The kind of a record's payload. Unknown kinds are kept, and refused only where the payload must be read.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Kind(pub u8);

impl Kind {
    /// [`CarFrame`]s.
    pub const CAR: Kind = Kind(1);
    /// [`crate::slow::SlowFrame`]s.
    pub const SLOW: Kind = Kind(2);
    /// [`crate::field::FieldFrame`]s.
    pub const FIELD: Kind = Kind(3);
    /// One [`SessionMeta`].
    pub const META: Kind = Kind(4);
    /// One [`crate::event::EventFrame`].
    pub const EVENT: Kind = Kind(5);
    /// One [`crate::event::GapFrame`].
    pub const GAP: Kind = Kind(6);
    /// One [`crate::event::EndFrame`].
    pub const END: Kind = Kind(7);
    /// One [`crate::event::VoidFrame`]; only edges write it.
    pub const VOID: Kind = Kind(128);
    /// One [`crate::event::ClosedFrame`]; only the server writes it.
    pub const CLOSED: Kind = Kind(129);
    /// One [`crate::event::JudgedFrame`]; only the server writes it.
    pub const JUDGED: Kind = Kind(130);

    /// Whether clients may send it.
    pub const fn from_client(self) -> bool {
        self.0 >= Kind::CAR.0 && self.0 <= Kind::END.0
    }
    /// Whether it belongs to the session and to no stream of it: what the server says of the session (E9a, E9e).
    pub const fn of_session(self) -> bool {
        matches!(self, Kind::CLOSED | Kind::JUDGED)
    }
    /// Whether a record of this kind has exactly one frame and takes one sequence number.
    pub const fn single(self) -> bool {
        !matches!(self, Kind::CAR | Kind::SLOW | Kind::FIELD)
    }
    /// The kind as one word, for metrics and logs.
    pub const fn name(self) -> &'static str {
        match self {
            Kind::CAR => "car",
            Kind::SLOW => "slow",
            Kind::FIELD => "field",
            Kind::META => "meta",
            Kind::EVENT => "event",
            Kind::GAP => "gap",
            Kind::END => "end",
            Kind::VOID => "void",
            Kind::CLOSED => "closed",
            Kind::JUDGED => "judged",
            _ => "unknown",
        }
    }
}

/// The fixed head of a record, without length and checksum.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Prelude {
    /// The kind of the payload.
    pub kind: Kind,
    /// The client's run.
    pub run: RunId,
    /// The session.
    pub source: Source,
    /// The slot of the client's own car.
    pub slot: u16,
    /// The revision of the stream's metadata that applies; 0 before the first. A meta record has the revision that it defines.
    pub meta_rev: u32,
    /// Sequence number of the first frame.
    pub first_seq: u64,
    /// Frames in the payload, ≥ 1.
    pub count: u16,
}

/// The bytes are not a record. Each reason closes the connection with its name (W7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// The length is below the prelude's or above the limit.
    #[error("record length {0} is outside {PRELUDE_BYTES}..={RECORD_MAX_BYTES}")]
    Length(u32),
    /// Fewer bytes than the length says.
    #[error("record is cut: {have} of {length} bytes")]
    Truncated {
        /// Bytes present.
        have: usize,
        /// Bytes announced.
        length: usize,
    },
    /// The checksum does not match.
    #[error("record checksum does not match: it was damaged on its way")]
    Crc,
    /// A version that this build does not read.
    #[error("record version {0} is not readable here (this build reads {RECORD_VERSION})")]
    Version(u8),
    /// count is 0, or not 1 for a single-frame kind, or the sequence runs past its end.
    #[error("record count or sequence is impossible")]
    Sequence,
}

impl RecordError {
    /// Every [`RecordError::name`].
    pub const NAMES: &'static [&'static str] = &["length", "truncated", "crc", "version", "sequence"];

    /// The error as one word, for metrics.
    pub const fn name(self) -> &'static str {
        match self {
            RecordError::Length(_) => "length",
            RecordError::Truncated { .. } => "truncated",
            RecordError::Crc => "crc",
            RecordError::Version(_) => "version",
            RecordError::Sequence => "sequence",
        }
    }
}

/// The payload is not a valid archive of the kind in the prelude.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the payload is no valid archive of kind {}", .0.name())]
pub struct ArchiveError(pub Kind);

/// A record whose framing and checksum are valid. Its payload is not checked yet.
#[derive(Clone, Debug)]
pub struct Record {
    prelude: Prelude,
    bytes: Bytes,
}

/// Archived frames that can be read from untrusted bytes.
pub trait Checked: Portable + for<'a> CheckBytes<HighValidator<'a, rancor::Error>> {}
impl<T> Checked for T where T: Portable + for<'a> CheckBytes<HighValidator<'a, rancor::Error>> {}

impl Record {
    /// Read a record that fills `bytes` exactly: length, version, checksum, sequence.
    pub fn parse(bytes: Bytes) -> Result<Self, RecordError> {
        let Some(head) = bytes.first_chunk::<PRELUDE_BYTES>() else {
            return Err(RecordError::Truncated { have: bytes.len(), length: PRELUDE_BYTES });
        };
        let length = check_length(u32_at(head, 0))?;
        if length != bytes.len() {
            return Err(RecordError::Truncated { have: bytes.len(), length });
        }
        if head[8] != RECORD_VERSION {
            return Err(RecordError::Version(head[8]));
        }
        if crc32c::crc32c(&bytes[8..]) != u32_at(head, 4) {
            return Err(RecordError::Crc);
        }
        let prelude = Prelude {
            kind: Kind(head[9]),
            run: RunId(array_at(head, 16)),
            source: Source { sim: Sim(u16_at(head, 10)), id: u128::from_le_bytes(array_at(head, 32)), session_num: u32_at(head, 48) },
            slot: u16_at(head, 12),
            meta_rev: u32_at(head, 52),
            first_seq: u64::from_le_bytes(array_at(head, 56)),
            count: u16_at(head, 14),
        };
        let countable = if prelude.kind.single() { prelude.count == 1 } else { prelude.count >= 1 };
        if !countable || prelude.first_seq >= SEQUENCE_END - u64::from(prelude.count) {
            return Err(RecordError::Sequence);
        }
        Ok(Self { prelude, bytes })
    }

    /// The head.
    pub fn prelude(&self) -> &Prelude {
        &self.prelude
    }
    /// The bytes of the whole record, as sealed.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }
    /// The bytes after the prelude.
    pub fn payload(&self) -> &[u8] {
        &self.bytes[PRELUDE_BYTES..]
    }

    /// First sequence number after this record. Gaps and voids have it in their frame; it is checked to be higher than the first.
    pub fn next_seq(&self) -> Result<u64, ArchiveError> {
        let p = &self.prelude;
        let next = match p.kind {
            Kind::GAP => self.one::<ArchivedGapFrame>()?.next.to_native(),
            Kind::VOID => self.one::<ArchivedVoidFrame>()?.next.to_native(),
            _ => return Ok(p.first_seq + u64::from(p.count)),
        };
        if next > p.first_seq && next < SEQUENCE_END { Ok(next) } else { Err(ArchiveError(p.kind)) }
    }

    fn frames<T: Checked>(&self) -> Result<Frames<'_, T>, ArchiveError> {
        let (payload, size) = (self.payload(), size_of::<T>());
        if payload.len() != size * usize::from(self.prelude.count) {
            return Err(ArchiveError(self.prelude.kind));
        }
        Ok(Frames { bytes: payload, kind: self.prelude.kind, frame: std::marker::PhantomData })
    }

    fn one<T: Checked>(&self) -> Result<&T, ArchiveError> {
        if self.payload().len() != size_of::<T>() {
            return Err(ArchiveError(self.prelude.kind));
        }
        rkyv::access::<T, rancor::Error>(self.payload()).map_err(|_| ArchiveError(self.prelude.kind))
    }

    /// The frames, by kind. Unknown kinds are an [`ArchiveError`].
    pub fn content(&self) -> Result<Content<'_>, ArchiveError> {
        let kind = self.prelude.kind;
        Ok(match kind {
            Kind::CAR => Content::Car(self.frames()?),
            Kind::SLOW => Content::Slow(self.frames()?),
            Kind::FIELD => Content::Field(self.frames()?),
            Kind::META => Content::Meta(rkyv::access::<ArchivedSessionMeta, rancor::Error>(self.payload()).map_err(|_| ArchiveError(kind))?),
            Kind::EVENT => Content::Event(self.one()?),
            Kind::GAP => Content::Gap(self.one()?),
            Kind::END => Content::End(self.one()?),
            Kind::VOID => Content::Void(self.one()?),
            Kind::CLOSED => Content::Closed(self.one()?),
            Kind::JUDGED => Content::Judged(self.one()?),
            _ => return Err(ArchiveError(kind)),
        })
    }
}

/// A record's frames, still in the record's bytes.
#[derive(Debug)]
pub enum Content<'a> {
    /// Own car.
    Car(Frames<'a, ArchivedCarFrame>),
    /// Tyres, fluids, weather.
    Slow(Frames<'a, ArchivedSlowFrame>),
    /// Other cars.
    Field(Frames<'a, ArchivedFieldFrame>),
    /// The session's description.
    Meta(&'a ArchivedSessionMeta),
    /// An event.
    Event(&'a ArchivedEventFrame),
    /// Frames that the client dropped.
    Gap(&'a ArchivedGapFrame),
    /// The stream's end.
    End(&'a ArchivedEndFrame),
    /// Refused by an edge.
    Void(&'a ArchivedVoidFrame),
    /// The server closes, reopens or retires the session.
    Closed(&'a ArchivedClosedFrame),
    /// Who is excluded from the session, or reinstated.
    Judged(&'a ArchivedJudgedFrame),
}

/// Frames back to back. Each is checked when it is read.
#[derive(Debug, Clone, Copy)]
pub struct Frames<'a, T> {
    bytes: &'a [u8],
    kind: Kind,
    frame: std::marker::PhantomData<T>,
}

impl<'a, T: Checked + 'a> Frames<'a, T> {
    /// How many.
    pub fn len(&self) -> usize {
        self.bytes.len() / size_of::<T>()
    }
    /// Whether there is none; records always have one or more.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }
    /// The archived bytes of all frames, back to back.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }
    /// Each frame in turn.
    pub fn iter(&self) -> impl Iterator<Item = Result<&'a T, ArchiveError>> + use<'a, T> {
        let kind = self.kind;
        self.bytes.chunks_exact(size_of::<T>()).map(move |b| rkyv::access::<T, rancor::Error>(b).map_err(|_| ArchiveError(kind)))
    }
}

/// The announced length of a record, if it is possible (W7). Call this before allocating.
pub fn check_length(length: u32) -> Result<usize, RecordError> {
    if (PRELUDE_BYTES as u32..=RECORD_MAX_BYTES as u32).contains(&length) { Ok(length as usize) } else { Err(RecordError::Length(length)) }
}

/// Frames that can be put into records.
pub trait Frame: Archive + for<'a> Serialize<HighSerializer<AlignedVec, ArenaHandle<'a>, rancor::Error>> {}
impl<T> Frame for T where T: Archive + for<'a> Serialize<HighSerializer<AlignedVec, ArenaHandle<'a>, rancor::Error>> {}

/// The archive of one frame, as in a payload.
pub fn archive<T: Frame>(frame: &T) -> AlignedVec {
    // Serialising into memory fails only when memory ends, which aborts before it returns.
    rkyv::to_bytes::<rancor::Error>(frame).unwrap_or_default()
}

/// Append one frame's archive to a payload, without allocating once `out` has grown.
pub fn archive_into<T: Frame>(frame: &T, out: &mut AlignedVec) {
    // As above: writing into memory does not fail.
    if let Ok(grown) = rkyv::api::high::to_bytes_in::<_, rancor::Error>(frame, std::mem::take(out)) {
        *out = grown;
    }
}

/// The growing buffer of [`archive_into`].
pub type Payload = AlignedVec;

/// Seal a record: `prelude.count` frames whose archives are `payload`, back to back.
///
/// Fails with [`RecordError::Length`] if the whole would be longer than [`RECORD_MAX_BYTES`].
pub fn seal(prelude: &Prelude, payload: &[u8]) -> Result<Bytes, RecordError> {
    let length = PRELUDE_BYTES + payload.len();
    if length > RECORD_MAX_BYTES {
        return Err(RecordError::Length(length as u32));
    }
    let mut out = Vec::with_capacity(length);
    out.extend_from_slice(&(length as u32).to_le_bytes());
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&[RECORD_VERSION, prelude.kind.0]);
    out.extend_from_slice(&prelude.source.sim.0.to_le_bytes());
    out.extend_from_slice(&prelude.slot.to_le_bytes());
    out.extend_from_slice(&prelude.count.to_le_bytes());
    out.extend_from_slice(&prelude.run.0);
    out.extend_from_slice(&prelude.source.id.to_le_bytes());
    out.extend_from_slice(&prelude.source.session_num.to_le_bytes());
    out.extend_from_slice(&prelude.meta_rev.to_le_bytes());
    out.extend_from_slice(&prelude.first_seq.to_le_bytes());
    out.extend_from_slice(payload);
    let crc = crc32c::crc32c(&out[8..]);
    out[4..8].copy_from_slice(&crc.to_le_bytes());
    Ok(out.into())
}

/// Read a frame from its archive.
pub fn car_frame(archived: &ArchivedCarFrame) -> CarFrame {
    // Deserialising a plain struct cannot fail; the error type exists for pointers.
    rkyv::deserialize::<CarFrame, rancor::Error>(archived).unwrap_or_default()
}

/// Read metadata from its archive, with texts that can be shown as they are (`session.plain`): whatever a client sends, this is what all others
/// of the server see.
pub fn session_meta(archived: &ArchivedSessionMeta) -> SessionMeta {
    rkyv::deserialize::<SessionMeta, rancor::Error>(archived).unwrap_or_default().plain()
}

fn array_at<const N: usize>(head: &[u8; PRELUDE_BYTES], at: usize) -> [u8; N] {
    let mut out = [0; N];
    out.copy_from_slice(&head[at..at + N]);
    out
}
fn u16_at(head: &[u8; PRELUDE_BYTES], at: usize) -> u16 {
    u16::from_le_bytes(array_at(head, at))
}
fn u32_at(head: &[u8; PRELUDE_BYTES], at: usize) -> u32 {
    u32::from_le_bytes(array_at(head, at))
}

#[cfg(test)]
mod tests;
