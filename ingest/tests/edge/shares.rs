//! One client takes its share and no more: of places, of bytes, of numbers; what an edge does when its clock jumps.

use std::time::Duration;

use boxbox_ingest::{ExpiryClock, Rate};
use boxbox_schemas::TenantId;
use boxbox_schemas::grant::Grant;
use boxbox_schemas::wall::WallClock;
use boxbox_schemas::wire::{CloseCode, Notice};
use boxbox_testkit::wait::{PATIENCE, until};
use tokio::sync::watch;

use crate::client::{Client, car_record};
use crate::neighbours::Neighbour;
use crate::world::World;

/// One grant, and then one tenant with many grants, take all the places that they can get. Others get in.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_driver_and_no_tenant_takes_the_places_of_others() {
    let world = World::with(|l| (l.connections, l.connections_per_driver, l.connections_per_tenant) = (40, 5, 12)).await;
    let (mut held, token) = (vec![], world.token("greedy"));
    for _ in 0..5 {
        held.push(Client::connect(world.address, &token).await.unwrap());
    }
    for _ in 0..20 {
        let end = Client::connect(world.address, &token).await.map(|_| ()).unwrap_err();
        assert_eq!(end.code, CloseCode::BUSY);
        assert!(end.reason.contains("this driver has 5 connections open already"), "a person can read it: {}", end.reason);
    }
    for driver in 0..7 {
        held.push(world.client(&format!("friend-{driver}")).await);
    }
    for driver in 0..20 {
        let end = Client::connect(world.address, &world.token(&format!("crowd-{driver}"))).await.map(|_| ()).unwrap_err();
        assert_eq!(end.code, CloseCode::BUSY);
        assert!(end.reason.contains("this tenant has 12 connections"), "{}", end.reason);
    }
    assert_eq!(world.count("connections_refused_total{driver_connections}"), 20);
    assert_eq!(world.count("connections_refused_total{tenant_connections}"), 20);
    let other = world.key.sign(&Grant { tenant: TenantId::new("other").unwrap(), ..world.grant("max") }).unwrap();
    let neighbour = Neighbour::of(Client::connect(world.address, &other).await.unwrap()).await;
    // A place that is given back is free, for this driver too.
    held.remove(0).connection.close(0u32.into(), b"");
    until("a place is free", || world.health.connections() == 12).await;
    held.push(Client::connect(world.address, &token).await.unwrap());
    neighbour.lives().await;
    drop(held);
    world.stop().await;
}

/// A client that sends far more than its rate is read at its rate. It is told that it waits, it is not disconnected, nothing of it is lost,
/// and neither reconnecting nor a second stream brings it more. Its neighbours of the same tenant notice nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_driver_is_read_at_its_rate_and_is_not_disconnected() {
    let rate = Rate { bytes_per_s: 200_000, burst_bytes: 300_000 };
    let world = World::with(|l| l.driver_rate = rate).await;
    let mut neighbour = Neighbour::start(&world).await;
    let began = std::time::Instant::now();
    let mut sent = 0;
    for _ in 0..2 {
        let mut greedy = world.client("greedy").await;
        let mut streams = [greedy.open(0).await, greedy.open(1).await];
        for _ in 0..12 {
            for stream in &mut streams {
                sent += stream.send(150).await.len() as u64;
            }
        }
        neighbour.more().await;
        for stream in &streams {
            greedy.acked(stream, stream.next).await;
        }
        greedy.connection.close(0u32.into(), b"");
    }
    // Records that are in hand when the rate is reached are taken whole: one for each stream.
    let least_s = (sent - rate.burst_bytes - 4 * 32_768) as f64 / rate.bytes_per_s as f64;
    assert!(sent > 1_300_000 && began.elapsed().as_secs_f64() > least_s, "{sent} bytes in {:?}", began.elapsed());
    assert!(world.count("waits_total{driver_rate}") > 10);
    assert_eq!(world.logged_of("greedy").len(), 48, "all of it came");
    neighbour.lives().await;
    world.stop().await;
}

