//! [`relay`]: one read of the log for both pumps of a partition (E6b).
//!
//! The results pump reads the log and puts the records into a bounded queue. The archive pump takes them from the queue as long as it
//! keeps up, and reads the log itself when it does not. Putting never waits: the oldest records make room. Both sides use offsets only,
//! so they need no protocol: the archive pump may return to the queue whenever the queue contains the offset that it needs.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use boxbox_log::{Entry, Offset};
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;

/// A feeder that has called nothing for this long is stuck in its store or its log, so the follower reads the log itself. It is longer
/// than the pause between two reads of an idle log.
const SILENCE: Duration = Duration::from_secs(3);

/// Both ends of a queue that holds at most `max_bytes` of records.
pub(crate) fn relay(max_bytes: usize) -> (Feeder, Follower) {
    with_silence(max_bytes, SILENCE)
}

fn with_silence(max_bytes: usize, silence: Duration) -> (Feeder, Follower) {
    let queue = Queue { entries: VecDeque::new(), bytes: 0, max_bytes, silence, span: None, end: 0, last_feed: Instant::now() };
    let shared = Arc::new(Shared { queue: Mutex::new(queue), news: Notify::new() });
    (Feeder { shared: shared.clone() }, Follower { shared })
}

/// The end of the pump that reads the log. When it is dropped, the follower reads the log itself.
pub(crate) struct Feeder {
    shared: Arc<Shared>,
}

/// The end of the pump that follows.
pub(crate) struct Follower {
    shared: Arc<Shared>,
}

struct Shared {
    queue: Mutex<Queue>,
    news: Notify,
}

struct Queue {
    entries: VecDeque<Entry>,
    bytes: usize,
    max_bytes: usize,
    silence: Duration,
    /// The queue contains all records from the first offset to below the second; `None` without a feeder.
    span: Option<(Offset, Offset)>,
    /// The log's durable end, as last known to the feeder.
    end: Offset,
    /// When the feeder last made a call.
    last_feed: Instant,
}

/// The answer to a follower.
#[derive(PartialEq, Debug)]
pub(crate) enum Taken {
    /// Records from the requested offset on, possibly none; the offset after them, and the durable end.
    Here(Vec<Entry>, Offset, Offset),
    /// The queue does not contain the requested offset, or there is no feeder: read the log instead.
    Elsewhere,
}

impl Feeder {
    /// Empty the queue; the next records start at `next`.
    pub(crate) fn begin(&self, next: Offset, end: Offset) {
        let mut queue = self.shared.queue.lock();
        queue.clear();
        (queue.span, queue.end, queue.last_feed) = (Some((next, next)), end, Instant::now());
    }

    /// Put the records read since the last call, up to `next`. An empty batch shows that the feeder is alive.
    pub(crate) fn hand_on(&self, batch: Vec<Entry>, next: Offset, end: Offset) {
        let any = !batch.is_empty();
        let mut queue = self.shared.queue.lock();
        let Some((first, _)) = queue.span else { return };
        queue.bytes += batch.iter().map(weight).sum::<usize>();
        queue.entries.extend(batch);
        (queue.span, queue.end, queue.last_feed) = (Some((first, next)), end, Instant::now());
        while queue.bytes > queue.max_bytes
            && let Some(oldest) = queue.entries.pop_front()
        {
            queue.bytes -= weight(&oldest);
            queue.span = Some((oldest.offset + 1, next));
        }
        drop(queue);
        if any {
            self.shared.news.notify_one();
        }
    }
}

impl Drop for Feeder {
    fn drop(&mut self) {
        let mut queue = self.shared.queue.lock();
        queue.clear();
        queue.span = None;
        drop(queue);
        self.shared.news.notify_one();
    }
}

impl Follower {
    /// Take records from `next` on; waits up to `wait` for the first one. Dropping the future loses no record.
    pub(crate) async fn take(&self, next: Offset, max_bytes: usize, wait: Duration) -> Taken {
        let deadline = Instant::now() + wait;
        loop {
            let news = self.shared.news.notified();
            let taken = self.shared.queue.lock().take(next, max_bytes);
            let nothing = matches!(&taken, Taken::Here(entries, ..) if entries.is_empty());
            if !nothing || wait.is_zero() || tokio::time::timeout_at(deadline, news).await.is_err() {
                return taken;
            }
        }
    }
}

impl Queue {
    fn clear(&mut self) {
        self.entries.clear();
        self.bytes = 0;
    }

    fn take(&mut self, next: Offset, max_bytes: usize) -> Taken {
        let Some((first, behind)) = self.span.filter(|_| self.last_feed.elapsed() < self.silence) else { return Taken::Elsewhere };
        // If the follower is ahead of a feeder that is catching up, it can read the log now instead of waiting.
        if next < first || (next > behind && behind < self.end) {
            return Taken::Elsewhere;
        }
        let (mut taken, mut bytes, mut at) = (vec![], 0, next);
        while let Some(entry) = self.entries.front()
            && (taken.is_empty() || bytes + weight(entry) <= max_bytes)
        {
            let Some(entry) = self.entries.pop_front() else { break };
            self.bytes -= weight(&entry);
            self.span = Some((entry.offset + 1, behind));
            // The follower may be ahead, and has read this record already.
            if entry.offset >= next {
                (bytes, at) = (bytes + weight(&entry), entry.offset + 1);
                taken.push(entry);
            }
        }
        if self.entries.is_empty() {
            self.span = Some((behind, behind));
            at = at.max(behind);
        }
        Taken::Here(taken, at, self.end)
    }
}

