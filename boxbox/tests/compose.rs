//! docker-compose.yml and what it mounts, without Docker: held to the Compose Specification by its own library, to what the images'
//! documentation says, and its scripts run as they stand there.

#![allow(clippy::unwrap_used, reason = "in a test, a panic is the answer")]

mod compose_file;

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::{Command, Output};

use compose_file::{Compose, Service, Whose, is_root, root, text, without_root, word, yaml};
use serde_json::Value;

/// What of a machine of 8 GB all limits together may take: the rest is the system's.
const MEMORY_MIB: u64 = 7 * 1024;

/// What of the machine itself a service reads, and never writes.
const OF_THE_MACHINE: [(&str, &str); 2] = [("node-exporter", "/"), ("logs", "/var/lib/docker/containers")];

/// Each port that the machine shows, and the variable that chooses another.
const PORTS: [(&str, &str, &str); 5] = [
    ("ingest", "BOXBOX_QUIC_PORT", ":7443/udp"),
    ("api", "BOXBOX_API_PORT", "127.0.0.1:7480/tcp"),
    ("grafana", "GRAFANA_PORT", "127.0.0.1:3000/tcp"),
    ("prometheus", "PROMETHEUS_PORT", "127.0.0.1:9090/tcp"),
    ("alertmanager", "ALERTMANAGER_PORT", "127.0.0.1:9093/tcp"),
];

/// The project as the specification's library loads it, in an environment of `variables` alone.
fn loaded(variables: &[(&str, &str)]) -> anyhow::Result<Value> {
    let mut load = boxbox_testkit::compose()?;
    load.arg(root().join("docker-compose.yml")).current_dir(root()).env_clear().envs(variables.iter().copied());
    let out = load.output()?;
    assert!(out.status.success(), "compose-go says: {}", String::from_utf8_lossy(&out.stderr));
    assert!(out.stderr.is_empty(), "compose-go warns: {}", String::from_utf8_lossy(&out.stderr));
    Ok(serde_json::from_slice(&out.stdout)?)
}

/// `address:port/protocol` of each published port.
fn published(service: &Value) -> Vec<String> {
    let one = |port: &Value| format!("{}:{}/{}", port["host_ip"].as_str().unwrap_or(""), word(&port["published"]), word(&port["protocol"]));
    service["ports"].as_array().into_iter().flatten().map(one).collect()
}

#[test]
fn the_specifications_library_loads_it_and_reads_what_we_read() {
    const TEST: &str = "the_specifications_library_loads_it_and_reads_what_we_read";
    let project = match loaded(&[]) {
        Ok(project) => project,
        Err(error) => return boxbox_testkit::not_run(TEST, format!("{error:#}").lines().next().unwrap_or_default()),
    };
    let ours = Compose::read();
    let names = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<BTreeSet<_>>();
    assert_eq!(names(&project["services"]), names(&ours.document()["services"]));
    let list = |value: &Value| value.as_array().into_iter().flatten().map(word).collect::<Vec<_>>();
    for service in ours.services() {
        let (name, theirs) = (service.name, &project["services"][service.name]);
        let environment = theirs["environment"].as_object().into_iter().flatten();
        let environment: BTreeMap<&str, String> = environment.map(|(key, value)| (key.as_str(), word(value))).collect();
        assert_eq!(environment, service.environment().into_iter().collect(), "{name}");
        for key in ["command", "entrypoint"] {
            assert_eq!(list(&theirs[key]), service.words(key), "{name}: {key}");
        }
        let health = list(&theirs["healthcheck"]["test"]);
        assert_eq!(health.get(1..).map(<[String]>::to_vec), service.health(), "{name}");
    }
    for (service, _, port) in PORTS {
        assert_eq!(published(&project["services"][service]), [port], "{service}");
    }
    // And each port is where its variable says.
    let chosen: Vec<(&str, &str)> =
        PORTS.iter().zip(["20001", "20002", "20003", "20004", "20005"]).map(|((_, name, _), port)| (*name, port)).collect();
    let project = loaded(&chosen).unwrap();
    for ((service, _, usual), (_, port)) in PORTS.iter().zip(&chosen) {
        let (address, protocol) = (usual.split(':').next().unwrap(), usual.split('/').next_back().unwrap());
        assert_eq!(published(&project["services"][service]), [format!("{address}:{port}/{protocol}")]);
    }
    assert_eq!(project["services"]["cli"]["environment"]["BOXBOX_QUIC_PORT"], "20001", "a new grant names the port that clients reach");
}

