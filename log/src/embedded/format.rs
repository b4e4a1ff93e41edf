//! The layout of a segment file, byte for byte. Little-endian; every byte is under a checksum.
//!
//! | block | layout |
//! |---|---|
//! | header, 64 bytes | magic 8, version u32, partition u32, base offset u64, created i64 µs, log id 16, zeros 12, CRC u32 |
//! | batch | magic u32, length u32 (of the block), count u32, CRC u32, base offset u64, appended i64 µs, count × (u32 length, record) |
//! | marker, 48 bytes | magic 8, segment's base u64, own position u64, end offset u64, seal 16 |
//! | footer, ends the file | magic 8, n × (offset u64, position u64), end offset u64, last appended i64 µs, own position u64, n u32, CRC u32, magic 8 |
//!
//! header, (batch, marker)*, then zeros in the active segment, the footer in a sealed one. A marker says that everything
//! before it is synced. CRCs (CRC32C) begin with the log's key, the partition, the segment and the block's position, so
//! that a block is valid only at its own position. A marker's seal is a keyed SHA-256: recovery looks for markers in
//! arbitrary bytes, and no bytes look like one by chance, and a sender of records who does not know the key cannot forge one.

use bytes::Bytes;
use sha2::{Digest, Sha256};

use crate::Offset;

/// The format that this build writes and reads.
pub(super) const VERSION: u32 = 1;
pub(super) const HEADER_BYTES: u64 = 64;
pub(super) const BATCH_HEAD_BYTES: usize = 32;
pub(super) const MARKER_BYTES: usize = 48;
pub(super) const FOOTER_TAIL_BYTES: usize = 40;
/// Longest batch block. A reader holds one in memory; a commit writes several if more records are waiting.
pub(super) const BATCH_MAX_BYTES: usize = 1 << 20;

const HEADER_MAGIC: [u8; 8] = *b"boxbxSG1";
const BATCH_MAGIC: [u8; 4] = *b"bxB1";
pub(super) const MARKER_MAGIC: [u8; 8] = *b"\x00bx\xffMRK1";
const FOOTER_MAGIC: [u8; 8] = *b"boxbxFT1";
const FOOTER_END_MAGIC: [u8; 8] = *b"boxbxEND";
const SEAL_DOMAIN: &[u8] = b"boxbox.log.marker.v1";

/// Identifies a segment of a partition of a log: the beginning of every checksum.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ident {
    pub(super) log: [u8; 16],
    pub(super) key: [u8; 16],
    pub(super) partition: u32,
    pub(super) base: Offset,
}

impl Ident {
    fn crc(&self, position: u64, parts: &[&[u8]]) -> u32 {
        let mut crc = crc32c::crc32c(&self.key);
        crc = crc32c::crc32c_append(crc, &self.partition.to_le_bytes());
        crc = crc32c::crc32c_append(crc, &self.base.to_le_bytes());
        crc = crc32c::crc32c_append(crc, &position.to_le_bytes());
        parts.iter().fold(crc, |crc, part| crc32c::crc32c_append(crc, part))
    }

    fn seal(&self, marker: &[u8]) -> [u8; 16] {
        let mut hash = Sha256::new();
        hash.update(SEAL_DOMAIN);
        hash.update(self.key);
        hash.update(self.partition.to_le_bytes());
        hash.update(marker);
        array(&hash.finalize(), 0)
    }

    /// The segment's first block.
    pub(super) fn header(&self, created_us: i64) -> [u8; HEADER_BYTES as usize] {
        let mut h = [0; HEADER_BYTES as usize];
        h[..8].copy_from_slice(&HEADER_MAGIC);
        h[8..12].copy_from_slice(&VERSION.to_le_bytes());
        h[12..16].copy_from_slice(&self.partition.to_le_bytes());
        h[16..24].copy_from_slice(&self.base.to_le_bytes());
        h[24..32].copy_from_slice(&created_us.to_le_bytes());
        h[32..48].copy_from_slice(&self.log);
        let crc = self.crc(0, &[&h[..60]]);
        h[60..].copy_from_slice(&crc.to_le_bytes());
        h
    }

    /// When a segment was begun, Unix µs. `block` is its header, and was checked.
    pub(super) fn created_us(block: &[u8; HEADER_BYTES as usize]) -> i64 {
        i64::from_le_bytes(array(block, 24))
    }