/// Memory of an entry, bytes: its record and its place in the queue.
fn weight(entry: &Entry) -> usize {
    entry.record.len() + std::mem::size_of::<Entry>()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;

    const NEVER: Duration = Duration::from_secs(3_600);

    fn entry(offset: Offset) -> Entry {
        Entry { offset, appended_at_us: 0, record: Bytes::from(vec![offset as u8; (offset % 7) as usize]) }
    }

    /// One action of either end.
    #[derive(Clone, Debug)]
    enum Turn {
        Feed(usize),
        Take(usize),
        Restart,
    }

    fn turn() -> impl Strategy<Value = Turn> {
        prop_oneof![4 => (0usize..9).prop_map(Turn::Feed), 4 => (1usize..300).prop_map(Turn::Take), 1 => Just(Turn::Restart)]
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        /// Whichever end is ahead, and however many records are pushed out: the follower gets every record once, in order, from the queue or from
        /// the log.
        #[test]
        fn the_follower_misses_nothing(gaps in prop::collection::vec(1u64..4, 1..200), turns in prop::collection::vec(turn(), 0..200), max in 50usize..2_000) {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
            // Offsets rise with gaps, as Kafka's do.
            let log: Vec<Offset> = gaps.iter().scan(0, |at, gap| { *at += gap; Some(*at) }).collect();
            let end = log.last().unwrap() + 1;
            let (feeder, follower) = with_silence(max, NEVER);
            feeder.begin(0, end);
            let (mut fed, mut fed_next, mut next, mut got) = (0, 0, 0, vec![]);
            let all: Vec<Turn> = turns.into_iter().chain(vec![Turn::Take(200); 400]).collect();
            for turn in all {
                match turn {
                    Turn::Feed(n) => {
                        let batch: Vec<Entry> = log[fed..].iter().take(n).map(|o| entry(*o)).collect();
                        fed += batch.len();
                        fed_next = batch.last().map_or(fed_next, |e| e.offset + 1);
                        feeder.hand_on(batch, fed_next, end);
                    }
                    Turn::Restart => feeder.begin(fed_next, end),
                    Turn::Take(bytes) => {
                        let entries = match runtime.block_on(follower.take(next, bytes, Duration::ZERO)) {
                            Taken::Here(entries, at, _) => {
                                prop_assert!(at >= next);
                                next = at;
                                entries
                            }
                            // Read the log: the next two records.
                            Taken::Elsewhere => log.iter().filter(|o| **o >= next).take(2).map(|o| entry(*o)).collect(),
                        };
                        if let Some(last) = entries.last() {
                            next = next.max(last.offset + 1);
                        }
                        got.extend(entries.iter().map(|e| e.offset));
                    }
                }
                let queue = follower.shared.queue.lock();
                prop_assert!(queue.bytes <= max && queue.bytes == queue.entries.iter().map(weight).sum::<usize>());
            }
            drop(feeder);
            while next < end {
                let Taken::Elsewhere = runtime.block_on(follower.take(next, 200, Duration::ZERO)) else { panic!("no feeder") };
                got.extend(log.iter().filter(|o| **o >= next));
                next = end;
            }
            prop_assert_eq!(got, log);
        }
    }

    #[tokio::test]
    async fn one_that_waits_is_woken_by_the_first_record() {
        let (feeder, follower) = with_silence(1_000, NEVER);
        feeder.begin(5, 5);
        let (taken, ()) = tokio::join!(follower.take(5, 100, Duration::from_secs(2)), async {
            tokio::time::sleep(Duration::from_millis(10)).await;
            feeder.hand_on(vec![], 5, 5);
            tokio::time::sleep(Duration::from_millis(10)).await;
            feeder.hand_on(vec![entry(5)], 6, 6);
        });
        assert_eq!(taken, Taken::Here(vec![entry(5)], 6, 6));
    }

    #[tokio::test]
    async fn a_feeder_that_falls_silent_is_left() {
        const SHORT: Duration = Duration::from_millis(300);
        let (feeder, follower) = with_silence(1_000, SHORT);
        assert_eq!(follower.take(5, 100, Duration::ZERO).await, Taken::Elsewhere, "no feeder yet");
        feeder.begin(5, 5);
        assert_eq!(follower.take(5, 100, Duration::from_millis(1)).await, Taken::Here(vec![], 5, 5));
        tokio::time::sleep(SHORT).await;
        assert_eq!(follower.take(5, 100, Duration::from_secs(1)).await, Taken::Elsewhere);
        feeder.hand_on(vec![entry(5)], 6, 6);
        assert_eq!(follower.take(5, 100, Duration::from_secs(1)).await, Taken::Here(vec![entry(5)], 6, 6), "and found again");
    }

    /// A feeder that is catching up must not hold back a follower that has been there before; one that is level will be
    /// there in a moment.
    #[tokio::test]
    async fn a_follower_ahead_waits_only_for_a_feeder_that_is_level() {
        let (feeder, follower) = with_silence(1_000, NEVER);
        feeder.begin(5, 900);
        assert_eq!(follower.take(800, 100, Duration::ZERO).await, Taken::Elsewhere);
        feeder.begin(5, 5);
        assert_eq!(follower.take(6, 100, Duration::ZERO).await, Taken::Here(vec![], 6, 5));
        feeder.hand_on(vec![entry(5), entry(6)], 7, 7);
        assert_eq!(follower.take(6, 100, Duration::ZERO).await, Taken::Here(vec![entry(6)], 7, 7));
    }
}
