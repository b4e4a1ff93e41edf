//! Who gets a place, what counts as a sign of life, and what an edge cannot make the client forget.

use super::*;
use boxbox_schemas::record::Kind;
use boxbox_schemas::{RunId, Sim};
use boxbox_testkit::frames::{opaque, prelude};
use std::time::Duration;

fn entry(name: &StreamName, first: u64) -> Entry {
    let bytes = opaque(&prelude(Kind::CAR, name.run, name.source, first), 200);
    Entry { first, next: first + 1, body: crate::queue::Body::Record { bytes, frames: 1 } }
}

/// Streams as (session, is live), each with `records` records.
fn core(streams: &[(u32, bool)], records: u64) -> Core {
    let mut core = Core { memory_max_bytes: Some(1 << 20), ..Core::default() };
    for (id, (session_num, live)) in streams.iter().enumerate() {
        let id = id as u64;
        let name = StreamName { run: RunId([id as u8; 16]), source: Source { sim: Sim::SYNTHETIC, id: 0, session_num: *session_num } };
        let batcher = live.then(|| Arc::new(Batcher::new(id, name, 0)));
        core.streams.insert(id, StreamState::new(name, Queue::new(None), batcher));
        for first in 0..records {
            core.push(id, entry(&name, first));
        }
    }
    core
}

fn send(core: &mut Core, id: u64, window: usize) -> (Next, usize) {
    let mut out = vec![];
    let next = core.next(id, window, Instant::now(), &mut out);
    (next, out.len() / 2)
}

#[test]
fn within_a_session_the_oldest_run_goes_first() {
    let mut c = core(&[(1, false), (1, false), (1, true)], 1);
    for id in 0..3 {
        assert_eq!(c.schedule(4, 4), [id], "one at a time, by age");
        send(&mut c, id, 1 << 16);
        c.ack(id, 1, Instant::now());
        c.sweep();
    }
    assert_eq!((c.schedule(4, 4), c.streams.len()), (vec![], 1), "the live stream stays");
}

#[test]
fn live_sessions_go_first_and_keep_a_place() {
    // Sessions 1 to 5 are over; 9 is live, behind an old run of its own.
    let mut c = core(&[(1, false), (2, false), (3, false), (4, false), (9, false), (9, true)], 1);
    assert_eq!(c.schedule(4, 4), [4, 0, 1, 2], "the old run of the live session, then three of the others");
    let mut c = core(&[(1, false), (2, false), (3, false), (4, false)], 1);
    assert_eq!(c.schedule(4, 4), [0, 1, 2], "one place is kept");
    assert_eq!(c.schedule(1, 4), [] as [u64; 0]);
    let mut c = core(&[(1, false)], 1);
    assert_eq!(c.schedule(1, 1), [0], "unless there is only one");
    assert!(!c.is_live_starved(1));
    let name = StreamName { run: RunId([7; 16]), source: Source { sim: Sim::SYNTHETIC, id: 0, session_num: 2 } };
    c.streams.insert(7, StreamState::new(name, Queue::new(None), Some(Arc::new(Batcher::new(7, name, 0)))));
    assert!(!c.is_live_starved(1), "an empty live stream waits for nothing");
    c.push(7, entry(&name, 0));
    assert!(c.is_live_starved(1));
}

#[test]
fn the_window_bounds_what_is_unacked() {
    let mut c = core(&[(1, true)], 10);
    c.schedule(4, 4);
    let length = BASE_BYTES + 264;
    assert_eq!(send(&mut c, 0, 3 * length + 1), (Next::Send(3 * length), 3));
    assert_eq!(send(&mut c, 0, 3 * length + 1), (Next::Wait, 0));
    c.ack(0, 2, Instant::now());
    assert_eq!(send(&mut c, 0, 3 * length + 1), (Next::Send(2 * length), 2));
    c.disconnected();
    c.schedule(4, 4);
    assert_eq!(send(&mut c, 0, 1), (Next::Send(length), 1), "a window below a record still lets one through");
}

#[test]
fn acks_that_lie_are_found_and_those_that_go_back_ignored() {
    let mut c = core(&[(1, true)], 10);
    assert_eq!(c.ack(0, 1, Instant::now()), Some(Acked::default()), "no place, no ack");
    c.schedule(4, 4);
    send(&mut c, 0, 600);
    assert_eq!(c.ack(0, 3, Instant::now()), None, "never sent");
    assert_eq!(c.ack(0, 2, Instant::now()).unwrap().next, 2);
    assert_eq!(c.ack(0, 1, Instant::now()).unwrap().released, Released::default());
    assert_eq!(c.streams[&0].queue.acked(), 2);
}

/// W8: silence counts from the last ack or notice, and only while something is outstanding.
#[test]
fn signs_of_life() {
    let mut c = core(&[(1, true)], 2);
    c.schedule(4, 4);
    assert_eq!(c.oldest_answer(), None);
    let start = Instant::now();
    let later = |s| start + Duration::from_secs(s);
    c.next(0, 300, start, &mut vec![]);
    assert_eq!(c.oldest_answer(), Some(start));
    c.stalled(0, later(2));
    assert_eq!(c.oldest_answer(), Some(later(2)));
    c.ack(0, 0, later(3));
    assert_eq!(c.oldest_answer(), Some(later(2)), "an ack of nothing new is no sign");
    c.ack(0, 1, later(4));
    assert_eq!(c.oldest_answer(), None, "nothing is outstanding");
    c.next(0, 300, later(9), &mut vec![]);
    assert_eq!(c.oldest_answer(), Some(later(9)));
}

#[test]
fn only_the_second_refusal_in_a_row_gives_a_record_up() {
    let mut c = core(&[(1, true)], 3);
    assert_eq!(c.refused(0, 1), None);
    assert_eq!(c.refused(0, 0), None, "another record");
    assert_eq!(c.refused(0, 1), None, "not in a row");
    assert_eq!(c.refused(0, 1), Some(gap(0, 1, 2, GapReason::REFUSED)));
    assert_eq!(c.refused(0, 1), None);
    assert_eq!(c.refused(0, 1), None, "a gap is not given up again");
    c.schedule(4, 4);
    c.refused(0, 2);
    send(&mut c, 0, 1 << 16);
    c.ack(0, 3, Instant::now());
    assert_eq!(c.streams[&0].refused, None, "an ack clears it");
}
