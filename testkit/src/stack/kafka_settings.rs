//! `server.properties` of a Kafka node: its listeners, its place in the cluster, and settings for a test machine.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::kafka::Kafka;
use super::secrets::{self, USER};
use super::service::PartFiles;

/// The most copies the broker's own topics get, however many nodes there are.
const MOST_COPIES: usize = 3;

/// Files of the whole cluster are named after Kafka, whichever nodes there are: `kafka.password`, `kafka.ca.pem`.
pub(super) fn shared(stack: &Path, extension: &str) -> PathBuf {
    PartFiles { stack, part: "kafka" }.file(extension)
}

/// Makes the files that the nodes' secured listeners share, unless they exist. It is called before the nodes start in parallel.
pub(super) fn make_secrets(stack: &Path, node: &Kafka) -> Result<()> {
    if node.sasl_port.or(node.tls_port).is_some() {
        secrets::password(&shared(stack, "password"))?;
    }
    let (authority, keystore) = (shared(stack, "ca.pem"), shared(stack, "keystore.pem"));
    if node.tls_port.is_some() && !(authority.exists() && keystore.exists()) {
        let identity = secrets::identity()?;
        secrets::private(&keystore, &(identity.key + &identity.certificate))?;
        std::fs::write(&authority, identity.authority).with_context(|| format!("cannot write {}", authority.display()))?;
    }
    Ok(())
}

/// Writes the node's `server.properties`, readable for its owner only: there may be a password in it.
pub(super) fn write(node: &Kafka, files: &PartFiles<'_>) -> Result<PathBuf> {
    let file = files.home().join("server.properties");
    let lines = all(node, files)?.iter().map(|(key, value)| format!("{key}={value}\n")).collect::<String>();
    secrets::private(&file, &lines)?;
    Ok(file)
}

fn all(node: &Kafka, files: &PartFiles<'_>) -> Result<BTreeMap<String, String>> {
    let mut all = own(node, &files.data());
    all.extend(listeners(node, files)?);
    all.extend(node.settings.clone());
    Ok(all)
}

