//! The spool's thread: writes sealed records, reads back those that are no longer in memory, and removes acked ones. Only this
//! thread does file I/O, and never under the lock, so that a slow disk delays neither the simulator nor the connection.

use std::sync::Arc;
use std::time::{Duration, Instant};

use boxbox_schemas::event::GapReason;
use bytes::Bytes;

use super::disk::Disk;
use super::{Files, SpoolError};
use crate::core::{Core, StreamState, gap};
use crate::observe::{Counters, StreamName};
use crate::queue::{Body, Queue, Wanted};
use crate::shared::{HEAD_MAX_BYTES, Shared};

/// How often files are synced and acks are noted; also the longest sleep.
const HOUSEKEEPING: Duration = Duration::from_secs(1);
/// Pause after a write that failed.
const RETRY: Duration = Duration::from_secs(1);
/// Most bytes written at once, and one record more: no more than the smallest segment holds.
const WRITE_MAX_BYTES: usize = 32 << 10;

/// Registers the streams that earlier runs left, and starts the thread.
pub(crate) fn start(files: Files, shared: &Arc<Shared>) -> Result<(), SpoolError> {
    let Files { disk, recovered, lock } = files;
    let mut core = shared.core.lock();
    core.file_bytes = disk.bytes();
    for stream in &recovered {
        let queue = Queue::filed(stream.acked, stream.next, stream.bytes, HEAD_MAX_BYTES);
        core.streams.insert(stream.id, StreamState::new(stream.name, queue, None));
        core.next_id = core.next_id.max(stream.id + 1);
    }
    drop(core);
    if !recovered.is_empty() {
        let frames: u64 = recovered.iter().map(|l| l.next - l.acked).sum();
        tracing::info!(streams = recovered.len(), frames, "an earlier run left unacked frames, they are sent now");
    }
    let thread = shared.clone();
    let spawned = std::thread::Builder::new().name("boxbox-spool".into()).spawn(move || {
        let _closed = thread.files_closed.clone().drop_guard();
        Worker { shared: &thread, disk, blocked_until: None, housekeeping_at: Instant::now() }.run();
        drop(lock);
    });
    spawned.map(drop).map_err(SpoolError::io(std::path::Path::new("boxbox-spool")))
}

/// The file operations that are due, collected under the lock.
#[derive(Default)]
struct PendingIo {
    forget: Vec<u64>,
    acked: Vec<(u64, u64)>,
    writes: Vec<Write>,
    reads: Vec<(u64, Wanted)>,
}

struct Write {
    id: u64,
    name: StreamName,
    first: u64,
    next: u64,
    records: Vec<Bytes>,
}

struct Worker<'a> {
    shared: &'a Shared,
    disk: Disk,
    blocked_until: Option<Instant>,
    housekeeping_at: Instant,
}

