//! A node that may open few files: who connects cannot take what the revocations, the log and the stores need.

#![allow(clippy::unwrap_used, reason = "in a test, a panic is the answer")]
#![cfg(unix)]

mod common;

use boxbox_testkit::not_run;
use boxbox_testkit::wait::block_until;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use common::car::Car;
use common::place::Place;
use common::{Server, boxbox, boxbox_within, in_time};

/// Files that the nodes of these tests may open.
const FILES: u32 = 320;
/// Connections of an attack, if they are accepted: more than that, and fewer than this test itself may open anywhere.
const CONNECTIONS: usize = 600;
/// How often each of them asks; the API ends a connection that has asked for nothing for 5 s.
const ASK_EVERY: Duration = Duration::from_secs(1);

/// A node and its data folder.
struct Node {
    profile: &'static str,
    server: Server,
    data: String,
    _folder: tempfile::TempDir,
}

impl Node {
    fn start(profile: &'static str, args: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("node").to_str().unwrap().to_owned();
        let args = [args, &["--data", &data, "--quic-port", "0", "--api-port", "0"]].concat();
        let server = Server::start_by(boxbox_within(FILES, &args), &args);
        Self { profile, server, data, _folder: folder }
    }

    /// All services on files, and an edge with a Kafka log if there is a broker.
    fn each(test: &str) -> Vec<Self> {
        let mut all = vec![Self::start("embedded", &["up"])];
        match std::env::var("KAFKA_BROKERS") {
            Ok(brokers) => {
                let log = format!("kafka://{brokers}/boxbox-test-{:016x}?partitions=2", fastrand::u64(..));
                all.push(Self::start("server", &["ingest", "--log-url", &log]));
            }
            Err(_) => not_run(&format!("{test} (server profile)"), "KAFKA_BROKERS is not set (cargo xtask stack up --kafka starts a broker)"),
        }
        all
    }

    /// The id of a new grant, and what its holder pastes. Made in the node's own folder, whatever its log is.
    fn create(&self, args: &[&str]) -> (String, String) {
        let out = boxbox(&[&["grant", "create", "--data", &self.data], args].concat()).output().unwrap();
        let said = String::from_utf8(out.stderr).unwrap();
        assert!(out.status.success(), "{said}");
        (said.split_whitespace().nth(1).unwrap().to_owned(), String::from_utf8(out.stdout).unwrap().trim().to_owned())
    }
}

/// Anonymous connections to an API, each of which asks for something small before the API would end it for its silence; new
/// connections for those that it ends.
struct Attack {
    stop: Arc<AtomicBool>,
    open: Arc<AtomicUsize>,
    thread: Option<JoinHandle<()>>,
}

