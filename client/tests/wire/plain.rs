//! Without faults: what is put in comes out, once and in order; grants, pins and misuse are told plainly.

use boxbox_client::{Batch, Client, Config, Event, OpenError, Status, StreamError};
use boxbox_schemas::connect::ConnectString;
use boxbox_schemas::event::{EndReason, GapReason};
use boxbox_schemas::field::FieldFrame;
use boxbox_schemas::meta::SessionMeta;
use boxbox_schemas::record::Kind;
use boxbox_schemas::slow::SlowFrame;
use boxbox_schemas::wire::CloseCode;
use boxbox_testkit::wait::{PATIENCE, until};
use std::time::Duration;

use crate::fake::{FakeEdge, Faults};
use crate::{car, quick, source, start};

#[tokio::test(flavor = "multi_thread")]
async fn a_session_arrives_once_and_in_order() {
    let edge = FakeEdge::start(1, Faults::default());
    let (client, witness) = start(quick(edge.connect.clone())).await;
    let stream = client.open(source(1), 3).unwrap();
    stream.meta(&SessionMeta { track_name: "Phillip Island".into(), ..Default::default() }).unwrap();
    (0..1_000).for_each(|tick| stream.car(&car(tick)).unwrap());
    stream.slow(&SlowFrame { tick: 999, ..Default::default() }).unwrap();
    stream.field(&FieldFrame { tick: 999, slot: 4, ..Default::default() }).unwrap();
    stream.rewind(500, 8_333_500).unwrap();
    (500..600).for_each(|tick| stream.car(&car(tick)).unwrap());
    stream.end(599, 0, EndReason::FINISHED).unwrap();
    assert_eq!(stream.car(&car(600)), Err(StreamError::Ended));
    let id = stream.id();
    drop(stream);
    assert!(client.finish(PATIENCE).await.is_empty());
    edge.admitted(&(client.run(), source(1)), |s| {
        assert_eq!(s.ticks, (0..1_000).chain(500..600).collect::<Vec<_>>());
        assert_eq!((s.next, s.ended), (1 + 1_000 + 2 + 1 + 100 + 1, true));
        assert_eq!((s.gaps.len(), s.holes.len(), s.voids.len()), (0, 0, 0));
        assert_eq!(s.kinds[0], Kind::META);
        let rewind = s.kinds.iter().position(|k| *k == Kind::EVENT).unwrap();
        assert_eq!(s.kinds[rewind - 2..rewind], [Kind::SLOW, Kind::FIELD]);
    });
    assert_eq!(witness.acks.lock().last(), Some(&(id, 1_105)));
    assert!(witness.acks.lock().is_sorted());
    let stats = client.stats();
    assert_eq!((stats.frames, stats.acked_frames, stats.outstanding_bytes, stats.reconnects), (1_102, 1_102, 0, 0));
    assert_eq!(edge.state.lock().complaints, [] as [String; 0]);
    assert_eq!(client.status(), Status::Finished);
}

/// A lone frame is not kept waiting for others.
#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_nobody_fills_is_sent() {
    let edge = FakeEdge::start(1, Faults::default());
    let (client, _) = start(quick(edge.connect.clone())).await;
    let stream = client.open(source(1), 0).unwrap();
    for tick in 0..3 {
        stream.car(&car(tick)).unwrap();
        until("acked", || client.stats().acked_frames == u64::from(tick) + 1).await;
    }
}

/// F4: a tick that goes back is a rewind, whether the simulator's adapter says so or not.
#[tokio::test(flavor = "multi_thread")]
async fn a_tick_that_goes_back_is_a_rewind() {
    let edge = FakeEdge::start(1, Faults::default());
    let (client, _) = start(quick(edge.connect.clone())).await;
    let stream = client.open(source(1), 0).unwrap();
    [10, 11, 12, 11, 12].iter().for_each(|tick| stream.car(&car(*tick)).unwrap());
    drop(stream);
    assert!(client.finish(PATIENCE).await.is_empty());
    edge.admitted(&(client.run(), source(1)), |s| {
        assert_eq!(s.kinds, [Kind::CAR, Kind::EVENT, Kind::CAR]);
        assert_eq!(s.ticks, [10, 11, 12, 11, 12]);
    });
}

