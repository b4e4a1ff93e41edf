//! Reads at a start what is on the disk. It changes nothing: a damaged log is refused as it is.
//!
//! At a crash at most one batch is unsynced, and it is the last. So an incomplete or invalid block after
//! the last commit marker was never confirmed and may be cut; one before a marker was confirmed, and is damage. Markers are
//! searched for byte by byte beyond the first bad byte, and the partition's `commit` file is a second proof, so that
//! damage to a batch and its marker together is not mistaken for a crash.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use super::file::{ReadAt, io_error};
use super::format::{
    BATCH_HEAD_BYTES, BatchHead, FOOTER_TAIL_BYTES, Footer, HEADER_BYTES, Ident, MARKER_BYTES, MARKER_MAGIC, Marker, batch_length, batch_records,
    is_footer,
};
use super::segment::{Index, Sealed, base_of, damaged, file_name, index_batch, read_footer};
use crate::{LogError, Offset};

/// The second proof: two slots, written in turn, so that a torn write leaves one of them valid.
pub(super) const COMMIT_FILE: &str = "commit";
/// Distance of the slots: a sector or page is never shared.
pub(super) const COMMIT_SLOT_BYTES: u64 = 4096;
/// A segment that is being prepared; never holds records.
pub(super) const NEXT_FILE: &str = "segment.next";

const SCAN_CHUNK_BYTES: usize = 1 << 20;
/// To recognise quickly that nothing was written: most of the active segment is zeros.
static ZEROS: [u8; SCAN_CHUNK_BYTES] = [0; SCAN_CHUNK_BYTES];

/// A partition as found on disk.
pub(super) struct Found {
    /// Complete segments, oldest first, contiguous.
    pub(super) sealed: Vec<Sealed>,
    /// The segment to continue; `None` for a new partition or after a crash between two segments.
    pub(super) last: Option<Last>,
    /// Which slot of the commit file to write next.
    pub(super) next_slot: u64,
}

impl Found {
    /// Whether nothing was ever written.
    pub(super) fn is_new(&self) -> bool {
        self.sealed.is_empty() && self.last.is_none()
    }
}

/// The last segment, not sealed.
pub(super) struct Last {
    pub(super) path: PathBuf,
    pub(super) base: Offset,
    pub(super) scan: Scan,
}

/// What one segment holds.
#[derive(Debug)]
pub(super) struct Scan {
    /// Where valid blocks end; 0 if even the header is missing.
    pub(super) position: u64,
    /// One past the last valid record.
    pub(super) end: Offset,
    /// Where the last marker ends: `position`, unless whole batches follow that no marker confirms.
    pub(super) confirmed: u64,
    /// Whether bytes other than zero follow.
    pub(super) torn: bool,
    pub(super) index: Index,
    /// Time of the last batch, Unix µs; 0 without one.
    pub(super) last_us: i64,
    pub(super) footer: Option<Footer>,
}

/// Why a segment cannot be used.
#[derive(Debug)]
pub(super) enum ScanError {
    Damaged { position: u64, detail: String },
    Io(io::Error),
}

impl From<io::Error> for ScanError {
    fn from(e: io::Error) -> Self {
        ScanError::Io(e)
    }
}

/// Read a partition's folder. `identity` names log and partition.
pub(super) fn inspect(folder: &Path, identity: &Ident) -> Result<Found, LogError> {
    let number = identity.partition;
    let mut bases = list(folder)?;
    bases.sort_unstable();
    let (witness, next_slot) = read_commit_file(folder, identity)?;
    let Some((&last_base, earlier)) = bases.split_last() else {
        return match witness {
            None => Ok(Found { sealed: Vec::new(), last: None, next_slot }),
            Some(w) => Err(damaged(number, &folder.join(file_name(w.segment)), 0, "the file is missing; synced records were in it")),
        };
    };
    if let Some(w) = witness.filter(|w| w.segment > last_base) {
        return Err(damaged(number, &folder.join(file_name(w.segment)), 0, "the file is missing; synced records were in it"));
    }
    let mut sealed = Vec::with_capacity(bases.len());
    for (i, &base) in earlier.iter().enumerate() {
        let (path, next) = (folder.join(file_name(base)), bases[i + 1]);
        let segment = check_sealed(&path, &Ident { base, ..*identity }, i + 1 == earlier.len())?;
        if segment.end != next {
            let missing = format!("the segment after it begins at offset {next}, but it ends at {}: files between are missing", segment.end);
            return Err(damaged(number, &path, segment.position, missing));
        }
        sealed.push(segment);
    }
    let path = folder.join(file_name(last_base));
    let ident = Ident { base: last_base, ..*identity };
    let file = File::open(&path).map_err(|e| io_error("open", &path, e))?;
    let scan = scan(&file, &ident, witness.filter(|w| w.segment == last_base)).map_err(|e| name(e, number, &path))?;
    if scan.footer.is_none() {
        return Ok(Found { sealed, last: Some(Last { path, base: last_base, scan }), next_slot });
    }
    sealed.push(check_sealed(&path, &ident, false)?);
    Ok(Found { sealed, last: None, next_slot })
}

