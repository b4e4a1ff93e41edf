//! The faults, and the alert that is meant for each.

use std::io::Write;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use sqlx::ConnectOptions;

use crate::world::World;

/// Something that goes wrong.
pub(crate) struct Fault {
    /// In words.
    pub(crate) name: &'static str,
    /// The alert that is meant for it.
    pub(crate) alert: &'static str,
    /// How it is made and healed.
    pub(crate) way: Way,
}

/// How a fault is made and healed.
pub(crate) enum Way {
    /// By an act, and another one.
    Acts(fn(&mut World), fn(&mut World)),
    /// By a value: while it lives, the fault is there.
    Held(fn(&World) -> Box<dyn Send>),
}

/// All of them.
pub(crate) const FAULTS: [Fault; 23] = [
    acts("the edge is killed", "NoEdge", |w| w.fleet.kill("ingest"), |w| w.fleet.run("ingest")),
    acts("the edge hangs", "NoEdge", |w| w.fleet.pause("ingest"), |w| w.fleet.resume("ingest")),
    acts("both processors are killed", "NoProcessor", |w| each_processor(|p| w.fleet.kill(p)), |w| each_processor(|p| w.fleet.run(p))),
    acts("both processors hang", "NoProcessor", |w| each_processor(|p| w.fleet.pause(p)), |w| each_processor(|p| w.fleet.resume(p))),
    acts("one of two processors is killed", "ProcessorAlone", |w| w.fleet.kill("processor-2"), |w| w.fleet.run("processor-2")),
    acts("the API is killed", "NoApi", |w| w.fleet.kill("api"), |w| w.fleet.run("api")),
    acts("the API hangs", "NoApi", |w| w.fleet.pause("api"), |w| w.fleet.resume("api")),
    acts("the broker is killed", "KafkaDown", |w| w.fleet.stack.kill("kafka").unwrap(), |w| w.fleet.stack.start("kafka").unwrap()),
    acts("the broker hangs", "KafkaDown", |w| w.fleet.stack.pause("kafka").unwrap(), |w| w.fleet.stack.resume("kafka").unwrap()),
    acts("PostgreSQL is killed", "PostgresDown", |w| w.fleet.stack.kill("postgres").unwrap(), |w| w.fleet.stack.start("postgres").unwrap()),
    acts("PostgreSQL hangs", "PostgresDown", |w| w.fleet.stack.pause("postgres").unwrap(), |w| w.fleet.stack.resume("postgres").unwrap()),
    acts("ClickHouse is killed", "ClickHouseDown", |w| w.fleet.stack.kill("clickhouse").unwrap(), |w| w.fleet.stack.start("clickhouse").unwrap()),
    acts("ClickHouse hangs", "ClickHouseDown", |w| w.fleet.stack.pause("clickhouse").unwrap(), |w| w.fleet.stack.resume("clickhouse").unwrap()),
    acts("the API is cut off from PostgreSQL", "StoreErrors", |w| w.fleet.cut(), |w| w.fleet.mend()),
    held("a transaction locks what processors write to", "LapsStalled", |w| Box::new(Lock::streams(w))),
    acts("the disk of an embedded log is full", "LogDiskFull", |w| w.disk().fill(), |w| w.disk().empty()),
    acts("a certificate has expired", "ProbeFails", |w| w.watch.page.has_days_left(-1), |w| w.watch.page.has_days_left(90)),
    acts("a certificate has five days left", "CertificateExpires", |w| w.watch.page.has_days_left(5), |w| w.watch.page.has_days_left(90)),
    acts("a record that nothing can read is in the log", "RecordsQuarantined", |w| poison(w), |_| {}),
    held("slow clients hold connections of the API", "ApiConnectionsFail", |w| Box::new(Busy::slow_clients(w))),
    held("a stranger guesses grants", "GrantsRefused", |w| Box::new(Busy::guesses(w))),
    acts("the edge cannot read its list of revocations", "GrantsSuspended", |w| revocations(w, "rubbish\n"), |w| revocations(w, "")),
    acts("an exporter is killed", "TargetDown", |w| w.watch.kill_postgres_exporter(), |w| w.watch.start_postgres_exporter()),
];

/// The panel on which people see what an alert tells, by its title.
const PANELS: [(&str, &str); 17] = [
    ("ApiConnectionsFail", "Connections closed early"),
    ("CertificateExpires", "Certificates expire in"),
    ("ClickHouseDown", "ClickHouse answers"),
    ("GrantsRefused", "Requests refused because of who sent them"),
    ("GrantsSuspended", "Grants can be checked"),
    ("KafkaDown", "Kafka answers"),
    ("LapsStalled", "Results are behind by"),
    ("LogDiskFull", "Partitions of the log that cannot write"),
    ("NoApi", "Services up"),
    ("NoEdge", "Services up"),
    ("NoProcessor", "Services up"),
    ("PostgresDown", "PostgreSQL answers"),
    ("ProbeFails", "Targets that are not reached"),
    ("ProcessorAlone", "Processors that share the work"),
    ("RecordsQuarantined", "What a person should look at"),
    ("StoreErrors", "Failed calls of stores"),
    ("TargetDown", "Targets that are not reached"),
];

