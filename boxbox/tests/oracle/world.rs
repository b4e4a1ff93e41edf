//! Two edges on one embedded log, a processor behind them, and what a session comes to in the end.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use boxbox_ingest::{Config, Edge, Identity, Limits};
use boxbox_log::Log;
use boxbox_log::embedded::EmbeddedLog;
use boxbox_processor::Processor;
use boxbox_race::timing::{self, Classified};
use boxbox_schemas::connect::{ConnectString, Pin};
use boxbox_schemas::grant::{Ability, Authority, Grant, SigningKey};
use boxbox_schemas::results::{IncidentStep, Ledger, PitVisit};
use boxbox_schemas::{DriverId, GrantId, SessionId, ShortId, Source, TenantId, results};
use boxbox_store::sqlite::{SqliteArchive, SqliteResults};
use boxbox_store::{Archive, Sessions, rows_of};
use boxbox_testkit::wait::{PATIENCE, until_some};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub(crate) struct World {
    pub(crate) log: Arc<dyn Log>,
    pub(crate) results: Arc<SqliteResults>,
    pub(crate) archive: Arc<SqliteArchive>,
    pub(crate) edges: Vec<SocketAddr>,
    key: SigningKey,
    pin: Pin,
    _authority: watch::Sender<Arc<Authority>>,
    stop: CancellationToken,
    running: Vec<JoinHandle<()>>,
    _folder: tempfile::TempDir,
}

/// A session in the end.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Outcome {
    pub(crate) laps: Vec<results::Lap>,
    pub(crate) classified: Vec<Classified>,
    pub(crate) visits: Vec<PitVisit>,
    pub(crate) incidents: Vec<IncidentStep>,
    pub(crate) ledgers: Vec<Ledger>,
    pub(crate) digest: String,
}

impl Outcome {
    /// Of the stores, once `streams` streams of the session have ended and everything that they sent is archived.
    pub(crate) async fn of(results: &dyn Sessions, archive: &dyn Archive, tenant: &TenantId, session: &SessionId, streams: usize) -> Self {
        let last = Mutex::new(vec![]);
        let what = std::fmt::from_fn(|f| write!(f, "{streams} streams have ended and are archived: {:?}", last.lock().unwrap()));
        until_some(what, async || {
            let ledgers = results.ledgers(tenant, session).await.unwrap();
            let ended = ledgers.iter().filter(|l| l.ended).count();
            let frames: u64 = ledgers.iter().map(|l| l.car_frames).sum();
            *last.lock().unwrap() = ledgers;
            (ended >= streams && archive.count(tenant, session, None).await.unwrap() == frames).then_some(())
        })
        .await;
        let info = results.session(tenant, session).await.unwrap().unwrap();
        let laps = results.laps(tenant, session, &Default::default(), None, i32::MAX as u32).await.unwrap();
        let flags = rows_of(results, tenant, session).await.unwrap();
        let seen = rows_of(results, tenant, session).await.unwrap();
        let visits = timing::pit_visits(&seen);
        let incidents = IncidentStep::fold(rows_of(results, tenant, session).await.unwrap());
        let (states, cars) = (rows_of(results, tenant, session).await.unwrap(), results.cars(tenant, session).await.unwrap());
        let classified =
            timing::classification(&timing::Facts { session: &info, laps: &laps, flags: &flags, states: &states, cars: &cars, pit_visits: &seen });
        let digest = timing::digest(&classified, &laps, &visits, &incidents);
        let ledgers = results.ledgers(tenant, session).await.unwrap();
        Outcome { laps, classified, visits, incidents, ledgers, digest }
    }
}

impl World {
    pub(crate) async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let log: Arc<dyn Log> = Arc::new(EmbeddedLog::open(folder.path().join("log"), Default::default()).unwrap());
        let results = Arc::new(SqliteResults::open(&folder.path().join("results.db")).await.unwrap());
        let archive = Arc::new(SqliteArchive::open(&folder.path().join("archive.db")).await.unwrap());
        let key = SigningKey::generate().unwrap();
        let authority = watch::Sender::new(Arc::new(Authority::new([key.public()], [])));
        let pair = rcgen::KeyPair::generate().unwrap();
        let certificate = rcgen::CertificateParams::new(vec!["boxbox".into()]).unwrap().self_signed(&pair).unwrap();
        let pin = Pin::try_from(ring::digest::digest(&ring::digest::SHA256, &rcgen::PublicKeyData::subject_public_key_info(&pair)).as_ref()).unwrap();
        let (stop, mut edges, mut running) = (CancellationToken::new(), vec![], vec![]);
        for n in 0..2 {
            let identity = Identity { certificate_der: certificate.der().to_vec(), private_key_pkcs8: pair.serialize_der() };
            let config = Config { listen: ([127, 0, 0, 1], 0).into(), edge: ShortId::new(&format!("edge-{n}")).unwrap(), limits: Limits::default() };
            let edge = Edge::bind(config, identity, authority.subscribe(), log.clone()).await.unwrap();
            edges.push(edge.local_addr());
            let stop = stop.clone();
            running.push(tokio::spawn(async move { edge.run(stop).await.unwrap() }));
        }
        let processor = Processor::new(Default::default(), log.clone(), results.clone(), archive.clone());
        let stopped = stop.clone();
        running.push(tokio::spawn(async move { processor.run(stopped).await.unwrap() }));
        Self { log, results, archive, edges, key, pin, _authority: authority, stop, running, _folder: folder }
    }

    pub(crate) fn tenant(&self) -> TenantId {
        TenantId::new("league").unwrap()
    }

    pub(crate) fn session(&self, source: &Source) -> SessionId {
        SessionId::of(&self.tenant(), source)
    }

    /// What the client of `driver` is told to connect to `address`.
    pub(crate) fn connect(&self, driver: DriverId, address: SocketAddr) -> ConnectString {
        let grant = Grant {
            id: GrantId(*uuid::Uuid::new_v4().as_bytes()),
            tenant: self.tenant(),
            driver,
            abilities: [Ability::Car, Ability::Field, Ability::Meta].into(),
            event: None,
            expires: 4_000_000_000,
        };
        ConnectString { grant: self.key.sign(&grant).unwrap(), host: address.ip().to_string(), port: address.port(), pins: vec![self.pin] }
    }

    /// The session, once `streams` streams have ended and everything that they sent is archived.
    pub(crate) async fn outcome(&self, session: &SessionId, streams: usize) -> Outcome {
        Outcome::of(&*self.results, &*self.archive, &self.tenant(), session, streams).await
    }

    /// End everything in order.
    pub(crate) async fn end(self) {
        self.stop.cancel();
        for task in self.running {
            tokio::time::timeout(PATIENCE, task).await.expect("it stops").unwrap();
        }
        self.results.close().await;
        self.archive.close().await;
    }
}
