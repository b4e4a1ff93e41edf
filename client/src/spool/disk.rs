//! [`Disk`]: a spool's files. It appends, reads back and removes records. Synchronous; used by the spool's thread only.
//!
//! Records carry their own length, checksum, run and sequence, so the files need no format of their own. An incomplete record at
//! the end is cut off when the spool is opened; damage before it is skipped up to the next intact record, and the range between
//! them becomes a gap.

use std::collections::{BTreeMap, VecDeque};
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use boxbox_schemas::event::GapReason;
use boxbox_schemas::record::{PRELUDE_BYTES, Record, check_length};
use boxbox_schemas::{RunId, Sim, Source};
use bytes::Bytes;

use crate::observe::StreamName;
use crate::queue::{Entry, Wanted};

/// A full spool drops whole segments: small enough that one loses little, large enough that there are few.
const SEGMENT_MAX_BYTES: u64 = 1 << 20;
const SEGMENT_MIN_BYTES: u64 = 64 << 10;
/// Segments in a full spool.
const SEGMENTS: u64 = 16;

/// Opens files that only their owner may read and write.
pub(super) fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// Makes a folder that only its owner may enter.
pub(super) fn create_dir(path: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.recursive(true).create(path)
}

/// A stream that an earlier process left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Recovered {
    pub(crate) id: u64,
    pub(crate) name: StreamName,
    pub(crate) acked: u64,
    pub(crate) next: u64,
    pub(crate) bytes: u64,
}

pub(crate) struct Disk {
    dir: PathBuf,
    max_bytes: u64,
    segment_bytes: u64,
    streams: BTreeMap<u64, DiskStream>,
    bytes: u64,
}

struct DiskStream {
    dir: PathBuf,
    name: StreamName,
    segments: VecDeque<Segment>,
    /// The last segment, while records are appended to it.
    current: Option<File>,
    /// The sequence number after the last record.
    next: u64,
    dirty: bool,
    /// Where the last read ended: sequence number, segment, offset.
    read_to: Option<(u64, u64, u64)>,
    noted_ack: u64,
}

#[derive(Clone, Copy, Debug)]
struct Segment {
    first: u64,
    bytes: u64,
}

impl Disk {
    /// Reads the folder `dir`, cuts off incomplete records, and returns the streams that are in it.
    pub(crate) fn open(dir: &Path, max_bytes: u64) -> io::Result<(Self, Vec<Recovered>)> {
        let segment_bytes = (max_bytes / SEGMENTS).clamp(SEGMENT_MIN_BYTES, SEGMENT_MAX_BYTES);
        let mut disk = Self { dir: dir.into(), max_bytes, segment_bytes, streams: BTreeMap::new(), bytes: 0 };
        let mut recovered = vec![];
        for entry in std::fs::read_dir(dir)? {
            let path = entry?.path();
            let Some((id, name)) = path.file_name().and_then(|n| n.to_str()).and_then(parse_dir_name) else { continue };
            let Some(stream) = DiskStream::open(path, name)? else { continue };
            let (acked, bytes) = (stream.noted_ack, stream.bytes());
            recovered.push(Recovered { id, name, acked, next: stream.next, bytes });
            disk.bytes += bytes;
            disk.streams.insert(id, stream);
        }
        recovered.sort_by_key(|l| l.id);
        Ok((disk, recovered))
    }

