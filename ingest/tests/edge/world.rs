//! One edge on loopback with the reference log, and what a test asks of it.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use boxbox_ingest::{Config, Edge, ExpiryClock, Health, Identity, Limits};
use boxbox_log::Log;
use boxbox_log::memory::MemoryLog;
use boxbox_schemas::grant::{Ability, Authority, Grant, SigningKey};
use boxbox_schemas::stamp::LogRecord;
use boxbox_schemas::{DriverId, GrantId, ShortId, StreamKey, TenantId};
use boxbox_testkit::wait::PATIENCE;
use tokio::sync::{Mutex, MutexGuard, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::client::Client;
use crate::counters;

pub(crate) const PARTITIONS: u32 = 4;

static TURN: LazyLock<Mutex<()>> = LazyLock::new(Mutex::default);

pub(crate) struct World {
    pub(crate) address: SocketAddr,
    pub(crate) log: MemoryLog,
    pub(crate) key: SigningKey,
    pub(crate) authority: watch::Sender<Arc<Authority>>,
    pub(crate) health: Arc<Health>,
    pub(crate) shutdown: CancellationToken,
    pub(crate) running: JoinHandle<()>,
    before: HashMap<String, u64>,
    _turn: MutexGuard<'static, ()>,
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(|_| {}).await
    }

    pub(crate) async fn with(tweak: impl FnOnce(&mut Limits)) -> Self {
        Self::on(tweak, None).await
    }

    /// With another clock for grants than the wall clock.
    pub(crate) async fn with_clock(clock: ExpiryClock) -> Self {
        Self::made(|_| {}, None, |edge| edge.with_clock(clock)).await
    }

    /// On another log than the reference one, which then stays empty.
    pub(crate) async fn on(tweak: impl FnOnce(&mut Limits), other: Option<Arc<dyn Log>>) -> Self {
        Self::made(tweak, other, |edge| edge).await
    }

    async fn made(tweak: impl FnOnce(&mut Limits), other: Option<Arc<dyn Log>>, more: impl FnOnce(Edge) -> Edge) -> Self {
        let turn = TURN.lock().await;
        counters::install();
        let mut limits = Limits { sweep_interval: Duration::from_millis(50), ..Limits::default() };
        tweak(&mut limits);
        let log = MemoryLog::new(PARTITIONS);
        let key = SigningKey::generate().unwrap();
        let authority = watch::Sender::new(Arc::new(Authority::new([key.public()], [])));
        let config = Config { listen: ([127, 0, 0, 1], 0).into(), edge: ShortId::new("edge-1").unwrap(), limits };
        let edge = Edge::bind(config, identity(), authority.subscribe(), other.unwrap_or_else(|| Arc::new(log.clone()))).await.unwrap();
        let edge = more(edge);
        let (address, health, shutdown) = (edge.local_addr(), edge.health(), CancellationToken::new());
        let stop = shutdown.clone();
        let running = tokio::spawn(async move { edge.run(stop).await.unwrap() });
        Self { address, log, key, authority, health, shutdown, running, before: HashMap::new(), _turn: turn }.mark()
    }

    /// Counters are read as what was added since now.
    fn mark(mut self) -> Self {
        self.before = counters::snapshot();
        self
    }

    pub(crate) fn grant(&self, driver: &str) -> Grant {
        Grant {
            id: GrantId(rand()),
            tenant: TenantId::new("league").unwrap(),
            driver: DriverId::new(driver).unwrap(),
            abilities: [Ability::Car, Ability::Field, Ability::Meta].into(),
            event: None,
            expires: 4_000_000_000,
        }
    }

    pub(crate) fn token(&self, driver: &str) -> String {
        self.key.sign(&self.grant(driver)).unwrap()
    }

    pub(crate) async fn client(&self, driver: &str) -> Client {
        Client::connect(self.address, &self.token(driver)).await.unwrap()
    }

    /// What a counter has gained in this test.
    pub(crate) fn count(&self, name: &str) -> u64 {
        let name = format!("boxbox_edge_{name}");
        counters::read(&name) - self.before.get(&name).copied().unwrap_or(0)
    }

    fn family(&self, name: &str) -> u64 {
        let prefix = format!("boxbox_edge_{name}{{");
        counters::family(&format!("boxbox_edge_{name}")) - self.before.iter().filter(|(key, _)| key.starts_with(&prefix)).map(|(_, v)| v).sum::<u64>()
    }

    /// All that is in the log, by stream, in order.
    pub(crate) fn logged(&self) -> HashMap<StreamKey, Vec<LogRecord>> {
        let mut out = HashMap::<_, Vec<_>>::new();
        for partition in 0..self.log.partitions() {
            for entry in self.log.records(partition) {
                let record = LogRecord::parse(entry.record).unwrap();
                assert_eq!(record.stamp.session.partition(PARTITIONS), partition, "a record lies in its session's partition");
                out.entry(record.stream()).or_default().push(record);
            }
        }
        out
    }

    /// The records of one driver's streams in the log.
    pub(crate) fn logged_of(&self, driver: &str) -> Vec<LogRecord> {
        self.logged().into_iter().filter(|(key, _)| key.driver.as_str() == driver).flat_map(|(_, records)| records).collect()
    }

    /// Check that every record that was received is accounted for, while nothing is in motion. Returns how many are in flight.
    pub(crate) fn conserved(&self) -> u64 {
        let (received, appended) = (self.count("records_received_total"), self.count("records_appended_total"));
        let (refused, void) = (self.family("records_refused_total"), self.family("records_void_total"));
        let (in_flight, waiting) = (gauge("in_flight_records"), gauge("records_waiting"));
        let [acked, failed, abandoned] = ["acked", "failed", "abandoned"].map(|what| self.count(&format!("records_{what}_total")));
        assert_eq!(
            received,
            acked + void + refused + abandoned + failed + in_flight + waiting,
            "received = acked {acked} + void {void} + refused {refused} + abandoned {abandoned} + failed {failed} + in flight {in_flight} + waiting {waiting}"
        );
        assert_eq!(appended, acked + void + failed + in_flight, "appended = acked {acked} + void {void} + failed {failed} + in flight {in_flight}");
        in_flight
    }

    /// End the edge, then check that every record it received is accounted for.
    pub(crate) async fn stop(mut self) {
        self.shutdown.cancel();
        tokio::time::timeout(PATIENCE, &mut self.running).await.expect("the edge stops").unwrap();
        let in_flight = self.conserved();
        assert_eq!(in_flight as usize, self.log.outstanding(), "what is in flight is in the log's hands");
        for name in ["connections", "streams", "records_waiting"] {
            assert_eq!(gauge(name), 0, "{name}");
        }
    }
}

fn gauge(name: &str) -> u64 {
    counters::gauge(&format!("boxbox_edge_{name}")) as u64
}

/// A certificate as the binary would keep it.
pub(crate) fn identity() -> Identity {
    let made = rcgen::generate_simple_self_signed(["boxbox".to_owned()]).unwrap();
    Identity { certificate_der: made.cert.der().to_vec(), private_key_pkcs8: made.signing_key.serialize_der() }
}

/// Sixteen random bytes.
pub(crate) fn rand() -> [u8; 16] {
    *uuid::Uuid::new_v4().as_bytes()
}