impl Fault {
    /// The panel that is meant for it.
    pub(crate) fn panel(&self) -> &'static str {
        PANELS.iter().find(|(alert, _)| *alert == self.alert).unwrap_or_else(|| panic!("no panel is meant for {}", self.alert)).1
    }
}

const fn acts(name: &'static str, alert: &'static str, make: fn(&mut World), heal: fn(&mut World)) -> Fault {
    Fault { name, alert, way: Way::Acts(make, heal) }
}

const fn held(name: &'static str, alert: &'static str, make: fn(&World) -> Box<dyn Send>) -> Fault {
    Fault { name, alert, way: Way::Held(make) }
}

fn each_processor(act: impl FnMut(&'static str)) {
    ["processor-1", "processor-2"].into_iter().for_each(act);
}

fn revocations(world: &World, text: &str) {
    std::fs::write(world.fleet.data("ingest").join("auth/revoked"), text).unwrap();
}

/// A record in the log that no edge has written.
fn poison(world: &World) {
    let mut config = rdkafka::ClientConfig::new();
    let producer: BaseProducer = config.set("bootstrap.servers", &world.fleet.engines.brokers).create().unwrap();
    let record = BaseRecord::<[u8], [u8]>::to(&world.fleet.engines.name).partition(0).payload(b"not a record");
    assert!(producer.send(record).is_ok());
    producer.flush(Duration::from_secs(30)).unwrap();
}

/// A transaction that lets others read the streams and not write them.
struct Lock {
    end: Arc<AtomicBool>,
    holds: Option<JoinHandle<()>>,
}

impl Lock {
    fn streams(world: &World) -> Self {
        let end = Arc::new(AtomicBool::new(false));
        let (ended, url, password) = (end.clone(), world.fleet.engines.results(), world.fleet.engines.results_password());
        let (locked, is_locked) = std::sync::mpsc::channel();
        let holds = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let options: sqlx::postgres::PgConnectOptions = url.parse().unwrap();
                let mut connection = options.password(password.expose()).connect().await.unwrap();
                sqlx::raw_sql("BEGIN; LOCK TABLE streams IN EXCLUSIVE MODE").execute(&mut connection).await.unwrap();
                locked.send(()).unwrap();
                while !ended.load(Ordering::SeqCst) {
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    // Not idle: that would be another alert.
                    sqlx::raw_sql("SELECT 1").execute(&mut connection).await.unwrap();
                }
                sqlx::raw_sql("ROLLBACK").execute(&mut connection).await.unwrap();
            });
        });
        is_locked.recv().expect("the table is locked");
        Self { end, holds: Some(holds) }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        self.end.store(true, Ordering::SeqCst);
        self.holds.take().unwrap().join().unwrap();
    }
}

/// Threads that do something to the API until the value is dropped.
struct Busy {
    end: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Busy {
    /// 40 clients that send half a request each and wait.
    fn slow_clients(world: &World) -> Self {
        let address = world.fleet.address("api");
        Self::threads(40, move || {
            let mut stream = TcpStream::connect(&address).unwrap();
            let _ = stream.write_all(b"GET /api/v1/sessions HTTP/1.1\r\nHost: 127.0");
            // The API closes it when its patience is over; then there is an end to read.
            let _ = stream.set_read_timeout(Some(Duration::from_secs(15)));
            let _ = std::io::Read::read(&mut stream, &mut [0; 1024]);
        })
    }

    /// Twenty requests a second, each with a word that is no grant.
    fn guesses(world: &World) -> Self {
        let url = format!("http://{}/api/v1/sessions", world.fleet.address("api"));
        Self::threads(2, move || {
            let request = ureq::get(&url).config().http_status_as_error(false).build();
            let _ = request.header("Authorization", "Bearer v4.public.guessed").call();
            std::thread::sleep(Duration::from_millis(100));
        })
    }

    fn threads(number: usize, act: impl Fn() + Clone + Send + 'static) -> Self {
        let end = Arc::new(AtomicBool::new(false));
        let thread = |_| {
            let (end, act) = (end.clone(), act.clone());
            std::thread::spawn(move || {
                while !end.load(Ordering::SeqCst) {
                    act();
                }
            })
        };
        Self { threads: (0..number).map(thread).collect(), end }
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.end.store(true, Ordering::SeqCst);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}