    /// Checks that `block` is this segment's header; the error says why it is not.
    pub(super) fn check_header(&self, block: &[u8]) -> Result<(), &'static str> {
        if block.len() != HEADER_BYTES as usize || block[..8] != HEADER_MAGIC {
            return Err("it has no segment header");
        }
        if u32_at(block, 60) != self.crc(0, &[&block[..60]]) {
            return Err("the segment header's checksum does not match: it is damaged, or of another log, partition or position");
        }
        // The checksum covers these, so they are right unless another version wrote them.
        let known = u32_at(block, 8) == VERSION && u64_at(block, 16) == self.base && block[32..48] == self.log;
        if known { Ok(()) } else { Err("the segment header is of another version or log") }
    }

    /// The marker that stands at `position` and confirms everything before it; offsets end at `end`.
    pub(super) fn marker(&self, position: u64, end: Offset) -> [u8; MARKER_BYTES] {
        let mut m = [0; MARKER_BYTES];
        m[..8].copy_from_slice(&MARKER_MAGIC);
        m[8..16].copy_from_slice(&self.base.to_le_bytes());
        m[16..24].copy_from_slice(&position.to_le_bytes());
        m[24..32].copy_from_slice(&end.to_le_bytes());
        let seal = self.seal(&m[..32]);
        m[32..].copy_from_slice(&seal);
        m
    }

    /// Append a batch block for `position` to `out`.
    pub(super) fn batch<'a>(&self, out: &mut Vec<u8>, position: u64, base: Offset, appended_at_us: i64, records: impl Iterator<Item = &'a Bytes>) {
        let start = out.len();
        out.extend_from_slice(&[0; BATCH_HEAD_BYTES]);
        let mut count = 0u32;
        for record in records {
            out.extend_from_slice(&(record.len() as u32).to_le_bytes());
            out.extend_from_slice(record);
            count += 1;
        }
        let block = &mut out[start..];
        let length = block.len() as u32;
        block[..4].copy_from_slice(&BATCH_MAGIC);
        block[4..8].copy_from_slice(&length.to_le_bytes());
        block[8..12].copy_from_slice(&count.to_le_bytes());
        block[16..24].copy_from_slice(&base.to_le_bytes());
        block[24..32].copy_from_slice(&appended_at_us.to_le_bytes());
        let crc = self.crc(position, &[&block[..12], &block[16..]]);
        block[12..16].copy_from_slice(&crc.to_le_bytes());
    }

    /// Whether `block` is a whole batch at its position.
    pub(super) fn check_batch(&self, block: &[u8], position: u64) -> bool {
        batch_length(block) == Some(block.len()) && u32_at(block, 12) == self.crc(position, &[&block[..12], &block[16..]])
    }

    /// The footer that stands at `position`.
    pub(super) fn footer(&self, position: u64, index: &[(Offset, u64)], end: Offset, last_us: i64) -> Vec<u8> {
        let mut f = Vec::with_capacity(8 + index.len() * 16 + FOOTER_TAIL_BYTES);
        f.extend_from_slice(&FOOTER_MAGIC);
        for (offset, at) in index {
            f.extend_from_slice(&offset.to_le_bytes());
            f.extend_from_slice(&at.to_le_bytes());
        }
        f.extend_from_slice(&end.to_le_bytes());
        f.extend_from_slice(&last_us.to_le_bytes());
        f.extend_from_slice(&position.to_le_bytes());
        f.extend_from_slice(&(index.len() as u32).to_le_bytes());
        let crc = self.crc(position, &[&f]);
        f.extend_from_slice(&crc.to_le_bytes());
        f.extend_from_slice(&FOOTER_END_MAGIC);
        f
    }

    /// Read a footer that fills `block`, which stands at `position`.
    pub(super) fn check_footer(&self, block: &[u8], position: u64) -> Option<Footer> {
        let tail = block.len().checked_sub(FOOTER_TAIL_BYTES)?;
        let fields = FooterTail::read(&block[tail..])?;
        let whole = block[..8] == FOOTER_MAGIC && fields.footer_bytes() == block.len() as u64 && fields.position == position;
        let crc_at = block.len() - 12;
        if !whole || u32_at(block, crc_at) != self.crc(position, &[&block[..crc_at]]) {
            return None;
        }
        let index = block[8..tail].chunks_exact(16).map(|entry| (u64_at(entry, 0), u64_at(entry, 8))).collect();
        Some(Footer { end: fields.end, last_us: fields.last_us, position, index })
    }
}

