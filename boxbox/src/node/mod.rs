//! [`Node`]: the services of one process (log, stores, edge, processor, API), all or some of them.

pub mod handles;
mod lives;
pub mod options;
mod room;
pub mod stores;
pub mod up;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use boxbox_api::{Api, Check};
use boxbox_ingest::{Edge, ExpiryClock};
use boxbox_log::metrics::LogMetrics;
use boxbox_log::{Kept, Log};
use boxbox_processor::time::Believed;
use boxbox_processor::{Feed, Processor};
use boxbox_schemas::connect::ConnectString;
use boxbox_schemas::grant::Authority;
use boxbox_schemas::wall::WallClock;
use boxbox_schemas::{DriverId, ShortId, TenantId};
use boxbox_store::{Sessions, Step};
use tokio::sync::broadcast;
use tokio::sync::watch::Receiver;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::access::authority::{self, Known};
use crate::access::identity::{self, ServerIdentity};
use crate::access::{auth, control};
use crate::clock_watch;
use crate::data::{DataFolder, Running};
use crate::node::handles::Budget;
use crate::node::lives::StoredLives;
use crate::node::options::{NodeOptions, Roles};
use crate::node::room::Room;
use crate::node::stores::{Opened, StoreOptions};
use crate::watch::{self, DataWatch, Measures, ProcessWatch, RuntimeWatch, StoreWatch};
use crate::{logs, traces};

/// For how long who is connected when a grant expires may go on: the longest race ends within it.
const GRANT_GRACE: Duration = Duration::from_secs(24 * 3_600);

/// Running services. Stop them with [`Node::stop`]; when the node is dropped instead, they run until the runtime ends.
pub struct Node {
    folder: DataFolder,
    identity: ServerIdentity,
    tenant: TenantId,
    quic: Option<SocketAddr>,
    public_host: Option<String>,
    api: Option<SocketAddr>,
    probes: Option<SocketAddr>,
    sessions: Option<Arc<dyn Sessions>>,
    feed: Option<Feed>,
    // In the order in which they stop: the edge drains first, the API answers to the end.
    services: Vec<Service>,
    failed: CancellationToken,
    /// Decides about grants now.
    authority: Receiver<Arc<Authority>>,
    kept: Option<Kept>,
    // The clocks are watched as long as somebody listens.
    clock: Receiver<WallClock>,
}

struct Service {
    name: &'static str,
    stop: CancellationToken,
    task: JoinHandle<anyhow::Result<()>>,
}