#[test]
fn every_service_has_bounds_and_none_takes_more_than_it_needs() {
    let compose = Compose::read();
    assert!(compose.document().get("version").is_none(), "the specification has none");
    let volumes = compose.document()["volumes"].as_object().unwrap();
    let mut memory_mib = 0;
    for service in compose.services() {
        let name = service.name;
        assert_eq!(service.get("logging")["options"]["max-size"], "10m", "{name}: logs would fill the disk");
        let replicas = if service.is_once() { 0 } else { service.replicas() };
        memory_mib += mib(service.get("mem_limit")) * replicas;
        if !service.is_once() {
            assert_eq!((service.get("restart"), service.get("stop_grace_period")), (&"unless-stopped".into(), &"30s".into()), "{name}");
            assert!(service.health().is_some(), "{name}: nothing says whether it is well");
        }
        match service.whose() {
            Whose::Ours => {
                assert_eq!((service.get("read_only"), service.get("cap_drop")), (&true.into(), &serde_json::json!(["ALL"])), "{name}");
                assert!(service.get("user").is_null() || name == "setup", "{name}: the image's user is not root");
                // One builds the image, and is there before any other: two that build one name at once fail.
                let builds = name == "setup";
                assert_eq!((service.get("build").is_null(), service.get("pull_policy") == "never"), (!builds, !builds), "{name}");
                assert!(builds || comes_after(&compose, service, "setup"), "{name} has no image yet");
            }
            Whose::Theirs => {
                let (_, tag) = service.get("image").as_str().unwrap().split_once(':').unwrap_or_else(|| panic!("{name}: which version?"));
                assert!(tag.contains(|c: char| c.is_ascii_digit()), "{name}: {tag} is no version");
            }
        }
        for (source, target, read_only) in service.mounts() {
            if OF_THE_MACHINE.contains(&(name, source.as_str())) {
                assert!(read_only, "{name}: {source}");
                continue;
            }
            assert!(source.starts_with("./") || volumes.contains_key(&source), "{name}: {source} is no volume");
            assert!(!source.starts_with("./") || root().join(&source).exists(), "{name}: {source} is not there");
            let writes = !source.starts_with("./") && (target != "/secrets" || ["setup", "scrape-grant"].contains(&name));
            assert_eq!(read_only, !writes, "{name}: {target}");
        }
        for (waits_for, until) in service.depends_on() {
            let wanted = if compose.service(waits_for).is_once() { "service_completed_successfully" } else { "service_healthy" };
            assert_eq!(until, wanted, "{name} waits for {waits_for}");
        }
    }
    assert!(memory_mib <= MEMORY_MIB, "{memory_mib} MiB");
}

fn comes_after(compose: &Compose, service: Service<'_>, first: &str) -> bool {
    service.depends_on().iter().any(|(name, _)| *name == first || comes_after(compose, compose.service(name), first))
}

fn mib(limit: &Value) -> u64 {
    let limit = limit.as_str().expect("a limit of memory");
    let (number, unit) = limit.split_at(limit.len() - 1);
    number.parse::<u64>().unwrap() * if unit == "g" { 1024 } else { 1 }
}

#[test]
fn secrets_are_files_and_stand_in_no_environment() {
    let compose = Compose::read();
    for service in compose.services() {
        for (name, value) in service.environment() {
            if name.contains("PASSWORD") {
                assert!(name.ends_with("_FILE") && value.starts_with("/secrets/"), "{}: {name}={value}", service.name);
                assert!(service.mounts().iter().any(|(source, target, _)| source == "secrets" && target == "/secrets"), "{}", service.name);
            }
            if let Some((user, _)) = value.split_once("://").and_then(|(_, rest)| rest.split_once('@')) {
                assert!(!user.contains(':'), "{}: {name} has a password in its URL", service.name);
            }
        }
    }
    // Who asks for a file, and who makes it.
    let script = compose.service("setup").words("command").join("\n");
    let asked = compose.services().into_iter().flat_map(|s| s.environment()).filter_map(|(_, v)| v.strip_prefix("/secrets/").map(str::to_owned));
    for file in asked.collect::<BTreeSet<_>>() {
        assert!(script.contains(&format!("password {file} ")), "nobody makes /secrets/{file}");
    }
}