impl Worker<'_> {
    fn run(mut self) {
        loop {
            let (pending, stop) = self.wait();
            let acked = self.forget(pending.forget, pending.acked);
            let progressed = self.write(pending.writes);
            self.read(pending.reads);
            if stop || Instant::now() >= self.housekeeping_at {
                self.housekeep(&acked);
            }
            self.shared.core.lock().file_bytes = self.disk.bytes();
            if stop && !progressed {
                return;
            }
        }
    }

    /// Sleeps until there is something to do; true if the thread is to end.
    fn wait(&mut self) -> (PendingIo, bool) {
        let mut core = self.shared.core.lock();
        loop {
            let now = Instant::now();
            let blocked = self.blocked_until.is_some_and(|until| now < until) && !core.stop;
            let pending = collect(&mut core, !blocked);
            if core.stop || !pending.forget.is_empty() || !pending.writes.is_empty() || !pending.reads.is_empty() || now >= self.housekeeping_at {
                return (pending, core.stop);
            }
            let wake = self.housekeeping_at.min(self.blocked_until.filter(|_| blocked).unwrap_or(self.housekeeping_at));
            self.shared.file_work.wait_until(&mut core, wake);
        }
    }

    fn forget(&mut self, forget: Vec<u64>, acked: Vec<(u64, u64)>) -> Vec<(u64, u64)> {
        for id in forget {
            if let Err(error) = self.disk.forget(id) {
                tracing::warn!(%error, "a drained spool's folder cannot be removed");
            }
        }
        acked.iter().for_each(|(id, acked)| self.disk.acked(*id, *acked));
        acked
    }

    /// Returns whether anything was written.
    fn write(&mut self, writes: Vec<Write>) -> bool {
        let mut progressed = false;
        for Write { id, name, first, next, records } in writes {
            let bytes: usize = records.iter().map(Bytes::len).sum();
            let lost = self.disk.make_room(bytes as u64);
            self.evict(&lost);
            match self.disk.append(id, name, first, next, &records) {
                Ok(()) => {
                    self.blocked_until = None;
                    progressed = true;
                    if let Some(stream) = self.shared.core.lock().streams.get_mut(&id) {
                        stream.queue.wrote(next);
                    }
                }
                Err(error) => {
                    Counters::add(&self.shared.counters.spool_errors, 1);
                    self.shared.counters.failed(format!("the spool cannot be written: {error}"));
                    tracing::warn!(%error, "the spool cannot be written, frames wait in memory");
                    self.blocked_until = Some(Instant::now() + RETRY);
                    return progressed;
                }
            }
        }
        progressed
    }

    fn evict(&mut self, lost: &[(u64, u64)]) {
        for (id, upto) in lost {
            let mut core = self.shared.core.lock();
            let Some(stream) = core.streams.get_mut(id) else { continue };
            let given_up = stream.queue.evict(*upto, GapReason::SPOOL_FULL);
            stream.wake.notify_one();
            drop(core);
            if given_up > 0 {
                self.shared.event(gap(*id, upto - given_up, *upto, GapReason::SPOOL_FULL));
            }
        }
    }

    fn read(&mut self, reads: Vec<(u64, Wanted)>) {
        for (id, wanted) in reads {
            let entries = match self.disk.read(id, wanted) {
                Ok(entries) => entries,
                Err(error) => {
                    tracing::warn!(%error, "the spool cannot be read, trying again");
                    self.shared.counters.failed(format!("the spool cannot be read: {error}"));
                    std::thread::sleep(RETRY);
                    continue;
                }
            };
            let gaps: Vec<_> =
                entries.iter().filter_map(|e| if let Body::Gap(reason) = e.body { Some(gap(id, e.first, e.next, reason)) } else { None }).collect();
            let mut core = self.shared.core.lock();
            if let Some(stream) = core.streams.get_mut(&id) {
                stream.queue.loaded(wanted.from, entries);
                stream.wake.notify_one();
            }
            drop(core);
            // Streams of earlier runs are sent after their first read only.
            self.shared.changed.notify_one();
            gaps.into_iter().for_each(|event| self.shared.event(event));
        }
    }

    fn housekeep(&mut self, acked: &[(u64, u64)]) {
        self.housekeeping_at = Instant::now() + HOUSEKEEPING;
        let noted = acked.iter().try_for_each(|(id, acked)| self.disk.note_ack(*id, *acked));
        if let Err(error) = noted.and_then(|()| self.disk.sync()) {
            Counters::add(&self.shared.counters.spool_errors, 1);
            tracing::warn!(%error, "the spool cannot be synced");
        }
    }
}

fn collect(core: &mut Core, write: bool) -> PendingIo {
    let mut pending = PendingIo { forget: std::mem::take(&mut core.forget), ..PendingIo::default() };
    for (id, stream) in &core.streams {
        pending.acked.push((*id, stream.queue.acked()));
        if write {
            let mut records = vec![];
            let first = stream.queue.written();
            if let Some(next) = stream.queue.unwritten(&stream.name, WRITE_MAX_BYTES, &mut records) {
                pending.writes.push(Write { id: *id, name: stream.name, first, next, records });
            }
        }
        pending.reads.extend(stream.queue.wants().map(|wanted| (*id, wanted)));
    }
    pending
}
