//! Checks of services, logs and stores by their options: what they would use and where they would listen.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener, UdpSocket};

use anyhow::Context;

use super::Findings;
use crate::log::LogOptions;
use crate::node::handles::{self, Budget};
use crate::node::options::NodeOptions;
use crate::node::up::UpOptions;

/// What `up`, or one service, would be started with.
pub fn up(options: &UpOptions, findings: &mut Findings) {
    findings.kept(options.check_host());
    node(&options.node, findings);
}

/// The services of one process: their log in general, their handles, and where they would listen.
pub fn node(options: &NodeOptions, findings: &mut Findings) {
    findings.kept(options.check_log());
    findings.kept(Budget::of(handles::raise(), &options.workload(None), options.api.max_connections).map_err(Into::into));
    let (api, probes) = (options.api.listen, options.api.probes);
    if options.roles.ingest {
        listener("sim clients", "--quic-host and --quic-port", options.quic, true, findings);
    }
    let what = if options.roles.api { "API" } else { "health" };
    listener(what, "--api-host and --api-port", api, false, findings);
    if let Some(probes) = probes {
        if probes == api && api.port() != 0 {
            findings.problem(&format!("--probe-port and --api-port are both {}: choose another for one of them", api.port()));
        } else {
            listener("probes", "--probe-host and --probe-port", probes, false, findings);
        }
    }
}

/// A log and its login.
pub fn log(options: &LogOptions, findings: &mut Findings) {
    let Some(url) = &options.url else { return };
    // A password file that cannot be read is found with the option itself.
    let Ok(login) = options.open_options() else { return };
    findings.kept(boxbox_log::open::check(url, login).context("--log-url"));
}

/// The URL of PostgreSQL.
pub fn results(url: &str, findings: &mut Findings) {
    findings.kept(boxbox_store::postgres::check_url(url).context("--results-url"));
}

/// The URL of ClickHouse.
pub fn archive(url: &str, findings: &mut Findings) {
    findings.kept(boxbox_store::clickhouse::check_url(url).context("--archive-url"));
}

/// Where something would listen. An address that is taken is a note, because a server may be running now and would be stopped before.
fn listener(what: &str, options: &str, address: SocketAddr, is_udp: bool, findings: &mut Findings) {
    let protocol = if is_udp { "UDP" } else { "TCP" };
    // A listener that is dropped without a connection leaves nothing behind.
    let bound = if is_udp { UdpSocket::bind(address).map(drop) } else { TcpListener::bind(address).map(drop) };
    match bound {
        Ok(()) if address.port() == 0 => findings.note(&format!("{what}: a free {protocol} port of {}", address.ip())),
        Ok(()) => findings.note(&format!("{what}: {address} ({protocol}), which is free")),
        Err(error) if error.kind() == ErrorKind::AddrInUse => {
            findings.note(&format!("{what}: {address} ({protocol}), which another process uses now; {options} choose another"));
        }
        Err(error) => findings.problem(&format!("{what}: cannot listen on {address} ({protocol}): {error}; {options} choose another")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_free_taken_or_impossible() {
        let look = |address: &str, is_udp: bool| {
            let mut findings = Findings::default();
            listener("API", "--api-port", address.parse().unwrap(), is_udp, &mut findings);
            assert_eq!(findings.problems().len() + findings.notes().len(), 1);
            (findings.problems().first().cloned(), findings.notes().first().cloned().unwrap_or_default())
        };
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap().to_string();
        let (problem, note) = look(&address, false);
        assert!(problem.is_none() && note.contains("another process") && note.contains("--api-port"), "{note}");
        assert!(look("127.0.0.1:0", true).1.contains("a free UDP port"));
        // An address for documentation, which no machine has (RFC 5737).
        let (problem, _) = look("192.0.2.1:0", false);
        assert!(problem.is_some_and(|problem| problem.contains("cannot listen")));
    }

    #[test]
    fn urls_are_problems_that_name_their_options() {
        let mut findings = Findings::default();
        results("mysql://x", &mut findings);
        archive("clickhouse://", &mut findings);
        log(&LogOptions { url: Some("kafka://h".into()), password_file: None }, &mut findings);
        let options: Vec<_> = findings.problems().iter().filter_map(|text| text.split(':').next()).collect();
        assert_eq!(options, ["--results-url", "--archive-url", "--log-url"]);
        assert!(findings.notes().is_empty());
    }
}
