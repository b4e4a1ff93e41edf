//! Every service of ours, run natively from docker-compose.yml as it stands there: its command, its environment, its health check,
//! its way to stop; against real Kafka, PostgreSQL and ClickHouse. Then a race through all of them.
//!
//! Docker's part is played by little: names of services become loopback addresses, ports free ones, volumes folders. What only a
//! container has (its user, the read-only file system, the limits) is not seen here.

#![allow(clippy::unwrap_used, reason = "in a test, a panic is the answer")]

mod common;
mod compose_file;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use boxbox_testkit::needed;
use boxbox_testkit::stack::{Options, Stack};
use boxbox_testkit::wait::block_until;
use common::{BOXBOX, boxbox, free_port, wait};
use compose_file::{Compose, Service, Whose};
use serde_json::Value;

const TEST: &str = "every_service_runs_from_the_compose_file_and_a_race_goes_through_them";

/// Clients of the race, and laps of its winner: some seconds at this speed.
const DRIVERS: [&str; 3] = ["anna", "ben", "cleo"];
const LAPS: &str = "3";
const SPEED: &str = "20";

#[test]
fn every_service_runs_from_the_compose_file_and_a_race_goes_through_them() {
    let Some(stack) = needed(TEST, Stack::up(Options::server())) else { return };
    let compose = Compose::read();
    for service in ours(&compose) {
        every_variable_is_known(service);
    }
    let mut host = Host::new(&stack);
    host.start_all(&compose, &stack);

    // Grants as the README has them made, and a race by clients that have nothing but these.
    let cli = compose.service("cli");
    let grants = DRIVERS.map(|driver| host.run(cli, &["grant", "create", "--driver", driver]).trim().to_owned());
    let port = format!("@127.0.0.1:{}?", host.quic_port);
    assert!(grants.iter().all(|grant| grant.starts_with("boxbox://") && grant.contains(&port)), "not where clients reach the edge: {port}");
    let mut race = vec!["simulate", "--laps", LAPS, "--speed", SPEED];
    race.extend(grants.iter().flat_map(|grant| ["--to", grant]));
    let said = host.run(cli, &race);
    let session = said.lines().find_map(|line| line.strip_prefix("session ")?.split(':').next()).unwrap().to_owned();
    let driven: usize = said.lines().find_map(|line| line.strip_prefix("driven: ")?.split(' ').next()?.parse().ok()).unwrap();
    assert!(driven >= DRIVERS.len(), "{said}");

    // Laps in the API, for who has a grant to read.
    let api = format!("http://127.0.0.1:{}", host.port_of("api"));
    let laps = format!("{api}/api/v1/sessions/{session}/laps");
    assert_eq!(get(&laps, None).0, 401);
    let read = host.run(cli, &["grant", "create", "--read"]).trim().to_owned();
    let list = || get(&laps, Some(&read)).1["laps"].as_array().cloned().unwrap_or_default();
    block_until("all laps in the API", || list().len() >= driven);
    let list = list();
    assert_eq!(list.len(), driven, "each lap once");
    let entries: BTreeSet<&str> = list.iter().map(|lap| lap["entry"].as_str().unwrap()).collect();
    assert_eq!(entries.len(), DRIVERS.len());
    // And what they were driven like, which is in the archive.
    let lap = &list[0];
    let trace = format!("{laps}/{}/{}/trace", lap["entry"].as_str().unwrap(), lap["number"]);
    block_until("a trace of a lap", || get(&trace, Some(&read)).0 == 200);

    // Prometheus' own grant is good at every listener that it asks.
    let scrape = std::fs::read_to_string(host.secrets().join("scrape")).unwrap();
    for container in &host.running {
        for port in [container.port, container.probe_port] {
            let metrics = format!("http://127.0.0.1:{port}/metrics");
            assert_eq!((get(&metrics, None).0, get(&metrics, Some(&scrape)).0), (401, 200), "{}", container.name);
        }
    }

    host.stop_all(&compose);
    // Nothing of it was made anew when it is done once more, as each `docker compose up` does.
    let secrets = || ["postgres", "clickhouse", "grafana", "scrape"].map(|file| std::fs::read_to_string(host.secrets().join(file)).unwrap());
    let before = secrets();
    for name in ["setup", "migrate", "scrape-grant"] {
        host.run(compose.service(name), &[]);
    }
    assert_eq!(secrets(), before);
}

fn ours(compose: &Compose) -> Vec<Service<'_>> {
    compose.services().into_iter().filter(|service| service.whose() == Whose::Ours).collect()
}

