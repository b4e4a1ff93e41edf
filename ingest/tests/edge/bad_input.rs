//! Bad input: each kind closes or voids by name and is counted, and a neighbour on the same edge notices nothing.

use std::time::Duration;

use boxbox_schemas::event::Reject;
use boxbox_schemas::field::FieldFrame;
use boxbox_schemas::grant::{Ability, Authority, Grant, SigningKey};
use boxbox_schemas::limits::RECORD_MAX_BYTES;
use boxbox_schemas::record::{Content, Kind, archive, seal};
use boxbox_schemas::wire::{CloseCode, Control, Hello, Notice, STREAM_HEAD_BYTES};
use boxbox_schemas::{GrantId, RunId};
use boxbox_testkit::campaign::seeded;
use boxbox_testkit::frames::source;
use boxbox_testkit::wait::{PATIENCE, until};
use bytes::BytesMut;

use crate::client::{Client, Closed, Stream, car_record, closed, event_record, prelude, raw};
use crate::neighbours::Neighbour;
use crate::world::{World, rand};

/// A client does something wrong on a stream that has five frames acked; it is closed by `code`, with the notice
/// before it and as its reason, `counter` counts it, and the neighbour lives.
async fn refused(code: CloseCode, counter: &str, misdeed: impl AsyncFnOnce(&mut Stream)) {
    let world = World::new().await;
    let neighbour = Neighbour::start(&world).await;
    let mut client = world.client("bad").await;
    let mut stream = client.open(3).await;
    stream.send(5).await;
    client.acked(&stream, 5).await;
    stream.base = 5;
    misdeed(&mut stream).await;
    let Closed { code: seen, reason } = client.closed().await;
    assert_eq!(seen, code, "{reason}");
    stream.was_not_stopped().await;
    let refused = Notice::from_close_reason(reason.as_bytes()).expect("the reason is the notice");
    let Notice::Refused { stream: 3, code: word, expected: 5, detail } = &refused else { panic!("{refused:?}") };
    assert_eq!(word, code.name());
    assert!(!detail.is_empty());
    assert_eq!(client.notices, [refused]);
    assert_eq!(world.count(counter), 1, "{counter}");
    assert_eq!(world.count(&format!("connections_closed_total{{{}}}", code.name())), 1);
    assert_eq!(world.logged_of("bad").len(), 1, "nothing more was logged");
    neighbour.lives().await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_of_impossible_length_is_refused() {
    for length in [RECORD_MAX_BYTES as u32 + 1, u32::MAX, 0, 63] {
        refused(CloseCode::FRAMING, "streams_broken_total{length}", async |s| s.put(&length.to_le_bytes()).await).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_that_breaks_off_is_refused() {
    for keep in [1, 4, 63, 64, 200] {
        refused(CloseCode::FRAMING, "streams_broken_total{truncated}", async |s| {
            let record = s.record(1);
            s.put(&record[..keep]).await;
            s.send.finish().unwrap();
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_of_an_unknown_version_is_refused() {
    refused(CloseCode::VERSION, "records_refused_total{version}", async |s| {
        let mut record = s.record(2).to_vec();
        record[8] = 2;
        s.put(&record).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_with_a_wrong_checksum_is_refused() {
    refused(CloseCode::CRC, "records_refused_total{crc}", async |s| {
        let mut record = s.record(2).to_vec();
        record[100] ^= 0x10;
        s.put(&record).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_of_another_run_or_source_is_refused() {
    refused(CloseCode::SCOPE, "records_refused_total{scope}", async |s| {
        s.head.run = RunId(rand());
        s.send(1).await;
    })
    .await;
    refused(CloseCode::SCOPE, "records_refused_total{scope}", async |s| {
        s.head.source = source(2);
        s.send(1).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hole_a_step_back_and_an_impossible_base_are_refused() {
    for first in [4, 6, 1_000] {
        refused(CloseCode::SEQUENCE, "records_refused_total{sequence}", async |s| {
            s.next = first;
            s.base = first.min(5);
            s.send(1).await;
        })
        .await;
    }
    for base in [6, u64::MAX] {
        refused(CloseCode::SEQUENCE, "records_refused_total{base}", async |s| {
            s.base = base;
            s.send(1).await;
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn random_bytes_are_refused_and_harm_no_neighbour() {
    let world = World::new().await;
    let neighbour = Neighbour::start(&world).await;
    let mut rng = seeded("random_bytes_are_refused_and_harm_no_neighbour");
    for round in 0..40 {
        let mut client = world.client("bad").await;
        let mut noise = vec![0; rng.usize(STREAM_HEAD_BYTES..4_000)];
        rng.fill(&mut noise);
        // Half of them begin like a stream.
        let (mut send, allowed) = if round % 2 == 0 {
            (client.connection.open_uni().await.unwrap(), vec![CloseCode::PROTOCOL])
        } else {
            (client.open(0).await.send, vec![CloseCode::FRAMING, CloseCode::CRC, CloseCode::VERSION])
        };
        let _ = send.write_all(&noise).await;
        let _ = send.finish();
        let end = client.closed().await;
        assert!(allowed.contains(&end.code), "round {round}: {end:?}");
    }
    // And what is no QUIC at all.
    let noise = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let mut datagram = vec![0; 1_200];
    for _ in 0..2_000 {
        rng.fill(&mut datagram);
        noise.send_to(&datagram[..rng.usize(1..1_200)], world.address).await.unwrap();
    }
    assert!(world.logged_of("bad").is_empty());
    neighbour.lives().await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn impossible_content_is_void_in_its_place_and_the_stream_goes_on() {
    let world = World::new().await;
    let neighbour = Neighbour::start(&world).await;
    let mut client = world.client("bad").await;
    let mut stream = client.open(2).await;
    stream.send(5).await;
    let bad = [
        (car_record(&stream.head, 5, 3, |f| f.speed_mps = f32::NAN), 8, Reject::NOT_FINITE),
        (car_record(&stream.head, 8, 2, |f| f.speed_mps = -1.0), 10, Reject::RANGE),
        (car_record(&stream.head, 10, 1, |f| f.fuel_l = 5.0), 11, Reject::ABSENT),
        (seal(&prelude(&stream.head, Kind::CAR, 11, 4), &[0; 100]).unwrap(), 15, Reject::ARCHIVE),
        (seal(&prelude(&stream.head, Kind::CLOSED, 15, 1), &[0; 16]).unwrap(), 16, Reject::KIND),
    ];
    for (record, _, _) in &bad {
        stream.put(record).await;
    }
    stream.next = 16;
    stream.send(4).await;
    client.acked(&stream, 20).await;

    let logged = world.logged_of("bad");
    assert_eq!(logged.len(), 7);
    let mut first = 5;
    for ((_, next, reason), logged) in bad.iter().zip(&logged[1..]) {
        let Content::Void(void) = logged.record.content().unwrap() else { panic!("no void: {logged:?}") };
        assert_eq!((logged.record.prelude().first_seq, void.next.to_native(), Reject::from(&void.reason)), (first, *next, *reason));
        let told = Notice::Void { stream: 2, first, next: *next, reason: reason.name().into() };
        assert!(client.notices.contains(&told), "{told:?} is not among {:?}", client.notices);
        assert_eq!(world.count(&format!("records_void_total{{{}}}", reason.name())), 1);
        first = *next;
    }
    neighbour.lives().await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_grant_does_not_cover_is_void() {
    let world = World::new().await;
    let grant = Grant { abilities: [Ability::Car].into(), ..world.grant("max") };
    let mut client = Client::connect(world.address, &world.key.sign(&grant).unwrap()).await.unwrap();
    let mut stream = client.open(0).await;
    let field = seal(&prelude(&stream.head, Kind::FIELD, 0, 1), &archive(&FieldFrame::default())).unwrap();
    stream.put(&field).await;
    stream.put(&event_record(&stream.head, 1)).await;
    client.acked(&stream, 2).await;
    assert_eq!(world.logged_of("max").iter().map(|r| r.record.prelude().kind).collect::<Vec<_>>(), [Kind::VOID, Kind::EVENT]);
    assert_eq!(world.count("records_void_total{ability}"), 1);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_grant_that_does_not_hold_is_refused() {
    let world = World::new().await;
    let neighbour = Neighbour::start(&world).await;
    let good = world.grant("max");
    let revoked = GrantId(rand());
    world.authority.send_replace(Authority::new([world.key.public()], [revoked]).into());
    let sign = |grant: Grant| world.key.sign(&grant).unwrap();
    let mut damaged = sign(good.clone());
    damaged.replace_range(30..31, if &damaged[30..31] == "A" { "B" } else { "A" });
    for (token, code, counter) in [
        (sign(Grant { expires: 1_700_000_000, ..good.clone() }), CloseCode::GRANT_EXPIRED, "grants_refused_total{expired}"),
        (sign(Grant { id: revoked, ..good.clone() }), CloseCode::GRANT_REVOKED, "grants_refused_total{revoked}"),
        (SigningKey::generate().unwrap().sign(&good).unwrap(), CloseCode::GRANT_INVALID, "grants_refused_total{unknown_key}"),
        ("let me in".into(), CloseCode::GRANT_INVALID, "grants_refused_total{malformed}"),
        (damaged, CloseCode::GRANT_INVALID, "grants_refused_total{signature}"),
        (sign(Grant { abilities: [Ability::Read].into(), ..good.clone() }), CloseCode::GRANT_SCOPE, "connections_closed_total{grant_scope}"),
        (sign(Grant { event: Some("monza".into()), ..good.clone() }), CloseCode::GRANT_SCOPE, "connections_closed_total{grant_scope}"),
    ] {
        let before = world.count(counter);
        let end = Client::connect(world.address, &token).await.map(|_| ()).unwrap_err();
        assert_eq!(end.code, code, "{}", end.reason);
        assert!(end.reason.contains("grant"), "a person can read it: {}", end.reason);
        assert_eq!(world.count(counter), before + 1, "{counter}");
    }
    neighbour.lives().await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_live_connection_ends_when_its_grant_does() {
    let world = World::new().await;
    let neighbour = Neighbour::start(&world).await;
    let (revoked, expiring) = (world.grant("ann"), Grant { expires: now_s() + 2, ..world.grant("bob") });
    let mut a = Client::connect(world.address, &world.key.sign(&revoked).unwrap()).await.unwrap();
    let mut b = Client::connect(world.address, &world.key.sign(&expiring).unwrap()).await.unwrap();
    let mut stream = a.open(0).await;
    stream.send(5).await;
    a.acked(&stream, 5).await;
    world.authority.send_replace(Authority::new([world.key.public()], [revoked.id]).into());
    // W3 promises five seconds.
    let end = tokio::time::timeout(Duration::from_secs(5), a.closed()).await.expect("closed in time");
    assert_eq!(end.code, CloseCode::GRANT_REVOKED, "{}", end.reason);
    assert_eq!(b.closed().await.code, CloseCode::GRANT_EXPIRED);
    neighbour.lives().await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_live_connection_ends_when_its_key_is_removed() {
    let world = World::new().await;
    let other = SigningKey::generate().unwrap();
    let mut old = world.client("ann").await;
    let mut stream = old.open(0).await;
    // A rotation: a key is added, which ends nothing.
    world.authority.send_replace(Authority::new([world.key.public(), other.public()], []).into());
    let mut newer = Client::connect(world.address, &other.sign(&world.grant("bob")).unwrap()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(500)).await;
    stream.send(5).await;
    old.acked(&stream, 5).await;
    world.authority.send_replace(Authority::new([other.public()], []).into());
    // W3 promises five seconds.
    let end = tokio::time::timeout(Duration::from_secs(5), old.closed()).await.expect("closed in time");
    assert_eq!(end.code, CloseCode::GRANT_INVALID, "{}", end.reason);
    assert!(end.reason.contains("not in use"), "{}", end.reason);
    let mut stream = newer.open(0).await;
    stream.send(5).await;
    newer.acked(&stream, 5).await;
    let back = Client::connect(world.address, &world.token("ann")).await.map(|_| ()).unwrap_err();
    assert_eq!(back.code, CloseCode::GRANT_INVALID, "{}", back.reason);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_without_a_hello_is_closed() {
    let world = World::with(|l| l.hello_timeout = Duration::from_millis(200)).await;
    let neighbour = Neighbour::start(&world).await;
    let (_endpoint, connection) = raw(world.address, |_| {}).await.unwrap();
    // A nobody may not even open data streams.
    let opened = tokio::time::timeout(Duration::from_millis(100), connection.open_uni()).await;
    assert!(opened.is_err(), "no stream before hello");
    let end = closed(tokio::time::timeout(PATIENCE, connection.closed()).await.unwrap());
    assert_eq!((end.code, end.reason.as_str()), (CloseCode::PROTOCOL, "no hello came in time"));
    neighbour.lives().await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn garbage_on_the_control_stream_closes_the_connection() {
    let world = World::new().await;
    let neighbour = Neighbour::start(&world).await;
    let encoded = |message: &Control| {
        let mut out = BytesMut::new();
        message.encode(&mut out);
        out.to_vec()
    };
    let endless = [250, 0, 0, 0].repeat(2_000);
    let garbage = [vec![1, 255, 255, 255], vec![1, 3, 0, 0, b'{', b'}', b'}'], encoded(&Control::Ack { stream: 0, next: 7 }), endless];
    for bytes in &garbage {
        let (_endpoint, connection) = raw(world.address, |_| {}).await.unwrap();
        let (mut send, _recv) = connection.open_bi().await.unwrap();
        let _ = send.write_all(bytes).await;
        let end = closed(tokio::time::timeout(PATIENCE, connection.closed()).await.unwrap());
        assert_eq!(end.code, CloseCode::PROTOCOL, "before hello: {}", end.reason);
    }
    for bytes in garbage.into_iter().chain([encoded(&Control::Hello(Hello { grant: "x".into(), agent: String::new() }))]) {
        let mut client = world.client("bad").await;
        let _ = client.control.write_all(&bytes).await;
        let end = client.closed().await;
        assert_eq!(end.code, CloseCode::PROTOCOL, "after hello: {}", end.reason);
    }
    // A message of a newer client is skipped, and ending one's half is no crime.
    let mut newer = world.client("new").await;
    newer.control.write_all(&[99, 2, 0, 0, 1, 2]).await.unwrap();
    newer.control.finish().unwrap();
    let mut stream = newer.open(0).await;
    stream.send(5).await;
    newer.acked(&stream, 5).await;
    neighbour.lives().await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_beyond_the_limits_waits_or_closes_the_connection() {
    let world = World::with(|l| l.streams_per_driver = 6).await;
    let neighbour = Neighbour::start(&world).await;
    let mut a = world.client("max").await;
    let mut streams = Vec::new();
    for number in 0..4 {
        streams.push(a.open(number).await);
        streams[number as usize].send(1).await;
        let stream = &streams[number as usize];
        a.acked(stream, 1).await;
    }
    let fifth = tokio::time::timeout(Duration::from_millis(200), a.connection.open_uni()).await;
    assert!(fifth.is_err(), "a fifth stream on one connection must wait");
    let mut b = world.client("max").await;
    // Kept, for a stream that is let go is finished.
    let _open = (b.open(0).await, b.open(1).await, b.open(2).await);
    let end = b.closed().await;
    assert_eq!(end.code, CloseCode::STREAMS, "{}", end.reason);
    assert!(end.reason.contains("6 streams"), "{}", end.reason);

    let mut twice = world.client("ann").await;
    let run = RunId(rand());
    let (_one, _two) = (twice.open_as(0, run, source(1)).await, twice.open_as(1, run, source(1)).await);
    assert_eq!(twice.closed().await.code, CloseCode::STREAMS);
    let mut same = world.client("ann").await;
    let (_one, _two) = (same.open(4).await, same.open(4).await);
    assert_eq!(same.closed().await.code, CloseCode::PROTOCOL);
    neighbour.lives().await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_beyond_its_budgets_is_refused() {
    let world = World::with(|l| {
        l.exempt_loopback = false;
        l.connections_per_address = 3;
        l.address_handshake_burst = 6;
        l.address_handshakes_per_s = 1;
    })
    .await;
    let mut clients = Vec::new();
    for _ in 0..3 {
        clients.push(world.client("max").await);
    }
    let refused = raw(world.address, |_| {}).await.map(|_| ()).unwrap_err();
    assert!(matches!(&refused, quinn::ConnectionError::ConnectionClosed(_)), "{refused:?}");
    assert_eq!(world.count("connections_refused_total{address_connections}"), 1);
    // Whoever leaves makes place.
    clients.pop().unwrap().connection.close(0u32.into(), b"");
    until("who has left is not counted", || world.health.connections() == 2).await;
    let again = Client::connect(world.address, &world.token("max")).await.unwrap();
    let mut stream = again.open(0).await;
    let mut again = again;
    stream.send(1).await;
    again.acked(&stream, 1).await;
    world.stop().await;
}

fn now_s() -> i64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() as i64
}
