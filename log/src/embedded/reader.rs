//! Reads one partition's segments in order, up to the durable end, checking every block's checksum.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::watch;

use super::file::{Lack, ReadAt, io_error, lack};
use super::format::{BATCH_HEAD_BYTES, BATCH_MAX_BYTES, BatchHead, MARKER_BYTES, MARKER_MAGIC, Marker, batch_length, batch_records};
use super::inner::Inner;
use super::segment::{Durable, Partition, read_footer, seek};
use crate::{Entry, LogError, Offset, Reader};

/// Bytes read at a time; also how far behind the durable end the data is assumed to be in the page cache.
const CHUNK_BYTES: u64 = 256 << 10;

pub(super) struct EmbeddedReader {
    // Keeps the folder's lock.
    _log: Arc<Inner>,
    partition: Arc<Partition>,
    durable: watch::Receiver<Durable>,
    /// Decoded and not yet returned, in order.
    ready: VecDeque<Entry>,
    cursor: Cursor,
}

impl EmbeddedReader {
    pub(super) fn new(log: Arc<Inner>, partition: Arc<Partition>, from: Offset) -> Self {
        let durable = partition.durable.subscribe();
        Self { _log: log, partition, durable, ready: VecDeque::new(), cursor: Cursor { next: from, open: None } }
    }

    fn give(&mut self, max_bytes: usize) -> Vec<Entry> {
        let mut room = max_bytes;
        let mut given = Vec::new();
        while let Some(entry) = self.ready.pop_front_if(|e| given.is_empty() || e.record.len() <= room) {
            room = room.saturating_sub(entry.record.len());
            given.push(entry);
        }
        given
    }
}

#[async_trait]
impl Reader for EmbeddedReader {
    async fn next(&mut self, max_bytes: usize, wait: Duration) -> Result<Vec<Entry>, LogError> {
        // If the future is dropped at an await, `ready` and `cursor` are unchanged.
        while self.ready.is_empty() {
            let durable = *self.durable.borrow_and_update();
            if durable.end <= self.cursor.next {
                let next = self.cursor.next;
                let more = tokio::time::timeout(wait, self.durable.wait_for(|d| d.end > next)).await;
                if !matches!(more, Ok(Ok(_))) {
                    return Ok(Vec::new());
                }
                continue;
            }
            let (entries, cursor) = if self.cursor.is_in_page_cache(&durable) {
                fetch(&self.partition, self.cursor.clone(), &durable)?
            } else {
                let (partition, cursor) = (self.partition.clone(), self.cursor.clone());
                match tokio::task::spawn_blocking(move || fetch(&partition, cursor, &durable)).await {
                    Ok(fetched) => fetched?,
                    Err(e) if e.is_cancelled() => return Err(LogError::Unavailable("the runtime is shutting down".into())),
                    Err(e) => std::panic::resume_unwind(e.into_panic()),
                }
            };
            self.ready = entries;
            self.cursor = cursor;
        }
        Ok(self.give(max_bytes))
    }

    fn end(&self) -> Offset {
        self.durable.borrow().end
    }
}

/// A reader's position in its partition.
#[derive(Clone)]
struct Cursor {
    /// The first offset that was not read yet.
    next: Offset,
    open: Option<OpenSegment>,
}

#[derive(Clone)]
struct OpenSegment {
    base: Offset,
    path: PathBuf,
    file: Arc<File>,
    position: u64,
    /// Where its blocks and its offsets end, once it is sealed.
    sealed_at: Option<(u64, Offset)>,
}

impl Cursor {
    fn is_in_page_cache(&self, durable: &Durable) -> bool {
        self.open.as_ref().is_some_and(|open| open.base == durable.segment && durable.position.saturating_sub(open.position) <= CHUNK_BYTES)
    }
}

/// Read and check the next blocks. Blocks on file I/O.
fn fetch(partition: &Partition, mut cursor: Cursor, durable: &Durable) -> Result<(VecDeque<Entry>, Cursor), LogError> {
    let mut entries = VecDeque::new();
    while entries.is_empty() && cursor.next < durable.end {
        let mut open = match cursor.open.take() {
            Some(open) => open,
            None => open_segment(partition, cursor.next)?,
        };
        let limit = limit(partition, &mut open, durable, cursor.next)?;
        if open.position >= limit {
            if open.base == durable.segment {
                // The index was ahead of this view of the durable end; the reader has what it can have for now.
                cursor.open = Some(open);
                break;
            }
            // Sealed and read to its end: the next segment begins at the next offset.
            match open.sealed_at {
                Some((_, end)) if end == cursor.next => continue,
                _ => return Err(partition.damaged(&open.path, limit, "records are missing before the end of the segment")),
            }
        }
        read_blocks(partition, &mut open, limit, &mut cursor.next, &mut entries)?;
        cursor.open = Some(open);
    }
    Ok((entries, cursor))
}

