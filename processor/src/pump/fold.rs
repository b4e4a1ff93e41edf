//! [`Fold`]: the race logic of a partition, on threads for such work, so that what answers people and clients in the same process is not kept
//! waiting; in slices, so that what one session sends delays the commits of others by little.

use std::sync::Arc;
use std::time::{Duration, Instant};

use boxbox_log::Entry;
use boxbox_store::Step;
use parking_lot::{Mutex, MutexGuard};

use crate::error::ProcessorError;
use crate::partition::Partition;

/// How long records are processed before the pump looks at what else is due.
const SLICE: Duration = Duration::from_millis(20);

/// What came of a slice.
pub(crate) struct Slice {
    /// The place of the first record that is not processed yet.
    pub(crate) next: usize,
    /// That record needs a session that is not in memory: it must be put before the record can be processed.
    pub(crate) needs_session: bool,
}

/// The race logic of a partition. See the [module](self).
pub(crate) struct Fold {
    partition: u32,
    state: Arc<Mutex<Partition>>,
}

impl Fold {
    pub(crate) fn new(partition: u32, state: Partition) -> Self {
        Self { partition, state: Arc::new(Mutex::new(state)) }
    }

    /// The state. It is free whenever no call of this is under way.
    pub(crate) fn state(&self) -> MutexGuard<'_, Partition> {
        self.state.lock()
    }

    /// Process the records of `batch` from the one at `from` on, for as long as a slice takes, or until one needs a session that is not in
    /// memory.
    pub(crate) async fn process(&self, batch: &Arc<Vec<Entry>>, from: usize) -> Result<Slice, ProcessorError> {
        let batch = batch.clone();
        self.on_a_thread(move |state| {
            let began = Instant::now();
            let mut next = from;
            while let Some(entry) = batch.get(next) {
                if state.process(entry.offset, &entry.record).is_some() {
                    return Slice { next, needs_session: true };
                }
                next += 1;
                if began.elapsed() >= SLICE {
                    break;
                }
            }
            Slice { next, needs_session: false }
        })
        .await
    }

    /// As [`Partition::step`].
    pub(crate) async fn step(&self) -> Result<Option<Step>, ProcessorError> {
        self.on_a_thread(Partition::step).await
    }

    async fn on_a_thread<T: Send + 'static>(&self, work: impl FnOnce(&mut Partition) -> T + Send + 'static) -> Result<T, ProcessorError> {
        let state = self.state.clone();
        let done = tokio::task::spawn_blocking(move || work(&mut state.lock())).await;
        done.map_err(|_| ProcessorError::Panicked(self.partition))
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use boxbox_schemas::LogId;
    use boxbox_schemas::event::Closing;
    use boxbox_schemas::{TenantId, stamp};
    use boxbox_store::PartitionState;
    use boxbox_testkit::frames::source;

    use super::*;

    /// On a runtime of one thread: what waits beside runs while records are processed, and a long batch takes several slices.
    #[tokio::test]
    async fn a_long_batch_keeps_nothing_else_waiting() {
        let state = Partition::restore(LogId("log".into()), 0, 1, PartitionState::default()).unwrap();
        let fold = Fold::new(0, state);
        let record = stamp::closed(TenantId::new("league").unwrap(), source(1), Closing::SILENCE, 0);
        let batch: Arc<Vec<Entry>> = Arc::new((0..400_000).map(|offset| Entry { offset, appended_at_us: 0, record: record.clone() }).collect());
        let (mut next, mut slices, beside) = (0, 0, Cell::new(0));
        while next < batch.len() {
            slices += 1;
            let slice = async {
                next = fold.process(&batch, next).await.unwrap().next;
                assert_eq!(beside.get(), slices, "what waits beside ran before the slice was over");
            };
            tokio::join!(biased; slice, async { beside.set(beside.get() + 1) });
        }
        assert!(slices > 1);
        assert_eq!(fold.step().await.unwrap().unwrap().checkpoint.offset, 399_999);
    }
}