/// A variable that boxbox does not know would be ignored without a word.
fn every_variable_is_known(service: Service<'_>) {
    let command = match service.name {
        "setup" => return,
        "cli" | "scrape-grant" => vec!["grant".to_owned(), "create".to_owned()],
        _ => service.words("command"),
    };
    let args: Vec<&str> = command.iter().map(String::as_str).chain(["--help"]).collect();
    let out = boxbox(&args).output().unwrap();
    assert!(out.status.success(), "{}: boxbox {args:?}: {}", service.name, String::from_utf8_lossy(&out.stderr));
    // It is wrapped, and a value that is set or may not be shown follows the name differently.
    let help = String::from_utf8(out.stdout).unwrap().split_whitespace().collect::<Vec<_>>().join(" ");
    for (name, _) in service.environment() {
        assert!(
            help.contains(&format!("[env: {name}=")) || help.contains(&format!("[env: {name}]")),
            "{}: boxbox {args:?} knows no {name}",
            service.name
        );
    }
}

/// What Docker is to the services: names, ports, volumes.
struct Host {
    folder: tempfile::TempDir,
    /// Addresses of the compose file, and what they are here.
    addresses: Vec<(String, String)>,
    quic_port: u16,
    running: Vec<Container>,
}

/// A service that runs.
struct Container {
    name: String,
    service: String,
    port: u16,
    probe_port: u16,
    child: Child,
    log: PathBuf,
}

impl Host {
    fn new(stack: &Stack) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for made in ["secrets", "data"] {
            std::fs::create_dir(folder.path().join(made)).unwrap();
        }
        let address = |url: String| url.split_once('@').unwrap().1.split('/').next().unwrap().to_owned();
        let addresses = [
            ("kafka:9092", stack.kafka_brokers().unwrap()),
            ("postgres:5432", address(stack.postgres_url().unwrap())),
            ("clickhouse:8123", address(stack.clickhouse_url().unwrap())),
            ("/secrets", folder.path().join("secrets").to_str().unwrap().to_owned()),
        ];
        let addresses = addresses.into_iter().map(|(there, here)| (there.to_owned(), here)).collect();
        Self { folder, addresses, quic_port: free_port(), running: vec![] }
    }

    fn secrets(&self) -> PathBuf {
        self.folder.path().join("secrets")
    }

    fn port_of(&self, service: &str) -> u16 {
        self.running.iter().find(|container| container.service == service).unwrap().port
    }

    /// As `docker compose up` does: each when what it waits for is there.
    fn start_all(&mut self, compose: &Compose, stack: &Stack) {
        let mut waiting: Vec<_> = ours(compose).into_iter().filter(Service::is_started).collect();
        let mut there: BTreeSet<&str> = compose.services().iter().filter(|s| s.whose() == Whose::Theirs).map(|s| s.name).collect();
        while !waiting.is_empty() {
            let (ready, rest): (Vec<_>, Vec<_>) = waiting.into_iter().partition(|s| s.depends_on().iter().all(|(on, _)| there.contains(on)));
            assert!(!ready.is_empty(), "these wait for each other: {:?}", rest.iter().map(|s| s.name).collect::<Vec<_>>());
            for service in ready {
                if service.is_once() {
                    self.run(service, &[]);
                } else {
                    (1..=service.replicas()).for_each(|number| self.start(service, number));
                }
                if service.name == "setup" {
                    self.take_passwords(stack);
                }
                there.insert(service.name);
            }
            waiting = rest;
        }
    }

    /// The stores here have passwords already.
    fn take_passwords(&self, stack: &Stack) {
        for (file, of) in [("postgres", stack.postgres_password_file()), ("clickhouse", stack.clickhouse_password_file())] {
            std::fs::write(self.secrets().join(file), std::fs::read(of.unwrap()).unwrap()).unwrap();
        }
    }

    /// Start a service, and wait until its health check says that it is well.
    fn start(&mut self, service: Service<'_>, number: u64) {
        let (name, port, probe_port) = (format!("{}-{number}", service.name), free_port(), free_port());
        let log = self.folder.path().join(format!("{name}.log"));
        let out = std::fs::File::create(&log).unwrap();
        let mut command = self.command(service, &name, (port, probe_port), &[]);
        let child = command.stdin(Stdio::null()).stdout(out.try_clone().unwrap()).stderr(out).spawn().unwrap();
        self.running.push(Container { name: name.clone(), service: service.name.to_owned(), port, probe_port, child, log });
        let health = self.here(&service.health().unwrap(), (port, probe_port));
        let began = Instant::now();
        block_until(format!("{name} is well"), || {
            let ended = self.running.last_mut().unwrap().child.try_wait().unwrap();
            assert!(ended.is_none(), "{name} ended: {ended:?}");
            Command::new(&health[0]).args(&health[1..]).stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap().success()
        });
        eprintln!("{TEST}: {name} was well after {:?}", began.elapsed());
    }

    /// Run a service to its end; what it printed.
    fn run(&self, service: Service<'_>, args: &[&str]) -> String {
        let out = self.command(service, service.name, (0, 0), args).stdin(Stdio::null()).output().unwrap();
        let said = String::from_utf8_lossy(&out.stderr);
        assert!(out.status.success(), "{} {:?}: {}\n{said}", service.name, args.first(), out.status);
        String::from_utf8(out.stdout).unwrap()
    }

    /// What Docker would run, here. `args` take the place of its command, as `docker compose run` has it.
    fn command(&self, service: Service<'_>, name: &str, ports: (u16, u16), args: &[&str]) -> Command {
        let mut words = service.words("entrypoint");
        if words.is_empty() {
            words.push("boxbox".into());
        }
        if args.is_empty() {
            words.extend(self.here(&service.words("command"), ports));
        } else {
            words.extend(args.iter().map(|arg| (*arg).to_owned()));
        }
        if service.name == "setup" {
            let script = words.pop().unwrap();
            words.push(format!("{}\n{script}", compose_file::without_root()));
        }
        let data = match service.mounts().iter().find(|(_, target, _)| target == "/data") {
            Some((volume, ..)) => self.folder.path().join(volume),
            None => self.folder.path().join(format!("{name}-data")),
        };
        std::fs::create_dir_all(&data).unwrap();
        let bin = Path::new(BOXBOX).parent().unwrap();
        let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
        let mut command = Command::new(if words[0] == "boxbox" { BOXBOX } else { &words[0] });
        command.args(&words[1..]).current_dir(&data).env_clear().env("PATH", path).env("BOXBOX_DATA", &data);
        for (variable, value) in service.environment().into_iter().filter(|(variable, _)| *variable != "BOXBOX_DATA") {
            command.env(variable, &self.here(&[value], ports)[0]);
        }
        command
    }

    /// Words of the compose file, as they are here for the container whose API and probes have these ports.
    fn here(&self, words: &[String], (port, probe_port): (u16, u16)) -> Vec<String> {
        let mut places = self.addresses.clone();
        places.extend([("7480".into(), port.to_string()), ("7490".into(), probe_port.to_string()), ("7443".into(), self.quic_port.to_string())]);
        words.iter().map(|word| replaced(word, &places)).collect()
    }

    /// As `docker compose down` does: SIGTERM, those that others wait for last, and the time that each is given.
    fn stop_all(&mut self, compose: &Compose) {
        while let Some(mut container) = self.running.pop() {
            let grace = compose.service(&container.service).get("stop_grace_period").as_str().unwrap().to_owned();
            let grace = Duration::from_secs(grace.strip_suffix('s').unwrap().parse().unwrap());
            let began = Instant::now();
            let asked = Command::new("kill").arg("-TERM").arg(container.child.id().to_string()).status().unwrap();
            assert!(asked.success(), "{} is gone already", container.name);
            let ended = wait(&mut container.child, grace);
            assert!(ended.success(), "{}: {ended}\n{}", container.name, std::fs::read_to_string(&container.log).unwrap());
            eprintln!("{TEST}: {} ended after {:?}", container.name, began.elapsed());
        }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        for container in &mut self.running {
            let _ = container.child.kill();
            let _ = container.child.wait();
            if std::thread::panicking() {
                let log = std::fs::read_to_string(&container.log).unwrap_or_default();
                let _ = writeln!(std::io::stderr(), "--- {}\n{log}", container.name);
            }
        }
    }
}

