//! The server profile under faults: ClickHouse down under load, a crash at every named point, a processor that sleeps while
//! another takes over, PostgreSQL put back to an earlier moment. Real engines, each test with a stack of its own where it
//! breaks one. Every time: each admitted frame is in ClickHouse once, and the laps are those of an undisturbed run.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "in a test, a panic is the answer")]

mod common;

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use boxbox_testkit::campaign::campaign;
use boxbox_testkit::recordings::PHILLIP_ISLAND;
use boxbox_testkit::stack::{Options, Stack};
use boxbox_testkit::wait::{PATIENCE, block_until};
use boxbox_testkit::{needed, recording};
use common::place::{Engines, Place};
use common::{Replayed, Server, boxbox, free_port, lap_table, wait};
use serde_json::Value;

/// How long ClickHouse is down: 2 minutes in a campaign.
fn outage() -> Duration {
    Duration::from_secs(if campaign() { 120 } else { 30 })
}

/// A stack of the test's own, to break.
fn stack(test: &str) -> Option<Stack> {
    needed(test, Stack::up(Options::server()))
}

/// Services apart, as the server profile runs them, on engines; each edge with the same folder of keys.
struct Services {
    engines: Engines,
    folder: tempfile::TempDir,
}

impl Services {
    fn on(engines: Engines) -> Self {
        engines.prepare();
        Self { engines, folder: tempfile::tempdir().unwrap() }
    }