/// Read a segment from its beginning. `witness` is the commit file's entry for this segment.
pub(super) fn scan(source: &impl ReadAt, ident: &Ident, witness: Option<Marker>) -> Result<Scan, ScanError> {
    let mut window = Window::new(source)?;
    let mut found = Scan { position: 0, end: ident.base, confirmed: 0, torn: false, index: Index::new(), last_us: 0, footer: None };
    let mut reason = "a block is neither batch nor marker, or its checksum does not match";
    match window.get(0, HEADER_BYTES as usize)?.map(|header| ident.check_header(header)) {
        Some(Ok(())) => {
            (found.position, found.confirmed) = (HEADER_BYTES, HEADER_BYTES);
            while let Some(step) = step(&mut window, ident, &found)? {
                found.apply(step);
                if found.footer.is_some() {
                    return Ok(found);
                }
            }
        }
        Some(Err(why)) => reason = why,
        None => reason = "the segment header is cut",
    }
    let beyond = find_marker(source, &window, ident, found.position)?;
    found.torn = beyond.any_bytes;
    let witnessed = witness.filter(|w| w.position > found.position || w.end > found.end);
    if let Some(marker) = beyond.marker.or(witnessed) {
        let detail = format!("{reason}, but records up to byte {} (offset {}) were synced", marker.position, marker.end);
        return Err(ScanError::Damaged { position: found.position, detail });
    }
    Ok(found)
}

enum Step {
    Marker,
    Batch { length: usize, head: BatchHead },
    Footer(Footer),
}

impl Scan {
    fn apply(&mut self, step: Step) {
        match step {
            Step::Marker => {
                self.position += MARKER_BYTES as u64;
                self.confirmed = self.position;
            }
            Step::Batch { length, head } => {
                index_batch(&mut self.index, head.base, self.position);
                self.last_us = head.appended_at_us;
                self.position += length as u64;
                self.end = head.base + u64::from(head.count);
            }
            Step::Footer(footer) => self.footer = Some(footer),
        }
    }
}

/// The valid block at the scan's position, if there is one.
fn step(window: &mut Window<'_, impl ReadAt>, ident: &Ident, so_far: &Scan) -> Result<Option<Step>, ScanError> {
    let at = so_far.position;
    if let Some(bytes) = window.get(at, MARKER_BYTES)?
        && let Some(marker) = Marker::read_at(ident, bytes, at)
    {
        return Ok((marker.end == so_far.end).then_some(Step::Marker));
    }
    let rest = window.length - at;
    let Some(head) = window.get(at, BATCH_HEAD_BYTES)? else { return Ok(None) };
    if let Some(length) = batch_length(head) {
        let Some(block) = window.get(at, length)? else { return Ok(None) };
        let head = BatchHead::read(block);
        let whole = ident.check_batch(block, at) && head.base == so_far.end && head.count > 0 && batch_records(block).is_some();
        return Ok(whole.then_some(Step::Batch { length, head }));
    }
    // A footer ends the file. Its length is bounded by the index of the largest segment.
    if is_footer(head) && rest <= SCAN_CHUNK_BYTES as u64 + FOOTER_TAIL_BYTES as u64 {
        let block = window.get(at, rest as usize)?.unwrap_or_default();
        return Ok(ident.check_footer(block, at).filter(|footer| footer.end == so_far.end).map(Step::Footer));
    }
    Ok(None)
}

struct Beyond {
    marker: Option<Marker>,
    any_bytes: bool,
}

/// Search everything from `from` on, byte by byte, for a marker at its own position.
fn find_marker<S: ReadAt>(source: &S, window: &Window<'_, S>, ident: &Ident, from: u64) -> Result<Beyond, ScanError> {
    let mut chunk = vec![0; window.length.saturating_sub(from).min(SCAN_CHUNK_BYTES as u64) as usize];
    let (mut at, mut any_bytes) = (from, false);
    while at < window.length {
        let n = source.read_at(&mut chunk, at)?;
        let bytes = &chunk[..n];
        if n == 0 {
            break;
        }
        if *bytes != ZEROS[..n] {
            any_bytes = true;
            let starts = bytes.windows(MARKER_MAGIC.len()).enumerate().filter(|(_, w)| *w == MARKER_MAGIC);
            for (start, _) in starts {
                if let Some(marker) = Marker::read_at(ident, &bytes[start..], at + start as u64) {
                    return Ok(Beyond { marker: Some(marker), any_bytes });
                }
            }
        }
        // The next chunk begins early enough to see a marker that spans the two.
        at += if n == SCAN_CHUNK_BYTES { n as u64 - MARKER_BYTES as u64 } else { n as u64 };
    }
    Ok(Beyond { marker: None, any_bytes })
}