    /// Bytes of all files.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Appends sealed records of stream `id`; the first begins at `first`, the last ends before `next`.
    pub(crate) fn append(&mut self, id: u64, name: StreamName, first: u64, next: u64, records: &[Bytes]) -> io::Result<()> {
        let stream = match self.streams.entry(id) {
            std::collections::btree_map::Entry::Occupied(known) => known.into_mut(),
            std::collections::btree_map::Entry::Vacant(new) => new.insert(DiskStream::create(self.dir.join(dir_name(id, &name)), name)?),
        };
        if first > stream.next {
            // Acks can be faster than the disk: the records between were acked, not lost.
            stream.note_ack(first)?;
        }
        let length: usize = records.iter().map(Bytes::len).sum();
        let full = stream.segments.back().is_none_or(|s| s.bytes > 0 && s.bytes + length as u64 > self.segment_bytes);
        if stream.current.is_none() || full {
            stream.roll(first)?;
        }
        let mut whole = Vec::with_capacity(length);
        records.iter().for_each(|r| whole.extend_from_slice(r));
        let (Some(file), Some(segment)) = (&mut stream.current, stream.segments.back_mut()) else { return Err(io::Error::other("no segment")) };
        if let Err(e) = file.write_all(&whole) {
            // A half-written record is cut off; if that fails too, the next append begins another segment.
            if file.set_len(segment.bytes).and_then(|()| file.seek(SeekFrom::End(0))).is_err() {
                stream.current = None;
            }
            return Err(e);
        }
        segment.bytes += length as u64;
        self.bytes += length as u64;
        stream.next = next;
        stream.dirty = true;
        Ok(())
    }

    /// Drops the oldest segments until `more` bytes fit (W8). Returns the streams that lost records, and the number below which they did.
    pub(crate) fn make_room(&mut self, more: u64) -> Vec<(u64, u64)> {
        let mut lost = vec![];
        while self.bytes + more > self.max_bytes {
            let Some((id, stream)) = self.streams.iter_mut().find(|(_, s)| !s.segments.is_empty()) else { break };
            self.bytes -= stream.drop_first();
            lost.push((*id, stream.segments.front().map_or(stream.next, |s| s.first)));
        }
        lost
    }

    /// Entries from `wanted.from` on without holes, at least one: missing or damaged records are a gap.
    pub(crate) fn read(&mut self, id: u64, wanted: Wanted) -> io::Result<Vec<Entry>> {
        match self.streams.get_mut(&id) {
            Some(stream) => stream.read(wanted),
            None => Ok(vec![Entry::gap(wanted.from, wanted.until, GapReason::SPOOL_DAMAGED)]),
        }
    }

    /// Everything of `id` below `acked` is durable at the server: segments without other records are removed.
    pub(crate) fn acked(&mut self, id: u64, acked: u64) {
        let Some(stream) = self.streams.get_mut(&id) else { return };
        // Without this, a stream that keeps up would never remove its one segment.
        let keeps_up = |s: &DiskStream| acked >= s.next && s.segments.back().is_some_and(|s| s.bytes > self.segment_bytes / 2);
        while stream.segments.get(1).is_some_and(|second| second.first <= acked) || keeps_up(stream) {
            // The ack is noted first: without the note, a missing segment would be read as records given up.
            let _ = stream.note_ack(acked);
            self.bytes -= stream.drop_first();
        }
    }

    /// Notes how far `id` is acked, so that the next process sends less again. If the note is lost or damaged, it sends more again.
    pub(crate) fn note_ack(&mut self, id: u64, acked: u64) -> io::Result<()> {
        match self.streams.get_mut(&id) {
            Some(stream) => stream.note_ack(acked),
            None => Ok(()),
        }
    }

    /// Stream `id` has ended and is acked: its folder is removed.
    pub(crate) fn forget(&mut self, id: u64) -> io::Result<()> {
        let Some(stream) = self.streams.remove(&id) else { return Ok(()) };
        self.bytes -= stream.bytes();
        drop(stream.current);
        std::fs::remove_dir_all(&stream.dir)
    }

    /// Makes everything written so far survive a power cut.
    pub(crate) fn sync(&mut self) -> io::Result<()> {
        for stream in self.streams.values_mut().filter(|s| s.dirty) {
            stream.dirty = false;
            if let Some(file) = &stream.current {
                file.sync_data()?;
            }
        }
        Ok(())
    }
}

impl DiskStream {
    fn create(dir: PathBuf, name: StreamName) -> io::Result<Self> {
        create_dir(&dir)?;
        Ok(Self { dir, name, segments: VecDeque::new(), current: None, next: 0, dirty: false, read_to: None, noted_ack: 0 })
    }

