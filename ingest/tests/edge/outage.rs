//! When the log fails, lies, stands still or ends: no ack that is not true, and acks again soon after.

use std::time::{Duration, Instant};

use boxbox_schemas::RunId;
use boxbox_schemas::wire::{CloseCode, Notice};
use boxbox_testkit::campaign::seeded;
use boxbox_testkit::frames::source;
use boxbox_testkit::wait::until;
use bytes::Bytes;

use crate::client::Client;
use crate::world::{World, rand};

/// After a fault in mid-stream the acks stop at the record before it and the connection is closed with `retry`.
async fn breaks(fault: impl Fn(&World)) {
    let world = World::new().await;
    let mut client = world.client("max").await;
    let mut stream = client.open(0).await;
    stream.send(5).await;
    client.acked(&stream, 5).await;
    fault(&world);
    for _ in 0..4 {
        stream.send(5).await;
    }
    let end = client.closed().await;
    assert_eq!(end.code, CloseCode::RETRY, "{}", end.reason);
    stream.was_not_stopped().await;
    assert_eq!(client.acked[&0], 5, "nothing behind the fault was acked");
    assert_eq!(world.count("connections_closed_total{retry}"), 1);
    until("the log has nothing outstanding", || world.log.outstanding() == 0).await;
    assert!(world.count("records_failed_total") >= 1);
    assert!(world.health.ready(), "one failed record is no reason to turn clients away");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_record_ends_the_acks() {
    breaks(|w| w.log.fail_next(1)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_answer_ends_the_acks() {
    breaks(|w| w.log.lose_answers(1)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_of_unknown_place_ends_the_acks() {
    breaks(|w| w.log.complete_unplaced(1)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acks_resume_within_two_seconds_of_the_log() {
    let world = World::with(|l| l.stalled_after = Duration::from_millis(300)).await;
    let mut client = world.client("max").await;
    let mut stream = client.open(0).await;
    stream.send(5).await;
    client.acked(&stream, 5).await;
    world.log.stall(true);
    for _ in 0..10 {
        stream.send(5).await;
    }
    let (mut notices, began) = (0, Instant::now());
    while began.elapsed() < Duration::from_millis(1_500) {
        assert_eq!(client.notice().await, Notice::Stalled { stream: 0 });
        notices += 1;
    }
    assert!(notices >= 3, "a sign of life at least every stalled_after; {notices} in 1.5 s");
    assert_eq!(client.acked[&0], 5, "nothing was acked meanwhile");
    world.log.stall(false);
    let back = Instant::now();
    client.acked(&stream, 55).await;
    assert!(back.elapsed() < Duration::from_secs(2), "acks came {:?} after the log", back.elapsed());
    until("no stream is called stalled", || world.health.stalled_streams() == 0).await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_ends_is_not_ready_and_says_retry() {
    let world = World::new().await;
    let mut client = world.client("max").await;
    let mut stream = client.open(0).await;
    stream.send(5).await;
    client.acked(&stream, 5).await;
    assert!(world.health.ready());
    world.log.close("for a test");
    stream.send(5).await;
    assert_eq!(client.closed().await.code, CloseCode::RETRY);
    until("the edge is not ready", || !world.health.ready()).await;
    world.stop().await;
}

/// A client that resumes at its own acked, against a log that fails at random: at the end everything is in the log,
/// and read by E1 it is gapless, each frame once, without a hole.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acked_is_ever_missing_under_random_faults() {
    let world = World::new().await;
    let mut rng = seeded("nothing_acked_is_ever_missing_under_random_faults");
    let (run, token) = (RunId(rand()), world.token("max"));
    let mut records: Vec<(u64, Bytes)> = Vec::new();
    let (mut acked, mut connections) = (0, 0);
    while acked < 2_000 {
        connections += 1;
        assert!(connections < 1_000, "no progress");
        let mut client = Client::connect(world.address, &token).await.unwrap();
        let mut stream = client.open_as(0, run, source(1)).await;
        stream.base = acked;
        let from = records.iter().position(|(next, _)| *next > acked).unwrap_or(records.len());
        stream.next = from.checked_sub(1).map_or(0, |i| records[i].0);
        assert_eq!(stream.next, acked, "acks end at records");
        let mut resend: std::collections::VecDeque<Bytes> = records[from..].iter().map(|(_, r)| r.clone()).collect();
        for _ in 0..rng.usize(1..60) {
            match rng.u8(0..60) {
                0 => world.log.fail_next(rng.usize(1..3)),
                1 => world.log.lose_answers(1),
                2 => world.log.complete_unplaced(1),
                3..6 => tokio::time::sleep(Duration::from_millis(rng.u64(0..5))).await,
                6..12 => {
                    // Read what there is without waiting for more.
                    let _ = tokio::time::timeout(Duration::from_millis(2), client.next()).await;
                    stream.base = client.acked.get(&0).copied().unwrap_or(stream.base);
                }
                _ => match resend.pop_front() {
                    Some(record) => {
                        stream.put(&record).await;
                        stream.next = 0;
                    }
                    None => {
                        stream.next = records.last().map_or(0, |(next, _)| *next);
                        let record = stream.send(rng.u16(1..20)).await;
                        records.push((stream.next, record));
                    }
                },
            }
        }
        // Sometimes leave at once, sometimes hear it out.
        if rng.bool() {
            while let Ok(Some(_)) = tokio::time::timeout(Duration::from_millis(50), client.next()).await {}
        }
        acked = client.acked.get(&0).copied().unwrap_or(acked);
        client.connection.close(0u32.into(), b"");
    }
    until("the log has nothing outstanding", || world.log.outstanding() == 0).await;
    let mut next = 0;
    for logged in world.logged_of("max") {
        let (base, first, last) = (logged.stamp.base, logged.record.prelude().first_seq, logged.record.next_seq().unwrap());
        assert!(base <= next, "a hole: base {base}, next {next}");
        if first <= next && last > next {
            next = last;
        }
    }
    assert!(next >= acked, "acked up to {acked}, the log has {next}");
    println!("{connections} connections, {acked} frames acked, {} records failed", world.count("records_failed_total"));
    assert!(world.count("records_failed_total") > 0, "the faults were real");
    world.stop().await;
}
