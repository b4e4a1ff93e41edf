//! [`Watch`]: Debian's Prometheus and Alertmanager with what is shipped in `grafana`, exporters, and a receiver of what is delivered.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use boxbox_testkit::tools::{self, Missing};
use boxbox_testkit::wait::block_until;
use serde_json::Value;

use crate::common::free_port;
use crate::common::place::Engines;
use crate::fleet::{Fleet, SERVICES, get};
use crate::page::Page;
use crate::shipped::{self, EVERY_S};
use crate::tool::Tool;
use crate::webhook::Webhook;

/// What ClickHouse's own endpoint shows, asked for by SQL: the server of the tests has no endpoint.
const CLICKHOUSE: &str = "
    SELECT concat('ClickHouseMetrics_', metric, ' ', toString(value)) FROM system.metrics
    UNION ALL SELECT concat('ClickHouseProfileEvents_', event, ' ', toString(value)) FROM system.events
    UNION ALL SELECT concat('ClickHouseAsyncMetrics_MaxPartCountForPartition ', toString(max(parts)))
        FROM (SELECT count() AS parts FROM system.parts WHERE active GROUP BY table, partition)
    UNION ALL SELECT concat('ClickHouseProfileEvents_', arrayJoin(['DelayedInserts', 'FailedQuery']), ' 0')";

/// What watches a fleet.
pub(crate) struct Watch {
    /// What was delivered.
    pub(crate) webhook: Webhook,
    /// The page that is probed with TLS.
    pub(crate) page: Page,
    prometheus: u16,
    postgres_exporter: u16,
    tools: Vec<Tool>,
    folder: PathBuf,
    engines: Engines,
}

/// An error that `tools::missing` knows, if this machine lacks a program.
pub(crate) fn programs() -> anyhow::Result<()> {
    match tools::PROMETHEUS.iter().find(|program| tools::find(program).is_none()) {
        Some(program) => Err(Missing::error(format!("no {program}"), format!("apt install {program}"))),
        None => Ok(()),
    }
}

