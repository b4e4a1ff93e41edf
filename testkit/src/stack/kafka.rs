//! A real Apache Kafka as a part of a stack: KRaft, each node broker and controller, one node or a cluster of some, on loopback.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

use anyhow::Result;
use serde::{Deserialize, Serialize};

use crate::fetch;

/// Options of a Kafka.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KafkaOptions {
    /// How many nodes; `None` is one, or as many as the stack has already. Three tolerate the loss of one.
    pub nodes: Option<u16>,
    /// Java heap of each node in MiB. 256 makes a process of 400 MB and is enough for 50,000 frames/s; 512 makes 690 MB.
    pub heap_mib: u32,
    /// A second listener that asks for a user and a password (SASL PLAIN), without TLS.
    pub sasl: bool,
    /// A listener that asks for them under TLS.
    pub tls: bool,
    /// Broker settings beyond those of `kafka_settings`, or instead of them: ("message.max.bytes", "1048576").
    pub settings: BTreeMap<String, String>,
    /// Arguments of the broker's Java beyond ours: an agent, for example.
    pub java: Vec<String>,
}

impl Default for KafkaOptions {
    fn default() -> Self {
        Self { nodes: None, heap_mib: 256, sasl: false, tls: false, settings: BTreeMap::new(), java: vec![] }
    }
}

/// The record of one node of a stack's Kafka: everything that a restart needs to be the same broker again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kafka {
    /// The broker's version; data of another one is not started.
    pub version: String,
    /// The cluster's id, drawn per stack: a log of an earlier stack is never taken for this one.
    pub cluster: String,
    /// This node's number, from 1.
    pub node: u16,
    /// Where clients connect, on 127.0.0.1.
    pub port: u16,
    /// The controllers' ports of all nodes, in their order; this node's is among them.
    pub controllers: Vec<u16>,
    /// The port for clients with a user and a password.
    pub sasl_port: Option<u16>,
    /// The same under TLS.
    pub tls_port: Option<u16>,
    /// Java heap in MiB.
    pub heap_mib: u32,
    /// Settings given by the user.
    pub settings: BTreeMap<String, String>,
    /// Arguments of Java given by the user.
    #[serde(default)]
    pub java: Vec<String>,
}

impl Kafka {
    /// New nodes; `port` picks a fresh port at each call.
    pub(super) fn cluster(options: &KafkaOptions, mut port: impl FnMut() -> Result<u16>) -> Result<Vec<Self>> {
        let nodes = options.nodes.unwrap_or(1).max(1);
        let controllers = (0..nodes).map(|_| port()).collect::<Result<Vec<_>>>()?;
        let cluster = cluster_id();
        let node = |node| {
            Ok(Self {
                version: fetch::KAFKA_VERSION.into(),
                cluster: cluster.clone(),
                node,
                port: port()?,
                controllers: controllers.clone(),
                sasl_port: None,
                tls_port: None,
                heap_mib: options.heap_mib,
                settings: BTreeMap::new(),
                java: vec![],
            })
        };
        (1..=nodes).map(node).collect()
    }

    /// Takes over what may change between two starts; true if that gives it a listener it did not have.
    pub(super) fn adopt(&mut self, options: &KafkaOptions, mut port: impl FnMut() -> Result<u16>) -> Result<bool> {
        self.heap_mib = options.heap_mib;
        self.settings.extend(options.settings.clone());
        self.java.clone_from(&options.java);
        let mut more = false;
        for (wanted, place) in [(options.sasl, &mut self.sasl_port), (options.tls, &mut self.tls_port)] {
            if wanted && place.is_none() {
                *place = Some(port()?);
                more = true;
            }
        }
        Ok(more)
    }

    /// `host:port`, as in bootstrap.servers.
    pub fn broker(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Where this node's controller listens.
    pub(super) fn controller_port(&self) -> u16 {
        // Nodes count from 1; a record that names a node beyond its cluster is damaged, and no server answers on port 0.
        self.controllers.get(usize::from(self.node).wrapping_sub(1)).copied().unwrap_or(0)
    }

    /// True if `running` nodes are a quorum.
    pub(super) fn has_quorum(&self, running: usize) -> bool {
        running * 2 > self.controllers.len()
    }

    /// True once the process takes part in elections: all that can be asked of a node while too few others run.
    pub(super) fn waits_for_others(&self) -> bool {
        TcpStream::connect_timeout(&(Ipv4Addr::LOCALHOST, self.controller_port()).into(), Duration::from_secs(2)).is_ok()
    }
}

/// A random id in Kafka's form: 16 bytes in URL-safe base64 without padding. Kafka keeps those that begin with `-` for itself.
fn cluster_id() -> String {
    let mut id: String = std::iter::repeat_with(fastrand::alphanumeric).take(21).collect();
    // The last of 22 characters carries two bits only.
    id.push(fastrand::choice(['A', 'Q', 'g', 'w']).unwrap_or('A'));
    id
}

#[cfg(test)]
mod tests {
    use super::super::service::Service;
    use super::*;

    #[test]
    fn nodes_of_a_cluster_know_each_other_and_share_no_port() {
        let mut next = 20_000;
        let mut port = || {
            next += 1;
            Ok(next)
        };
        let options = KafkaOptions { nodes: Some(3), sasl: true, ..KafkaOptions::default() };
        let mut nodes = Kafka::cluster(&options, &mut port).unwrap();
        for node in &mut nodes {
            assert!(node.adopt(&options, &mut port).unwrap() && !node.adopt(&options, &mut port).unwrap());
        }
        let mut ports: Vec<u16> = nodes.iter().flat_map(Kafka::ports).collect();
        ports.sort_unstable();
        ports.dedup();
        assert_eq!(ports.len(), 9);
        assert!(nodes.iter().all(|node| node.controllers.len() == 3 && node.cluster == nodes[0].cluster && node.tls_port.is_none()));
        assert_eq!(nodes.iter().map(|node| node.node).collect::<Vec<_>>(), [1, 2, 3]);
        assert_eq!([0, 1, 2, 3].map(|running| nodes[0].has_quorum(running)), [false, false, true, true]);
        assert!(Kafka::cluster(&KafkaOptions::default(), port).unwrap()[0].has_quorum(1));
    }

    #[test]
    fn cluster_ids_have_kafkas_form() {
        let ids: std::collections::BTreeSet<String> = std::iter::repeat_with(cluster_id).take(100).collect();
        assert_eq!(ids.len(), 100);
        assert!(ids.iter().all(|id| id.len() == 22 && id.ends_with(['A', 'Q', 'g', 'w']) && !id.starts_with('-')));
    }
}
