//! Segments as the process knows them: names, the sparse index, and where a reader finds an offset.

use std::collections::VecDeque;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use parking_lot::{Mutex, RwLock};
use tokio::sync::watch;

use super::file::{Folder, ReadAt};
use super::format::{FOOTER_TAIL_BYTES, Footer, FooterTail, HEADER_BYTES, Ident};
use super::queue::Queue;
use crate::{Bounds, LogError, Offset};

/// One index entry about every this many bytes of batches: 16 KiB of memory per 64 MiB, and a seek reads at most this much too much.
pub(super) const INDEX_EVERY_BYTES: u64 = 64 << 10;

/// Offset and position of some batches, in order.
pub(super) type Index = Vec<(Offset, u64)>;

/// Add the batch at `position` to the index if the last entry is far enough back.
pub(super) fn index_batch(index: &mut Index, offset: Offset, position: u64) {
    if index.last().is_none_or(|(_, last)| position >= last + INDEX_EVERY_BYTES) {
        index.push((offset, position));
    }
}

/// Where to begin reading to find `offset`.
pub(super) fn seek(index: &Index, offset: Offset) -> u64 {
    let after = index.partition_point(|(at, _)| *at <= offset);
    after.checked_sub(1).map_or(HEADER_BYTES, |i| index[i].1)
}

/// A segment's file name: its first offset, so that names sort as offsets do.
pub(super) fn file_name(base: Offset) -> String {
    format!("{base:020}.seg")
}

/// The first offset of a segment file, from its name.
pub(super) fn base_of(path: &Path) -> Option<Offset> {
    let digits = path.file_name()?.to_str()?.strip_suffix(".seg")?;
    (digits.len() == 20 && digits.bytes().all(|b| b.is_ascii_digit())).then(|| digits.parse().ok())?
}

/// A segment that is complete and never written again. Its index stays on disk.
#[derive(Clone, Debug)]
pub(super) struct Sealed {
    pub(super) base: Offset,
    pub(super) end: Offset,
    /// End of its batches and markers.
    pub(super) position: u64,
    /// Length of the file.
    pub(super) bytes: u64,
    /// When it was begun, Unix µs: no record of it is older.
    pub(super) created_us: i64,
    /// When its last batch was appended, Unix µs.
    pub(super) last_us: i64,
    pub(super) path: PathBuf,
}

/// The segment that is written to: the thread writes beyond the durable end, readers read below it.
pub(super) struct Active {
    pub(super) base: Offset,
    pub(super) path: PathBuf,
    pub(super) file: Arc<File>,
    /// When it was begun, Unix µs.
    pub(super) created_us: i64,
    pub(super) index: Mutex<Index>,
}

/// How far a partition is durable: readers never read beyond.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Durable {
    /// One past the last durable record.
    pub(super) end: Offset,
    /// Base of the active segment.
    pub(super) segment: Offset,
    /// Position in the active segment after the last marker.
    pub(super) position: u64,
}

/// The segments of a partition, oldest first.
pub(super) struct Segments {
    pub(super) sealed: VecDeque<Sealed>,
    pub(super) active: Arc<Active>,
}

impl Segments {
    pub(super) fn start(&self) -> Offset {
        self.sealed.front().map_or(self.active.base, |first| first.base)
    }
}

/// State that a partition's thread, the writers and the readers share.
pub(super) struct Partition {
    pub(super) number: u32,
    pub(super) folder: Folder,
    /// Its `base` is 0: see [`Partition::ident`].
    pub(super) identity: Ident,
    pub(super) queue: Queue,
    pub(super) segments: RwLock<Segments>,
    pub(super) durable: watch::Sender<Durable>,
    /// What is below is not needed any more.
    pub(super) released: AtomicU64,
}

impl Partition {
    /// Bytes of its files. What is reserved for the active segment counts as used: it cannot be used for anything else.
    pub(super) fn kept_bytes(&self) -> u64 {
        let segments = self.segments.read();
        let sealed: u64 = segments.sealed.iter().map(|s| s.bytes).sum();
        sealed + segments.active.file.length().unwrap_or(0)
    }

    /// When its oldest segment was begun, Unix µs.
    pub(super) fn oldest_us(&self) -> i64 {
        let segments = self.segments.read();
        segments.sealed.front().map_or(segments.active.created_us, |first| first.created_us)
    }

    /// The identity that begins the checksums of the segment at `base`.
    pub(super) fn ident(&self, base: Offset) -> Ident {
        Ident { base, ..self.identity }
    }

    pub(super) fn bounds(&self) -> Bounds {
        // The end first: retention cannot move the start beyond it.
        let end = self.durable.borrow().end;
        Bounds { start: self.segments.read().start().min(end), end }
    }

    pub(super) fn out_of_range(&self, asked: Offset) -> LogError {
        let Bounds { start, end } = self.bounds();
        LogError::OutOfRange { partition: self.number, asked, start, end }
    }

    pub(super) fn damaged(&self, path: &Path, position: u64, detail: impl Into<String>) -> LogError {
        damaged(self.number, path, position, detail)
    }
}

pub(super) fn damaged(partition: u32, path: &Path, position: u64, detail: impl Into<String>) -> LogError {
    LogError::Damaged { partition, place: format!("{} byte {position}", path.display()), detail: detail.into() }
}

/// Read the footer at a file's end; `None` if there is no valid one.
pub(super) fn read_footer(source: &impl ReadAt, ident: &Ident) -> std::io::Result<Option<Footer>> {
    let length = source.length()?;
    let mut tail = [0; FOOTER_TAIL_BYTES];
    let Some(tail_at) = length.checked_sub(FOOTER_TAIL_BYTES as u64) else { return Ok(None) };
    source.read_at(&mut tail, tail_at)?;
    let Some(position) = FooterTail::read(&tail).map(|t| t.position).filter(|p| *p >= HEADER_BYTES && *p < tail_at) else {
        return Ok(None);
    };
    if FooterTail::read(&tail).is_none_or(|t| t.footer_bytes() != length - position) {
        return Ok(None);
    }
    let mut block = vec![0; (length - position) as usize];
    source.read_at(&mut block, position)?;
    Ok(ident.check_footer(&block, position))
}
