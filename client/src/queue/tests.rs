//! A queue against a model: whatever is pushed, written, read back, acked, given up and refused, what it offers to send is
//! the sequence without holes, with the bytes that were sealed.

use super::*;
use boxbox_schemas::{RunId, Sim, Source};
use boxbox_testkit::frames::{opaque, prelude};
use proptest::prelude::*;
use std::collections::BTreeMap;

fn name() -> StreamName {
    StreamName { run: RunId([1; 16]), source: Source { sim: Sim::SYNTHETIC, id: 5, session_num: 1 } }
}

fn record(first: u64, count: u16) -> Entry {
    let bytes = opaque(&Prelude { count, ..prelude(Kind::CAR, name().run, name().source, first) }, 50);
    Entry { first, next: first + u64::from(count), body: Body::Record { bytes, frames: count } }
}

#[derive(Clone, Debug)]
enum Step {
    Push(u16),
    Write,
    Load,
    /// Send this many more entries.
    Send(u8),
    /// Ack up to this part of what was sent.
    Ack(u8),
    /// The connection is lost: what is not acked is sent again.
    Lost,
    Evict(u8),
    Refuse,
    Trim,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (1u16..8).prop_map(Step::Push),
        4 => Just(Step::Write),
        4 => Just(Step::Load),
        6 => any::<u8>().prop_map(Step::Send),
        4 => any::<u8>().prop_map(Step::Ack),
        1 => Just(Step::Lost),
        1 => any::<u8>().prop_map(Step::Evict),
        1 => Just(Step::Refuse),
        1 => Just(Step::Trim),
    ]
}

struct Model {
    queue: Queue,
    /// What the files hold, gaps included.
    file: BTreeMap<u64, Entry>,
    sealed: BTreeMap<u64, Bytes>,
    sent: u64,
    ends: Vec<u64>,
}

impl Model {
    fn new(head_max: Option<usize>) -> Self {
        Self { queue: Queue::new(head_max), file: BTreeMap::new(), sealed: BTreeMap::new(), sent: 0, ends: vec![0] }
    }

    fn write(&mut self) {
        let mut out = vec![];
        let Some(upto) = self.queue.unwritten(&name(), 1_000, &mut out) else { return };
        let mut at = self.queue.written();
        for bytes in out {
            let entry = Entry::of(&Record::parse(bytes).unwrap()).unwrap();
            assert_eq!(entry.first, at, "the file has no holes");
            at = entry.next;
            self.file.insert(entry.first, entry);
        }
        assert_eq!(at, upto);
        self.queue.wrote(upto);
    }

    fn load(&mut self) {
        let Some(Wanted { from, until, max_bytes }) = self.queue.wants() else { return };
        assert!(until <= self.queue.written(), "only what is in the files is asked for");
        let (mut entries, mut at, mut taken) = (vec![], from, 0);
        while at < until && taken <= max_bytes {
            // A gap may have been cut by an eviction; a record never.
            let (_, found) = self.file.range(..=at).next_back().expect("the file holds it");
            let entry = if found.len() == 0 { Entry { first: at, ..found.clone() } } else { found.clone() };
            assert_eq!(entry.first, at);
            at = entry.next;
            taken += entry.len();
            entries.push(entry);
        }
        self.queue.loaded(from, entries);
    }

    /// Send one entry, if one can be; it continues what was sent, with the sealed bytes.
    fn send(&mut self) -> bool {
        let Some(entry) = self.queue.at(self.sent) else { return false };
        let bytes = entry.bytes(&name(), self.sent);
        let sent = Record::parse(bytes).unwrap();
        assert_eq!(sent.prelude().first_seq, self.sent, "W5: contiguous");
        assert_eq!(sent.next_seq().unwrap(), entry.next);
        if entry.len() > 0 {
            assert_eq!(Some(sent.bytes()), self.sealed.get(&entry.first), "F3: byte for byte");
        }
        self.sent = entry.next;
        self.ends.push(self.sent);
        true
    }