/// Others' images take these variables, and ignore a name that they do not know: a slip here would show nowhere.
#[test]
fn the_variables_of_others_are_those_that_their_documentation_has() {
    // apache/kafka: the usage guide beside its Dockerfile (docker/examples/README.md): KAFKA_ and a property's name, in capitals,
    // dots as _; Kafka's documentation, "Broker Configs", has the properties. KAFKA_HEAP_OPTS: bin/kafka-server-start.sh.
    const KAFKA: &[&str] = &[
        "node.id",
        "process.roles",
        "listeners",
        "advertised.listeners",
        "listener.security.protocol.map",
        "inter.broker.listener.name",
        "controller.listener.names",
        "controller.quorum.voters",
        "log.dirs",
        "auto.create.topics.enable",
        "unclean.leader.election.enable",
        "offsets.topic.replication.factor",
        "transaction.state.log.replication.factor",
        "transaction.state.log.min.isr",
        "share.coordinator.state.topic.replication.factor",
        "share.coordinator.state.topic.min.isr",
        "group.initial.rebalance.delay.ms",
        "heap.opts",
        // bin/kafka-run-class.sh.
        "opts",
    ];
    // postgres: the image's documentation, "Environment Variables" and "Docker Secrets".
    const POSTGRES: &[&str] = &["POSTGRES_USER", "POSTGRES_DB", "POSTGRES_PASSWORD_FILE", "POSTGRES_INITDB_ARGS"];
    // clickhouse/clickhouse-server: "Install ClickHouse using Docker" in ClickHouse's documentation; the file's name is in the image's
    // entrypoint (docker/server/entrypoint.sh), which reads it as root.
    const CLICKHOUSE: &[&str] = &[
        "CLICKHOUSE_USER",
        "CLICKHOUSE_DB",
        "CLICKHOUSE_PASSWORD_FILE",
        "CLICKHOUSE_DEFAULT_ACCESS_MANAGEMENT",
        "CLICKHOUSE_ALWAYS_RUN_INITDB_SCRIPTS",
    ];
    // grafana/grafana: "Configure Grafana" has sections and keys, as GF_SECTION_KEY; "Configure a Grafana Docker image" has __FILE.
    const GRAFANA: &[&str] = &[
        "GF_SECURITY_ADMIN_PASSWORD__FILE",
        "GF_USERS_ALLOW_SIGN_UP",
        "GF_ANALYTICS_REPORTING_ENABLED",
        "GF_ANALYTICS_CHECK_FOR_UPDATES",
        "GF_ANALYTICS_CHECK_FOR_PLUGIN_UPDATES",
        "GF_PLUGINS_PREINSTALL_DISABLED",
    ];
    // postgres_exporter: "Environment Variables" of its documentation.
    const POSTGRES_EXPORTER: &[&str] = &["DATA_SOURCE_URI", "DATA_SOURCE_USER", "DATA_SOURCE_PASS_FILE"];
    let compose = Compose::read();
    let names = |service: &str| compose.service(service).environment().into_iter().map(|(name, _)| name.to_owned()).collect::<BTreeSet<_>>();
    let known = |list: &[&str]| list.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>();
    let kafka: BTreeSet<String> = KAFKA.iter().map(|property| format!("KAFKA_{}", property.to_uppercase().replace('.', "_"))).collect();
    assert_eq!(names("kafka"), kafka);
    assert_eq!(names("postgres"), known(POSTGRES));
    assert_eq!(names("clickhouse"), known(CLICKHOUSE));
    assert_eq!(names("grafana"), known(GRAFANA));
    assert_eq!(names("postgres-exporter"), known(POSTGRES_EXPORTER));
    // From 18 on the volume is /var/lib/postgresql; at the place of earlier versions data would be lost with the container.
    let at = |service: &str, volume: &str| compose.service(service).mounts().into_iter().find(|(source, ..)| source == volume).unwrap().1;
    assert_eq!(at("postgres", "postgres"), "/var/lib/postgresql");
    assert_eq!(at("clickhouse", "clickhouse"), "/var/lib/clickhouse");
    assert_eq!(at("prometheus", "prometheus"), "/prometheus");
    assert_eq!(at("grafana", "grafana"), "/var/lib/grafana");
    let kafka: BTreeMap<_, _> = compose.service("kafka").environment().into_iter().collect();
    assert_eq!(at("kafka", "kafka"), kafka["KAFKA_LOG_DIRS"]);
}

/// Runs a one-shot's script as it stands, with `/secrets` at `secrets` and `prelude` before it.
fn run_script(service: Service<'_>, secrets: &Path, prelude: &str) -> Output {
    let mut words = [service.words("entrypoint"), service.words("command")].concat();
    let script = words.pop().unwrap().replace("/secrets", secrets.to_str().unwrap());
    Command::new(&words[0]).args(&words[1..]).arg(format!("{prelude}\n{script}")).output().unwrap()
}