fn own(node: &Kafka, data: &Path) -> BTreeMap<String, String> {
    let nodes = node.controllers.len();
    let copies = nodes.min(MOST_COPIES);
    // One copy may be missing, where there is more than one.
    let in_sync = copies.saturating_sub(1).max(1);
    let voters = node.controllers.iter().zip(1..).map(|(port, id)| format!("{id}@127.0.0.1:{port}")).collect::<Vec<_>>();
    let own = [
        ("process.roles", "broker,controller".into()),
        ("node.id", node.node.to_string()),
        ("controller.quorum.voters", voters.join(",")),
        ("controller.listener.names", "CONTROLLER".into()),
        ("inter.broker.listener.name", "BROKER".into()),
        ("log.dirs", data.display().to_string()),
        // A typing mistake in a topic's name is an error, and acked data is never lost to a leader that lacks it (E8).
        ("auto.create.topics.enable", "false".into()),
        ("unclean.leader.election.enable", "false".into()),
        // As many copies as there can be, of the broker's own topics and of topics created without a number.
        ("default.replication.factor", copies.to_string()),
        ("min.insync.replicas", in_sync.to_string()),
        ("offsets.topic.replication.factor", copies.to_string()),
        ("offsets.topic.num.partitions", "4".into()),
        ("transaction.state.log.replication.factor", copies.to_string()),
        ("transaction.state.log.min.isr", in_sync.to_string()),
        ("share.coordinator.state.topic.replication.factor", copies.to_string()),
        ("share.coordinator.state.topic.min.isr", in_sync.to_string()),
        // A follower that is gone is not waited for longer than this: 30 s by default.
        ("replica.lag.time.max.ms", "3000".into()),
        ("group.initial.rebalance.delay.ms", "0".into()),
        // A restart after kill -9 waits until the dead broker's registration expires: 4-5 s so, 12.6 s with the default of 9 s.
        ("broker.session.timeout.ms", "2000".into()),
        ("broker.heartbeat.interval.ms", "500".into()),
        // Sized for a test machine of two cores.
        ("num.network.threads", "2".into()),
        ("num.io.threads", "4".into()),
        ("log.segment.bytes", (256_u32 << 20).to_string()),
    ];
    own.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

/// The listener in plain text, and those of the two with a password that there are.
fn listeners(node: &Kafka, files: &PartFiles<'_>) -> Result<BTreeMap<String, String>> {
    let mut open = vec![("BROKER", "PLAINTEXT", node.port)];
    open.extend(node.sasl_port.map(|port| ("SASL", "SASL_PLAINTEXT", port)));
    open.extend(node.tls_port.map(|port| ("TLS", "SASL_SSL", port)));
    let advertised = open.iter().map(|(name, _, port)| format!("{name}://127.0.0.1:{port}")).collect::<Vec<_>>().join(",");
    let protocols = open.iter().map(|(name, protocol, _)| format!("{name}:{protocol}")).collect::<Vec<_>>().join(",");
    let mut all = BTreeMap::from([
        ("listeners".to_owned(), format!("{advertised},CONTROLLER://127.0.0.1:{}", node.controller_port())),
        ("advertised.listeners".to_owned(), advertised),
        ("listener.security.protocol.map".to_owned(), format!("{protocols},CONTROLLER:PLAINTEXT")),
    ]);
    for (name, _, _) in &open[1..] {
        let password = secrets::password(&shared(files.stack, "password"))?;
        let prefix = format!("listener.name.{}", name.to_lowercase());
        let module = "org.apache.kafka.common.security.plain.PlainLoginModule";
        all.insert(format!("{prefix}.sasl.enabled.mechanisms"), "PLAIN".into());
        all.insert(format!("{prefix}.plain.sasl.jaas.config"), format!("{module} required user_{USER}=\"{password}\";"));
    }
    if node.tls_port.is_some() {
        all.insert("listener.name.tls.ssl.keystore.type".into(), "PEM".into());
        all.insert("listener.name.tls.ssl.keystore.location".into(), shared(files.stack, "keystore.pem").display().to_string());
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::super::kafka::KafkaOptions;
    use super::*;

    fn settings(options: &KafkaOptions) -> BTreeMap<String, String> {
        let stack = tempfile::tempdir().unwrap();
        let mut next = 20_000;
        let mut port = || {
            next += 1;
            Ok(next)
        };
        let mut nodes = Kafka::cluster(options, &mut port).unwrap();
        nodes[0].adopt(options, &mut port).unwrap();
        make_secrets(stack.path(), &nodes[0]).unwrap();
        all(&nodes[0], &PartFiles { stack: stack.path(), part: "kafka-1" }).unwrap()
    }

    #[test]
    fn a_users_setting_wins() {
        let mut options = KafkaOptions::default();
        options.settings.insert("message.max.bytes".into(), "1234".into());
        options.settings.insert("num.io.threads".into(), "8".into());
        let all = settings(&options);
        assert_eq!((all["message.max.bytes"].as_str(), all["num.io.threads"].as_str()), ("1234", "8"));
        assert!(all["log.dirs"].ends_with("kafka-1/data"));
        assert_eq!(all["listeners"], "BROKER://127.0.0.1:20002,CONTROLLER://127.0.0.1:20001");
        assert_eq!(all["advertised.listeners"], "BROKER://127.0.0.1:20002");
    }

    #[test]
    fn copies_are_as_many_as_there_can_be_and_one_may_be_missing() {
        let copies = |nodes| {
            let all = settings(&KafkaOptions { nodes: Some(nodes), ..KafkaOptions::default() });
            ["offsets.topic.replication.factor", "transaction.state.log.min.isr"].map(|key| all[key].clone())
        };
        assert_eq!(copies(1), ["1", "1"]);
        assert_eq!(copies(2), ["2", "1"]);
        assert_eq!(copies(3), ["3", "2"]);
        assert_eq!(copies(5), ["3", "2"]);
    }

    #[test]
    fn each_listener_has_its_port_and_its_security() {
        let all = settings(&KafkaOptions { sasl: true, tls: true, ..KafkaOptions::default() });
        assert_eq!(all["advertised.listeners"], "BROKER://127.0.0.1:20002,SASL://127.0.0.1:20003,TLS://127.0.0.1:20004");
        assert_eq!(all["listener.security.protocol.map"], "BROKER:PLAINTEXT,SASL:SASL_PLAINTEXT,TLS:SASL_SSL,CONTROLLER:PLAINTEXT");
        for listener in ["sasl", "tls"] {
            assert_eq!(all[&format!("listener.name.{listener}.sasl.enabled.mechanisms")], "PLAIN");
            assert!(all[&format!("listener.name.{listener}.plain.sasl.jaas.config")].contains("user_boxbox=\""));
        }
        assert!(all["listener.name.tls.ssl.keystore.location"].ends_with("kafka.keystore.pem"));
    }
}
