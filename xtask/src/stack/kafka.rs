//! A real Apache Kafka as a part of a stack: KRaft, one node that is broker and controller, plain text on loopback.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::{kafka_probe, ports};
use crate::fetch;
use crate::tools::{self};

/// How a Kafka is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KafkaOptions {
    /// Java heap in MiB. 256 makes a process of 400 MB and is enough for 50,000 frames/s; 512 makes 690 MB.
    pub heap_mib: u32,
    /// Broker settings beyond those of `Kafka::settings`, or instead of them: ("message.max.bytes", "1048576").
    pub settings: BTreeMap<String, String>,
}

impl Default for KafkaOptions {
    fn default() -> Self {
        Self { heap_mib: 256, settings: BTreeMap::new() }
    }
}

/// What a stack records of its Kafka: all that a restart needs to be the same broker again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kafka {
    /// The broker's version; data of another one is not started.
    pub version: String,
    /// The cluster's id, drawn per stack: a log of an earlier stack is never taken for this one.
    pub cluster: String,
    /// Where clients connect, on 127.0.0.1.
    pub port: u16,
    /// Where the controller listens.
    pub controller_port: u16,
    /// Java heap in MiB.
    pub heap_mib: u32,
    /// Settings given by the user.
    pub settings: BTreeMap<String, String>,
}

impl Kafka {
    /// A new broker with ports and a cluster id of its own.
    pub(super) fn new(options: &KafkaOptions, reserved: &[u16]) -> Result<Self> {
        let port = ports::pick(reserved)?;
        let controller_port = ports::pick(&[reserved, &[port]].concat())?;
        let mut kafka =
            Self { version: fetch::KAFKA_VERSION.into(), cluster: cluster_id(), port, controller_port, heap_mib: 0, settings: BTreeMap::new() };
        kafka.adopt(options);
        Ok(kafka)
    }

    /// Takes over what may change between two starts.
    pub(super) fn adopt(&mut self, options: &KafkaOptions) {
        self.heap_mib = options.heap_mib;
        self.settings.extend(options.settings.clone());
    }