#[test]
fn setup_makes_each_secret_once_for_those_who_need_it() {
    let compose = Compose::read();
    let folder = tempfile::tempdir().unwrap();
    let secrets = folder.path();
    // Left by a run that was cut off, and not ours to write to.
    std::fs::write(secrets.join(".postgres"), "half").unwrap();
    std::fs::set_permissions(secrets.join(".postgres"), PermissionsExt::from_mode(0o440)).unwrap();
    let run = || {
        let out = run_script(compose.service("setup"), secrets, without_root());
        assert!(out.status.success() && out.stdout.is_empty() && out.stderr.is_empty(), "{out:?}");
        let mut files: Vec<_> = std::fs::read_dir(secrets).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        files.sort();
        assert_eq!(files, ["clickhouse", "grafana", "postgres", "scrape"]);
        ["clickhouse", "grafana", "postgres"].map(|file| std::fs::read_to_string(secrets.join(file)).unwrap())
    };
    let made = run();
    assert!(made.iter().all(|secret| secret.len() == 36 && secret.bytes().all(|b| b.is_ascii_hexdigit())), "{made:?}");
    assert_eq!(made.iter().collect::<BTreeSet<_>>().len(), 3, "each its own");
    let who = |file: &str| {
        let meta = std::fs::metadata(secrets.join(file)).unwrap();
        (meta.mode() & 0o7777, (meta.uid(), meta.gid()))
    };
    let all = [
        ("postgres", (0o640, (999, 10001))),
        ("clickhouse", (0o640, (101, 10001))),
        ("grafana", (0o600, (472, 10001))),
        ("scrape", (0o640, (10001, 65534))),
    ];
    for (file, (mode, owner)) in all {
        assert_eq!(who(file).0, mode, "{file}");
        assert!(!is_root() || who(file).1 == owner, "{file}: {:?}", who(file));
    }
    std::fs::write(secrets.join("scrape"), "a grant").unwrap();
    assert_eq!(run(), made, "another run changes nothing");
    assert_eq!(std::fs::read_to_string(secrets.join("scrape")).unwrap(), "a grant");
    // The numbers are those of the image.
    let dockerfile = text("boxbox/Dockerfile");
    assert!(dockerfile.contains("USER 10001:10001") && dockerfile.contains("--uid 10001 --gid 10001"));
}

#[test]
fn prometheus_gets_a_grant_once() {
    let compose = Compose::read();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("scrape");
    std::fs::write(&file, "").unwrap();
    let run = |boxbox: &str| run_script(compose.service("scrape-grant"), folder.path(), &format!("boxbox() {{ {boxbox}; }}")).status.success();
    assert!(!run("return 1") && std::fs::read_to_string(&file).unwrap().is_empty(), "no broker, no grant, and the next run may get one");
    assert!(run("echo \"v4.$*\""));
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "v4.grant create --read --days 3650");
    assert!(run("exit 1") && run("echo another"));
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "v4.grant create --read --days 3650");
}

/// A log's name in a checkpoint begins with the cluster's id (E7): two clusters of one id would be taken for one another.
#[test]
fn a_new_kafka_volume_is_a_new_cluster() {
    let words = Compose::read().service("kafka").words("command");
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let program = |name: &str, body: &str| {
        std::fs::write(path(name), format!("#!/bin/sh\n{body}\n")).unwrap();
        std::fs::set_permissions(path(name), PermissionsExt::from_mode(0o755)).unwrap();
    };
    program("kafka-storage.sh", "[ \"$*\" = random-uuid ] && echo new-one");
    program("run", "echo \"$CLUSTER_ID\"");
    let places = [
        ("/var/lib/kafka/data", path("data")),
        ("/opt/kafka/bin/kafka-storage.sh", path("kafka-storage.sh")),
        ("/etc/kafka/docker/run", path("run")),
    ];
    let script = places.iter().fold(words.last().unwrap().clone(), |script, (from, to)| script.replace(from, to));
    let start = || {
        let out = Command::new(&words[0]).args(&words[1..words.len() - 1]).arg(&script).output().unwrap();
        assert!(out.status.success(), "{out:?}");
        String::from_utf8(out.stdout).unwrap()
    };
    assert_eq!(start(), "new-one\n");
    std::fs::create_dir(path("data")).unwrap();
    std::fs::write(path("data/meta.properties"), "#\nnode.id=1\nversion=1\ncluster.id=5L6g3nShT-eMCtK--X86sw\n").unwrap();
    assert_eq!(start(), "5L6g3nShT-eMCtK--X86sw\n", "it keeps the id that its data has");
}