    /// `None`: there is no unacked record in it.
    fn open(dir: PathBuf, name: StreamName) -> io::Result<Option<Self>> {
        let mut segments = vec![];
        for entry in std::fs::read_dir(&dir)? {
            let entry = entry?;
            if let Some(first) = entry.file_name().to_str().and_then(|n| n.strip_suffix(".rec")).and_then(|n| u64::from_str_radix(n, 16).ok()) {
                segments.push(Segment { first, bytes: entry.metadata()?.len() });
            }
        }
        segments.sort_by_key(|s| s.first);
        let mut stream = Self { segments: segments.into(), noted_ack: read_ack(&dir), ..Self::create(dir, name)? };
        if let Some(last) = stream.segments.back_mut() {
            let path = segment_path(&stream.dir, last.first);
            let found = scan(&name, last.first, std::fs::read(&path)?.into());
            stream.next = found.last().map_or(last.first, |f| f.entry.next);
            let sound = found.last().map_or(0, |f| f.end);
            if sound < last.bytes {
                private().open(&path)?.set_len(sound)?;
                last.bytes = sound;
            }
            if sound == 0 {
                // The segment was begun and never filled: the one before it ends where it begins.
                stream.segments.pop_back();
                std::fs::remove_file(path)?;
            }
        }
        if stream.segments.is_empty() || stream.noted_ack >= stream.next {
            std::fs::remove_dir_all(&stream.dir)?;
            return Ok(None);
        }
        Ok(Some(stream))
    }

    fn bytes(&self) -> u64 {
        self.segments.iter().map(|s| s.bytes).sum()
    }

    fn roll(&mut self, first: u64) -> io::Result<()> {
        let file = private().create(true).truncate(true).open(segment_path(&self.dir, first))?;
        if self.segments.back().is_none_or(|s| s.first != first) {
            self.segments.push_back(Segment { first, bytes: 0 });
        }
        self.current = Some(file);
        Ok(())
    }

    /// Removes the first segment; returns its bytes.
    fn drop_first(&mut self) -> u64 {
        let Some(segment) = self.segments.pop_front() else { return 0 };
        if self.segments.is_empty() {
            self.current = None;
        }
        // A file that cannot be removed now is removed with its folder, or sent once more by the next process.
        let _ = std::fs::remove_file(segment_path(&self.dir, segment.first));
        segment.bytes
    }

    fn read(&mut self, wanted: Wanted) -> io::Result<Vec<Entry>> {
        let Wanted { from, until, max_bytes } = wanted;
        let at = self.segments.partition_point(|s| s.first <= from);
        let Some(at) = at.checked_sub(1) else {
            // Dropped when the spool was full, by this process or one before it.
            let next = self.segments.front().map_or(until, |s| s.first.min(until));
            return Ok(vec![Entry::gap(from, next, GapReason::SPOOL_FULL)]);
        };
        let segment = self.segments[at];
        let end = self.segments.get(at + 1).map_or(self.next, |s| s.first).min(until);
        let offset = self.read_to.filter(|r| (r.0, r.1) == (from, segment.first)).map_or(0, |r| r.2);
        let bytes = read_from(&segment_path(&self.dir, segment.first), offset)?;
        let (mut entries, mut expected, mut taken) = (vec![], from, 0);
        for found in scan(&self.name, from, bytes) {
            if taken >= max_bytes || expected >= end {
                break;
            }
            let entry = found.entry;
            if entry.first > expected {
                entries.push(Entry::gap(expected, entry.first, GapReason::SPOOL_DAMAGED));
            }
            taken += entry.len();
            expected = entry.next;
            self.read_to = Some((expected, segment.first, offset + found.end));
            entries.push(entry);
        }
        if expected < end && taken < max_bytes {
            entries.push(Entry::gap(expected, end, GapReason::SPOOL_DAMAGED));
        }
        Ok(entries)
    }

