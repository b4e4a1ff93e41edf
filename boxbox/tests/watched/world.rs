//! [`World`]: the fleet, what watches it, and those who drive and read meanwhile.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use boxbox_testkit::fetch;
use boxbox_testkit::stack::{KafkaOptions, Options, Stack};
use boxbox_testkit::wait::block_until;
use serde_json::Value;
use tokio::runtime::Runtime;

use crate::common::car::Car;
use crate::common::conserved::{lost, off_balance};
use crate::common::free_port;
use crate::fleet::{Fleet, get};
use crate::shipped;
use crate::small_disk::SmallDisk;
use crate::watch::{Watch, programs};

/// Cars that drive during a fault.
const CARS: u32 = 3;

/// Everything.
pub(crate) struct World {
    pub(crate) fleet: Fleet,
    pub(crate) watch: Watch,
    /// An embedded server on a small disk; none if this user may not mount one.
    pub(crate) disk: Option<SmallDisk>,
    runtime: Runtime,
    cars: Vec<Car>,
    strings: Vec<String>,
    sessions: AtomicU32,
    reads: Arc<AtomicBool>,
}

impl World {
    /// Everything, started. An error that `tools::missing` knows says what this machine lacks.
    pub(crate) fn start() -> anyhow::Result<Self> {
        programs()?;
        let jmx = free_port();
        let agent =
            format!("-javaagent:{}=127.0.0.1:{jmx}:{}", fetch::jmx_agent()?.display(), shipped::root().join("grafana/exporters/kafka.yml").display());
        let kafka = KafkaOptions { java: vec![agent], ..KafkaOptions::default() };
        let stack = Stack::up(Options { kafka: Some(kafka), ..Options::server() })?;
        let fleet = Fleet::start(stack);
        let disk = SmallDisk::start(fleet.folder.path());
        let watch = Watch::start(&fleet, jmx, disk.as_ref().map_or(jmx, |disk| disk.port));
        let strings = (0..CARS).map(|car| fleet.grant(&format!("car-{car}"))).collect();
        let reads = Arc::new(AtomicBool::new(true));
        let world = Self { fleet, watch, disk, runtime: Runtime::new()?, cars: vec![], strings, sessions: AtomicU32::new(1), reads };
        world.read();
        Ok(world)
    }

    /// The embedded server on a small disk.
    pub(crate) fn disk(&mut self) -> &mut SmallDisk {
        self.disk.as_mut().expect("a fault that needs it is left out where there is none")
    }

    /// Somebody who has the page open: some requests a second, whatever they are answered.
    fn read(&self) {
        let (api, reads) = (format!("http://{}", self.fleet.address("api")), self.reads.clone());
        std::thread::spawn(move || {
            let mut session = None;
            while reads.load(Ordering::SeqCst) {
                if let Some(list) = get(&format!("{api}/api/v1/sessions")) {
                    let list: Value = serde_json::from_str(&list).unwrap_or_default();
                    session = list["sessions"][0]["id"].as_str().map(str::to_owned).or(session);
                }
                for what in ["laps", "order", "results", "ledger"] {
                    session.iter().for_each(|session| drop(get(&format!("{api}/api/v1/sessions/{session}/{what}"))));
                    std::thread::sleep(Duration::from_millis(50));
                }
            }
        });
    }

    /// Cars begin to drive in a session of their own.
    pub(crate) fn drive(&mut self) {
        let session = u128::from(self.sessions.fetch_add(1, Ordering::SeqCst));
        let strings = self.strings.clone();
        self.cars = self.runtime.block_on(async {
            let mut cars = vec![];
            for string in &strings {
                cars.push(Car::start(string, session).await);
            }
            cars
        });
    }

    /// All cars get acks.
    pub(crate) fn acks(&self, why: &str) {
        for car in &self.cars {
            let acked = car.acked();
            block_until(format!("acks {why}: {:?}", car.refused()), || car.acked() > acked + 60);
        }
    }

    /// The cars stop. Everything that they drove is acked, in the log once, and in the results: nothing is lost, and what each node
    /// received is what it acked, refused or gave up, exactly.
    pub(crate) fn conserves(&mut self, after: &str) {
        let cars = std::mem::take(&mut self.cars);
        let acked: Vec<u64> = self.runtime.block_on(async {
            let mut acked = vec![];
            for car in &cars {
                acked.push(car.finish().await);
            }
            acked
        });
        drop(cars);
        let edge = |name: &str| self.fleet.metric("ingest", &format!("boxbox_edge_{name}"));
        block_until(format!("{after}: nothing is in motion at the edge"), || edge("in_flight_records") + edge("records_waiting") == 0.0);
        let processors = ["processor-1", "processor-2"];
        let sum = |name: &str| processors.iter().map(|p| self.fleet.metric(p, &format!("boxbox_processor_{name}"))).sum::<f64>();
        block_until(format!("{after}: all is processed"), || sum("lag_records") == 0.0);
        for node in ["ingest", processors[0], processors[1]] {
            let scrape = self.fleet.get(node, "/metrics").unwrap_or_else(|| panic!("{node} shows no metrics"));
            assert_eq!(lost(&scrape), 0.0, "{after}: acked, and lost by {node}");
            assert_eq!(off_balance(&scrape), Vec::<String>::new(), "{after}: {node}");
        }
        // What clients got acks for, as the ledgers of the newest session have it.
        let total: u64 = acked.iter().sum();
        block_until(format!("{after}: {total} sequence numbers that were acked are in the ledgers"), || self.newest_ledger() == total);
    }

    /// Sequence numbers that the newest session's streams have reached; a hole or a gap in them is a fault.
    fn newest_ledger(&self) -> u64 {
        let document = |path: &str| -> Value { self.fleet.get("api", path).and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default() };
        let source = self.sessions.load(Ordering::SeqCst) - 1;
        let sessions = document("/api/v1/sessions");
        let newest = sessions["sessions"].as_array().into_iter().flatten().find(|one| one["source_id"] == format!("{source:032x}"));
        let Some(id) = newest.and_then(|one| one["id"].as_str()) else { return 0 };
        let streams = document(&format!("/api/v1/sessions/{id}/ledger"));
        let streams = streams["streams"].as_array().cloned().unwrap_or_default();
        assert!(streams.iter().all(|stream| stream["hole"] == 0 && stream["gap"] == 0), "{streams:?}");
        streams.iter().filter_map(|stream| stream["expected"].as_u64()).sum()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.reads.store(false, Ordering::SeqCst);
    }
}
