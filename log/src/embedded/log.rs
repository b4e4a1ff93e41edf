//! [`EmbeddedLog`] and its writers.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use async_trait::async_trait;
use boxbox_schemas::{LogId, SessionId};
use bytes::Bytes;

use super::file::{Lack, free_bytes, lack};
use super::format::Ident;
use super::inner::Inner;
use super::options::Options;
use super::reader::EmbeddedReader;
use super::retention::Oldest;
use super::{meta, recover, tail, writer};
use crate::outcomes::WriterShared;
use crate::{AppendError, Bounds, Completions, Kept, Log, LogError, Offset, Reader, Ticket, Writer};

/// A log in a folder. See the [module](super).
pub struct EmbeddedLog {
    inner: Arc<Inner>,
}

impl EmbeddedLog {
    /// Open the log in `folder`, or create one there. Blocks while it reads the last segments of each partition.
    ///
    /// # Errors
    /// [`LogError::Mismatch`] if another process uses the folder or the log does not have what `options` asks for; [`LogError::Damaged`] if
    /// synced records are damaged or missing (then nothing was changed on disk); [`LogError::Io`].
    pub fn open(folder: impl AsRef<Path>, mut options: Options) -> Result<Self, LogError> {
        let folder = folder.as_ref();
        let (lock, meta) = meta::take(folder, options.partitions)?;
        options.fit(meta.partitions);
        let lock = Arc::new(lock);
        let identity = |partition| Ident { log: meta.id.into_bytes(), key: meta.key.into_bytes(), partition, base: 0 };
        // All partitions are read before one is changed: a refused log stays as it is.
        let mut found = Vec::new();
        for number in 0..meta.partitions {
            let path = meta::partition_folder(folder, number);
            found.push((recover::inspect(&path, &identity(number))?, path, identity(number)));
        }
        let mut log =
            Inner { id: LogId(meta.id.to_string()), limits: options.limits, partitions: Vec::new(), threads: Vec::new(), _lock: lock.clone() };
        let oldest = Arc::new(Oldest::new(meta.partitions));
        let mut new = vec![];
        for (found, path, identity) in found {
            if found.is_new() {
                new.push(path.clone());
            }
            match writer::start(path, identity, found, &options, meta.partitions, oldest.clone(), lock.clone()) {
                Ok((partition, thread)) => {
                    log.partitions.push(partition);
                    log.threads.push(thread);
                }
                Err(error) => {
                    // Its threads end, and what they have reserved for nothing is free again.
                    drop(log);
                    new.iter().for_each(|path| tail::give_back(path));
                    return Err(with_room(error, folder, &options, meta.partitions));
                }
            }
        }
        Ok(Self { inner: Arc::new(log) })
    }
}

/// An error for lack of space, with how much is needed and how much there is.
fn with_room(error: LogError, folder: &Path, options: &Options, partitions: u32) -> LogError {
    match error {
        LogError::Io { context, source } if lack(&source) == Some(Lack::Space) => {
            let mib = |bytes: u64| bytes.div_ceil(1 << 20);
            let needed = mib(2 * options.segment_bytes * u64::from(partitions));
            let free = free_bytes(folder).map_or_else(String::new, |free| format!(" and has {}", free >> 20));
            let context = format!("{context} (a new log needs {needed} MiB of free space{free}: make room, or give a smaller --log-max-bytes)");
            LogError::Io { context, source }
        }
        other => other,
    }
}

#[async_trait]
impl Log for EmbeddedLog {
    fn id(&self) -> &LogId {
        &self.inner.id
    }

    fn partitions(&self) -> u32 {
        self.inner.partitions.len() as u32
    }

    fn writer(&self, completions: Arc<dyn Completions>) -> Result<Box<dyn Writer>, LogError> {
        let shared = WriterShared::new(completions, self.inner.limits, self.partitions());
        Ok(Box::new(EmbeddedWriter { log: self.inner.clone(), shared }))
    }

    async fn reader(&self, partition: u32, from: Offset) -> Result<Box<dyn Reader>, LogError> {
        let partition = self.inner.partition(partition)?.clone();
        let bounds = partition.bounds();
        if from < bounds.start || from > bounds.end {
            return Err(partition.out_of_range(from));
        }
        Ok(Box::new(EmbeddedReader::new(self.inner.clone(), partition, from)))
    }

    async fn bounds(&self, partition: u32) -> Result<Bounds, LogError> {
        Ok(self.inner.partition(partition)?.bounds())
    }

    fn release(&self, partition: u32, below: Offset) {
        if let Ok(partition) = self.inner.partition(partition) {
            partition.released.fetch_max(below, Ordering::Relaxed);
        }
    }

    fn kept(&self) -> Option<Kept> {
        let partitions = || self.inner.partitions.iter();
        Some(Kept { bytes: partitions().map(|p| p.kept_bytes()).sum(), oldest_us: partitions().map(|p| p.oldest_us()).min()? })
    }
}

struct EmbeddedWriter {
    log: Arc<Inner>,
    shared: Arc<WriterShared>,
}

impl Writer for EmbeddedWriter {
    fn append(&self, partition: u32, _key: SessionId, record: Bytes, ticket: Ticket) -> Result<(), AppendError> {
        let pending = self.shared.accept(partition, record, ticket)?;
        self.log.partitions[partition as usize].queue.push(pending).map_err(|(pending, reason)| {
            self.shared.refuse(partition, &pending);
            AppendError::Closed(reason)
        })
    }
}

impl Drop for EmbeddedWriter {
    fn drop(&mut self) {
        // The writer's remaining records are in the partitions' queues and are completed from there.
        self.shared.mark_dropped();
    }
}