/// W7: one impossible frame is voided, its neighbours in the batch are not.
#[tokio::test(flavor = "multi_thread")]
async fn an_impossible_frame_harms_no_neighbour() {
    let edge = FakeEdge::start(1, Faults::default());
    let (client, witness) = start(quick(edge.connect.clone())).await;
    let stream = client.open(source(1), 0).unwrap();
    for tick in 0..20 {
        let speed_mps = if tick == 7 || tick == 12 { f32::NAN } else { 0.0 };
        stream.car(&boxbox_schemas::frame::CarFrame { speed_mps, ..car(tick) }).unwrap();
    }
    drop(stream);
    assert!(client.finish(PATIENCE).await.is_empty());
    edge.admitted(&(client.run(), source(1)), |s| {
        assert_eq!(s.ticks, (0..20).filter(|t| *t != 7 && *t != 12).collect::<Vec<_>>());
        assert_eq!(s.voids, [(7, 8), (12, 13)]);
    });
    assert_eq!(client.stats().voids, 2);
    let told = witness.events.lock().iter().filter(|e| matches!(e, Event::Void { .. })).count();
    assert_eq!(told, 2);
}

/// After a change of the server's key, or of the grant, a new connect string goes on where the old one ended.
#[tokio::test(flavor = "multi_thread")]
async fn a_new_connect_string_takes_over() {
    let edge = FakeEdge::start(1, Faults::default());
    let old = ConnectString { pins: vec![[7; 32]], ..edge.connect.clone() };
    let (client, _) = start(quick(old)).await;
    let stream = client.open(source(1), 0).unwrap();
    stream.car(&car(0)).unwrap();
    until("an error", || client.stats().last_error.is_some()).await;
    client.reconnect(edge.connect.clone());
    // From a task of its own, as programs do.
    let run = client.run();
    let task = tokio::spawn(async move {
        drop(stream);
        client.finish(PATIENCE).await
    });
    assert!(task.await.unwrap().is_empty());
    edge.admitted(&(run, source(1)), |s| assert_eq!(s.ticks, [0]));
}

/// More sessions than places: each waits for its turn, and all arrive.
#[tokio::test(flavor = "multi_thread")]
async fn more_streams_than_places_take_turns() {
    let edge = FakeEdge::start(1, Faults::default());
    edge.state.lock().max_streams = 2;
    let (client, _) = start(quick(edge.connect.clone())).await;
    let streams: Vec<_> = (0..7).map(|n| client.open(source(n), 0).unwrap()).collect();
    for tick in 0..50 {
        streams.iter().for_each(|s| s.car(&car(tick)).unwrap());
    }
    assert!(matches!(client.open(source(3), 0), Err(OpenError::AlreadyOpen)));
    drop(streams);
    assert!(client.finish(PATIENCE).await.is_empty());
    for n in 0..7 {
        edge.admitted(&(client.run(), source(n)), |s| assert_eq!(s.ticks, (0..50).collect::<Vec<_>>()));
    }
    assert_eq!(edge.state.lock().complaints, [] as [String; 0]);
    assert!(matches!(client.open(source(9), 0), Err(OpenError::Finished)));
}

