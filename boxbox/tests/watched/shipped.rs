//! What is shipped in `grafana`, with all times divided so that a test lasts minutes instead of days.

use std::path::{Path, PathBuf};

use serde_json::Value;

/// By how much windows, `for` and waits are divided.
pub(crate) const FACTOR: u64 = 30;
/// No window is shorter: it must hold some scrapes.
const WINDOW_MIN_S: u64 = 10;
/// How often Prometheus asks and evaluates here, seconds.
pub(crate) const EVERY_S: u64 = 2;

/// The top of the workspace.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap()
}

/// A text of the project.
pub(crate) fn text(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The files of a folder of the project that have this extension.
pub(crate) fn files(folder: &str, extension: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(root().join(folder)).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.extension().is_some_and(|e| e == extension)).collect()
}

/// Writes the rules, their times divided, into `folder`.
pub(crate) fn rules(folder: &Path) {
    std::fs::create_dir(folder).unwrap();
    for file in files("grafana/alerts", "yml") {
        let divided: String = std::fs::read_to_string(&file).unwrap().lines().map(|line| divided(line) + "\n").collect();
        std::fs::write(folder.join(file.file_name().unwrap()), divided).unwrap();
    }
}

/// A line of a file of rules.
fn divided(line: &str) -> String {
    for key in ["for: ", "interval: "] {
        if let Some((before, duration)) = line.split_once(key)
            && before.trim().is_empty()
        {
            return format!("{before}{key}{}s", (seconds(duration) / FACTOR).max(EVERY_S));
        }
    }
    let mut out = String::new();
    let mut rest = line;
    while let Some((before, after)) = rest.split_once('[') {
        let (window, after) = after.split_once(']').unwrap_or_else(|| panic!("a window without an end: {line}"));
        out += &format!("{before}[{}s]", (seconds(window) / FACTOR).max(WINDOW_MIN_S));
        rest = after;
    }
    out + rest
}

fn seconds(duration: &str) -> u64 {
    let (number, unit) = duration.trim().split_at(duration.trim().len() - 1);
    let unit = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => panic!("{duration} is no duration"),
    };
    number.parse::<u64>().unwrap() * unit
}

/// Alertmanager's configuration, with a receiver for each name at `url`, and shorter waits.
pub(crate) fn alertmanager(url: &str) -> String {
    let mut config = text("grafana/alertmanager.yml");
    for receiver in ["pager", "tickets", "deadman"] {
        let there = format!("http://{receiver}.invalid/");
        assert!(config.contains(&there), "no receiver {receiver}");
        config = config.replace(&there, &format!("{url}{receiver}"));
    }
    // The wait before a notification must let a cause be found before its effects are told: 30 s in production, where windows are 30 times
    // as long; here not less than 5 s.
    config.replace("group_wait: 30s", "group_wait: 5s").replace("group_interval: 5m", "group_interval: 10s")
}

/// A panel's query.
pub(crate) struct Query {
    /// Dashboard and panel.
    pub(crate) place: String,
    /// The expression, its variables replaced.
    pub(crate) expr: String,
    /// Whether a well system shows nothing, or 0 only.
    pub(crate) rests: bool,
}

/// All queries of all dashboards.
pub(crate) fn queries() -> Vec<Query> {
    let mut all = vec![];
    for file in files("grafana/dashboards", "json") {
        let dashboard: Value = serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
        for panel in dashboard["panels"].as_array().unwrap() {
            for target in panel["targets"].as_array().into_iter().flatten() {
                let expr = target["expr"].as_str().unwrap();
                let description = panel["description"].as_str().unwrap();
                let quiet = format!("{:?} may be 0", target["legendFormat"].as_str().unwrap());
                let replaced = [("$__rate_interval", "10s"), ("$__interval", "10s"), ("$__range", "60s"), ("$instance", ".*")];
                all.push(Query {
                    place: format!("{}: {}", dashboard["title"].as_str().unwrap(), panel["title"].as_str().unwrap()),
                    expr: replaced.iter().fold(expr.to_owned(), |expr, (from, to)| expr.replace(from, to)),
                    rests: description.contains("Empty or 0 is normal") || description.contains(&quiet),
                });
            }
        }
    }
    all
}

/// Which alerts are not told while `cause` fires, by the shipped table of inhibitions.
pub(crate) fn silent_while(cause: &str) -> Vec<String> {
    let config = text("grafana/alertmanager.yml");
    let names = |line: &str| {
        line.split_once("alertname=~\"").map_or_else(Vec::new, |(_, rest)| rest.split('"').next().unwrap().split('|').map(str::to_owned).collect())
    };
    let (mut causes, mut silent): (Vec<String>, Vec<String>) = (vec![], vec![]);
    for line in config.lines() {
        if line.contains("source_matchers") {
            causes = names(line);
        } else if line.contains("target_matchers") && causes.iter().any(|name| name == cause) {
            silent.extend(names(line));
        }
    }
    silent
}

#[test]
fn times_are_divided_and_nothing_else() {
    assert_eq!(divided("        for: 15m"), "        for: 30s");
    assert_eq!(divided("        for: 30s"), "        for: 2s");
    assert_eq!(divided("    interval: 5m"), "    interval: 10s");
    assert_eq!(divided("  expr: 'rate(a{b=\"for: c\"}[1h]) / x[1m] > 14400'"), "  expr: 'rate(a{b=\"for: c\"}[120s]) / x[10s] > 14400'");
    assert!(silent_while("KafkaDown").contains(&"EdgeAcksNothing".to_owned()) && silent_while("Watchdog").is_empty());
}
