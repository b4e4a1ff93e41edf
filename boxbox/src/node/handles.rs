//! Handles: open files and sockets. The system limits how many a process may have.
//!
//! A sim client's connection costs no handle, because all of them share one UDP socket; an HTTP connection costs one. HTTP connections
//! must not use up the handles that the log, the stores and the revocations need. Therefore the limit is raised as far as possible
//! at the start, the most that everything else can need is reserved, and the API accepts only as many connections as are left.

/// Runtimes with their timers, listeners, the folder's locks, standard streams, and keys and revocations with their reserve.
const BASE: usize = 56;
/// Connections of the API's listener for probes.
const PROBES: usize = 32;
/// Handles of a partition of the embedded log: its folder, the `commit` file, the segment that is written to and the next, and a
/// few readers, each in another segment.
const EMBEDDED_PARTITION: usize = 8;
/// Handles of a Kafka client: sockets and the pipes that wake their threads, for a cluster of five brokers.
const KAFKA_CLIENT: usize = 24;
/// Kafka clients for queries, for writing, for the control topic, and one that is made while another closes.
const KAFKA_CLIENTS: usize = 6;
/// Handles of an SQLite file: a connection that writes and four that read, each with the file and its write-ahead log, and files
/// for sorting.
const SQLITE_FILE: usize = 16;
/// Connections to PostgreSQL for results and for the archive's plans that belong to no partition: readers and heartbeats.
const POSTGRES: usize = 2 * 10;
/// Handles of a partition whose stores are servers: transactions of results and of plans, and inserts into ClickHouse.
const SERVER_PARTITION: usize = 4;
/// Handles of a sim client in the same process.
const CLIENT: usize = 4;
/// Fewest HTTP connections: enough for a health probe and a few people at once.
const CONNECTIONS_MIN: usize = 32;

boxbox_schemas::metrics! {
    /// How a process divides its handles.
    pub struct HandleMetrics("boxbox_handles") {
        /// Files and sockets that the process may hold open.
        limit: gauge,
        /// Handles reserved for everything except HTTP connections.
        reserved: gauge,
        /// Most HTTP connections that are accepted at once.
        connections: gauge,
    }
}

/// What a process runs, as far as it needs handles.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Workload {
    /// Its log and the number of partitions, if it has a log.
    pub log: Option<(LogBackend, usize)>,
    /// Its stores, if it has any.
    pub stores: Option<StoreBackend>,
    /// Whether it runs a processor, which reads the log.
    pub processes: bool,
    /// Sim clients in the same process.
    pub clients: usize,
}

/// What keeps the log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LogBackend {
    /// Files in the data folder.
    Embedded,
    /// Kafka.
    Kafka,
}

/// What keeps results and frames.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StoreBackend {
    /// Files in the data folder.
    Files,
    /// PostgreSQL and ClickHouse.
    Servers,
    /// PostgreSQL, of which an edge alone asks which sessions are closed.
    Asked,
}

impl Workload {
    /// The most handles that the process can need besides HTTP connections.
    fn reserve(&self) -> usize {
        let partitions = self.log.map_or(0, |(_, partitions)| partitions);
        let log = match self.log {
            None => 0,
            Some((LogBackend::Embedded, _)) => 2 + EMBEDDED_PARTITION * partitions,
            // A reader is a Kafka client, and a partition may have two: one for results, one for the archive.
            Some((LogBackend::Kafka, _)) => KAFKA_CLIENT * (KAFKA_CLIENTS + if self.processes { 2 * partitions } else { 0 }),
        };
        let stores = match self.stores {
            None => 0,
            Some(StoreBackend::Files) => 2 * SQLITE_FILE,
            Some(StoreBackend::Asked) => POSTGRES / 2,
            Some(StoreBackend::Servers) => POSTGRES + if self.processes { SERVER_PARTITION * partitions } else { 0 },
        };
        BASE + PROBES + log + stores + CLIENT * self.clients
    }

    /// Handles of one HTTP connection: its socket, and a query to ClickHouse.
    fn of_connection(&self) -> usize {
        if self.stores == Some(StoreBackend::Servers) { 2 } else { 1 }
    }
}

/// How a process divides its handles.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Budget {
    /// Handles that the system allows.
    pub limit: u64,
    /// Handles reserved for everything except HTTP connections.
    pub reserved: usize,
    /// Most HTTP connections that are accepted at once.
    pub connections: usize,
}

/// The system allows too few handles.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error(
    "the system lets this process open {limit} files and sockets, and it needs at least {needed}: raise its hard limit, with `ulimit -n 65536` in \
     the shell that starts it, LimitNOFILE=65536 in its systemd unit, or `--ulimit nofile=65536` of its container"
)]
pub struct TooFew {
    /// Handles that the system allows.
    pub limit: u64,
    /// Fewest handles that would suffice.
    pub needed: usize,
}