    fn run(&mut self, step: Step) {
        match step {
            Step::Push(count) => {
                let entry = record(self.queue.next(), count);
                let Body::Record { bytes, .. } = &entry.body else { unreachable!() };
                self.sealed.insert(entry.first, bytes.clone());
                self.queue.push(entry);
            }
            Step::Write => self.write(),
            Step::Load => self.load(),
            Step::Send(n) => {
                (0..n % 8).for_each(|_| {
                    self.send();
                });
            }
            Step::Ack(part) => {
                let next = self.ends[self.ends.len() * usize::from(part) / 256];
                let before = self.queue.acked();
                self.queue.ack(next);
                assert!(self.queue.acked() >= before && self.queue.acked() <= self.sent.max(before));
            }
            Step::Lost => {
                self.sent = self.queue.acked();
                self.ends = vec![self.sent];
            }
            Step::Evict(part) => {
                // As both spools do it: at the end of a record.
                let span = self.queue.next() - self.queue.acked();
                let upto = self.queue.acked() + span * u64::from(part) / 512;
                let upto = self.sealed.range(..=upto).next_back().map_or(0, |(first, _)| *first);
                self.queue.evict(upto, GapReason::SPOOL_FULL);
            }
            Step::Refuse => drop(self.queue.refuse(self.queue.acked())),
            Step::Trim => drop(self.queue.trim_tail(300)),
        }
        let q = &self.queue;
        assert!(q.acked() <= q.next() && q.head_end() <= q.tail_first());
        assert_eq!(q.head_bytes, q.head.iter().map(Entry::len).sum::<usize>());
        assert_eq!(q.tail_bytes, q.tail.iter().map(Entry::len).sum::<usize>());
        assert!(q.head.iter().zip(q.head.iter().skip(1)).all(|(a, b)| a.next == b.first), "{:?}", q.head);
        assert!(q.tail.iter().zip(q.tail.iter().skip(1)).all(|(a, b)| a.next == b.first), "{:?}", q.tail);
        assert!(q.head.front().is_none_or(|e| e.first == q.acked()));
        // Memory is bounded by the head's limit and what is not written yet.
        if let Some(max) = q.head_max {
            assert!(q.head_bytes <= max + 500, "{}", q.head_bytes);
            assert!(q.tail.iter().all(|e| e.next > q.written));
        } else {
            assert_eq!(q.tail_bytes, 0);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn offers_the_whole_sequence_whatever_happens(steps in proptest::collection::vec(step(), 1..200), files: bool) {
        let mut model = Model::new(files.then_some(1_000));
        steps.into_iter().for_each(|s| model.run(s));
        // In the end everything can be sent and acked.
        for _ in 0..10_000 {
            if model.queue.is_empty() { break }
            model.write();
            model.load();
            while model.send() {}
            model.queue.ack(model.sent);
        }
        prop_assert!(model.queue.is_empty(), "stuck at {} of {}", model.queue.acked(), model.queue.next());
        prop_assert_eq!(model.queue.memory_bytes(), 0);
        prop_assert_eq!(model.queue.outstanding_bytes(), 0);
    }
}

#[test]
fn an_ack_counts_the_frames_of_whole_records() {
    let mut queue = Queue::new(None);
    [record(0, 5), record(5, 3)].into_iter().for_each(|e| queue.push(e));
    assert_eq!(queue.ack(7), Released { records: 1, frames: 5 });
    assert_eq!(queue.acked(), 5, "never inside a record");
    assert_eq!(queue.ack(3), Released::default());
    assert_eq!(queue.ack(8), Released { records: 1, frames: 3 });
}

#[test]
fn eviction_says_how_much_is_newly_lost() {
    let mut queue = Queue::new(None);
    (0..10).for_each(|n| queue.push(record(n * 5, 5)));
    assert_eq!(queue.evict(10, GapReason::SPOOL_FULL), 10);
    assert_eq!(queue.evict(15, GapReason::SPOOL_FULL), 5);
    let held = queue.memory_bytes();
    assert_eq!(queue.evict_bytes(1), Some((20, 5)));
    assert!(queue.memory_bytes() < held);
    assert_eq!(queue.at(0), Some(&Entry::gap(0, 20, GapReason::SPOOL_FULL)));
    assert_eq!(queue.refuse(0), None, "a gap stays one");
}
