//! The tables in `grafana/source` as people write them: dashboards, alerts, service levels, routes, names of metrics.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// Everything in `grafana/source`.
#[derive(Debug)]
pub(super) struct Sources {
    /// Dashboards by file name, which is the end of their uid.
    pub(super) dashboards: BTreeMap<String, Dashboard>,
    /// Groups of alerts by file name, which is also the name of their page in `docs/runbooks`.
    pub(super) alerts: BTreeMap<String, AlertGroup>,
    pub(super) levels: Levels,
    pub(super) routes: Routes,
    pub(super) names: Names,
}

/// A dashboard.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Dashboard {
    pub(super) title: String,
    pub(super) description: String,
    /// The job whose instances can be chosen, if any.
    pub(super) instances: Option<String>,
    pub(super) row: Vec<Row>,
}

/// A row: a heading and the panels below it, from left to right.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Row {
    pub(super) title: String,
    /// Height of each of its panels, in units of the grid.
    pub(super) height: u32,
    pub(super) panel: Vec<Panel>,
}

/// A panel.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Panel {
    pub(super) title: String,
    /// What the figure means, and what to do if it is wrong.
    pub(super) description: String,
    #[serde(default)]
    pub(super) kind: Kind,
    /// A unit as Grafana names it.
    pub(super) unit: String,
    /// Of 24.
    pub(super) width: u32,
    /// The alert whose threshold the panel shows.
    pub(super) alert: Option<String>,
    /// Pairs of legend and expression.
    pub(super) queries: Vec<(String, String)>,
    /// Words that take the place of numbers: value and word.
    #[serde(default)]
    pub(super) words: Vec<(String, String)>,
    /// Why a well system under load shows nothing here, or 0 only.
    pub(super) rests: Option<String>,
    /// The same of single queries: pairs of legend and reason.
    #[serde(default)]
    pub(super) quiet: Vec<(String, String)>,
}

/// How a panel draws.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Kind {
    /// Lines over time.
    #[default]
    Lines,
    /// Areas over time, one on another.
    Stack,
    /// The newest value.
    Stat,
    /// The newest values with their labels.
    Table,
}

/// The alerts of one part of the system.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AlertGroup {
    pub(super) alert: Vec<Alert>,
}

/// An alert, with the series of its test.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Alert {
    pub(super) name: String,
    pub(super) severity: Severity,
    /// What a person reads first; may name labels as Prometheus' templates do.
    pub(super) summary: String,
    pub(super) expr: String,
    /// Fires if `expr` is above this.
    pub(super) above: Option<f64>,
    /// Fires if `expr` is below this.
    pub(super) below: Option<f64>,
    /// How long it must hold.
    #[serde(rename = "for")]
    pub(super) holds: Option<String>,
    #[serde(default)]
    pub(super) test: Test,
}

/// The series of an alert's test. Each line is `series: well | ill`: a value, `+n` (a counter that rises by n at each step) or `_` (absent).
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Test {
    pub(super) series: Vec<String>,
    /// Labels of the alert that fires, beside `severity`.
    #[serde(default)]
    pub(super) labels: BTreeMap<String, String>,
    /// How long the series are ill, if not for the alert's longest window and its `for`.
    pub(super) ill: Option<String>,
}

/// Whom an alert wakes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Severity {
    /// A person, now.
    Page,
    /// A person, in working hours.
    Ticket,
    /// The dead man's switch.
    None,
}

impl Severity {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Page => "page",
            Self::Ticket => "ticket",
            Self::None => "none",
        }
    }
}

/// The service levels.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Levels {
    pub(super) level: Vec<Level>,
}

/// A service level: which part of the events must be good.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Level {
    /// In names of recorded series.
    pub(super) name: String,
    /// The beginning of its alerts' names.
    pub(super) alert: String,
    /// What is promised, in words.
    pub(super) promise: String,
    /// The part of the events that must be good; 1 is no budget.
    pub(super) objective: f64,
    /// Bad events in `WINDOW`.
    pub(super) bad: String,
    /// All events in `WINDOW`.
    pub(super) all: String,
    /// Each line is `series: well | ill`, at the objective and far beyond it.
    pub(super) test: Vec<String>,
}

/// Who is told of what, and which alerts keep others silent.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Routes {
    pub(super) inhibit: Vec<Inhibit>,
}

/// While `cause` fires, `silent` are not told.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Inhibit {
    pub(super) cause: Vec<String>,
    pub(super) silent: Vec<String>,
    pub(super) because: String,
    #[serde(default)]
    pub(super) equal: Vec<String>,
}

/// Names of metrics that are not declared in this workspace, and metrics that are on no dashboard.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Names {
    /// By who exports them.
    pub(super) others: BTreeMap<String, Vec<String>>,
    /// A metric of ours that no dashboard shows, and the reason.
    pub(super) unshown: BTreeMap<String, String>,
}

impl Sources {
    /// Reads them below `root`, the workspace.
    pub(super) fn read(root: &Path) -> Result<Self> {
        let folder = root.join("grafana/source");
        Ok(Self {
            dashboards: all(&folder.join("dashboards"))?,
            alerts: all(&folder.join("alerts"))?,
            levels: one(&folder.join("levels.toml"))?,
            routes: one(&folder.join("routes.toml"))?,
            names: one(&folder.join("names.toml"))?,
        })
    }

    /// All alerts, with the group of each.
    pub(super) fn alerts(&self) -> impl Iterator<Item = (&str, &Alert)> {
        self.alerts.iter().flat_map(|(group, alerts)| alerts.alert.iter().map(move |alert| (group.as_str(), alert)))
    }
}

/// Each TOML file of a folder, by its name.
fn all<T: DeserializeOwned>(folder: &Path) -> Result<BTreeMap<String, T>> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            found.insert(name, one(&path)?);
        }
    }
    Ok(found)
}

fn one<T: DeserializeOwned>(path: &Path) -> Result<T> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    toml::from_str(&text).with_context(|| format!("{} is not as it should be", path.display()))
}
