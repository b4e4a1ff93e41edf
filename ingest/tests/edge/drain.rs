//! The end of an edge: what is on its way is acked, then everybody is sent elsewhere.

use std::sync::Arc;
use std::time::{Duration, Instant};

use boxbox_ingest::{Config, Edge, EdgeError, Identity, Limits};
use boxbox_log::memory::MemoryLog;
use boxbox_schemas::ShortId;
use boxbox_schemas::grant::Authority;
use boxbox_schemas::wire::{CloseCode, Notice};
use boxbox_testkit::wait::until;
use tokio::sync::watch;

use crate::client::raw;
use crate::world::{World, identity};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_on_its_way_is_acked_before_the_edge_goes() {
    let world = World::new().await;
    let mut client = world.client("max").await;
    let mut idle = world.client("idle").await;
    let mut stream = client.open(0).await;
    stream.send(5).await;
    client.acked(&stream, 5).await;
    world.log.stall(true);
    for _ in 0..20 {
        stream.send(5).await;
    }
    until("20 records are in flight", || world.log.outstanding() == 20).await;
    world.shutdown.cancel();
    assert_eq!(client.notice().await, Notice::GoAway { within_ms: 1_000 });
    assert!(world.health.draining() && !world.health.ready());
    // Who comes now is sent elsewhere, and who has nothing on its way is not kept.
    assert!(raw(world.address, |_| {}).await.is_err());
    assert_eq!(idle.closed().await.code, CloseCode::GOING_AWAY);
    world.log.stall(false);
    client.acked(&stream, 105).await;
    assert_eq!(client.closed().await.code, CloseCode::GOING_AWAY);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_log_does_not_hold_the_edge_beyond_its_deadline() {
    let world = World::with(|l| l.drain_deadline = Duration::from_millis(300)).await;
    let mut client = world.client("max").await;
    let mut stream = client.open(0).await;
    world.log.stall(true);
    stream.send(5).await;
    until("the record is in flight", || world.log.outstanding() == 1).await;
    let began = Instant::now();
    world.shutdown.cancel();
    assert_eq!(client.closed().await.code, CloseCode::GOING_AWAY);
    assert!(client.acked.is_empty(), "what is not durable is not acked");
    until("the edge has ended", || world.running.is_finished()).await;
    println!("gone after {:?}", began.elapsed());
    world.stop().await;
}

#[tokio::test]
async fn a_busy_port_is_said_plainly() {
    let taken = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let config = |limits| Config { listen: taken.local_addr().unwrap(), edge: ShortId::new("e").unwrap(), limits };
    let authority = watch::Sender::new(Arc::new(Authority::default()));
    let log = || Arc::new(MemoryLog::new(1));
    let busy = Edge::bind(config(Limits::default()), identity(), authority.subscribe(), log()).await.unwrap_err();
    assert!(matches!(&busy, EdgeError::Busy(_)) && busy.to_string().contains("in use"), "{busy}");
    let small = Limits { stream_unacked_bytes: 10_000, ..Limits::default() };
    let small = Edge::bind(config(small), identity(), authority.subscribe(), log()).await.unwrap_err();
    assert!(matches!(&small, EdgeError::Config(_)) && small.to_string().contains("stream_unacked_bytes"), "{small}");
    let rubbish = Identity { certificate_der: vec![1], private_key_pkcs8: vec![2] };
    let rubbish = Edge::bind(config(Limits::default()), rubbish, authority.subscribe(), log()).await.unwrap_err();
    assert!(matches!(rubbish, EdgeError::Identity(_)), "{rubbish}");
}