impl Node {
    /// Start the services; returns when all of them listen.
    pub async fn start(options: &NodeOptions) -> anyhow::Result<Self> {
        let roles = options.roles;
        let (limit, wanted) = (handles::raise(), options.api.max_connections);
        // Too few handles are an error before anything is opened. The log's partitions are known only when it is open.
        Budget::of(limit, &options.workload(None), wanted)?;
        let folder = DataFolder::open(&options.data, roles.alone())?;
        let recorder = watch::install()?;
        let mut measures = measures(folder.path(), limit);
        let clock = clock_watch::begin(folder.path(), clock_watch::of_this_machine())?;
        let identity = identity::load_or_make(folder.path())?;
        let control = control::open(&options.log).await?;
        // A node that learns keys from a control topic makes none, except `up`, which makes a grant and needs a key for it.
        let make_key = control.is_none() || roles.alone().is_none();
        let Known { authority, suspension } = authority::watch(folder.path(), control, make_key).await?;
        let log = open_log(&folder, options, clock.clone()).await?;
        let budget = Budget::of(limit, &options.workload(log.as_ref().map(|log| log.partitions() as usize)), wanted)?;
        budget.show();
        if let Some(log) = log.as_ref().filter(|_| roles.processor && matches!(options.stores, StoreOptions::Files)) {
            folder.belongs_to(log.id())?;
        }
        if let Some(log) = &log {
            LogMetrics::new().partitions.set(f64::from(log.partitions()));
        }
        let kept = log.as_ref().and_then(|log| log.kept());
        if let Some(warning) = Room::of(folder.path(), kept, &folder.archive(), options).and_then(|room| room.warning()) {
            tracing::warn!("{warning}");
        }
        let stores = match roles {
            // The edge uses only the log, and opens nothing that it would wait for.
            Roles::INGEST => None,
            _ => Some(stores::open(&options.stores, &folder).await?),
        };

        if let Some(stores) = &stores {
            let stores = StoreWatch::new(stores.sessions.clone(), stores.archive.clone());
            measures.add(move || stores.measure());
        }
        tracing::info!(
            version = env!("CARGO_PKG_VERSION"),
            services = roles.alone().unwrap_or("all"),
            data = %folder.path().display(),
            log = if options.log.url.is_some() { "kafka" } else { "files" },
            stores = if matches!(options.stores, StoreOptions::Files) { "files" } else { "servers" },
            "boxbox starts"
        );
        let mut edge_runtime = None;
        let mut node = Node {
            folder,
            identity,
            tenant: options.api.local_tenant,
            quic: None,
            public_host: options.public_host.clone(),
            api: None,
            probes: None,
            sessions: stores.as_ref().map(|s| s.sessions.clone()),
            feed: None,
            services: vec![],
            failed: CancellationToken::new(),
            authority: authority.clone(),
            kept,
            clock: clock.clone(),
        };
        let mut checks = vec![Check::new("grants", move || suspension.check())];
        if roles.ingest {
            let config = boxbox_ingest::Config { listen: options.quic, edge: edge_name()?, limits: options.limits.clone() };
            let identity =
                boxbox_ingest::Identity { certificate_der: node.identity.certificate.clone(), private_key_pkcs8: node.identity.key.clone() };
            let log = log.clone().context("the edge needs a log")?;
            let edge = Edge::bind(config, identity, authority.clone(), log).await.with_context(|| {
                format!("cannot listen for sim clients on {} (UDP): choose another port with --quic-port, or 0 for a free one", options.quic)
            })?;
            let edge = match (&node.sessions, &options.closed_in) {
                (Some(sessions), _) => edge.with_lives(Arc::new(StoredLives::new(sessions.clone()))),
                (None, Some(login)) => edge.with_lives(Arc::new(StoredLives::of_server(login).await?)),
                (None, None) => edge,
            };
            let edge = edge.with_clock(ExpiryClock { wall: clock.clone(), grace: GRANT_GRACE });
            node.quic = Some(edge.local_addr());
            edge_runtime = edge.runtime();
            let health = edge.health();
            checks.push(Check::new("edge", move || {
                health
                    .ready()
                    .then_some(())
                    .ok_or_else(|| "draining, or the log does not answer: is its disk full, its broker down, or no file handle left?".to_owned())
            }));
            node.spawn("edge", |stop| async move { Ok(edge.run(stop).await?) });
        }
        if roles.processor {
            let log = log.clone().context("the processor needs a log")?;
            let Opened { steps, archive, .. } = stores.clone().context("the processor needs stores")?;
            let seen = clock.clone();
            let time: boxbox_processor::time::Time = Arc::new(move || {
                let clock = seen.borrow();
                Believed { now_us: clock.steady_us(), jumped: clock.jump().is_some() }
            });
            let processor = Processor::new(options.processor.clone(), log, steps, archive).with_time(time);
            let seen = clock.clone();
            checks.push(Check::advice("clock", move || seen.borrow().jump().map_or(Ok(()), |jump| Err(clock_watch::advice(jump)))));
            let (status, noting) = (processor.status(), processor.status());
            let check = Check::new("processor", move || match (status.working(), status.ready()) {
                (_, true) => Ok(()),
                (true, false) => Err("results are over a minute behind: see `boxbox_processor_lag_seconds` in the metrics".to_owned()),
                (false, false) => Err("a partition is not processed: see the log on standard error".to_owned()),
            });
            checks.push(check.noting(move || noting.notes()));
            node.feed = Some(processor.feed());
            measures.add(processor.measuring());
            node.spawn("processor", |stop| async move { Ok(processor.run(stop).await?) });
        }
        // A process that does not run the API still serves health and metrics there.
        let config = boxbox_api::Config { max_connections: budget.connections, ..options.api.clone() };
        let runtimes = RuntimeWatch::here(edge_runtime);
        measures.add(move || runtimes.measure());
        let api = Api::bind(config, stores.map(Opened::readers), log, authority, checks, Some(measures.scrape(recorder))).await?;
        node.api = Some(api.local_addr());
        node.probes = api.probe_addr();
        node.spawn("api", |stop| async move { Ok(api.run(stop).await?) });
        let public_host = node.public_host.clone();
        node.folder.announce(&Running { pid: std::process::id(), quic: node.quic, public_host, api: node.api })?;
        Ok(node)
    }

    fn spawn<F>(&mut self, name: &'static str, run: impl FnOnce(CancellationToken) -> F)
    where
        F: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        let stop = CancellationToken::new();
        let (run, failed) = (run(stop.clone()), self.failed.clone());
        let task = tokio::spawn(async move {
            // The guard also works when the service panics: a process with a dead service must not look healthy.
            let _ended = failed.drop_guard();
            run.await
        });
        self.services.push(Service { name, stop, task });
    }

