//! W10: edges and APIs that share no folder learn keys and revocations from the control topic of their Kafka log.

#![allow(clippy::unwrap_used, reason = "in a test, a panic is the answer")]

mod common;

use std::path::Path;
use std::time::{Duration, Instant};

use boxbox_log::control::Control;
use boxbox_testkit::stack::{KafkaOptions, Options, Stack};
use boxbox_testkit::wait::{PATIENCE, block_until};
use boxbox_testkit::{needed, not_run};
use common::car::Car;
use common::{Server, boxbox, in_time};

/// A folder for everybody, and what they share: the log's URL.
struct World {
    folder: tempfile::TempDir,
    log: String,
}

impl World {
    fn new(brokers: &str) -> World {
        let log = format!("kafka://{brokers}/boxbox-test-{:016x}?partitions=2", fastrand::u64(..));
        World { folder: tempfile::tempdir().unwrap(), log }
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    fn service(&self, role: &str, name: &str, more: &[&str]) -> Server {
        let data = self.path(name);
        Server::start(&[&[role, "--data", &data, "--quic-port", "0", "--api-port", "0", "--log-url", &self.log], more].concat())
    }

    fn grant(&self, args: &[&str]) -> std::process::Output {
        boxbox(&[&["grant"], args, &["--data", &self.path("admin"), "--log-url", &self.log]].concat()).output().unwrap()
    }

    /// Make a grant in the folder of whoever administers: its id, and what it prints.
    fn create(&self, args: &[&str]) -> (String, String) {
        let out = self.grant(&[&["create", "--new"], args].concat());
        let said = String::from_utf8(out.stderr).unwrap();
        assert!(out.status.success(), "{said}");
        (said.split_whitespace().nth(1).unwrap().to_owned(), String::from_utf8(out.stdout).unwrap().trim().to_owned())
    }

    fn create_for(&self, edge: &Server) -> (String, String) {
        let (port, pin) = edge.edge.clone().unwrap();
        self.create(&["--driver", "anna", "--host", "127.0.0.1", "--quic-port", &port.to_string(), "--pin", &pin])
    }

    fn revoke(&self, id: &str) -> Instant {
        self.done(&["revoke", id])
    }

    /// A `grant` command that must succeed, and when it had ended.
    fn done(&self, args: &[&str]) -> Instant {
        let out = self.grant(args);
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        Instant::now()
    }

    fn list(&self) -> String {
        String::from_utf8(self.grant(&["list"]).stdout).unwrap()
    }

    /// Ids of the keys that the topic says are in use.
    fn keys(&self) -> Vec<String> {
        self.list().lines().filter(|l| l.starts_with("key ")).map(|l| l.split_whitespace().nth(1).unwrap().to_owned()).collect()
    }

    fn has_keys(&self, name: &str) -> bool {
        Path::new(&self.path(name)).join("auth/keys").exists()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revocation_reaches_edges_and_apis_that_share_no_folder() {
    const TEST: &str = "a_revocation_reaches_edges_and_apis_that_share_no_folder";
    let Ok(brokers) = std::env::var("KAFKA_BROKERS") else {
        return not_run(TEST, "KAFKA_BROKERS is not set (cargo xtask stack up --kafka starts a broker)");
    };
    let world = World::new(&brokers);
    let (one, two) = (world.service("ingest", "one", &[]), world.service("ingest", "two", &[]));
    let api = world.service("api", "api", &["--api-host", "0.0.0.0"]);

    // Published after they started; none of them made a key of its own.
    let (id, connect_two) = world.create_for(&two);
    let car = Car::start(&connect_two, 7).await;
    block_until("the first acks", || car.acked() > 60);
    assert!(!world.has_keys("one") && !world.has_keys("two") && !world.has_keys("api") && world.has_keys("admin"));
    let (read_id, read) = world.create(&["--read"]);
    let url = api.api.replace("0.0.0.0", "127.0.0.1") + "/api/v1/sessions";
    let status = || {
        let request = ureq::get(&url).config().http_status_as_error(false).build().header("Authorization", format!("Bearer {read}"));
        request.call().unwrap().status().as_u16()
    };
    block_until("the API knows the key", || status() == 200);

    let since = world.revoke(&id);
    block_until("the connection is closed", || car.refused().is_some());
    in_time(TEST, "after `grant revoke` the connection was closed", since);
    assert!(car.refused().unwrap().contains("revoked"), "{:?}", car.refused());
    let since = world.revoke(&read_id);
    block_until("the API refuses", || status() == 401);
    in_time(TEST, "after `grant revoke` the API refused", since);

    // The edge that never saw this grant knows too; so does one that starts now.
    let (_, token) = (&one, connect_two.split('@').next().unwrap());
    let three = world.service("ingest", "three", &[]);
    for edge in [&one, &three] {
        let (port, pin) = edge.edge.clone().unwrap();
        let late = Car::start(&format!("{token}@127.0.0.1:{port}?pin={pin}"), 8).await;
        block_until("a refusal", || late.refused().is_some());
        assert!(late.refused().unwrap().contains("revoked"), "{:?}", late.refused());
    }
    let listed = world.list();
    assert!(listed.lines().any(|l| l.contains(&id) && l.contains("revoked")), "{listed}");
    assert!(listed.lines().any(|l| l.starts_with("key ") && l.contains("signs here")), "{listed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_changed_for_all_edges() {
    const TEST: &str = "keys_are_changed_for_all_edges";
    let Ok(brokers) = std::env::var("KAFKA_BROKERS") else {
        return not_run(TEST, "KAFKA_BROKERS is not set (cargo xtask stack up --kafka starts a broker)");
    };
    let world = World::new(&brokers);
    let edge = world.service("ingest", "edge", &[]);
    let keys = || world.keys();
    let (_, old) = world.create_for(&edge);
    let first = keys();
    assert!(world.grant(&["rotate"]).status.success());
    assert_eq!((first.len(), keys().len()), (1, 2));
    let (_, new) = world.create_for(&edge);
    for connect in [&old, &new] {
        let car = Car::start(connect, 7).await;
        block_until("acks", || car.acked() > 0);
    }
    // A key in use here is not removed elsewhere alone.
    let out = world.grant(&["remove-key", &first[0]]);
    assert!(!out.status.success() && String::from_utf8_lossy(&out.stderr).contains("auth/keys"));
    let file = std::fs::read_dir(world.path("admin") + "/auth/keys").unwrap().map(|e| e.unwrap().path());
    let file = file.into_iter().find(|path| path.to_str().unwrap().contains(&first[0])).unwrap();
    std::fs::remove_file(file).unwrap();
    world.create_for(&edge);
    assert!(keys().len() == 1 && keys() != first, "the key whose file was deleted is gone from the topic");
    let refused = Car::start(&old, 7).await;
    block_until("a refusal", || refused.refused().is_some());
    assert!(refused.refused().unwrap().contains("not in use"), "{:?}", refused.refused());
    // The folder is lost as a whole: its key goes on verifying until somebody says otherwise.
    let last = keys().pop().unwrap();
    std::fs::remove_dir_all(world.path("admin")).unwrap();
    assert!(world.list().contains("of another folder"));
    assert!(world.grant(&["remove-key", &last]).status.success());
    assert!(keys().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_key_ends_what_is_driven_with_it() {
    const TEST: &str = "a_removed_key_ends_what_is_driven_with_it";
    let Ok(brokers) = std::env::var("KAFKA_BROKERS") else {
        return not_run(TEST, "KAFKA_BROKERS is not set (cargo xtask stack up --kafka starts a broker)");
    };
    let world = World::new(&brokers);
    let edge = world.service("ingest", "edge", &[]);
    let (_, connect) = world.create_for(&edge);
    let old = Car::start(&connect, 7).await;
    block_until("the first acks", || old.acked() > 60);
    let first = world.keys();
    assert_eq!(first.len(), 1);
    world.done(&["rotate"]);
    let (_, connect) = world.create_for(&edge);
    let new = Car::start(&connect, 8).await;
    block_until("acks under the new key", || new.acked() > 60);
    // Seconds after the new key is known everywhere.
    old.drives_on("a rotation ends nothing");

    std::fs::remove_dir_all(world.path("admin") + "/auth/keys").unwrap();
    let since = world.done(&["remove-key", &first[0]]);
    block_until("the connection is closed", || old.refused().is_some());
    in_time(TEST, "after `grant remove-key` the connection was closed", since);
    assert!(old.refused().unwrap().contains("not in use"), "{:?}", old.refused());
    new.drives_on("the other key is in use");
}

#[tokio::test(flavor = "multi_thread")]
async fn revocations_survive_a_killed_broker_and_compaction() {
    const TEST: &str = "revocations_survive_a_killed_broker_and_compaction";
    // A broker of its own: it is killed, and compacts at once what others compact after a week.
    let eager = [("log.roll.ms", "300"), ("log.cleaner.backoff.ms", "200"), ("log.cleaner.min.cleanable.ratio", "0.001")];
    let settings = eager.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
    let options = Options { kafka: Some(KafkaOptions { settings, ..Default::default() }), ..Options::owned() };
    let stack = tokio::task::spawn_blocking(|| Stack::up(options)).await.unwrap();
    let Some(stack) = needed(TEST, stack) else { return };
    let world = World::new(&stack.kafka_brokers().unwrap());
    let edge = world.service("ingest", "edge", &[]);
    let (id, connect) = world.create_for(&edge);
    let (other_id, _) = world.create_for(&edge);
    let car = Car::start(&connect, 7).await;
    block_until("the first acks", || car.acked() > 60);

    let (stack, down) = tokio::task::spawn_blocking(move || {
        stack.kill_kafka().unwrap();
        (stack, Instant::now())
    })
    .await
    .unwrap();
    // What cannot be made known everywhere is an error, and in the folder: the next command makes up for it.
    let out = world.grant(&["revoke", &other_id]);
    assert!(!out.status.success() && String::from_utf8_lossy(&out.stderr).contains("control topic"), "{}", String::from_utf8_lossy(&out.stderr));
    eprintln!("{TEST}: `grant revoke` gave up {:?} after the broker was killed", down.elapsed());
    assert!(car.refused().is_none(), "an outage shuts nobody out");
    let stack = tokio::task::spawn_blocking(move || {
        stack.start_kafka().unwrap();
        stack
    })
    .await
    .unwrap();
    let before = car.acked();
    block_until("acks after the broker is back", || car.acked() > before + 60);
    let since = world.revoke(&id);
    block_until("the connection is closed", || car.refused().is_some());
    in_time(TEST, "after an outage and `grant revoke`, the connection was closed", since);

    // Compacted: fewer records than were put, and the same said.
    let control = Control::open(&world.log, Default::default()).await.unwrap();
    for n in 0..30 {
        control.put("quota/of-a-newer-version", Some(vec![n])).await.unwrap();
    }
    let until = Instant::now() + PATIENCE;
    loop {
        let (all, _) = control.read().await.unwrap();
        if all.len() < 20 {
            eprintln!("{TEST}: {} records are left", all.len());
            break;
        }
        assert!(Instant::now() < until, "{} records: the broker does not compact", all.len());
        tokio::time::sleep(Duration::from_millis(300)).await;
        // The newest segment is never compacted: a record begins another.
        control.put("quota/of-a-newer-version", Some(vec![99])).await.unwrap();
    }
    let late = world.service("ingest", "late", &[]);
    let (port, pin) = late.edge.clone().unwrap();
    let car = Car::start(&format!("{}@127.0.0.1:{port}?pin={pin}", connect.split('@').next().unwrap()), 8).await;
    block_until("a refusal", || car.refused().is_some());
    assert!(car.refused().unwrap().contains("revoked"), "{:?}", car.refused());
    let (_, good) = world.create_for(&late);
    let car = Car::start(&good, 9).await;
    block_until("acks", || car.acked() > 0);
    drop(car);
    edge.conserves();
    late.conserves();
    drop(stack);
}

#[test]
fn a_node_whose_control_topic_cannot_be_read_does_not_start() {
    let world = World::new("127.0.0.1:1");
    let data = world.path("edge");
    let out = boxbox(&["ingest", "--data", &data, "--quic-port", "0", "--api-port", "0", "--log-url", &world.log]).output().unwrap();
    let error = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(!out.status.success() && error.contains("control topic") && out.stdout.is_empty(), "{error}");
}

#[test]
fn no_password_is_shown() {
    let world = World::new("127.0.0.1:1");
    let data = world.path("edge");
    let run = |url: &str, more: &[&str]| {
        let args = [&["ingest", "--data", &data, "--quic-port", "0", "--api-port", "0", "--log", "trace", "--log-url", url], more].concat();
        let out = boxbox(&args).output().unwrap();
        assert!(!out.status.success() && out.stdout.is_empty());
        String::from_utf8_lossy(&out.stderr).into_owned()
    };
    let error = run("kafka://me:hunter2@127.0.0.1:1/t", &[]);
    assert!(error.contains("--log-password-file") && !error.contains("hunter2"), "{error}");
    let file = world.path("password");
    std::fs::write(&file, "\n").unwrap();
    let login = "kafka://127.0.0.1:1/t?sasl=plain&user=me";
    let error = run(login, &["--log-password-file", &file]);
    assert!(error.contains("holds no secret") && error.contains("empty"), "{error}");
    // A broker that logs in, if there is one; else nobody answers, and what is said is looked through all the same.
    std::fs::write(&file, "hunter2-and-more\n").unwrap();
    let brokers = std::env::var("KAFKA_SASL_BROKERS").ok();
    let login = brokers.as_ref().map_or(login.into(), |brokers| format!("kafka://{brokers}/t?sasl=plain&user=me"));
    let error = run(&login, &["--log-password-file", &file]);
    assert!(!error.contains("hunter2"), "{error}");
    assert!(error.contains("boxbox: cannot open the control topic"), "{error}");
    assert!(brokers.is_none() || error.contains("uthentication"), "{error}");
}
