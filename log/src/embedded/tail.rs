//! The active segment: it is continued after a start, and sealed and followed by the next when it is full.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use parking_lot::Mutex;

use super::file::{Folder, Lack, ReadAt, io_error, lack, preallocate, write_all_at};
use super::format::{FOOTER_TAIL_BYTES, HEADER_BYTES, Ident, MARKER_BYTES};
use super::options::{Faults, Options};
use super::recover::{COMMIT_FILE, COMMIT_SLOT_BYTES, Last, NEXT_FILE};
use super::segment::{Active, file_name};
use crate::memory::now_us;
use crate::{LogError, Offset};

/// The active segment and the position in it.
pub(super) struct Tail {
    pub(super) active: Arc<Active>,
    /// Bytes reserved on disk.
    pub(super) capacity: u64,
    /// Where the next batch goes.
    pub(super) position: u64,
    /// Offset of the next record.
    pub(super) next: Offset,
    /// When the last batch was appended, Unix µs.
    pub(super) last_us: i64,
}

impl Tail {
    /// Continue a segment: cut an incomplete batch, confirm whole ones, and make all of it durable before a reader sees it.
    pub(super) fn resume(last: Last, identity: &Ident, options: &Options) -> Result<Self, LogError> {
        let Last { path, base, scan } = last;
        let ident = Ident { base, ..*identity };
        let error = |action| {
            let path = path.clone();
            move |e| io_error(action, &path, e)
        };
        let file = OpenOptions::new().read(true).write(true).open(&path).map_err(error("open"))?;
        if scan.torn {
            tracing::info!(path = %path.display(), from = scan.position, "the log cuts a batch that a crash left incomplete; it was never confirmed");
            file.set_len(scan.position).map_err(error("cut"))?;
        }
        let mut capacity = file.length().map_err(error("read the length of"))?;
        if capacity < options.segment_bytes {
            match preallocate(&file, options.segment_bytes) {
                Ok(()) => capacity = options.segment_bytes,
                // The segment is sealed at its present end, and space is requested again for the next one.
                Err(e) if lack(&e) == Some(Lack::Space) => tracing::warn!(path = %path.display(), "the disk is full: the log cannot reserve space"),
                Err(e) => return Err(error("reserve space for")(e)),
            }
        }
        // First the size and the zeros are durable, then blocks are written.
        file.sync_all().map_err(error("sync"))?;
        let mut position = scan.position;
        if position == 0 {
            write_all_at(&file, &ident.header(now_us()), 0).map_err(error("write"))?;
            position = HEADER_BYTES;
        }
        if scan.confirmed < scan.position {
            // The batches are written again: after a failed sync the page cache may mark data as clean that is not on the disk.
            let mut unconfirmed = vec![0; (scan.position - scan.confirmed) as usize];
            file.read_at(&mut unconfirmed, scan.confirmed).map_err(error("read"))?;
            write_all_at(&file, &unconfirmed, scan.confirmed).map_err(error("write"))?;
            file.sync_data().map_err(error("sync"))?;
            write_all_at(&file, &ident.marker(position, scan.end), position).map_err(error("write"))?;
            position += MARKER_BYTES as u64;
        }
        if position != scan.position {
            file.sync_data().map_err(error("sync"))?;
        }
        let mut header = [0; HEADER_BYTES as usize];
        file.read_at(&mut header, 0).map_err(error("read"))?;
        let created_us = Ident::created_us(&header);
        let active = Active { base, path, file: Arc::new(file), created_us, index: Mutex::new(scan.index) };
        Ok(Self { active: Arc::new(active), capacity, position, next: scan.end, last_us: scan.last_us })
    }

    /// Give a prepared segment its name. Opens no file, so it cannot fail for lack of handles.
    pub(super) fn begin(folder: &Folder, base: Offset, next: Next) -> Result<Self, LogError> {
        let path = folder.path().join(file_name(base));
        std::fs::rename(folder.path().join(NEXT_FILE), &path).map_err(|e| io_error("rename", &path, e))?;
        folder.sync()?;
        let active = Active { base, path, file: Arc::new(next.file), created_us: next.created_us, index: Mutex::default() };
        Ok(Self { active: Arc::new(active), capacity: next.capacity, position: HEADER_BYTES, next: base, last_us: 0 })
    }

    /// Whether a batch of `length` bytes, its marker, and later the footer fit.
    pub(super) fn fits(&self, length: usize) -> bool {
        let footer = footer_bytes(self.active.index.lock().len() + 1);
        self.position + (length + MARKER_BYTES + footer) as u64 <= self.capacity
    }
}

pub(super) struct Next {
    pub(super) file: File,
    pub(super) capacity: u64,
    pub(super) created_us: i64,
}

/// Length of a segment that holds at least one batch of `length` bytes, whatever the setting.
pub(super) fn capacity_for(length: usize, options: &Options) -> u64 {
    options.segment_bytes.max(HEADER_BYTES + (length + MARKER_BYTES + footer_bytes(1)) as u64)
}

/// Reserve the space of the next segment under a name that recovery ignores, so that a full disk, or a process without handles,
/// changes nothing.
pub(super) fn prepare_next(folder: &Path, ident: &Ident, capacity: u64, faults: &Faults) -> io::Result<Next> {
    let path = folder.join(NEXT_FILE);
    if faults.no_space.load(Ordering::Relaxed) {
        return Err(io::ErrorKind::StorageFull.into());
    }
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(&path)?;
    let created_us = now_us();
    let fill = || {
        preallocate(&file, capacity)?;
        write_all_at(&file, &ident.header(created_us), 0)?;
        file.sync_all()
    };
    if let Err(e) = fill() {
        // Free the reserved space; the next attempt starts from the beginning whether or not this works.
        let _ = std::fs::remove_file(&path);
        return Err(e);
    }
    Ok(Next { file, capacity, created_us })
}

/// Remove the files of a partition that was begun by this process and has no record.
pub(super) fn give_back(folder: &Path) {
    for name in [file_name(0), NEXT_FILE.to_owned()] {
        // What stays is used by the next start.
        let _ = std::fs::remove_file(folder.join(name));
    }
}

/// The partition's second copy of the last synced position.
pub(super) struct CommitFile {
    pub(super) file: File,
    slot: u64,
}

impl CommitFile {
    pub(super) fn open(folder: &Folder, slot: u64) -> Result<Self, LogError> {
        let path = folder.path().join(COMMIT_FILE);
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path).map_err(|e| io_error("open", &path, e))?;
        preallocate(&file, 2 * COMMIT_SLOT_BYTES).map_err(|e| io_error("reserve space for", &path, e))?;
        file.sync_all().map_err(|e| io_error("sync", &path, e))?;
        folder.sync()?;
        Ok(Self { file, slot })
    }

    pub(super) fn write(&mut self, marker: &[u8]) -> io::Result<()> {
        write_all_at(&self.file, marker, self.slot * COMMIT_SLOT_BYTES)?;
        self.slot = 1 - self.slot;
        Ok(())
    }
}

/// Bytes of a footer with `entries` index entries.
fn footer_bytes(entries: usize) -> usize {
    8 + entries * 16 + FOOTER_TAIL_BYTES
}
