//! E7: what a checkpoint must find in the log.

use boxbox_log::memory::MemoryLog;
use boxbox_log::{Completion, Completions, Limits, Ticket};
use boxbox_schemas::{LogId, SessionId};

use super::*;

struct Deaf;
impl Completions for Deaf {
    fn completed(&self, _: &[Completion]) {}
}

/// A log of `n` records, one byte each.
fn log(n: u8) -> MemoryLog {
    let log = MemoryLog::inline(1, Limits::default());
    let writer = log.writer(Arc::new(Deaf)).unwrap();
    for byte in 0..n {
        writer.append(0, SessionId::default(), vec![byte].into(), Ticket::default()).unwrap();
    }
    log
}

fn checkpoint(log: &MemoryLog, offset: Offset, record: u8) -> Checkpoint {
    Checkpoint { log: log.id().clone(), partition: 0, offset, crc: crc32c::crc32c(&[record]) }
}

async fn refusal(log: &MemoryLog, checkpoint: &Checkpoint) -> ProcessorError {
    let error = resume(log, 0, Some(checkpoint)).await.err().expect("it must be refused");
    assert!(!error.is_retryable(), "{error}");
    error
}

#[tokio::test]
async fn goes_on_right_behind_the_checkpoint() {
    let log = log(5);
    for offset in 0..5 {
        let mut position = resume(&log, 0, Some(&checkpoint(&log, offset, offset as u8))).await.unwrap();
        assert_eq!(position.next, offset + 1);
        let rest = position.reader.next(1 << 20, Duration::ZERO).await.unwrap();
        assert_eq!(rest.iter().map(|e| e.offset).collect::<Vec<_>>(), (offset + 1..5).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn begins_at_the_start_without_one() {
    let log = log(5);
    log.remove_below(0, 3);
    assert_eq!(resume(&log, 0, None).await.unwrap().next, 3);
}

#[tokio::test]
async fn refuses_another_log() {
    let log = log(5);
    let other = Checkpoint { log: LogId("another".into()), ..checkpoint(&log, 2, 2) };
    assert!(matches!(refusal(&log, &other).await, ProcessorError::OtherLog { .. }));
}

#[tokio::test]
async fn refuses_a_log_that_has_lost_its_end() {
    let log = log(5);
    assert!(matches!(refusal(&log, &checkpoint(&log, 5, 5)).await, ProcessorError::BeyondEnd { offset: 5, end: 5, .. }));
}

#[tokio::test]
async fn refuses_another_record() {
    let log = log(5);
    assert!(matches!(refusal(&log, &checkpoint(&log, 2, 9)).await, ProcessorError::OtherRecord { offset: 2, .. }));
}

#[tokio::test]
async fn refuses_to_skip_what_retention_has_removed() {
    let log = log(5);
    log.remove_below(0, 3);
    assert!(matches!(refusal(&log, &checkpoint(&log, 1, 1)).await, ProcessorError::Removed { next: 2, start: 3, .. }));
    // The checkpoint's own record may be removed: no later record is missing.
    assert_eq!(resume(&log, 0, Some(&checkpoint(&log, 2, 2))).await.unwrap().next, 3);
}