/// A driver that begins one stream after the other waits before each, however many connections it has; its neighbours do not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_driver_begins_a_bounded_number_of_streams_a_second() {
    // Eight streams at once, and then eight a second.
    let world = World::with(|l| l.driver_rate = Rate { bytes_per_s: 1 << 20, burst_bytes: 1 << 20 }).await;
    let mut neighbour = Neighbour::start(&world).await;
    let began = std::time::Instant::now();
    for round in 0..3 {
        let mut greedy = world.client("greedy").await;
        for number in 0..8 {
            let mut stream = greedy.open(number).await;
            stream.send(1).await;
            greedy.acked(&stream, 1).await;
        }
        neighbour.more().await;
        greedy.connection.close(0u32.into(), b"");
        assert!(round == 0 || began.elapsed() > Duration::from_millis(500), "reconnecting brings no new burst");
    }
    assert!(began.elapsed() > Duration::from_millis(1_500), "24 streams in {:?}", began.elapsed());
    assert!(world.count("waits_total{driver_streams}") > 8);
    assert_eq!(world.logged_of("greedy").len(), 24, "all of it came");
    neighbour.lives().await;
    world.stop().await;
}

/// A client that must wait for long hears that it waits, so that it does not reconnect.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_wait_is_told() {
    let world = World::with(|l| l.tenant_rate = Rate { bytes_per_s: 10_000, burst_bytes: 1_000 }).await;
    let mut client = world.client("max").await;
    let mut stream = client.open(0).await;
    stream.send(150).await;
    stream.send(1).await;
    let told = tokio::time::timeout(PATIENCE, client.notice()).await.expect("it is told");
    assert!(matches!(told, Notice::Stalled { stream: 0 }), "{told:?}");
    client.acked(&stream, 151).await;
    assert_eq!(world.count("waits_total{tenant_rate}"), 2);
    world.stop().await;
}

/// A client that claims that it was acked farther than any stream gets is refused by a name; an honest client resumes where it likes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_base_far_ahead_is_refused() {
    let world = World::new().await;
    let neighbour = Neighbour::start(&world).await;
    for base in [(1 << 30) + 1, 1 << 47] {
        let mut client = world.client("liar").await;
        let mut stream = client.open(0).await;
        (stream.base, stream.next) = (base, base);
        stream.send(5).await;
        let end = client.closed().await;
        assert_eq!(end.code, CloseCode::SEQUENCE, "{}", end.reason);
        assert!(end.reason.contains("farther than any stream"), "{}", end.reason);
    }
    assert_eq!(world.count("records_refused_total{base_far}"), 2);
    let mut client = world.client("back-again").await;
    let mut stream = client.open(0).await;
    stream.base = 50_000_000;
    let record = car_record(&stream.head, 50_000_000, 5, |_| {});
    stream.put(&record).await;
    client.acked(&stream, 50_000_005).await;
    neighbour.lives().await;
    world.stop().await;
}

/// The wall clock goes 200 days ahead: no connection closes, and new ones are accepted. When a person confirms the clock, who is
/// connected has the grace, and who comes with an expired grant is refused.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_jumps_closes_nobody() {
    let now_us = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_micros() as i64;
    let day_us = 86_400_000_000;
    let (set, wall) = watch::channel(WallClock::new(now_us, Duration::ZERO));
    let world = World::with_clock(ExpiryClock { wall, grace: Duration::from_secs(150 * 86_400) }).await;
    let grant = |driver: &str| Grant { expires: (now_us + 90 * day_us) / 1_000_000, ..world.grant(driver) };
    let token = world.key.sign(&grant("ann")).unwrap();
    let neighbour = Neighbour::of(Client::connect(world.address, &token).await.unwrap()).await;
    set.send_modify(|clock| _ = clock.look(now_us + 200 * day_us, Duration::from_secs(1)));
    tokio::time::sleep(Duration::from_millis(300)).await;
    let mut late = Client::connect(world.address, &world.key.sign(&grant("bob")).unwrap()).await.unwrap();
    let mut stream = late.open(0).await;
    stream.send(5).await;
    late.acked(&stream, 5).await;
    set.send_modify(WallClock::confirm);
    tokio::time::sleep(Duration::from_millis(300)).await;
    stream.send(5).await;
    late.acked(&stream, 10).await;
    drop(Client::connect(world.address, &token).await.expect("it was connected, and comes back"));
    let end = Client::connect(world.address, &world.key.sign(&grant("eve")).unwrap()).await.map(|_| ()).unwrap_err();
    assert_eq!(end.code, CloseCode::GRANT_EXPIRED);
    neighbour.lives().await;
    world.stop().await;
}