#[test]
fn prometheus_takes_its_configuration_and_asks_every_listener() {
    const TEST: &str = "prometheus_takes_its_configuration_and_asks_every_listener";
    let (compose, config) = (Compose::read(), yaml("grafana/prometheus.yml"));
    let listens = |service: &Service<'_>| service.whose() == Whose::Ours && !service.is_once();
    let listeners: BTreeSet<String> = compose.services().iter().filter(|s| listens(s)).map(|s| s.name.to_owned()).collect();
    let jobs = || config["scrape_configs"].as_array().unwrap().iter();
    let asked: BTreeSet<String> = jobs()
        .filter(|job| job["dns_sd_configs"].is_array())
        .map(|job| {
            let found = &job["dns_sd_configs"][0];
            assert_eq!((&found["names"][0], word(&found["port"])), (&job["job_name"], "7490".into()), "{job}");
            assert_eq!(job["authorization"]["credentials_file"], "/secrets/scrape", "{job}");
            word(&job["job_name"])
        })
        .collect();
    assert_eq!(asked, listeners);
    for listener in &listeners {
        assert!(compose.service(listener).environment().contains(&("BOXBOX_PROBE_PORT", "7490".into())), "{listener}");
    }
    // What is no listener of ours is a service of the file, or Prometheus itself.
    for target in jobs()
        .flat_map(|job| job["static_configs"].as_array().cloned().unwrap_or_default())
        .flat_map(|one| one["targets"].as_array().cloned().unwrap())
    {
        let target = word(&target);
        let host = target.trim_start_matches("http://").split([':', '/']).next().unwrap();
        assert!(host == "localhost" || compose.services().iter().any(|service| service.name == host), "{target} is no service");
    }
    let source = &yaml("grafana/provisioning/datasources/prometheus.yml")["datasources"][0];
    assert_eq!((&source["url"], &source["jsonData"]["timeInterval"]), (&"http://prometheus:9090".into(), &config["global"]["scrape_interval"]));

    let Some(promtool) = boxbox_testkit::tools::find("promtool") else {
        return boxbox_testkit::not_run(TEST, "no promtool: apt install prometheus");
    };
    // It looks for the files that are named; here they are elsewhere.
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("scrape"), "grant").unwrap();
    let here = folder.path().join("prometheus.yml");
    let there = [("/secrets", folder.path().to_owned()), ("/etc/prometheus/alerts", root().join("grafana/alerts"))];
    let config = there.iter().fold(text("grafana/prometheus.yml"), |config, (from, to)| config.replace(from, to.to_str().unwrap()));
    std::fs::write(&here, config).unwrap();
    boxbox_testkit::tools::run(Command::new(promtool).args(["check", "config"]).arg(&here)).unwrap();
}

/// An address may have characters that are special to `sed`; a receiver without one has no address at all.
#[test]
fn alertmanager_gets_the_addresses_that_there_are() {
    let words = Compose::read().service("alertmanager").words("command");
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(path("alertmanager"), "#!/bin/sh\necho \"$@\"\n").unwrap();
    std::fs::set_permissions(path("alertmanager"), PermissionsExt::from_mode(0o755)).unwrap();
    let places = [
        ("/etc/alertmanager/boxbox.yml", root().join("grafana/alertmanager.yml").to_str().unwrap().to_owned()),
        ("/bin/alertmanager", path("alertmanager")),
        ("/alertmanager/boxbox.yml", path("boxbox.yml")),
    ];
    let script = places.iter().fold(words[0].clone(), |script, (from, to)| script.replace(from, to));
    let start = |pager: &str| {
        let mut command = Command::new("sh");
        command.args(["-euc", &script]).env("ALERTMANAGER_PAGER_URL", pager).env("ALERTMANAGER_TICKETS_URL", "").env("ALERTMANAGER_DEADMAN_URL", "");
        let out = command.output().unwrap();
        assert!(out.status.success() && out.stderr.is_empty(), "{out:?}");
        std::fs::read_to_string(path("boxbox.yml")).unwrap()
    };
    let without = start("");
    assert!(!without.contains("webhook_configs") && !without.contains(".invalid/") && without.contains("- name: pager"), "{without}");
    let address = r"https://hooks.example/a?b=c&d=|\1";
    let with = start(address);
    assert_eq!(with.matches("webhook_configs").count(), 1, "{with}");
    assert!(with.contains(&format!("url: '{address}'")), "{with}");
    if let Some(amtool) = boxbox_testkit::tools::find("amtool") {
        boxbox_testkit::tools::run(Command::new(amtool).arg("check-config").arg(path("boxbox.yml"))).unwrap();
    }
}
