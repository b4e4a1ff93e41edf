//! Three Kafka nodes, three replicas, two of which must have a record before it is acked: under load a leader is killed, then
//! the controller, then two nodes at once. Acks pause and resume; nothing acked is missing, nothing is there twice.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "in a test, a panic is the answer")]

mod common;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use boxbox_client::{Client, Config, Observer, StreamId};
use boxbox_schemas::event::EndReason;
use boxbox_testkit::stack::{KafkaOptions, Options, Stack};
use boxbox_testkit::wait::{PATIENCE, block_until};
use boxbox_testkit::{frames, needed};
use common::{Server, boxbox, free_port};

/// Cars at 60 Hz, each in a session of its own, so that every partition has some.
const CARS: u32 = 16;
/// How long nodes are down.
const DOWN_FOR: Duration = Duration::from_secs(5);

/// When each car's acks came.
#[derive(Default)]
struct Acks(Mutex<Vec<Instant>>);

impl Observer for Acks {
    fn acked(&self, _: StreamId, _: u64) {
        self.0.lock().unwrap().push(Instant::now());
    }
}

/// The longest time without an ack, of any car, between two moments.
fn longest_pause(acks: &[Arc<Acks>], from: Instant, to: Instant) -> Duration {
    let of_one = |acks: &Acks| {
        let at = acks.0.lock().unwrap();
        let within = at.iter().copied().filter(|t| (from..to).contains(t));
        let (mut last, mut longest) = (from, Duration::ZERO);
        for t in within.chain([to]) {
            longest = longest.max(t.duration_since(last));
            last = t;
        }
        longest
    };
    acks.iter().map(|a| of_one(a)).max().unwrap()
}

struct Load {
    acks: Vec<Arc<Acks>>,
    frames: Arc<AtomicU32>,
    stop: Arc<AtomicBool>,
    clients: Vec<(Client, std::thread::JoinHandle<u32>)>,
}

impl Load {
    async fn start(connect: &dyn Fn(u32) -> String) -> Self {
        let mut load = Self { acks: vec![], frames: Arc::default(), stop: Arc::default(), clients: vec![] };
        for car in 0..CARS {
            let acks = Arc::new(Acks::default());
            let config = Config { observer: Some(acks.clone()), ..Config::new(connect(car).parse().unwrap()) };
            let client = Client::start(config).await.unwrap();
            let stream = client.open(frames::source(u128::from(car) + 1), 1).unwrap();
            let (stop, frames) = (load.stop.clone(), load.frames.clone());
            let driving = std::thread::spawn(move || {
                let mut tick = 0;
                while !stop.load(Ordering::Relaxed) {
                    tick += 1;
                    stream.car(&frames::car(tick, 0.1)).unwrap();
                    frames.fetch_add(1, Ordering::Relaxed);
                    std::thread::sleep(Duration::from_micros(16_667));
                }
                stream.end(tick, frames::tick_us(tick), EndReason::FINISHED).unwrap();
                tick
            });
            load.acks.push(acks);
            load.clients.push((client, driving));
        }
        load
    }

    /// All cars have had an ack since.
    fn acked_since(&self, since: Instant) -> bool {
        self.acks.iter().all(|a| a.0.lock().unwrap().last().is_some_and(|last| *last > since))
    }

    /// Frames of each car, once everything is acked.
    async fn finish(self) -> Vec<u32> {
        self.stop.store(true, Ordering::Relaxed);
        let mut sent = vec![];
        for (client, driving) in self.clients {
            sent.push(driving.join().unwrap());
            let left = client.finish(PATIENCE).await;
            assert!(left.is_empty(), "not acked: {left:?}");
        }
        sent
    }
}