/// The fields of a batch's head. Only meaningful after [`Ident::check_batch`].
#[derive(Clone, Copy, Debug)]
pub(super) struct BatchHead {
    pub(super) count: u32,
    pub(super) base: Offset,
    pub(super) appended_at_us: i64,
}

impl BatchHead {
    pub(super) fn read(block: &[u8]) -> Self {
        Self { count: u32_at(block, 8), base: u64_at(block, 16), appended_at_us: i64::from_le_bytes(array(block, 24)) }
    }
}

/// The length that a block beginning with `head` has if it is a batch.
pub(super) fn batch_length(head: &[u8]) -> Option<usize> {
    let possible = BATCH_HEAD_BYTES..=BATCH_MAX_BYTES;
    (head.len() >= BATCH_HEAD_BYTES && head[..4] == BATCH_MAGIC).then(|| u32_at(head, 4) as usize).filter(|length| possible.contains(length))
}

/// The records of a checked batch as ranges of its block; `None` if the lengths do not add up.
pub(super) fn batch_records(block: &[u8]) -> Option<Vec<std::ops::Range<usize>>> {
    let mut records = Vec::with_capacity(BatchHead::read(block).count as usize);
    let mut at = BATCH_HEAD_BYTES;
    while at < block.len() {
        let length = u32_at(block.get(at..at + 4)?, 0) as usize;
        let record = at + 4..(at + 4).checked_add(length)?;
        block.get(record.clone())?;
        at = record.end;
        records.push(record);
    }
    (records.len() == BatchHead::read(block).count as usize).then_some(records)
}

/// A marker's fields.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Marker {
    pub(super) segment: Offset,
    pub(super) position: u64,
    pub(super) end: Offset,
}

impl Marker {
    /// Read a marker of this log and partition, of any segment; `None` for anything else.
    pub(super) fn read(ident: &Ident, bytes: &[u8]) -> Option<Self> {
        let m = bytes.get(..MARKER_BYTES)?;
        if m[..8] != MARKER_MAGIC || m[32..] != ident.seal(&m[..32]) {
            return None;
        }
        Some(Self { segment: u64_at(m, 8), position: u64_at(m, 16), end: u64_at(m, 24) })
    }

    /// Read a marker at its own position in its own segment.
    pub(super) fn read_at(ident: &Ident, bytes: &[u8], position: u64) -> Option<Self> {
        Self::read(ident, bytes).filter(|m| m.segment == ident.base && m.position == position)
    }
}

/// The description of a sealed segment, at its end.
#[derive(Clone, Debug)]
pub(super) struct Footer {
    pub(super) end: Offset,
    pub(super) last_us: i64,
    /// Where the footer stands: the end of the segment's batches and markers.
    pub(super) position: u64,
    /// Offset and position of a batch about every [`super::segment::INDEX_EVERY_BYTES`].
    pub(super) index: Vec<(Offset, u64)>,
}

/// The fixed end of a footer, before its checksum is checked.
pub(super) struct FooterTail {
    end: Offset,
    last_us: i64,
    pub(super) position: u64,
    entries: u32,
}

impl FooterTail {
    pub(super) fn read(tail: &[u8]) -> Option<Self> {
        if tail.len() != FOOTER_TAIL_BYTES || tail[32..] != FOOTER_END_MAGIC {
            return None;
        }
        let last_us = i64::from_le_bytes(array(tail, 8));
        Some(Self { end: u64_at(tail, 0), last_us, position: u64_at(tail, 16), entries: u32_at(tail, 24) })
    }

    pub(super) fn footer_bytes(&self) -> u64 {
        8 + u64::from(self.entries) * 16 + FOOTER_TAIL_BYTES as u64
    }
}

/// Whether a footer may begin here.
pub(super) fn is_footer(bytes: &[u8]) -> bool {
    bytes.starts_with(&FOOTER_MAGIC)
}

// Callers have checked the length: a panic here is a bug, whatever the bytes on the disk are.
fn array<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut out = [0; N];
    out.copy_from_slice(&bytes[at..at + N]);
    out
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(array(bytes, at))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(array(bytes, at))
}