/// Every place in one pass: what has been put in is not replaced again.
fn replaced(text: &str, places: &[(String, String)]) -> String {
    let (mut out, mut rest) = (String::new(), text);
    while let Some(next) = rest.chars().next() {
        if let Some((there, here)) = places.iter().find(|(there, _)| rest.starts_with(there.as_str())) {
            out += here;
            rest = &rest[there.len()..];
        } else {
            out.push(next);
            rest = &rest[next.len_utf8()..];
        }
    }
    out
}

/// Status and document of a GET, with a grant or without.
fn get(url: &str, grant: Option<&str>) -> (u16, Value) {
    let mut request = ureq::get(url).config().http_status_as_error(false).build();
    if let Some(grant) = grant {
        request = request.header("Authorization", format!("Bearer {grant}"));
    }
    let mut answer = request.call().unwrap();
    let text = answer.body_mut().read_to_string().unwrap();
    (answer.status().as_u16(), serde_json::from_str(&text).unwrap_or_default())
}

#[test]
fn places_are_replaced_once() {
    let places = [("7480", "17443"), ("7443", "50000")].map(|(there, here)| (there.to_owned(), here.to_owned()));
    let cases = BTreeMap::from([("7480", "17443"), ("0.0.0.0", "0.0.0.0"), ("/dev/tcp/127.0.0.1/7480 é 7443", "/dev/tcp/127.0.0.1/17443 é 50000")]);
    for (there, here) in cases {
        assert_eq!(replaced(there, &places), here);
    }
}