/// Where the segment's durable blocks end.
fn limit(partition: &Partition, open: &mut OpenSegment, durable: &Durable, next: Offset) -> Result<u64, LogError> {
    if let Some((at, _)) = open.sealed_at {
        return Ok(at);
    }
    if open.base == durable.segment {
        return Ok(durable.position);
    }
    let segments = partition.segments.read();
    let sealed = segments.sealed.iter().rev().find(|s| s.base == open.base).map(|s| (s.position, s.end));
    drop(segments);
    // Retention has removed the segment in the meantime.
    let sealed = sealed.ok_or_else(|| partition.out_of_range(next))?;
    open.sealed_at = Some(sealed);
    Ok(sealed.0)
}

fn open_segment(partition: &Partition, from: Offset) -> Result<OpenSegment, LogError> {
    let sealed = {
        let segments = partition.segments.read();
        if from >= segments.active.base {
            let active = &segments.active;
            let position = seek(&active.index.lock(), from);
            return Ok(OpenSegment { base: active.base, path: active.path.clone(), file: active.file.clone(), position, sealed_at: None });
        }
        let after = segments.sealed.partition_point(|s| s.base <= from);
        after.checked_sub(1).map(|i| segments.sealed[i].clone())
    };
    let sealed = sealed.ok_or_else(|| partition.out_of_range(from))?;
    let file = match File::open(&sealed.path) {
        Ok(file) => file,
        // Retention removed the file after the list was read; if retention did not, it is an error.
        Err(e) if e.kind() == io::ErrorKind::NotFound && partition.bounds().start > from => return Err(partition.out_of_range(from)),
        // The same call succeeds when file handles are available again.
        Err(e) if lack(&e) == Some(Lack::Handles) => {
            return Err(LogError::Unavailable(format!("no file handle is left to open {}: {e}", sealed.path.display())));
        }
        Err(e) => return Err(io_error("open", &sealed.path, e)),
    };
    let ident = partition.ident(sealed.base);
    let footer = read_footer(&file, &ident).map_err(|e| io_error("read", &sealed.path, e))?;
    let footer = footer.ok_or_else(|| partition.damaged(&sealed.path, sealed.position, "the footer's checksum does not match"))?;
    let position = seek(&footer.index, from);
    Ok(OpenSegment { base: sealed.base, path: sealed.path, file: Arc::new(file), position, sealed_at: Some((sealed.position, sealed.end)) })
}

/// Read one chunk of blocks at `open.position`, below `limit`, and keep its records from offset `next` on.
fn read_blocks(partition: &Partition, open: &mut OpenSegment, limit: u64, next: &mut Offset, entries: &mut VecDeque<Entry>) -> Result<(), LogError> {
    let ident = partition.ident(open.base);
    let bad = |position: u64| partition.damaged(&open.path, position, "a block is neither batch nor marker, or its checksum does not match");
    let mut length = (limit - open.position).min(CHUNK_BYTES);
    // A batch longer than the chunk is read again, whole.
    let chunk = loop {
        let chunk = read_exactly(open, length)?;
        match batch_length(&chunk) {
            Some(batch) if batch as u64 > length => {
                if open.position + batch as u64 > limit {
                    return Err(bad(open.position));
                }
                debug_assert!(batch <= BATCH_MAX_BYTES);
                length = batch as u64;
            }
            _ => break chunk,
        }
    };
    let mut at = 0;
    while at < chunk.len() {
        let position = open.position + at as u64;
        let rest = &chunk[at..];
        // A block may continue in the next chunk; the first block is whole (see above) unless it is damaged.
        let cut = || if at == 0 || position + rest.len() as u64 >= limit { Err(bad(position)) } else { Ok(()) };
        if rest.starts_with(&MARKER_MAGIC[..rest.len().min(MARKER_MAGIC.len())]) {
            if rest.len() < MARKER_BYTES {
                cut()?;
                break;
            }
            Marker::read_at(&ident, rest, position).ok_or_else(|| bad(position))?;
            at += MARKER_BYTES;
            continue;
        }
        if rest.len() < BATCH_HEAD_BYTES {
            cut()?;
            break;
        }
        let length = batch_length(rest).ok_or_else(|| bad(position))?;
        let Some(block) = rest.get(..length) else {
            cut()?;
            break;
        };
        if !ident.check_batch(block, position) {
            return Err(bad(position));
        }
        let head = BatchHead::read(block);
        if head.base > *next {
            return Err(partition.damaged(&open.path, position, format!("the next batch begins at offset {}, but {next} should follow", head.base)));
        }
        let records = batch_records(block).ok_or_else(|| bad(position))?;
        for (offset, record) in (head.base..).zip(records).filter(|(offset, _)| *offset >= *next) {
            entries.push_back(Entry { offset, appended_at_us: head.appended_at_us, record: chunk.slice(at + record.start..at + record.end) });
        }
        *next = (*next).max(head.base + u64::from(head.count));
        at += length;
    }
    open.position += at as u64;
    Ok(())
}

fn read_exactly(open: &OpenSegment, length: u64) -> Result<Bytes, LogError> {
    let mut chunk = vec![0; length as usize];
    let n = open.file.read_at(&mut chunk, open.position).map_err(|e| io_error("read", &open.path, e))?;
    // If the file has become shorter, the missing bytes are found as an invalid block.
    chunk.truncate(n.max(1));
    Ok(chunk.into())
}