    /// `host:port`, as in bootstrap.servers.
    pub fn brokers(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Makes everything ready to start in `folder` (formats the data folder the first time) and says how to start it.
    pub(super) fn command(&self, folder: &Path) -> Result<Command> {
        let jars = fetch::kafka_jars().context("cannot start Kafka")?;
        let java = fetch::java().context("cannot start Kafka")?;
        std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let (config, logging) = (folder.join("server.properties"), folder.join("log4j2.properties"));
        let data = folder.join("data");
        let settings = self.all_settings(&data);
        std::fs::write(&config, settings.iter().map(|(key, value)| format!("{key}={value}\n")).collect::<String>())?;
        std::fs::write(&logging, LOGGING)?;

        let run = |main: &[&str]| {
            let mut command = Command::new(&java.program);
            command.args([format!("-Xms{}m", self.heap_mib), format!("-Xmx{}m", self.heap_mib)]);
            // The serial collector has no threads of its own to compete with what is being tested.
            command.args(["-XX:+UseSerialGC", "-XX:+ExitOnOutOfMemoryError"]);
            command.arg(format!("-Dlog4j2.configurationFile={}", logging.display()));
            command.arg("-cp").arg(jars.join("*")).args(main);
            command
        };
        if !data.join("meta.properties").exists() {
            let mut format = run(&["kafka.tools.StorageTool", "format", "--ignore-formatted", "-t", &self.cluster, "-c"]);
            tools::run(format.arg(&config)).context("cannot format Kafka's data folder")?;
        }
        let mut broker = run(&["kafka.Kafka"]);
        broker.arg(config);
        Ok(broker)
    }

    /// True once the broker answers as the node it should be; an error if something else answers at its port.
    pub(super) fn answers(&self) -> Result<bool> {
        let Some(metadata) = kafka_probe::metadata(self.port) else {
            return Ok(false);
        };
        anyhow::ensure!(
            metadata.cluster == self.cluster,
            "port {} answers as Kafka cluster {:?}, not as {:?}: another stack runs there",
            self.port,
            metadata.cluster,
            self.cluster
        );
        Ok(metadata.brokers > 0)
    }

    fn all_settings(&self, data: &Path) -> BTreeMap<String, String> {
        let Self { port, controller_port, .. } = self;
        let own = [
            ("process.roles", "broker,controller".into()),
            ("node.id", "1".into()),
            ("controller.quorum.voters", format!("1@127.0.0.1:{controller_port}")),
            ("listeners", format!("BROKER://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}")),
            ("advertised.listeners", format!("BROKER://127.0.0.1:{port}")),
            ("listener.security.protocol.map", "BROKER:PLAINTEXT,CONTROLLER:PLAINTEXT".into()),
            ("controller.listener.names", "CONTROLLER".into()),
            ("inter.broker.listener.name", "BROKER".into()),
            ("log.dirs", data.display().to_string()),
            // A typing mistake in a topic's name is an error, and acked data never goes with a leader that lacks it (E8).
            ("auto.create.topics.enable", "false".into()),
            ("unclean.leader.election.enable", "false".into()),
            // The broker's own topics, in the only factor one node can have.
            ("offsets.topic.replication.factor", "1".into()),
            ("offsets.topic.num.partitions", "4".into()),
            ("transaction.state.log.replication.factor", "1".into()),
            ("transaction.state.log.min.isr", "1".into()),
            ("share.coordinator.state.topic.replication.factor", "1".into()),
            ("share.coordinator.state.topic.min.isr", "1".into()),
            ("group.initial.rebalance.delay.ms", "0".into()),
            // A restart after kill -9 waits until the dead broker's registration expires: 4-5 s so, 12.6 s with the default of 9 s.
            ("broker.session.timeout.ms", "2000".into()),
            ("broker.heartbeat.interval.ms", "500".into()),
            // Sized for a test machine of two cores.
            ("num.network.threads", "2".into()),
            ("num.io.threads", "4".into()),
            ("log.segment.bytes", (256_u32 << 20).to_string()),
        ];
        let mut all: BTreeMap<String, String> = own.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
        all.extend(self.settings.clone());
        all
    }
}

/// A random id in Kafka's form: 16 bytes in URL-safe base64 without padding. Kafka keeps those that begin with `-` for itself.
fn cluster_id() -> String {
    let mut id: String = std::iter::repeat_with(fastrand::alphanumeric).take(21).collect();
    // The last of 22 characters carries two bits only.
    id.push(fastrand::choice(['A', 'Q', 'g', 'w']).unwrap_or('A'));
    id
}

const LOGGING: &str = "\
status = error
appender.out.type = Console
appender.out.name = out
appender.out.layout.type = PatternLayout
appender.out.layout.pattern = %d{ISO8601} %p %c{1} %m%n
rootLogger.level = warn
rootLogger.appenderRef.out.ref = out
logger.server.name = kafka.server.KafkaRaftServer
logger.server.level = info
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_users_setting_wins_and_stays() {
        let mut options = KafkaOptions::default();
        options.settings.insert("message.max.bytes".into(), "1234".into());
        options.settings.insert("num.io.threads".into(), "8".into());
        let mut kafka = Kafka::new(&options, &[]).unwrap();
        kafka.adopt(&KafkaOptions::default());
        let all = kafka.all_settings(Path::new("/data"));
        assert_eq!(all["message.max.bytes"], "1234");
        assert_eq!(all["num.io.threads"], "8");
        assert_eq!(all["log.dirs"], "/data");
        assert!(all["listeners"].contains(&kafka.brokers()));
        assert_ne!(kafka.port, kafka.controller_port);
    }

    #[test]
    fn cluster_ids_have_kafkas_form() {
        let ids: std::collections::BTreeSet<String> = std::iter::repeat_with(cluster_id).take(100).collect();
        assert_eq!(ids.len(), 100);
        assert!(ids.iter().all(|id| id.len() == 22 && id.ends_with(['A', 'Q', 'g', 'w']) && !id.starts_with('-')));
    }
}