/// The node that leads most partitions of the topic, as `kafka-N`.
fn leader(log: &str) -> String {
    let (brokers, topic) = log.strip_prefix("kafka://").unwrap().split_once('/').unwrap();
    let topic = topic.split('?').next().unwrap();
    let consumer: rdkafka::consumer::BaseConsumer = rdkafka::ClientConfig::new().set("bootstrap.servers", brokers).create().unwrap();
    use rdkafka::consumer::Consumer as _;
    let metadata = consumer.fetch_metadata(Some(topic), Duration::from_secs(20)).unwrap();
    let mut leads: BTreeMap<i32, usize> = BTreeMap::new();
    for partition in metadata.topics()[0].partitions() {
        *leads.entry(partition.leader()).or_default() += 1;
    }
    let (leader, partitions) = leads.into_iter().max_by_key(|(_, partitions)| *partitions).unwrap();
    println!("node {leader} leads {partitions} partitions");
    format!("kafka-{leader}")
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_are_killed_and_nothing_acked_is_lost() {
    const TEST: &str = "nodes_are_killed_and_nothing_acked_is_lost";
    let kafka = KafkaOptions { nodes: Some(3), ..Default::default() };
    let options = Options { kafka: Some(kafka), ..Options::owned() };
    let stack = tokio::task::spawn_blocking(|| Stack::up(options)).await.unwrap();
    let Some(stack) = needed(TEST, stack).map(Arc::new) else { return };
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().to_str().unwrap().to_owned();
    let log = format!("kafka://{}/cluster?partitions=4&replication=3&min_isr=2", stack.kafka_brokers().unwrap());
    let quic = free_port().to_string();
    let service = |name: &str, quic: &str| Server::start(&[name, "--data", &data, "--quic-port", quic, "--api-port", "0", "--log-url", &log]);
    let (edge, processor, api) = (service("ingest", &quic), service("processor", "0"), service("api", "0"));
    let connect = |car: u32| {
        let driver = format!("car-{car}");
        let out = boxbox(&["grant", "create", "--driver", &driver, "--data", &data, "--quic-port", &quic, "--log-url", &log]).output().unwrap();
        String::from_utf8(out.stdout).unwrap().trim().to_owned()
    };
    let load = Load::start(&connect).await;
    let began = Instant::now();
    block_until("acks for everyone", || {
        let silent = load.acks.iter().filter(|a| a.0.lock().unwrap().is_empty()).count();
        if began.elapsed() > PATIENCE / 2 {
            eprintln!("{silent} cars have had no ack; edge: {}", edge.get("/api/health"));
        }
        load.acked_since(began)
    });

    let on_stack = |work: Box<dyn FnOnce(&Stack) + Send>| {
        let stack = stack.clone();
        async move { tokio::task::spawn_blocking(move || work(&stack)).await.unwrap() }
    };
    let asked = log.clone();
    let leader = tokio::task::spawn_blocking(move || leader(&asked)).await.unwrap();
    let nodes = ["kafka-1", "kafka-2", "kafka-3"];
    let others: Vec<&str> = nodes.into_iter().filter(|n| *n != leader).collect();
    // Clients are not told which node is the controller. It stays until it is killed: when each has been killed once, it has been.
    let rounds: [(&str, Vec<String>); 4] = [
        ("a leader", vec![leader.clone()]),
        ("another", vec![others[0].to_owned()]),
        ("the third; the controller was among them", vec![others[1].to_owned()]),
        ("two at once", vec![leader, others[0].to_owned()]),
    ];
    for (what, killed) in rounds {
        let from = Instant::now();
        let down = killed.clone();
        on_stack(Box::new(move |stack| {
            std::thread::scope(|scope| down.iter().for_each(|node| _ = scope.spawn(|| stack.kill(node).unwrap())));
        }))
        .await;
        let dead = Instant::now();
        if killed.len() == 1 {
            // One of three is no reason to stop: acks go on while it is down.
            block_until("acks without it", || load.acked_since(dead + Duration::from_millis(200)));
            println!("{TEST}: {what} killed: everyone acked again {:.1} s later, while it is down", dead.elapsed().as_secs_f64());
        } else {
            tokio::time::sleep(DOWN_FOR).await;
            assert!(!load.acked_since(dead + Duration::from_secs(3)), "one replica of three is not enough for an ack");
        }
        let up = killed.clone();
        on_stack(Box::new(move |stack| up.iter().for_each(|node| stack.start(node).unwrap()))).await;
        let back = Instant::now();
        block_until("acks again", || load.acked_since(back));
        let to = Instant::now();
        println!(
            "{TEST}: {what} killed ({}): longest pause of acks {:.1} s, {:.1} s after all nodes answered",
            killed.join(", "),
            longest_pause(&load.acks, from, to).as_secs_f64(),
            (to - back).as_secs_f64()
        );
        // In sync again before the next round: else it would be two that are down.
        tokio::time::sleep(Duration::from_secs(5)).await;
    }
    let sent = load.finish().await;
    let total: u64 = sent.iter().map(|n| u64::from(*n)).sum();
    let sessions = || api.get("/api/v1/sessions?limit=100")["sessions"].as_array().unwrap().clone();
    block_until("all sessions", || sessions().len() == CARS as usize);
    let ledgers = || {
        let of = |s: &serde_json::Value| api.get(&format!("/api/v1/sessions/{}/ledger", s["id"].as_str().unwrap()))["streams"][0].clone();
        sessions().iter().map(of).collect::<Vec<_>>()
    };
    block_until("the end of every stream", || ledgers().iter().all(|l| l["ended"] == true));
    let ledgers = ledgers();
    let admitted: u64 = ledgers.iter().map(|l| l["car_frames"].as_u64().unwrap()).sum();
    for ledger in &ledgers {
        assert_eq!((&ledger["hole"], &ledger["gap"]), (&0.into(), &0.into()), "{ledger}");
    }
    assert_eq!(admitted, total, "every frame once");
    println!(
        "{TEST}: {total} frames sent and acked, {admitted} admitted, no hole; {} came twice and were dropped",
        ledgers.iter().map(|l| l["duplicate"].as_u64().unwrap()).sum::<u64>()
    );
    edge.conserves();
    processor.conserves();
    drop((edge, stack));
}