impl Watch {
    /// Everything that watches `fleet`; `jmx` is where Kafka shows its figures, `embedded` where an embedded `boxbox up` does.
    pub(crate) fn start(fleet: &Fleet, jmx: u16, embedded: u16) -> Self {
        let folder = fleet.folder.path().join("watch");
        std::fs::create_dir(&folder).unwrap();
        let (webhook, page) = (Webhook::start(), Page::start());
        let [alertmanager, prometheus, node, postgres_exporter, blackbox] = [(); 5].map(|()| free_port());
        let listen = |port: u16| format!("--web.listen-address=127.0.0.1:{port}");
        let mut watch = Self { webhook, page, prometheus, postgres_exporter, tools: vec![], folder: folder.clone(), engines: fleet.engines.clone() };

        let config = folder.join("alertmanager.yml");
        std::fs::write(&config, shipped::alertmanager(&watch.webhook.url)).unwrap();
        let mut command = Command::new("prometheus-alertmanager");
        command.arg(format!("--config.file={}", config.display())).arg(format!("--storage.path={}", folder.join("am").display()));
        command.args(["--cluster.listen-address=", &listen(alertmanager)]);
        watch.tools.push(Tool::start("alertmanager", command, &folder));

        let mut command = Command::new("prometheus-node-exporter");
        command.arg(listen(node));
        watch.tools.push(Tool::start("node-exporter", command, &folder));

        // The page's certificate is signed by none that this machine knows.
        let trusts = format!(
            "\n  page:\n    prober: http\n    timeout: 4s\n    http:\n      preferred_ip_protocol: ip4\n      tls_config:\n        ca_file: {}\n",
            watch.page.authority(&folder).display()
        );
        let config = folder.join("blackbox.yml");
        std::fs::write(&config, shipped::text("grafana/exporters/blackbox.yml").trim_end().to_owned() + &trusts).unwrap();
        let mut command = Command::new("prometheus-blackbox-exporter");
        command.arg(format!("--config.file={}", config.display())).arg(listen(blackbox));
        watch.tools.push(Tool::start("blackbox", command, &folder));
        watch.start_postgres_exporter();

        let rules = folder.join("rules");
        shipped::rules(&rules);
        let clickhouse = serve_clickhouse(fleet.engines.clone());
        let mut jobs = String::new();
        for job in ["ingest", "processor", "api"] {
            let targets: Vec<String> = SERVICES.iter().filter(|(_, of)| *of == job).map(|(name, _)| format!("{:?}", fleet.address(name))).collect();
            jobs += &format!("  - {{ job_name: {job}, static_configs: [{{ targets: [{}] }}] }}\n", targets.join(", "));
        }
        let ports = [("boxbox", embedded), ("kafka", jmx), ("postgres", postgres_exporter), ("clickhouse", clickhouse), ("node", node)];
        for (job, port) in ports.into_iter().chain([("alertmanager", alertmanager), ("prometheus", prometheus)]) {
            jobs += &format!("  - {{ job_name: {job}, static_configs: [{{ targets: [\"127.0.0.1:{port}\"] }}] }}\n");
        }
        let mut probes = String::new();
        let mut probe = |service: &str, module: &str, target: String| {
            probes += &format!("      - {{ targets: [{target:?}], labels: {{ service: {service}, __param_module: {module} }} }}\n");
        };
        for (name, service) in SERVICES {
            probe(service, "http", format!("http://{}/readyz", fleet.address(name)));
        }
        probe("kafka", "tcp", fleet.stack.kafka_brokers().unwrap());
        probe("postgres", "tcp", fleet.engines.results_address().to_owned());
        probe("postgres-exporter", "http", format!("http://127.0.0.1:{postgres_exporter}/"));
        let clickhouse = fleet.stack.clickhouse_url().unwrap();
        probe("clickhouse", "http", format!("http://{}/ping", clickhouse.split_once('@').unwrap().1.split('/').next().unwrap()));
        probe("page", "page", watch.page.url.clone());
        let config = format!(
            "global: {{ scrape_interval: {EVERY_S}s, scrape_timeout: {EVERY_S}s, evaluation_interval: {EVERY_S}s }}\n\
             rule_files: [{}/*.yml]\n\
             alerting: {{ alertmanagers: [{{ static_configs: [{{ targets: [\"127.0.0.1:{alertmanager}\"] }}] }}] }}\n\
             scrape_configs:\n{jobs}  - job_name: probe\n    metrics_path: /probe\n    static_configs:\n{probes}    relabel_configs:\n\
             \x20     - {{ source_labels: [__address__], target_label: __param_target }}\n\
             \x20     - {{ source_labels: [__param_target], target_label: instance }}\n\
             \x20     - {{ target_label: __address__, replacement: \"127.0.0.1:{blackbox}\" }}\n",
            rules.display()
        );
        std::fs::write(folder.join("prometheus.yml"), config).unwrap();
        let mut command = Command::new("prometheus");
        command.arg(format!("--config.file={}", folder.join("prometheus.yml").display()));
        command.arg(format!("--storage.tsdb.path={}", folder.join("tsdb").display())).arg(listen(prometheus));
        watch.tools.push(Tool::start("prometheus", command, &folder));
        block_until("Prometheus is ready", || get(&format!("http://127.0.0.1:{prometheus}/-/ready")).is_some());
        watch
    }

    /// Starts PostgreSQL's exporter.
    pub(crate) fn start_postgres_exporter(&mut self) {
        let database = self.engines.results();
        let (_, place) = database.split_once('@').unwrap();
        let mut command = Command::new("prometheus-postgres-exporter");
        // The collector of the background writer asks for columns that PostgreSQL 17 moved elsewhere; the newer exporter of the containers knows.
        command.arg(format!("--web.listen-address=127.0.0.1:{}", self.postgres_exporter)).arg("--no-collector.bgwriter");
        command.env("DATA_SOURCE_URI", format!("{place}?sslmode=disable")).env("DATA_SOURCE_USER", "boxbox");
        command.env("DATA_SOURCE_PASS", self.engines.results_password().expose());
        self.tools.retain(|tool| !tool.is("postgres-exporter"));
        self.tools.push(Tool::start("postgres-exporter", command, &self.folder));
    }