impl Budget {
    /// Divide `limit` handles between `workload` and at most `wanted` HTTP connections.
    ///
    /// # Errors
    /// [`TooFew`] if they do not suffice for the workload and a few connections.
    pub fn of(limit: u64, workload: &Workload, wanted: usize) -> Result<Self, TooFew> {
        let (reserved, each) = (workload.reserve(), workload.of_connection());
        let left = usize::try_from(limit).unwrap_or(usize::MAX).saturating_sub(reserved) / each;
        if left < CONNECTIONS_MIN.min(wanted) {
            return Err(TooFew { limit, needed: reserved + each * CONNECTIONS_MIN.min(wanted) });
        }
        Ok(Self { limit, reserved, connections: left.min(wanted) })
    }

    /// Show the budget to operators, as metrics and in the log.
    pub fn show(&self) {
        let Self { limit, reserved, connections } = *self;
        let metrics = HandleMetrics::new();
        metrics.limit.set(limit as f64);
        metrics.reserved.set(reserved as f64);
        metrics.connections.set(connections as f64);
        tracing::info!(
            limit,
            reserved,
            connections,
            "open files: what the system allows, what is set aside, and how many HTTP connections are accepted"
        );
    }
}

/// Raise the limit of this process as far as the system allows, and return the new limit.
#[cfg(unix)]
pub fn raise() -> u64 {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    /// What to try, in this order, where there is no hard limit or the kernel does not allow it (macOS).
    const INSTEAD: [u64; 3] = [1 << 20, 1 << 16, 10_240];

    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let Some(soft) = current else { return u64::MAX };
    let mut goals = maximum.into_iter().chain(INSTEAD).filter(|goal| *goal > soft && maximum.is_none_or(|hard| *goal <= hard));
    let raised = goals.find(|goal| setrlimit(Resource::Nofile, Rlimit { current: Some(*goal), maximum }).is_ok());
    raised.unwrap_or(soft)
}

/// This system has no such limit.
#[cfg(not(unix))]
pub fn raise() -> u64 {
    u64::MAX
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn workload() -> impl Strategy<Value = Workload> {
        let log = prop::option::of((prop_oneof![Just(LogBackend::Embedded), Just(LogBackend::Kafka)], 1usize..200));
        let stores = prop::option::of(prop_oneof![Just(StoreBackend::Files), Just(StoreBackend::Servers), Just(StoreBackend::Asked)]);
        (log, stores, any::<bool>(), 0usize..200).prop_map(|(log, stores, processes, clients)| Workload { log, stores, processes, clients })
    }

    proptest! {
        #[test]
        fn connections_never_take_what_is_set_aside(limit in prop_oneof![0u64..5_000, any::<u64>()], workload in workload(), wanted in 1usize..5_000) {
            match Budget::of(limit, &workload, wanted) {
                Ok(budget) => {
                    prop_assert!(budget.connections >= 1 && budget.connections <= wanted);
                    prop_assert!(budget.reserved as u64 + (budget.connections * workload.of_connection()) as u64 <= limit);
                    prop_assert!(budget.reserved >= BASE + PROBES);
                    // No handle stays unused that a connection could have.
                    prop_assert!(budget.connections == wanted || limit - (budget.reserved as u64) < ((budget.connections + 1) * workload.of_connection()) as u64);
                    prop_assert!(Budget::of(limit.saturating_add(1), &workload, wanted).unwrap().connections >= budget.connections);
                }
                Err(few) => {
                    prop_assert!(few.needed as u64 > limit);
                    prop_assert!(Budget::of(few.needed as u64, &workload, wanted).is_ok(), "the number in the error suffices");
                    prop_assert!(Budget::of(few.needed as u64 - 1, &workload, wanted).is_err(), "and one fewer does not");
                    prop_assert!(few.to_string().contains("ulimit -n"));
                }
            }
        }

        #[test]
        fn more_work_needs_more(workload in workload(), more in 1usize..50) {
            let least = workload.reserve();
            let (clients, log) = (workload.clients + more, workload.log.map(|(backend, n)| (backend, n + more)));
            for busier in [Workload { clients, ..workload }, Workload { log, ..workload }, Workload { processes: true, ..workload }] {
                prop_assert!(busier.reserve() >= least, "{:?}", busier);
            }
            prop_assert!(Workload { clients, ..workload }.reserve() > least, "a client needs handles");
        }
    }

    #[test]
    fn the_usual_limits_suffice_for_what_runs_there() {
        let up = Workload { log: Some((LogBackend::Embedded, 4)), stores: Some(StoreBackend::Files), processes: true, clients: 0 };
        assert!(Budget::of(256, &up, 2_048).is_ok(), "macOS' soft limit, if it cannot be raised");
        assert!(Budget::of(1_024, &Workload { clients: 24, ..up }, 2_048).is_ok(), "the demo at Linux' soft limit");
        let server = Workload { log: Some((LogBackend::Kafka, 8)), stores: Some(StoreBackend::Servers), processes: true, clients: 0 };
        assert!(Budget::of(1_024, &server, 2_048).is_ok(), "a processor at Linux' soft limit");
        assert_eq!(Budget::of(1 << 20, &server, 2_048).unwrap().connections, 2_048);
    }

    #[test]
    fn the_limit_is_raised_to_what_the_system_says() {
        let limit = raise();
        assert_eq!(raise(), limit, "once it is raised it stays");
        #[cfg(unix)]
        assert_eq!(rustix::process::getrlimit(rustix::process::Resource::Nofile).current.unwrap_or(u64::MAX), limit);
    }
}
