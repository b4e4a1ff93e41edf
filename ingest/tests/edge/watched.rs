//! What an edge says of itself at rest: every record is somewhere, also while the log stands still; and what clients report of themselves.

use std::time::Duration;

use boxbox_schemas::wire::{CloseCode, Control, Report};
use boxbox_testkit::wait::until;
use bytes::BytesMut;

use crate::client::Client;
use crate::counters;
use crate::world::World;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_record_is_somewhere_while_the_log_stands_still() {
    let world = World::new().await;
    let mut client = world.client("max").await;
    let mut stream = client.open(0).await;
    stream.send(5).await;
    client.acked(&stream, 5).await;
    assert_eq!(world.conserved(), 0);
    world.log.stall(true);
    // Two of these use up the budget of a stream.
    for _ in 0..3 {
        stream.send(150).await;
    }
    let gauge = |name: &str| counters::gauge(&format!("boxbox_edge_{name}"));
    until("one record waits for the budget of its stream", || gauge("records_waiting") == 1.0).await;
    assert!(world.conserved() >= 1, "the others are in the log's hands");
    until("the age of the oldest is measured", || gauge("oldest_unacked_seconds") > 0.2).await;
    world.log.stall(false);
    client.acked(&stream, 455).await;
    until("nothing waits and nothing is old", || gauge("records_waiting") + gauge("oldest_unacked_seconds") == 0.0).await;
    assert_eq!(world.conserved(), 0);
    assert_eq!(world.count("frames_received_total{own}"), 455);
    assert_eq!(world.count("frames_acked_total{own}"), 455);
    client.connection.close(0u32.into(), b"");
    world.stop().await;
}

async fn report(client: &mut Client, report: Report) {
    let mut message = BytesMut::new();
    Control::Report(report).encode(&mut message);
    // An edge that has had enough closes meanwhile.
    let _ = client.control.write_all(&message).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_clients_report_is_added_up_and_a_flood_of_it_ends() {
    let world = World::new().await;
    let (mut one, mut other) = (world.client("max").await, world.client("anna").await);
    assert!(one.welcome.reports_every_ms.is_some_and(|ms| ms >= 1_000));
    report(&mut one, Report { spool_bytes: 1_000, unacked: 5, reconnects: 2, dropped: 7 }).await;
    report(&mut other, Report { spool_bytes: 50, unacked: 1, reconnects: 0, dropped: 0 }).await;
    until("the reports are counted", || world.count("clients_reconnects_total") == 2 && world.count("clients_dropped_frames_total") == 7).await;
    let gauge = |name: &str| counters::gauge(&format!("boxbox_edge_clients_{name}"));
    until("the spools are added up", || gauge("spool_bytes") == 1_050.0).await;
    assert_eq!((gauge("reporting"), gauge("spool_bytes_max"), gauge("unacked_frames")), (2.0, 1_000.0, 6.0));
    // Both go on to send.
    let mut stream = one.open(0).await;
    stream.send(5).await;
    one.acked(&stream, 5).await;
    for _ in 0..100 {
        report(&mut other, Report::default()).await;
    }
    let end = tokio::time::timeout(Duration::from_secs(25), other.closed()).await.expect("the edge has had enough");
    assert_eq!(end.code, CloseCode::PROTOCOL, "{}", end.reason);
    one.connection.close(0u32.into(), b"");
    world.stop().await;
}
