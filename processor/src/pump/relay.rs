//! [`relay`]: one fetch for both pumps of a partition (E6).
//!
//! The pump that makes laps reads the log and hands on what it has read; the pump that archives takes it from here for as
//! long as it keeps up, and reads for itself when it does not. Handing on never waits: what does not fit pushes out the
//! oldest. Both sides know offsets only, so that there is nothing to agree on: whoever asks for an offset that is still
//! here may go on from here.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use boxbox_log::{Entry, Offset};
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;

/// A feeder that has told nothing for so long is stuck, in its store or in its log: the follower reads for itself. Above
/// the pause between two looks at an idle log.
const SILENCE: Duration = Duration::from_secs(3);

/// Both ends. At most `max_bytes` of records wait between them.
pub(crate) fn relay(max_bytes: usize) -> (Feeder, Follower) {
    with_silence(max_bytes, SILENCE)
}

fn with_silence(max_bytes: usize, silence: Duration) -> (Feeder, Follower) {
    let waiting = Waiting { entries: VecDeque::new(), bytes: 0, max_bytes, silence, span: None, end: 0, told: Instant::now() };
    let shared = Arc::new(Shared { waiting: Mutex::new(waiting), news: Notify::new() });
    (Feeder { shared: shared.clone() }, Follower { shared })
}

/// The end of the pump that reads. Dropped, it leaves the follower to itself.
pub(crate) struct Feeder {
    shared: Arc<Shared>,
}

/// The end of the pump that follows.
pub(crate) struct Follower {
    shared: Arc<Shared>,
}

struct Shared {
    waiting: Mutex<Waiting>,
    news: Notify,
}

struct Waiting {
    entries: VecDeque<Entry>,
    bytes: usize,
    max_bytes: usize,
    silence: Duration,
    /// All records at offsets from the first to below the second are here; `None`: nobody feeds.
    span: Option<(Offset, Offset)>,
    /// The durable end, as the feeder knows it.
    end: Offset,
    /// When the feeder last told anything.
    told: Instant,
}

/// What a follower gets.
#[derive(PartialEq, Debug)]
pub(crate) enum Taken {
    /// Records from the offset asked for on, maybe none; the offset behind them, and the durable end.
    Here(Vec<Entry>, Offset, Offset),
    /// The offset asked for is not here, or nobody feeds: read for yourself.
    Elsewhere,
}

impl Feeder {
    /// From now on records from `next` on come here.
    pub(crate) fn begin(&self, next: Offset, end: Offset) {
        let mut waiting = self.shared.waiting.lock();
        waiting.clear();
        (waiting.span, waiting.end, waiting.told) = (Some((next, next)), end, Instant::now());
    }

    /// Hand on what was read behind all that was before, up to `next`; also nothing, to say that there is nothing.
    pub(crate) fn hand_on(&self, batch: Vec<Entry>, next: Offset, end: Offset) {
        let any = !batch.is_empty();
        let mut waiting = self.shared.waiting.lock();
        let Some((first, _)) = waiting.span else { return };
        waiting.bytes += batch.iter().map(weight).sum::<usize>();
        waiting.entries.extend(batch);
        (waiting.span, waiting.end, waiting.told) = (Some((first, next)), end, Instant::now());
        while waiting.bytes > waiting.max_bytes
            && let Some(oldest) = waiting.entries.pop_front()
        {
            waiting.bytes -= weight(&oldest);
            waiting.span = Some((oldest.offset + 1, next));
        }
        drop(waiting);
        if any {
            self.shared.news.notify_one();
        }
    }
}

impl Drop for Feeder {
    fn drop(&mut self) {
        let mut waiting = self.shared.waiting.lock();
        waiting.clear();
        waiting.span = None;
        drop(waiting);
        self.shared.news.notify_one();
    }
}

impl Follower {
    /// What is here from `next` on, waiting up to `wait` for the first record. Dropping the future loses no record.
    pub(crate) async fn take(&self, next: Offset, max_bytes: usize, wait: Duration) -> Taken {
        let deadline = Instant::now() + wait;
        loop {
            let news = self.shared.news.notified();
            let taken = self.shared.waiting.lock().take(next, max_bytes);
            let nothing = matches!(&taken, Taken::Here(entries, ..) if entries.is_empty());
            if !nothing || wait.is_zero() || tokio::time::timeout_at(deadline, news).await.is_err() {
                return taken;
            }
        }
    }
}

impl Waiting {
    fn clear(&mut self) {
        self.entries.clear();
        self.bytes = 0;
    }

    fn take(&mut self, next: Offset, max_bytes: usize) -> Taken {
        let Some((first, behind)) = self.span.filter(|_| self.told.elapsed() < self.silence) else { return Taken::Elsewhere };
        // One that is ahead of a feeder that is catching up would wait for what it can read now.
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
            // A follower may be ahead: it has read what the feeder tells now.
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

/// What an entry takes in memory: its record and its place in the queue.
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

    /// What both ends may do in turn.
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

        /// Whoever is ahead, and however much does not fit: the follower gets every record once, in order, here or elsewhere.
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
                            // A reader of its own: the next two.
                            Taken::Elsewhere => log.iter().filter(|o| **o >= next).take(2).map(|o| entry(*o)).collect(),
                        };
                        if let Some(last) = entries.last() {
                            next = next.max(last.offset + 1);
                        }
                        got.extend(entries.iter().map(|e| e.offset));
                    }
                }
                let waiting = follower.shared.waiting.lock();
                prop_assert!(waiting.bytes <= max && waiting.bytes == waiting.entries.iter().map(weight).sum::<usize>());
            }
            drop(feeder);
            while next < end {
                let Taken::Elsewhere = runtime.block_on(follower.take(next, 200, Duration::ZERO)) else { panic!("nobody feeds") };
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
        assert_eq!(follower.take(5, 100, Duration::ZERO).await, Taken::Elsewhere, "nobody feeds yet");
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
