//! The way through: what is sent is in the log, byte for byte, under the right identity, and acked.

use boxbox_schemas::event::{GapFrame, GapReason};
use boxbox_schemas::record::{Kind, archive, seal};
use boxbox_schemas::{DriverId, RunId, SessionId, TenantId};
use boxbox_testkit::frames::source;
use boxbox_testkit::wait::until;

use crate::client::{Client, event_record, prelude};
use crate::world::{World, rand};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_are_logged_unchanged_stamped_and_acked() {
    let world = World::new().await;
    let mut client = world.client("max").await;
    assert_eq!((client.welcome.edge.as_str(), client.welcome.max_streams, client.welcome.max_unacked_bytes), ("edge-1", 4, 64 * 1024));
    let mut stream = client.open(7).await;
    let mut sent = Vec::new();
    for frames in [1, 5, 150, 6] {
        sent.push(stream.send(frames).await);
    }
    client.acked(&stream, 162).await;
    stream.base = 162;
    sent.push(event_record(&stream.head, 162));
    stream.put(&sent[4].clone()).await;
    let gap = GapFrame { next: 1_000, reason: GapReason::SPOOL_FULL, ..GapFrame::default() };
    sent.push(seal(&prelude(&stream.head, Kind::GAP, 163, 1), &archive(&gap)).unwrap());
    stream.put(&sent[5].clone()).await;
    stream.next = 1_000;
    sent.push(stream.send(2).await);
    client.acked(&stream, 1_002).await;

    let logged = world.logged_of("max");
    let tenant = TenantId::new("league").unwrap();
    assert_eq!(logged.iter().map(|r| r.record.bytes().clone()).collect::<Vec<_>>(), sent);
    assert_eq!(logged.iter().map(|r| r.stamp.base).collect::<Vec<_>>(), [0, 0, 0, 0, 162, 162, 162]);
    for record in &logged {
        assert_eq!((record.stamp.tenant, record.stamp.driver, record.stamp.edge.as_str()), (tenant, DriverId::new("max").unwrap(), "edge-1"));
        assert_eq!(record.stamp.session, SessionId::of(&tenant, &stream.head.source));
    }
    assert_eq!(world.count("records_acked_total"), 7);
    // An event and a gap are records without frames.
    assert_eq!(world.count("frames_acked_total{own}"), 164);
    assert!(world.health.ready() && world.health.connections() == 1 && world.health.last_ack_unix_ms().is_some());
    client.connection.close(0u32.into(), b"");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_resumes_at_its_own_base_on_another_connection() {
    let world = World::new().await;
    let (run, token) = (RunId(rand()), world.token("max"));
    let mut first = Client::connect(world.address, &token).await.unwrap();
    let mut stream = first.open_as(0, run, source(1)).await;
    stream.send(5).await;
    first.acked(&stream, 5).await;
    let again = stream.record(5);
    first.connection.close(0u32.into(), b"");

    let mut second = Client::connect(world.address, &token).await.unwrap();
    let mut stream = second.open_as(0, run, source(1)).await;
    (stream.base, stream.next) = (5, 10);
    stream.put(&again).await;
    stream.send(3).await;
    second.acked(&stream, 13).await;
    let logged = world.logged_of("max");
    assert_eq!(logged.iter().map(|r| (r.stamp.base, r.record.prelude().first_seq)).collect::<Vec<_>>(), [(0, 0), (5, 5), (5, 10)]);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_run_id_of_two_drivers_makes_two_streams() {
    let world = World::new().await;
    let run = RunId(rand());
    let (mut a, mut b) = (world.client("ann").await, world.client("bob").await);
    let (mut at_a, mut at_b) = (a.open_as(1, run, source(9)).await, b.open_as(1, run, source(9)).await);
    at_a.send(5).await;
    at_b.send(3).await;
    at_b.send(4).await;
    a.acked(&at_a, 5).await;
    b.acked(&at_b, 7).await;
    let logged = world.logged();
    assert_eq!(logged.len(), 2);
    assert_eq!((world.logged_of("ann").len(), world.logged_of("bob").len()), (1, 2));
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_finished_stream_makes_place_for_another() {
    let world = World::new().await;
    let mut client = world.client("max").await;
    for number in 0..12 {
        let mut stream = client.open(number).await;
        stream.send(5).await;
        stream.send(5).await;
        client.acked(&stream, 10).await;
        stream.send.finish().unwrap();
    }
    assert_eq!(world.count("streams_opened_total"), 12);
    until("no stream is left", || world.health.streams() == 0).await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edge_under_pressure_asks_for_proof_of_address_first() {
    let world = World::with(|l| l.retry_above_pending = 0).await;
    let mut client = world.client("max").await;
    let mut stream = client.open(0).await;
    stream.send(5).await;
    client.acked(&stream, 5).await;
    assert_eq!(world.count("retries_total"), 1);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_streams_of_many_clients_are_all_acked_in_order() {
    let world = World::new().await;
    let mut clients = tokio::task::JoinSet::new();
    for driver in 0..12 {
        let mut client = world.client(&format!("d{driver}")).await;
        clients.spawn(async move {
            let mut streams = Vec::new();
            for number in 0..4 {
                streams.push(client.open_as(number, RunId(rand()), source(u128::from(number))).await);
            }
            for round in 0..50u16 {
                for stream in &mut streams {
                    stream.send(1 + round % 7).await;
                }
            }
            for stream in &streams {
                client.acked(stream, stream.next).await;
            }
            streams[0].next
        });
    }
    let mut frames = 0;
    while let Some(sent) = clients.join_next().await {
        frames += 4 * sent.unwrap();
    }
    assert_eq!((world.count("frames_acked_total{own}"), world.count("records_acked_total")), (frames, 12 * 4 * 50));
    for (stream, records) in world.logged() {
        let mut next = 0;
        for record in records {
            assert_eq!(record.record.prelude().first_seq, next, "{stream:?}");
            next = record.record.next_seq().unwrap();
        }
    }
    world.stop().await;
}