impl Attack {
    fn begin(server: &Server) -> Self {
        let address: SocketAddr = server.api.strip_prefix("http://").unwrap().parse().unwrap();
        let (stop, open) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let (stopped, count) = (stop.clone(), open.clone());
        let thread = std::thread::spawn(move || {
            let mut held: Vec<TcpStream> = vec![];
            let mut asked = Instant::now();
            while !stopped.load(Ordering::SeqCst) {
                held.retain_mut(goes_on);
                if asked.elapsed() > ASK_EVERY {
                    asked = Instant::now();
                    held.retain_mut(|stream| stream.write_all(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n").is_ok());
                }
                while held.len() < CONNECTIONS
                    && let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(200))
                {
                    stream.set_nonblocking(true).unwrap();
                    held.push(stream);
                }
                count.store(held.len(), Ordering::SeqCst);
                std::thread::sleep(Duration::from_millis(50));
            }
        });
        let attack = Self { stop, open, thread: Some(thread) };
        // As many as are accepted, and more wait to be.
        block_until("the attack stands", || attack.open.load(Ordering::SeqCst) > 150);
        // The server accepts as many as it can; then the attack goes on for a while.
        std::thread::sleep(Duration::from_secs(3));
        attack
    }

    fn end(mut self) {
        self.stop.store(true, Ordering::SeqCst);
        self.thread.take().unwrap().join().unwrap();
    }
}

/// Whether the API has not ended the connection; what it has answered is read.
fn goes_on(stream: &mut TcpStream) -> bool {
    let mut answers = [0; 4_096];
    loop {
        match stream.read(&mut answers) {
            Ok(0) => return false,
            Ok(_) => {}
            Err(error) => return error.kind() == ErrorKind::WouldBlock,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revocation_bites_however_many_connect() {
    const TEST: &str = "a_revocation_bites_however_many_connect";
    for node in Node::each(TEST) {
        let (id, connect) = node.create(&["--driver", "anna"]);
        let anna = Car::start(&connect, 7).await;
        let bob = Car::start(&node.create(&["--driver", "bob"]).1, 8).await;
        block_until("the first acks", || anna.acked() > 60 && bob.acked() > 60);
        let attack = Attack::begin(&node.server);
        assert!(boxbox(&["grant", "revoke", &id, "--data", &node.data]).status().unwrap().success());
        let since = Instant::now();
        block_until("the connection is closed", || anna.refused().is_some());
        in_time(TEST, &format!("{}: under attack, the connection was closed", node.profile), since);
        assert!(anna.refused().unwrap().contains("revoked"), "{:?}", anna.refused());
        let again = Car::start(&connect, 9).await;
        block_until("it does not come back", || again.refused().is_some());
        assert!(again.refused().unwrap().contains("revoked") && again.acked() == 0, "{:?}", again.refused());
        bob.drives_on("the attack is none of its business");
        attack.end();

        bob.drives_on("after the attack");
        block_until("it is ready", || node.server.ask("/readyz", None).0 == 200);
        let acked = bob.finish().await;
        if node.profile == "embedded" {
            let of_bob = || {
                let sessions = node.server.get("/api/v1/sessions");
                let ids = sessions["sessions"].as_array().unwrap().iter().map(|s| s["id"].as_str().unwrap().to_owned());
                let ledgers = ids.flat_map(|id| node.server.get(&format!("/api/v1/sessions/{id}/ledger"))["streams"].as_array().unwrap().clone());
                ledgers.into_iter().find(|l| l["driver"] == "bob")
            };
            block_until("the processor has seen all that is acked", || of_bob().is_some_and(|l| l["expected"].as_u64() >= Some(acked)));
            let ledger = of_bob().unwrap();
            assert_eq!((&ledger["expected"], &ledger["admitted"]), (&acked.into(), &acked.into()), "{ledger}");
        }
        assert!(node.server.terminate().success());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_cannot_be_read_suspends_all_grants_until_it_can() {
    const TEST: &str = "a_list_that_cannot_be_read_suspends_all_grants_until_it_can";
    for node in Node::each(TEST) {
        let (server, list) = (&node.server, std::path::Path::new(&node.data).join("auth/revoked"));
        let (_, read) = node.create(&["--read"]);
        let car = Car::start(&node.create(&["--driver", "anna"]).1, 7).await;
        block_until("the first acks", || car.acked() > 60);
        block_until("it is ready", || server.ask("/readyz", None).0 == 200);
        // An edge has no sessions to show, but looks at a grant all the same.
        let reads = || server.ask("/api/health", Some(&read)).0;
        assert_eq!(reads(), 200);

        std::fs::write(&list, "rubbish\n").unwrap();
        let since = Instant::now();
        block_until("the connection is closed", || !car.connected());
        in_time(TEST, &format!("{}: with an unreadable list, the connection was closed", node.profile), since);
        block_until("it is not ready", || server.ask("/readyz", None).0 == 503);
        let (_, said) = server.ask("/readyz", None);
        assert!(said.contains("\"grants\""), "{said}");
        let (_, health) = server.ask("/api/health", None);
        assert!(health.contains("rubbish") && health.contains("correct that line"), "it says what to do: {health}");
        assert_eq!((reads(), server.metric("boxbox_grants_suspended")), (503, 1.0));
        let reconnects = car.reconnects();
        block_until("it tries to come back", || car.reconnects() > reconnects + 1);
        assert!(!car.connected() && car.refused().is_none(), "refused for now, not for good: {:?}", car.refused());

        std::fs::write(&list, "").unwrap();
        block_until("it is ready again", || server.ask("/readyz", None).0 == 200);
        block_until("the client has connected again", || car.connected());
        car.drives_on("everything is as before");
        assert_eq!((reads(), server.metric("boxbox_grants_suspended")), (200, 0.0));
        car.finish().await;
    }
}

/// What a process holds open, where the system shows it.
fn open_files(server: &Server) -> Option<usize> {
    Some(std::fs::read_dir(format!("/proc/{}/fd", server.pid())).ok()?.count())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_set_aside_suffices() {
    const TEST: &str = "what_is_set_aside_suffices";
    if !std::path::Path::new("/proc/self/fd").exists() {
        return not_run(TEST, "the system has no /proc");
    }
    for place in Place::both(TEST) {
        let (args, node) = (place.args(), place.up());
        // The same from processes of one service each, as the server profile runs them.
        let apart = |name: &str| {
            let data = place.folder().join(name).to_str().unwrap().to_owned();
            let args: Vec<&str> =
                [name, "--data", &data, "--quic-port", "0", "--api-port", "0"].into_iter().chain(args[2..].iter().map(String::as_str)).collect();
            Server::start(&args)
        };
        let mut servers = vec![];
        if place.engines().is_some() {
            servers.extend(["ingest", "processor", "api"].map(apart));
        }
        let cars = [Car::start(&node.connect, 7).await, Car::start(&node.connect, 8).await];
        block_until("acks", || cars.iter().all(|car| car.acked() > 300));
        servers.push(node);
        for server in &servers {
            let (held, reserved, limit) =
                (open_files(server).unwrap(), server.metric("boxbox_handles_reserved"), server.metric("boxbox_handles_limit"));
            eprintln!("{TEST}: {}: {held} open, {reserved} set aside of {limit}", place.profile);
            // Twice what it holds in peace: consumers are made anew, segments read again.
            assert!(held as f64 * 1.5 < reserved, "{held} of {reserved}");
        }
    }
}

#[test]
fn too_few_files_are_refused_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let args = ["up", "--data", folder.path().to_str().unwrap(), "--quic-port", "0", "--api-port", "0"];
    let out = boxbox_within(64, &args).output().unwrap();
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(!out.status.success() && said.contains("open 64 files") && said.contains("ulimit -n"), "{said}");
}

#[test]
fn the_soft_limit_is_raised() {
    let folder = tempfile::tempdir().unwrap();
    let args = ["up", "--data", folder.path().to_str().unwrap(), "--quic-port", "0", "--api-port", "0"];
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -S -n 64 && ulimit -H -n 300 && exec \"$0\" \"$@\"", common::BOXBOX]).args(args);
    let server = Server::start_by(command, &args);
    assert_eq!(server.metric("boxbox_handles_limit"), 300.0);
    assert!(server.metric("boxbox_handles_connections") < 300.0 - server.metric("boxbox_handles_reserved") + 1.0);
}