    fn data(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    /// A service, listening.
    fn start(&self, service: &str, data: &str, more: &[&str]) -> Server {
        let args = [vec![service.to_owned(), "--data".into(), self.data(data), "--api-port".into(), "0".into()], self.engines.args()].concat();
        let args: Vec<&str> = args.iter().map(String::as_str).chain(more.iter().copied()).collect();
        Server::start(&args)
    }

    fn edge(&self, quic: &str) -> Server {
        self.start("ingest", "edge", &["--quic-port", quic])
    }

    fn processor(&self, name: &str) -> Server {
        self.start("processor", name, &[])
    }

    fn api(&self) -> Server {
        self.start("api", "api", &[])
    }

    /// What a client of `driver` pastes.
    fn grant(&self, driver: &str, quic: &str) -> String {
        let (data, log) = (self.data("edge"), self.engines.log());
        let args = ["grant", "create", "--driver", driver, "--data", &data, "--quic-port", quic, "--log-url", &log];
        let out = boxbox(&args).output().unwrap();
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        String::from_utf8(out.stdout).unwrap().trim().to_owned()
    }

    /// Stream the recording through an edge into the log, with nobody behind it.
    fn fill_log(&self, file: &Path) {
        let quic = free_port().to_string();
        let edge = self.edge(&quic);
        let replayed = start_replay(file, &self.grant("driver-1", &quic), self.folder.path(), "max");
        assert!(wait(&mut { replayed }, PATIENCE).success());
        assert!(edge.terminate().success());
    }
}

fn start_replay(file: &Path, connect: &str, folder: &Path, speed: &str) -> Child {
    let args = ["replay", file.to_str().unwrap(), "--json", "--to", connect, "--speed", speed, "--data", folder.to_str().unwrap()];
    boxbox(&args).stdout(Stdio::null()).spawn().unwrap()
}

/// The laps of an undisturbed run on files.
fn undisturbed(file: &Path) -> (Vec<Value>, u64) {
    let place = Place::embedded();
    let args = place.args();
    let replayed = Replayed::run(&place.with(&args, &[file.to_str().unwrap()]));
    let server = place.up();
    let laps = lap_table(&server.get(&format!("/api/v1/sessions/{}/laps", server.only_session())));
    (laps, replayed.all.last().unwrap()["frames"].as_u64().unwrap())
}

/// Of all sessions that `api` shows: frames admitted, as the ledgers say.
fn admitted(api: &Server) -> u64 {
    let sessions = api.get("/api/v1/sessions");
    let ids: Vec<String> = sessions["sessions"].as_array().unwrap().iter().map(|s| s["id"].as_str().unwrap().to_owned()).collect();
    let ledgers = ids.iter().flat_map(|id| api.get(&format!("/api/v1/sessions/{id}/ledger"))["streams"].as_array().unwrap().clone());
    ledgers.inspect(|l| assert_eq!((&l["hole"], &l["gap"]), (&0.into(), &0.into()), "{l}")).map(|l| l["car_frames"].as_u64().unwrap()).sum()
}

/// Rows in ClickHouse, and how many of them are different frames.
fn archived(engines: &Engines) -> (u64, u64) {
    let counted = engines.ask("SELECT count(), uniqExact(tenant, session, driver, run, seq) FROM frames");
    let (rows, frames) = counted.split_once('\t').unwrap();
    (rows.parse().unwrap(), frames.parse().unwrap())
}

/// Wait until every admitted frame is in ClickHouse, and say how many there are: each once.
fn all_archived_once(api: &Server, engines: &Engines, at_least: u64) -> u64 {
    block_until("every admitted frame in ClickHouse", || {
        let (admitted, (rows, _)) = (admitted(api), archived(engines));
        admitted >= at_least && rows >= admitted
    });
    let (admitted, (rows, frames)) = (admitted(api), archived(engines));
    assert_eq!((rows, frames), (admitted, admitted), "count() is the number of admitted frames");
    admitted
}

/// What a process counts.
fn metric(server: &Server, name: &str) -> f64 {
    let text = ureq::get(format!("{}/metrics", server.api)).call().unwrap().body_mut().read_to_string().unwrap();
    let of = |line: &str| line.strip_prefix(name)?.split_whitespace().next_back()?.parse::<f64>().ok();
    text.lines().filter(|l| l.starts_with(name) && !l.starts_with('#')).filter_map(of).sum()
}

#[test]
fn an_outage_of_clickhouse_delays_no_lap_and_loses_no_frame() {
    const TEST: &str = "an_outage_of_clickhouse_delays_no_lap_and_loses_no_frame";
    let Some(stack) = stack(TEST) else { return };
    let services = Services::on(Engines::of_stack(&stack));
    let quic = free_port().to_string();
    let (edge, processor, api) = (services.edge(&quic), services.processor("one"), services.api());
    // Cars on a short circuit: laps come every second or so.
    let strings: Vec<String> = (0..12).map(|car| services.grant(&format!("car-{car}"), &quic)).collect();
    let seconds = 15 + outage().as_secs() + 15;
    let laps = (seconds * 2 / 35 + 2).to_string();
    let mut args = vec!["simulate", "--speed", "2", "--laps", &laps];
    args.extend(strings.iter().flat_map(|s| ["--to", s.as_str()]));
    let mut race = boxbox(&args).stdout(Stdio::null()).spawn().unwrap();
    let laps_told = || metric(&processor, "boxbox_processor_laps_total");
    block_until("laps and frames", || laps_told() > 3.0 && archived(&services.engines).0 > 0);

    stack.kill("clickhouse").unwrap();
    let (down, mut told, mut last, mut longest) = (Instant::now(), laps_told(), Instant::now(), Duration::ZERO);
    let at_first = told;
    let before = metric(&processor, "boxbox_processor_archive_frames_total");
    while down.elapsed() < outage() {
        std::thread::sleep(Duration::from_millis(100));
        let now = laps_told();
        if now > told {
            longest = longest.max(last.elapsed());
            (told, last) = (now, Instant::now());
        }
        // Readiness says nothing of an archive that is down to those who make laps.
        assert_eq!(metric(&processor, "boxbox_processor_stopped_partitions"), 0.0);
    }
    longest = longest.max(last.elapsed());
    println!("{TEST}: ClickHouse down for {:?}: {} laps meanwhile, at most {longest:?} apart", outage(), told - at_first);
    assert!(told - at_first >= 4.0, "no laps while ClickHouse is down");
    assert_eq!(metric(&processor, "boxbox_processor_archive_frames_total"), before, "nothing was archived meanwhile");
    stack.start("clickhouse").unwrap();
    let back = Instant::now();
    assert!(wait(&mut race, PATIENCE * 2).success());
    let frames = all_archived_once(&api, &services.engines, 1);
    println!("{TEST}: {frames} frames in ClickHouse, each once; complete {:.1} s after it was back", back.elapsed().as_secs_f64());
    edge.conserves();
    processor.conserves();
    drop((processor, stack));
}

/// Points at which a processor can be told to crash, in the order in which it passes them.
const POINTS: [&str; 7] = [
    "step-before",
    "step-committed",
    "archive-plan-before",
    "archive-plan-committed",
    "archive-insert-before",
    "archive-insert-half",
    "archive-insert-answered",
];

#[test]
fn a_crash_at_every_point_changes_nothing() {
    const TEST: &str = "a_crash_at_every_point_changes_nothing";
    let (Some(file), Some(engines)) = (recording(TEST, PHILLIP_ISLAND), Engines::new(TEST)) else { return };
    let (laps, frames) = undisturbed(&file);
    let filled = Services::on(engines.clone());
    filled.fill_log(&file);
    // Steps come again and again; what is in the log makes one block, so its points are passed once.
    let second = POINTS.into_iter().filter(|point| point.starts_with("step")).map(|point| (point, 2));
    for (n, (point, pass)) in POINTS.into_iter().map(|point| (point, 1)).chain(second).enumerate() {
        // The same log, fresh stores.
        let services = Services::on(engines.with_stores(&format!("{}_{n}", engines.name)));
        let args =
            [vec!["processor".into(), "--data".into(), services.data("one"), "--api-port".into(), "0".into()], services.engines.args()].concat();
        let mut crashing = Command::new(common::BOXBOX);
        let crashing = crashing.args(&args).env("BOXBOX_CRASH_AT", format!("{point}:{pass}")).stdout(Stdio::null()).stderr(Stdio::null());
        let mut crashing = crashing.spawn().unwrap();
        let ended = wait_for(&mut crashing, Duration::from_secs(30));
        if !ended {
            crashing.kill().unwrap();
            crashing.wait().unwrap();
        }
        assert!(ended, "{point}, pass {pass}: it did not crash");
        let (processor, api) = (services.processor("one"), services.api());
        block_until("the session", || api.get("/api/v1/sessions")["sessions"].as_array().is_some_and(|s| s.len() == 1));
        let session = api.only_session();
        assert_eq!(all_archived_once(&api, &services.engines, frames), frames, "{point}");
        assert_eq!(lap_table(&api.get(&format!("/api/v1/sessions/{session}/laps"))), laps, "{point}");
        println!("{TEST}: {point}, pass {pass}: {frames} frames, each once");
        processor.conserves();
        drop(api);
        services.engines.remove();
    }
    filled.engines.remove();
}

fn wait_for(child: &mut Child, within: Duration) -> bool {
    let until = Instant::now() + within;
    while Instant::now() < until {
        if child.try_wait().unwrap().is_some() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    false
}

#[test]
fn a_processor_that_slept_writes_nothing_when_it_wakes() {
    const TEST: &str = "a_processor_that_slept_writes_nothing_when_it_wakes";
    let (Some(file), Some(engines)) = (recording(TEST, PHILLIP_ISLAND), Engines::new(TEST)) else { return };
    let (laps, frames) = undisturbed(&file);
    let services = Services::on(engines);
    let quic = free_port().to_string();
    let (edge, first, api) = (services.edge(&quic), services.processor("one"), services.api());
    // A recording in real time would take minutes: 10 times that, so that it is under way all the time.
    let mut replay = start_replay(&file, &services.grant("driver-1", &quic), services.folder.path(), "10");
    block_until("frames", || metric(&first, "boxbox_processor_frames_total") > 500.0);
    signal(&first, "-STOP");
    let slept = Instant::now();
    let second = services.processor("two");
    block_until("the other takes over", || metric(&second, "boxbox_processor_partitions") == f64::from(common::place::PARTITIONS));
    let took = slept.elapsed();
    block_until("it works on the session", || metric(&second, "boxbox_processor_frames_total") > 500.0);
    signal(&first, "-CONT");
    block_until("it is refused", || metric(&first, "boxbox_processor_fenced_total") > 0.0);
    println!(
        "{TEST}: taken over {took:.1?} after it fell asleep (goal: 10 s); refused {} times when it woke",
        metric(&first, "boxbox_processor_fenced_total")
    );
    assert!(took < Duration::from_secs(50), "{took:?}; the goal is 10 s, the margin is for a loaded machine");
    assert!(wait(&mut replay, PATIENCE).success());
    let session = api.only_session();
    block_until("the stream's end", || api.get(&format!("/api/v1/sessions/{session}/ledger"))["streams"][0]["ended"] == true);
    assert_eq!(all_archived_once(&api, &services.engines, frames), frames);
    assert_eq!(lap_table(&api.get(&format!("/api/v1/sessions/{session}/laps"))), laps);
    // Awake, it takes its share again.
    block_until("both work", || metric(&first, "boxbox_processor_partitions") == 2.0 && metric(&second, "boxbox_processor_partitions") == 2.0);
    [&edge, &first, &second].iter().for_each(|node| node.conserves());
    drop((first, second, api));
    services.engines.remove();
}

fn signal(server: &Server, signal: &str) {
    assert!(Command::new("kill").arg(signal).arg(server.pid().to_string()).status().unwrap().success());
}

#[test]
fn postgres_put_back_to_an_earlier_moment_makes_no_duplicate_and_no_hole() {
    const TEST: &str = "postgres_put_back_to_an_earlier_moment_makes_no_duplicate_and_no_hole";
    let Some(file) = recording(TEST, PHILLIP_ISLAND) else { return };
    let Some(stack) = stack(TEST) else { return };
    let (laps, frames) = undisturbed(&file);
    let services = Services::on(Engines::of_stack(&stack));
    let quic = free_port().to_string();
    let (edge, processor, api) = (services.edge(&quic), services.processor("one"), services.api());
    let mut replay = start_replay(&file, &services.grant("driver-1", &quic), services.folder.path(), "10");
    block_until("some frames in ClickHouse", || archived(&services.engines).0 > 1_000);
    let saved = services.folder.path().join("postgres.saved");
    stack.save("postgres", &saved).unwrap();
    let then = archived(&services.engines).0;
    assert!(wait(&mut replay, PATIENCE).success());
    block_until("more frames in ClickHouse", || archived(&services.engines).0 > then + 1_000);
    drop((processor, api));
    let ahead = archived(&services.engines).0;
    stack.put_back("postgres", &saved).unwrap();
    println!("{TEST}: PostgreSQL as it was at {then} frames, ClickHouse has {ahead}");
    let (processor, api) = (services.processor("one"), services.api());
    block_until("the session", || api.get("/api/v1/sessions")["sessions"].as_array().is_some_and(|s| s.len() == 1));
    let session = api.only_session();
    assert_eq!(all_archived_once(&api, &services.engines, frames), frames);
    assert_eq!(lap_table(&api.get(&format!("/api/v1/sessions/{session}/laps"))), laps);
    println!("{TEST}: {frames} frames, each once, and the laps of an undisturbed run");
    edge.conserves();
    processor.conserves();
    drop((edge, stack));
}