    /// Ends it.
    pub(crate) fn kill_postgres_exporter(&mut self) {
        self.tools.retain(|tool| !tool.is("postgres-exporter"));
    }

    /// Whether all that was started still runs.
    pub(crate) fn runs(&mut self) {
        self.tools.iter_mut().for_each(Tool::runs);
    }

    /// What Prometheus answers at a path of its API.
    fn ask(&self, path: &str, query: Option<&str>) -> Result<Value, String> {
        let request = ureq::get(format!("http://127.0.0.1:{}/api/v1/{path}", self.prometheus));
        let request = request.config().http_status_as_error(false).timeout_global(Some(Duration::from_secs(20))).build();
        let request = query.into_iter().fold(request, |request, query| request.query("query", query));
        let text = request.call().map_err(|error| error.to_string())?.body_mut().read_to_string().map_err(|error| error.to_string())?;
        let answer: Value = serde_json::from_str(&text).map_err(|error| error.to_string())?;
        if answer["status"] == "success" { Ok(answer["data"].clone()) } else { Err(answer["error"].to_string()) }
    }

    /// The values of the series that a query returns; one that is no number is left out.
    pub(crate) fn query(&self, query: &str) -> Result<Vec<f64>, String> {
        let data = self.ask("query", Some(query))?;
        let value = |series: &Value| series["value"][1].as_str()?.parse::<f64>().ok().filter(|value| !value.is_nan());
        Ok(data["result"].as_array().into_iter().flatten().filter_map(value).collect())
    }

    /// The series that a query returns: labels and value of each.
    pub(crate) fn series(&self, query: &str) -> Vec<(String, String)> {
        let data = self.ask("query", Some(query)).unwrap_or_else(|error| panic!("{query}: {error}"));
        let of = |series: &Value| (series["metric"].to_string(), series["value"][1].to_string());
        data["result"].as_array().into_iter().flatten().map(of).collect()
    }

    /// Alerts that fire now.
    pub(crate) fn firing(&self) -> Vec<String> {
        let data = self.ask("query", Some("ALERTS{alertstate=\"firing\",alertname!=\"Watchdog\"}")).unwrap();
        let name = |series: &Value| series["metric"]["alertname"].as_str().unwrap_or_default().to_owned();
        let mut names: Vec<String> = data["result"].as_array().into_iter().flatten().map(name).collect();
        names.sort();
        names.dedup();
        names
    }

    /// Name, expression and state of each rule: what went wrong with it, if anything did.
    pub(crate) fn rules(&self) -> Vec<(String, String, Option<String>)> {
        let data = self.ask("rules", None).unwrap();
        let groups = data["groups"].as_array().cloned().unwrap_or_default();
        let rules = groups.iter().flat_map(|group| group["rules"].as_array().cloned().unwrap_or_default());
        let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        rules
            .map(|rule| (word(&rule["name"]), word(&rule["query"]), rule["lastError"].as_str().filter(|e| !e.is_empty()).map(str::to_owned)))
            .collect()
    }
}

/// Shows ClickHouse's figures on a free port; without ClickHouse there is no answer.
fn serve_clickhouse(engines: Engines) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let engines = engines.clone();
            std::thread::spawn(move || {
                let mut request = [0; 4096];
                let _ = stream.read(&mut request);
                // A connection that ends without an answer is a failed scrape.
                let Some(figures) = engines.try_ask(CLICKHOUSE) else { return };
                // A figure that is not there yet is told as 0 too: the greater counts.
                let mut greatest: BTreeMap<&str, f64> = BTreeMap::new();
                for (name, value) in figures.lines().filter_map(|line| line.split_once(' ')) {
                    let value = value.parse().unwrap_or(0.0);
                    greatest.entry(name).and_modify(|known| *known = known.max(value)).or_insert(value);
                }
                let body: String = greatest.iter().map(|(name, value)| format!("{name} {value}\n")).collect();
                let _ = write!(
                    stream,
                    "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
                    body.len()
                );
            });
        }
    });
    port
}
