//! Starting a Kafka node, and checking that it answers.

use std::process::Command;

use anyhow::{Context, Result};

use super::kafka::Kafka;
use super::service::{PartFiles, Service};
use super::{kafka_probe, kafka_settings};
use crate::{fetch, tools};

impl Service for Kafka {
    fn title(&self) -> String {
        format!("Kafka {}", self.version)
    }

    fn version(&self) -> (&str, &'static str) {
        (&self.version, fetch::KAFKA_VERSION)
    }

    fn ports(&self) -> Vec<u16> {
        [Some(self.port), Some(self.controller_port()), self.sasl_port, self.tls_port].into_iter().flatten().collect()
    }

    fn address(&self) -> String {
        self.broker()
    }

    fn command(&self, files: &PartFiles<'_>) -> Result<Command> {
        let jars = fetch::kafka_jars().context("cannot start Kafka")?;
        let java = fetch::java().context("cannot start Kafka")?;
        let home = files.home();
        std::fs::create_dir_all(&home).with_context(|| format!("cannot make {}", home.display()))?;
        let config = kafka_settings::write(self, files)?;
        let logging = home.join("log4j2.properties");
        std::fs::write(&logging, LOGGING)?;

        let run = |more: &[String], main: &[&str]| {
            let mut command = Command::new(&java.program);
            command.args([format!("-Xms{}m", self.heap_mib), format!("-Xmx{}m", self.heap_mib)]);
            // The serial collector has no threads that compete with the program under test.
            command.args(["-XX:+UseSerialGC", "-XX:+ExitOnOutOfMemoryError"]);
            command.arg(format!("-Dlog4j2.configurationFile={}", logging.display()));
            command.args(more);
            command.arg("-cp").arg(jars.join("*")).args(main);
            command
        };
        if !files.data().join(self.landmark()).exists() {
            let mut format = run(&[], &["kafka.tools.StorageTool", "format", "--ignore-formatted", "-t", &self.cluster, "-c"]);
            tools::run(format.arg(&config)).context("cannot format Kafka's data folder")?;
        }
        let mut broker = run(&self.java, &["kafka.Kafka"]);
        broker.arg(config);
        Ok(broker)
    }

    /// True if this node itself is among the cluster's brokers, not only others.
    fn answers(&self, _: &PartFiles<'_>) -> Result<bool> {
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
        Ok(metadata.nodes.contains(&i32::from(self.node)))
    }

    fn landmark(&self) -> &'static str {
        "meta.properties"
    }
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