/// A buffer that follows the scan, so that memory stays at a few MiB however large the segment is.
struct Window<'a, S> {
    source: &'a S,
    length: u64,
    start: u64,
    bytes: Vec<u8>,
}

impl<'a, S: ReadAt> Window<'a, S> {
    fn new(source: &'a S) -> io::Result<Self> {
        Ok(Self { source, length: source.length()?, start: 0, bytes: Vec::new() })
    }

    /// `length` bytes at `at`; `None` if the file ends before.
    fn get(&mut self, at: u64, length: usize) -> io::Result<Option<&[u8]>> {
        if at + length as u64 > self.length {
            return Ok(None);
        }
        let held = at >= self.start && at + length as u64 <= self.start + self.bytes.len() as u64;
        if !held {
            let ahead = (self.length - at).min(SCAN_CHUNK_BYTES as u64) as usize;
            self.bytes.resize(length.max(ahead), 0);
            let n = self.source.read_at(&mut self.bytes, at)?;
            self.bytes.truncate(n);
            self.start = at;
            if n < length {
                return Ok(None);
            }
        }
        let from = (at - self.start) as usize;
        Ok(Some(&self.bytes[from..from + length]))
    }
}

fn check_sealed(path: &Path, ident: &Ident, wholly: bool) -> Result<Sealed, LogError> {
    let number = ident.partition;
    let file = File::open(path).map_err(|e| io_error("open", path, e))?;
    let bytes = file.length().map_err(|e| io_error("read the length of", path, e))?;
    let mut header = [0; HEADER_BYTES as usize];
    file.read_at(&mut header, 0).map_err(|e| io_error("read", path, e))?;
    ident.check_header(&header).map_err(|why| damaged(number, path, 0, why))?;
    let footer = read_footer(&file, ident).map_err(|e| io_error("read", path, e))?;
    let footer = footer.ok_or_else(|| damaged(number, path, bytes, "a sealed segment must end with a footer, and this one does not"))?;
    if wholly {
        let scan = scan(&file, ident, None).map_err(|e| name(e, number, path))?;
        if scan.footer.is_none() {
            return Err(damaged(number, path, scan.position, "a block is neither batch nor marker, or its checksum does not match"));
        }
    }
    Ok(Sealed {
        base: ident.base,
        end: footer.end,
        position: footer.position,
        bytes,
        created_us: Ident::created_us(&header),
        last_us: footer.last_us,
        path: path.to_owned(),
    })
}

fn list(folder: &Path) -> Result<Vec<Offset>, LogError> {
    let entries = std::fs::read_dir(folder).map_err(|e| io_error("list", folder, e))?;
    let mut bases = Vec::new();
    for entry in entries {
        let path = entry.map_err(|e| io_error("list", folder, e))?.path();
        let known = path.file_name().is_some_and(|n| n == COMMIT_FILE || n == NEXT_FILE);
        match base_of(&path) {
            Some(base) => bases.push(base),
            None if !known => tracing::warn!(path = %path.display(), "the log leaves an unknown file in its folder alone"),
            None => {}
        }
    }
    Ok(bases)
}

/// The newest valid slot, and the slot to write next.
fn read_commit_file(folder: &Path, identity: &Ident) -> Result<(Option<Marker>, u64), LogError> {
    let path = folder.join(COMMIT_FILE);
    let bytes = match std::fs::read(&path) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok((None, 0)),
        Err(e) => return Err(io_error("read", &path, e)),
    };
    let slot = |n: u64| bytes.get((n * COMMIT_SLOT_BYTES) as usize..).and_then(|slot| Marker::read(identity, slot));
    let newest = [0, 1].into_iter().filter_map(|n| Some((slot(n)?, n))).max_by_key(|(m, _)| (m.segment, m.position));
    if newest.is_none() && bytes.iter().any(|b| *b != 0) {
        tracing::warn!(path = %path.display(), "the log's second record of what is synced is unreadable; the segments alone decide");
    }
    Ok(newest.map_or((None, 0), |(marker, n)| (Some(marker), 1 - n)))
}

fn name(error: ScanError, partition: u32, path: &Path) -> LogError {
    match error {
        ScanError::Damaged { position, detail } => damaged(partition, path, position, detail),
        ScanError::Io(e) => io_error("read", path, e),
    }
}