    /// Where sim clients connect.
    pub fn quic(&self) -> Option<SocketAddr> {
        self.quic
    }
    /// Where the API answers.
    pub fn api(&self) -> Option<SocketAddr> {
        self.api
    }
    /// Where probes are answered.
    pub fn probes(&self) -> Option<SocketAddr> {
        self.probes
    }
    /// Committed steps from now on.
    pub fn feed(&self) -> Option<broadcast::Receiver<Arc<Step>>> {
        self.feed.as_ref().map(Feed::subscribe)
    }
    /// The sessions.
    ///
    /// # Errors
    /// If this process has no stores, as an edge alone.
    pub fn sessions(&self) -> anyhow::Result<&Arc<dyn Sessions>> {
        self.sessions.as_ref().context("this process has no stores")
    }
    /// What the log of files kept when it was opened.
    pub fn kept(&self) -> Option<Kept> {
        self.kept
    }
    /// Tenant of the grants that this node makes.
    pub fn tenant(&self) -> TenantId {
        self.tenant
    }

    /// A connect string with a grant for `driver`, made once: the next start in the same folder has the same.
    ///
    /// # Errors
    /// If this process runs no edge, or the grant cannot be made.
    pub fn connect_string(&self, driver: DriverId, days: u32) -> anyhow::Result<ConnectString> {
        let quic = self.quic.context("this process runs no edge")?;
        // As the edge judges it: revoked nowhere, and its key in use.
        let now = self.clock.borrow().steady_us() / 1_000_000;
        let valid = |token: &str| self.authority.borrow().verify(token, now).is_ok();
        let token = auth::own_token(self.folder.path(), self.tenant, driver, days, now, valid)?;
        let host = self.public_host.clone().unwrap_or_else(|| reachable_here(quic.ip()).to_string());
        auth::connect_string(token, host, quic.port(), vec![self.identity.pin])
    }

    /// Returns when a service has ended without being asked to.
    pub async fn failed(&self) {
        self.failed.cancelled().await;
    }

    /// Stop the services in order.
    ///
    /// # Errors
    /// The error of the first service that failed.
    pub async fn stop(self) -> anyhow::Result<()> {
        let mut outcome = Ok(());
        for service in self.services {
            service.stop.cancel();
            let ended = match service.task.await {
                Ok(ended) => ended,
                Err(panic) => Err(anyhow::anyhow!("{panic}")),
            };
            if let Err(error) = ended {
                outcome = outcome.and(Err(error.context(format!("the {} failed", service.name))));
            }
        }
        outcome
    }
}

/// An address by which programs on this machine reach a service that listens on `address`.
pub fn reachable_here(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(v4) if v4.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(v6) if v6.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        other => other,
    }
}

async fn open_log(folder: &DataFolder, options: &NodeOptions, clock: Receiver<WallClock>) -> anyhow::Result<Option<Arc<dyn Log>>> {
    // The API needs no log to read the stores. With a log it can also close sessions.
    if options.roles == Roles::API && options.log.url.is_none() {
        return Ok(None);
    }
    options.check_log()?;
    let log = match &options.log.url {
        Some(url) => {
            let embedded = options.log_retention.options(clock);
            boxbox_log::open(url, boxbox_log::open::Options { embedded, ..options.log.open_options()? })
                .await
                .context("cannot open the log that --log-url names")?
        }
        None => {
            // Opened by its path and not as a URL, in which '?' and '#' have a meaning.
            let (path, retention) = (folder.log(), options.log_retention.options(clock));
            let opened = tokio::task::spawn_blocking(move || boxbox_log::embedded::EmbeddedLog::open(path, retention)).await?;
            Arc::new(opened?)
        }
    };
    Ok(Some(log))
}

/// A new random name for each start. Process ids would not do: in containers all edges have the same.
fn edge_name() -> anyhow::Result<ShortId> {
    let (random, ..) = uuid::Uuid::new_v4().as_fields();
    Ok(ShortId::new(&format!("edge-{random:08x}"))?)
}

/// What every process measures. `limit`: most open files.
fn measures(data: &Path, limit: u64) -> Measures {
    let (process, data) = (ProcessWatch::new(limit), DataWatch::new(data));
    let mut measures = Measures::default();
    measures.add(move || process.measure());
    measures.add(move || data.measure());
    measures.add(logs::counting::measuring());
    measures.add(logs::reports::measuring());
    measures.add(traces::measuring());
    measures
}