    fn note_ack(&mut self, acked: u64) -> io::Result<()> {
        if acked <= self.noted_ack {
            return Ok(());
        }
        let mut note = acked.to_le_bytes().to_vec();
        note.extend_from_slice(&crc32c::crc32c(&note).to_le_bytes());
        private().create(true).truncate(false).open(self.dir.join("acked"))?.write_all(&note)?;
        self.noted_ack = acked;
        Ok(())
    }
}

fn read_ack(dir: &Path) -> u64 {
    let note = std::fs::read(dir.join("acked")).unwrap_or_default();
    match note.split_first_chunk::<8>() {
        Some((acked, crc)) if crc == crc32c::crc32c(acked).to_le_bytes() => u64::from_le_bytes(*acked),
        _ => 0,
    }
}

/// A segment's bytes from `offset` on; none if the file is missing or unreadable, which makes its range a gap.
fn read_from(path: &Path, offset: u64) -> io::Result<Bytes> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied) => return Ok(Bytes::new()),
        Err(e) => return Err(e),
    };
    let mut bytes = vec![];
    let read = file.seek(SeekFrom::Start(offset)).and_then(|_| file.read_to_end(&mut bytes));
    if let Err(error) = read {
        tracing::warn!(path = %path.display(), %error, "a spool's file is not readable to its end");
    }
    Ok(bytes.into())
}

/// An intact record, and where it ends in the bytes.
struct Found {
    entry: Entry,
    end: u64,
}

/// The intact records of a stream in `bytes`, ascending from `from` on. Damage is skipped: the run's id, 16 random bytes at a
/// fixed offset in each record, shows where the next record may begin, and the record's checksum shows whether it does.
fn scan(name: &StreamName, from: u64, bytes: Bytes) -> Vec<Found> {
    const RUN_AT: usize = 16;
    let (mut found, mut at, mut expected) = (vec![], 0, from);
    while at + PRELUDE_BYTES <= bytes.len() {
        match record_at(name, &bytes, at) {
            Some(record) => {
                at += record.bytes().len();
                if let Some(mut entry) = Entry::of(&record)
                    && entry.next > expected
                    && (entry.first >= expected || entry.len() == 0)
                {
                    entry.first = entry.first.max(expected);
                    expected = entry.next;
                    found.push(Found { entry, end: at as u64 });
                }
            }
            None => {
                let search = at + RUN_AT + 1;
                let Some(next) = bytes.get(search..).and_then(|rest| rest.windows(16).position(|w| w == name.run.0)) else { break };
                at = search + next - RUN_AT;
            }
        }
    }
    found
}

fn record_at(name: &StreamName, bytes: &Bytes, at: usize) -> Option<Record> {
    let length = u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?);
    let length = check_length(length).ok()?;
    let whole = (at + length <= bytes.len()).then(|| bytes.slice(at..at + length))?;
    let record = Record::parse(whole).ok()?;
    let p = record.prelude();
    (p.run == name.run && p.source == name.source).then_some(record)
}

fn segment_path(dir: &Path, first: u64) -> PathBuf {
    dir.join(format!("{first:012x}.rec"))
}

fn dir_name(id: u64, name: &StreamName) -> String {
    let Source { sim, id: source, session_num } = name.source;
    format!("{id:08x}-{}-{:04x}-{source:032x}-{session_num:08x}", name.run, sim.0)
}

fn parse_dir_name(text: &str) -> Option<(u64, StreamName)> {
    let mut parts = text.split('-');
    let id = u64::from_str_radix(parts.next()?, 16).ok()?;
    let run: RunId = parts.next()?.parse().ok()?;
    let sim = Sim(u16::from_str_radix(parts.next()?, 16).ok()?);
    let source = u128::from_str_radix(parts.next()?, 16).ok()?;
    let session_num = u32::from_str_radix(parts.next()?, 16).ok()?;
    let name = StreamName { run, source: Source { sim, id: source, session_num } };
    (parts.next().is_none() && dir_name(id, &name) == text).then_some((id, name))
}
