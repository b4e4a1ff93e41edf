//! A server that hangs, vanishes, fills up or lets nobody in.

use std::time::{Duration, Instant};

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};

use super::*;

on_a_server! {
    async fn a_wrong_password_is_a_plain_error_that_does_not_repeat_it(database) {
        let e = PostgresResults::open(&database.url, Some("hunter2-hunter2")).await.err().unwrap();
        assert!(matches!(&e, StoreError::Refused(_)) && !e.is_retryable(), "{e}");
        let shown = e.to_string();
        println!("{shown}");
        assert!(shown.contains("password authentication failed") && !shown.contains("hunter2"), "{shown}");
        let nowhere = database.url.replace(database.name(), "no_such_database");
        let e = PostgresResults::open(&nowhere, Some(&database.password)).await.err().unwrap();
        assert!(matches!(&e, StoreError::Refused(_)) && e.to_string().contains("no_such_database"), "{e}");
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_is_unavailable() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    let e = PostgresResults::open(&format!("postgres://boxbox@127.0.0.1:{port}/boxbox"), Some("x")).await.err().unwrap();
    assert!(e.is_retryable() && e.to_string().contains(&port.to_string()), "{e}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_server_proves_who_it_is() {
    let (Some((url, password)), Ok(ca)) = (server(), std::env::var("POSTGRES_CA")) else {
        return boxbox_testkit::not_run(concat!(module_path!(), "::the_server_proves_who_it_is"), "POSTGRES_URL or POSTGRES_CA is not set");
    };
    let address = url.split('?').next().unwrap_or_default();
    for mode in ["verify-ca", "verify-full"] {
        let server = Server::parse(&format!("{address}?sslmode={mode}&sslrootcert={ca}"), Some(&password)).unwrap();
        let mut connection = server.login().await.unwrap();
        let (tls, version): (bool, String) =
            sqlx::query_as("SELECT ssl, version FROM pg_stat_ssl WHERE pid = pg_backend_pid()").fetch_one(&mut connection).await.unwrap();
        println!("{mode}: {version}");
        assert!(tls);
    }
    // The system's authorities do not vouch for it, and nothing is said to a server that proves nothing.
    let server = Server::parse(&format!("{address}?sslmode=verify-full"), Some(&password)).unwrap();
    let e = server.login().await.unwrap_err();
    println!("{e}");
    assert!(matches!(&e, StoreError::Refused(_)), "{e}");
}

on_a_server! {
    /// Somebody holds a partition's row and does not let go: that partition is unavailable after a while, the others are not
    /// disturbed, nor are beats and reads.
    async fn a_stuck_partition_stalls_only_itself(database) {
        let store = database.store().await;
        let me = Member { name: "a".into(), ttl: Duration::from_secs(600) };
        let share = store.beat(&log(), 4, &me).await.unwrap();
        let mut other = database.raw().await;
        other.execute("BEGIN; SELECT * FROM partitions WHERE part = 2 FOR UPDATE").await.unwrap();
        let step = |lease: &crate::Lease, offset| {
            let mut step = empty_step(offset);
            step.checkpoint.partition = lease.partition;
            step
        };
        let began = Instant::now();
        let held_up = step(&share.leases[2], 1);
        let stuck = store.commit(&share.leases[2], &held_up);
        let rest = async {
            let mut slowest = Duration::ZERO;
            for round in 1..=20 {
                for n in [0, 1, 3] {
                    let began = Instant::now();
                    store.commit(&share.leases[n], &step(&share.leases[n], round)).await.unwrap();
                    slowest = slowest.max(began.elapsed());
                }
                let began = Instant::now();
                assert_eq!(store.beat(&log(), 4, &me).await.unwrap(), share);
                store.sessions(&tenant("a"), None, 10).await.unwrap();
                slowest = slowest.max(began.elapsed());
            }
            // One that comes takes what it is given, but does not wait for what is stuck.
            let newcomer = Member { name: "b".into(), ttl: Duration::from_secs(600) };
            store.leave(&log(), &me).await.unwrap();
            let began = Instant::now();
            let got: Vec<u32> = store.beat(&log(), 4, &newcomer).await.unwrap().leases.iter().map(|l| l.partition).collect();
            assert_eq!(got, [0, 1, 3]);
            slowest.max(began.elapsed())
        };
        let (stuck, slowest) = tokio::join!(stuck, rest);
        let e = stuck.unwrap_err();
        println!("the stuck one after {:?}: {e}; the slowest of the others: {slowest:?}", began.elapsed());
        assert!(e.is_retryable() && began.elapsed() < Duration::from_secs(15), "{e}");
        assert!(slowest < Duration::from_secs(2), "{slowest:?}");
        other.execute("ROLLBACK").await.unwrap();
        let newcomer = Member { name: "b".into(), ttl: Duration::from_secs(600) };
        assert_eq!(store.beat(&log(), 4, &newcomer).await.unwrap().leases.len(), 4);
    }
}

on_a_server! {
    /// A server that is restarted, as its clients see it: every connection ends. One failed call each at most, and on it goes.
    async fn connections_that_end_are_opened_again(database) {
        let store = database.store().await;
        let lease = store.acquire(&log(), 3).await.unwrap();
        let home = session(tenant("a"), 1);
        store.commit(&lease, &step_of_revision(&home, 1)).await.unwrap();
        let at_once = (0..6).map(|_| store.sessions(&home.tenant, None, 10));
        assert!(futures::future::join_all(at_once).await.iter().all(Result::is_ok));
        database.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()").await;
        tokio::time::sleep(Duration::from_millis(100)).await;
        for attempt in 0..2 {
            match store.commit(&lease, &step_of_revision(&home, 2)).await {
                Ok(()) => break,
                Err(e) => assert!(e.is_retryable() && attempt == 0, "{e}"),
            }
        }
        assert_eq!(store.load(&lease).await.unwrap().checkpoint, Some(checkpoint(2)));
        // Of the connections that read and have ended, one is met at most.
        let reads: Vec<_> = (0..10).map(|_| store.sessions(&home.tenant, None, 10)).collect();
        let mut failed = 0;
        for read in reads {
            failed += u32::from(read.await.is_err());
        }
        assert!(failed <= 1, "{failed}");
    }
}

on_a_server! {
    /// A server that vanishes without a word: no answer, no end of the connection.
    async fn a_server_that_vanishes_is_unavailable_in_bounded_time(database) {
        let (host, through) = relay(&database).await;
        let url = database.url.replace(&host, &through.address);
        let store = PostgresResults::open(&url, Some(&database.password)).await.unwrap();
        let lease = store.acquire(&log(), 3).await.unwrap();
        let home = session(tenant("a"), 1);
        store.commit(&lease, &step_of_revision(&home, 1)).await.unwrap();
        store.sessions(&home.tenant, None, 10).await.unwrap();
        through.hold.send(true).unwrap();
        let began = Instant::now();
        let step = step_of_revision(&home, 2);
        let (written, read) = tokio::join!(store.commit(&lease, &step), store.sessions(&home.tenant, None, 10));
        println!("after {:?}: {}; {}", began.elapsed(), written.as_ref().unwrap_err(), read.as_ref().unwrap_err());
        assert!(written.unwrap_err().is_retryable() && read.unwrap_err().is_retryable());
        assert!(began.elapsed() < Duration::from_secs(20));
        through.hold.send(false).unwrap();
        store.commit(&lease, &step).await.unwrap();
        assert_eq!(store.sessions(&home.tenant, None, 10).await.unwrap()[0].sim_time_us, 2);
    }
}

/// A way to the server that can be held up.
struct Through {
    address: String,
    hold: tokio::sync::watch::Sender<bool>,
}

async fn relay(database: &TestDatabase) -> (String, Through) {
    let rest = database.url.split('@').nth(1).unwrap_or_default();
    let host = rest.split('/').next().unwrap_or_default().to_owned();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (hold, held) = tokio::sync::watch::channel(false);
    tokio::spawn({
        let host = host.clone();
        async move {
            while let Ok((mut near, _)) = listener.accept().await {
                let (host, mut held) = (host.clone(), held.clone());
                tokio::spawn(async move {
                    let mut far = TcpStream::connect(host).await.unwrap();
                    // Held up, bytes stay where they are; then this connection is never heard of again.
                    let cut = async { drop(held.wait_for(|held| *held).await) };
                    tokio::select! {
                        _ = copy_bidirectional(&mut near, &mut far) => {}
                        () = cut => std::future::pending().await,
                    }
                });
            }
        }
    });
    (host, Through { address, hold })
}