/// A session that is opened again is a new stream (W4) that waits for the old one (W8).
#[tokio::test(flavor = "multi_thread")]
async fn a_session_opened_again_is_a_new_run_behind_the_old_one() {
    let edge = FakeEdge::start(1, Faults { ack_delay_ms: 20, ..Faults::default() });
    let (client, _) = start(quick(edge.connect.clone())).await;
    let first = client.open(source(1), 0).unwrap();
    (0..500).for_each(|tick| first.car(&car(tick)).unwrap());
    let runs = [first.run(), {
        drop(first);
        let second = client.open(source(1), 0).unwrap();
        (500..600).for_each(|tick| second.car(&car(tick)).unwrap());
        second.run()
    }];
    assert_ne!(runs[0], runs[1]);
    assert!(client.finish(PATIENCE).await.is_empty());
    let mut order = edge.state.lock().journal.clone();
    order.dedup();
    assert_eq!(order, runs.map(|run| (run, source(1))));
    edge.admitted(&(runs[1], source(1)), |s| assert_eq!(s.ticks, (500..600).collect::<Vec<_>>()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_grant_stops_sending_and_a_new_one_goes_on() {
    let edge = FakeEdge::start(1, Faults::default());
    edge.state.lock().refuse = Some(CloseCode::GRANT_EXPIRED);
    let (client, _) = start(quick(edge.connect.clone())).await;
    let stream = client.open(source(1), 0).unwrap();
    (0..100).for_each(|tick| stream.car(&car(tick)).unwrap());
    until("refused", || matches!(client.status(), Status::Refused(_))).await;
    let Status::Refused(refusal) = client.status() else { unreachable!() };
    assert_eq!(refusal.code, CloseCode::GRANT_EXPIRED);
    assert!(refusal.to_string().contains("grant create"), "{refusal}");
    // It does not come back by itself, and the simulator goes on undisturbed.
    let tries = edge.state.lock().connections;
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(edge.state.lock().connections, tries);
    (100..200).for_each(|tick| stream.car(&car(tick)).unwrap());
    edge.state.lock().refuse = None;
    client.reconnect(edge.connect.clone());
    drop(stream);
    assert!(client.finish(PATIENCE).await.is_empty());
    edge.admitted(&(client.run(), source(1)), |s| assert_eq!(s.ticks.len(), 200));
}

#[tokio::test(flavor = "multi_thread")]
async fn finish_says_what_a_refusing_edge_leaves() {
    let edge = FakeEdge::start(1, Faults::default());
    edge.state.lock().refuse = Some(CloseCode::GRANT_REVOKED);
    let (client, _) = start(quick(edge.connect.clone())).await;
    let stream = client.open(source(1), 0).unwrap();
    (0..100).for_each(|tick| stream.car(&car(tick)).unwrap());
    let remained = client.finish(PATIENCE).await;
    assert_eq!((remained.streams, remained.frames), (1, 100));
    assert!(matches!(client.status(), Status::Refused(_)));
}

/// W1: the pin is the server's identity.
#[tokio::test(flavor = "multi_thread")]
async fn another_servers_key_is_refused_with_a_clear_message() {
    let edge = FakeEdge::start(1, Faults::default());
    let wrong = ConnectString { pins: vec![[7; 32]], ..edge.connect.clone() };
    let (client, _) = start(quick(wrong)).await;
    until("an error", || client.stats().last_error.is_some_and(|e| e.contains("another server"))).await;
    assert_eq!(edge.state.lock().connections, 0, "no hello, so no grant, was sent to a stranger");
    let rotated = ConnectString { pins: vec![[7; 32], edge.connect.pins[0]], ..edge.connect.clone() };
    let (client, _) = start(quick(rotated)).await;
    until("connected", || matches!(client.status(), Status::Connected { .. })).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_there_is_told_and_waited_for() {
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = socket.local_addr().unwrap().port();
    let connect = ConnectString { grant: "g".into(), host: "127.0.0.1".into(), port, pins: vec![[0; 32]] };
    let mut config = quick(connect);
    config.timing.handshake = Duration::from_millis(50);
    let (client, _) = start(config).await;
    until("an error", || client.stats().last_error.is_some_and(|e| e.contains("does not answer"))).await;
    assert!(matches!(client.status(), Status::Connecting { error: Some(_) }));
}

/// W8: a full spool drops the oldest and says so in the stream; the simulator never waits.
/// A server whose clock is wrong says that a good grant has expired; when its clock is right again, its clients come back by themselves.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_whose_grant_has_expired_tries_again_slowly() {
    let edge = FakeEdge::start(1, Faults::default());
    edge.state.lock().refuse = Some(CloseCode::GRANT_EXPIRED);
    let mut config = quick(edge.connect.clone());
    config.timing.expired_retry = Duration::from_millis(100);
    let (client, _) = start(config).await;
    let stream = client.open(source(1), 0).unwrap();
    (0..100).for_each(|tick| stream.car(&car(tick)).unwrap());
    until("refused", || matches!(client.status(), Status::Refused(_))).await;
    edge.state.lock().refuse = None;
    until("all acked", || client.stats().spool_bytes == 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_spool_drops_the_oldest_and_leaves_a_gap() {
    let edge = FakeEdge::start(1, Faults::default());
    edge.state.lock().refuse = Some(CloseCode::GRANT_EXPIRED);
    let config = Config {
        spool: boxbox_client::Spool::Memory { max_bytes: 1 << 20 },
        batch: Batch { max_frames: 100, ..Batch::default() },
        ..quick(edge.connect.clone())
    };
    let (client, witness) = start(config).await;
    let stream = client.open(source(1), 0).unwrap();
    stream.meta(&SessionMeta { track_name: "Phillip Island".into(), ..Default::default() }).unwrap();
    (0..20_000).for_each(|tick| stream.car(&car(tick)).unwrap());
    assert!(client.stats().spool_bytes <= 1 << 20);
    until("refused", || matches!(client.status(), Status::Refused(_))).await;
    edge.state.lock().refuse = None;
    client.reconnect(edge.connect.clone());
    drop(stream);
    assert!(client.finish(PATIENCE).await.is_empty());
    edge.admitted(&(client.run(), source(1)), |s| {
        let [(0, dropped, reason)] = s.gaps[..] else { panic!("one gap from the beginning, not {:?}", s.gaps) };
        assert_eq!(reason, GapReason::SPOOL_FULL.0);
        assert!(dropped > 10_000);
        assert!(s.ticks.is_sorted() && s.ticks.last() == Some(&19_999));
        assert_eq!(s.ticks.len() as u32, 20_000 - s.ticks[0], "nothing else is missing");
        assert!(s.kinds.contains(&Kind::META), "the metadata is repeated if the gap took it");
        assert!(s.ticks.len() > 4_500, "about 1 MiB of 200-byte frames is kept, not {}", s.ticks.len());
    });
    let told: u64 = witness.events.lock().iter().filter_map(|e| if let Event::Gap { first, next, .. } = e { Some(next - first) } else { None }).sum();
    let stats = client.stats();
    assert_eq!((told, stats.gap_frames), (stats.gap_frames, edge.admitted(&(client.run(), source(1)), |s| s.gaps[0].1)));
    assert_eq!(edge.state.lock().complaints, [] as [String; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn misuse_is_an_error() {
    let edge = FakeEdge::start(1, Faults::default());
    let bad = Config { batch: Batch { max_frames: 0, ..Batch::default() }, ..quick(edge.connect.clone()) };
    assert!(Client::start(bad).await.is_err());
    let (client, _) = start(quick(edge.connect.clone())).await;
    let stream = client.open(source(1), 0).unwrap();
    assert!(matches!(stream.meta(&SessionMeta { track_length_m: f64::NAN, ..Default::default() }), Err(StreamError::Meta(_))));
    let entry =
        boxbox_schemas::meta::MetaEntry { driver_name: "n".repeat(120), team_name: "t".repeat(120), car_name: "c".repeat(120), ..Default::default() };
    assert!(matches!(stream.meta(&SessionMeta { entries: vec![entry; 128], ..Default::default() }), Err(StreamError::MetaTooLong(_))));
    stream.end(0, 0, EndReason::FINISHED).unwrap();
    assert_eq!(stream.flush(), Err(StreamError::Ended));
}
