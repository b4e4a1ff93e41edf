//! Bad neighbours: whatever one client does with its connection, the others' acks go on.

use std::sync::Arc;
use std::time::Duration;

use boxbox_schemas::wire::{CloseCode, Notice};
use boxbox_testkit::frames::source;
use boxbox_testkit::wait::{PATIENCE, until};
use quinn::VarInt;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::client::Client;
use crate::counters;
use crate::slow_log::SlowLog;
use crate::world::{PARTITIONS, World};

/// A well-behaved client beside the bad one: five frames every 10 ms, acked.
pub(crate) struct Neighbour {
    acked: watch::Receiver<u64>,
    task: JoinHandle<()>,
}

impl Neighbour {
    pub(crate) async fn start(world: &World) -> Self {
        let client = world.client("good").await;
        Self::of(client).await
    }

    pub(crate) async fn of(mut client: Client) -> Self {
        let (tell, acked) = watch::channel(0);
        let task = tokio::spawn(async move {
            let mut stream = client.open(0).await;
            loop {
                stream.send(5).await;
                client.acked(&stream, stream.next).await;
                stream.base = stream.next;
                if tell.send(stream.next).is_err() {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        });
        let mut this = Self { acked, task };
        this.more().await;
        this
    }

    /// Wait for some more acks.
    pub(crate) async fn more(&mut self) {
        let from = *self.acked.borrow();
        let reached = tokio::time::timeout(PATIENCE, self.acked.wait_for(|acked| *acked >= from + 25)).await;
        reached.expect("the neighbour's acks go on").expect("the neighbour lives");
    }

    /// It still gets acks, and was closed by nobody.
    pub(crate) async fn lives(mut self) {
        self.more().await;
        drop(self.acked);
        tokio::time::timeout(PATIENCE, self.task).await.expect("the neighbour ends").unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_never_reads_its_acks_is_closed_and_harms_nobody() {
    let world = World::with(|l| l.slow_reader_after = Duration::from_millis(300)).await;
    let mut neighbour = Neighbour::start(&world).await;
    // Room for the welcome and a few acks, and then no word is read.
    let deaf = Client::connect_with(world.address, &world.token("deaf"), |t| {
        t.stream_receive_window(VarInt::from_u32(256));
    })
    .await
    .unwrap();
    let mut stream = deaf.open(0).await;
    let sending = tokio::spawn(async move {
        for _ in 0..10_000 {
            stream.send(5).await;
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    });
    neighbour.more().await;
    let end = crate::client::closed(tokio::time::timeout(PATIENCE, deaf.connection.closed()).await.expect("closed"));
    assert_eq!(end.code, CloseCode::SLOW_READER, "{}", end.reason);
    sending.abort();
    assert_eq!(world.count("connections_closed_total{slow_reader}"), 1);
    neighbour.lives().await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_begins_a_record_and_stalls_is_closed_and_an_idle_one_is_not() {
    let world = World::with(|l| l.slow_sender_after = Duration::from_millis(300)).await;
    let mut neighbour = Neighbour::start(&world).await;
    let mut idle = world.client("idle").await;
    let mut quiet = idle.open(0).await;
    quiet.send(5).await;
    idle.acked(&quiet, 5).await;
    let mut slow = world.client("slow").await;
    let mut stream = slow.open(0).await;
    stream.send(5).await;
    slow.acked(&stream, 5).await;
    let record = stream.record(5);
    // Now and then a byte is no progress.
    let dripping = tokio::spawn(async move {
        stream.put(&record[..100]).await;
        for at in 100..record.len() {
            let _ = stream.send.write_all(&record[at..=at]).await;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    neighbour.more().await;
    assert_eq!(slow.closed().await.code, CloseCode::SLOW_SENDER);
    dripping.abort();
    quiet.send(5).await;
    idle.acked(&quiet, 10).await;
    neighbour.lives().await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_at_many_times_its_share_waits_for_itself() {
    let world = World::new().await;
    let mut neighbour = Neighbour::start(&world).await;
    let mut greedy = world.client("greedy").await;
    let mut stream = greedy.open(0).await;
    // As fast as QUIC takes it, in the longest records, on a log that stands still for a while.
    let (stop, stopped) = watch::channel(false);
    let pushing = tokio::spawn(async move {
        while !*stopped.borrow() {
            stream.send(150).await;
        }
        stream
    });
    let mut most = 0.0_f64;
    for stalled in [false, true, false, true, false] {
        world.log.stall(stalled);
        for _ in 0..20 {
            most = most.max(counters::gauge("boxbox_edge_in_flight_bytes"));
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        if !stalled {
            neighbour.more().await;
        }
    }
    assert!(world.count("waits_total{stream}") > 0, "it had to wait for itself");
    // Its own window and the neighbour's.
    assert!(most <= 2.0 * 64.0 * 1024.0, "{most} bytes in flight");
    stop.send(true).unwrap();
    let reading = tokio::spawn(async move { while greedy.next().await.is_some() {} });
    let stream = tokio::time::timeout(PATIENCE, pushing).await.expect("flow control lets go").unwrap();
    until("the last record is logged", || world.logged_of("greedy").last().is_some_and(|r| r.record.next_seq().unwrap() == stream.next)).await;
    let mut next = 0;
    for record in world.logged_of("greedy") {
        assert_eq!(record.record.prelude().first_seq, next);
        next = record.record.next_seq().unwrap();
    }
    neighbour.lives().await;
    world.stop().await;
    let _ = reading.await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_partition_stalls_only_its_own_sessions() {
    let world = World::with(|l| {
        // Small enough that a few clients use up what the dead partition may hold, and more than that of their tenant.
        l.partition_unacked_bytes = 100 * 1024;
        l.tenant_unacked_bytes = 200 * 1024;
        l.unacked_bytes = 300 * 1024;
        l.stalled_after = Duration::from_millis(200);
    })
    .await;
    let partition = |client: &crate::client::Stream| client.head.session(&world.grant("x").tenant).partition(PARTITIONS);
    let mut neighbour = Neighbour::start(&world).await;
    let mine = world.logged_of("good")[0].stamp.session.partition(PARTITIONS);
    // Clients whose sessions lie in one partition that is not the neighbour's.
    let dead = (mine + 1) % PARTITIONS;
    let mut stuck = Vec::new();
    for id in 2..200 {
        let candidate = source(id);
        if boxbox_schemas::SessionId::of(&world.grant("x").tenant, &candidate).partition(PARTITIONS) == dead && stuck.len() < 6 {
            let client = world.client(&format!("stuck-{id}")).await;
            let stream = client.open_as(0, boxbox_schemas::RunId(crate::world::rand()), candidate).await;
            assert_eq!(partition(&stream), dead);
            stuck.push((client, stream));
        }
    }
    world.log.stall_partition(dead, true);
    for (_, stream) in &mut stuck {
        for _ in 0..3 {
            stream.send(100).await;
        }
    }
    until("the dead partition's budget is used up", || world.count("waits_total{partition}") > 0).await;
    for (client, _) in &mut stuck {
        assert_eq!(client.notice().await, Notice::Stalled { stream: 0 });
        // And again while it lasts.
        assert_eq!(client.notice().await, Notice::Stalled { stream: 0 });
    }
    neighbour.more().await;
    assert!(world.health.stalled_streams() >= 6);
    world.log.stall_partition(dead, false);
    for (client, stream) in &mut stuck {
        client.acked(stream, 300).await;
    }
    neighbour.lives().await;
    world.stop().await;
}

/// Many times what the log takes is offered: the log is kept busy, memory stays within its budget, nobody is closed,
/// and when the flood ends everything that was sent is acked.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn overload_keeps_the_log_busy_and_memory_flat() {
    let log = SlowLog::new();
    let budget = 256 * 1024;
    let world = World::on(
        |l| {
            l.partition_unacked_bytes = budget;
            l.tenant_unacked_bytes = budget;
            l.unacked_bytes = budget;
        },
        Some(Arc::new(log.clone())),
    )
    .await;
    let (stop, _) = watch::channel(false);
    let mut clients = tokio::task::JoinSet::new();
    for i in 0..6u128 {
        let (mut client, stopped) = (world.client(&format!("d{i}")).await, stop.subscribe());
        let mut stream = client.open_as(0, boxbox_schemas::RunId(crate::world::rand()), source(i)).await;
        clients.spawn(async move {
            let sending = tokio::spawn(async move {
                while !*stopped.borrow() {
                    stream.send(40).await;
                }
                stream
            });
            // Acks are read meanwhile, as every client does.
            while !sending.is_finished() {
                let _ = tokio::time::timeout(Duration::from_millis(20), client.next()).await;
            }
            let stream = sending.await.unwrap();
            client.acked(&stream, stream.next).await;
            stream.next
        });
    }
    until("the edge is overloaded", || world.count("waits_total{partition}") + world.count("waits_total{tenant}") > 0).await;
    log.take_seen();
    let (mut acked, mut most) = (Vec::new(), 0.0_f64);
    for _ in 0..20 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        most = most.max(counters::gauge("boxbox_edge_in_flight_bytes"));
        acked.push(world.count("records_acked_total"));
    }
    let seen = log.take_seen();
    println!("{seen:?}, {} records acked in 2 s, at most {most} bytes in flight", acked[19] - acked[0]);
    assert!(seen.ticks > 0 && seen.idle_ticks * 2 <= seen.ticks, "the log idled: {seen:?}");
    // The gauge is moved by two threads, so a look at it can see a record enter before it sees another one leave.
    assert!(most <= 2.0 * budget as f64, "{most} bytes in flight");
    assert_eq!(world.health.connections(), 6, "nobody was closed");
    stop.send(true).unwrap();
    let mut frames = 0;
    while let Some(sent) = clients.join_next().await {
        frames += sent.unwrap();
    }
    assert_eq!(world.count("frames_acked_total{own}"), frames);
    world.stop().await;
}
