//! [`Fleet`]: the services of the server profile, each a process with a port that stays the same, on engines of the test's own.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use boxbox_testkit::stack::Stack;
use boxbox_testkit::wait::block_until;

use crate::common::place::Engines;
use crate::common::relay::Relay;
use crate::common::{boxbox, free_port};
use crate::tool::Tool;

/// The services: names and subcommands.
pub(crate) const SERVICES: [(&str, &str); 4] = [("ingest", "ingest"), ("processor-1", "processor"), ("processor-2", "processor"), ("api", "api")];

/// How long a request may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// The services, and what they run on.
pub(crate) struct Fleet {
    pub(crate) stack: Stack,
    pub(crate) engines: Engines,
    pub(crate) folder: tempfile::TempDir,
    quic: u16,
    ports: BTreeMap<&'static str, u16>,
    running: BTreeMap<&'static str, Tool>,
    /// The API's way to PostgreSQL, to be cut.
    way: Option<Relay>,
    way_port: u16,
}

impl Fleet {
    /// Everything, and it answers.
    pub(crate) fn start(stack: Stack) -> Self {
        let engines = Engines::of_stack(&stack);
        engines.prepare();
        let ports = SERVICES.iter().map(|(name, _)| (*name, free_port())).collect();
        let folder = tempfile::tempdir().unwrap();
        let mut fleet = Self { stack, engines, folder, quic: free_port(), ports, running: BTreeMap::new(), way: None, way_port: free_port() };
        fleet.mend();
        for (name, _) in SERVICES {
            fleet.run(name);
        }
        fleet
    }

    /// Starts a service that does not run, and waits until it answers.
    pub(crate) fn run(&mut self, name: &'static str) {
        let subcommand = SERVICES.iter().find(|(service, _)| *service == name).unwrap().1;
        let mut args = vec![subcommand.to_owned(), "--data".into(), self.data(name).to_str().unwrap().to_owned()];
        args.extend(["--api-port".into(), self.ports[name].to_string()]);
        args.extend(self.engines.args());
        if name == "ingest" {
            args.extend(["--quic-port".into(), self.quic.to_string()]);
        }
        if name == "api" {
            let (there, way) = (self.engines.results_address().to_owned(), format!("127.0.0.1:{}", self.way_port));
            args = args.into_iter().map(|arg| if arg.starts_with("postgres://") { arg.replace(&there, &way) } else { arg }).collect();
        }
        let command = boxbox(&args.iter().map(String::as_str).collect::<Vec<_>>());
        self.running.insert(name, Tool::start(name, command, self.folder.path()));
        block_until(format!("{name} answers"), || {
            self.running.get_mut(name).unwrap().runs();
            self.get(name, "/livez").is_some()
        });
    }

    /// kill -9.
    pub(crate) fn kill(&mut self, name: &str) {
        self.running.remove(name).unwrap().kill();
    }

    /// SIGSTOP: it is there and does nothing.
    pub(crate) fn pause(&self, name: &str) {
        self.running[name].signal("-STOP");
    }

    /// SIGCONT.
    pub(crate) fn resume(&self, name: &str) {
        self.running[name].signal("-CONT");
    }

    /// Cuts the API off from PostgreSQL.
    pub(crate) fn cut(&mut self) {
        self.way = None;
    }

    /// Mends that way.
    pub(crate) fn mend(&mut self) {
        self.way = Some(Relay::start(self.way_port, self.engines.results_address()));
    }

    /// A service's data folder.
    pub(crate) fn data(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Where a service answers, `127.0.0.1:port`.
    pub(crate) fn address(&self, name: &str) -> String {
        format!("127.0.0.1:{}", self.ports[name])
    }

    /// The body of an answer with the status 200.
    pub(crate) fn get(&self, name: &str, path: &str) -> Option<String> {
        get(&format!("http://{}{path}", self.address(name)))
    }

    /// What a service counts under a name, over all labels.
    pub(crate) fn metric(&self, name: &str, metric: &str) -> f64 {
        let text = self.get(name, "/metrics").unwrap_or_else(|| panic!("{name} shows no metrics"));
        let of = |line: &str| {
            let rest = line.strip_prefix(metric)?;
            rest.starts_with([' ', '{']).then(|| rest.split_whitespace().next_back()?.parse::<f64>().ok())?
        };
        text.lines().filter_map(of).sum()
    }

    /// What a client of `driver` pastes.
    pub(crate) fn grant(&self, driver: &str) -> String {
        let (data, log, quic) = (self.data("ingest"), self.engines.log(), self.quic.to_string());
        let mut command: Command =
            boxbox(&["grant", "create", "--driver", driver, "--data", data.to_str().unwrap(), "--quic-port", &quic, "--log-url", &log]);
        let out = command.output().unwrap();
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        String::from_utf8(out.stdout).unwrap().trim().to_owned()
    }
}

/// The body of an answer with the status 200.
pub(crate) fn get(url: &str) -> Option<String> {
    let request = ureq::get(url).config().timeout_global(Some(PATIENCE)).build();
    request.call().ok()?.body_mut().read_to_string().ok()
}
