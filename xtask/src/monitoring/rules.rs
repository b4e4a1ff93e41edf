//! Alerts and service levels become Prometheus' rules.

use std::fmt::Write;

use anyhow::{Context, Result, bail};

use super::source::{Alert, Level, Severity, Sources, Test};
use super::yaml::text;

/// Where runbooks are: a path in this repository. Who reads them elsewhere changes it here and generates again.
const RUNBOOKS: &str = "docs/runbooks";

/// The page of the runbooks of service levels.
const LEVELS: &str = "levels";

/// Windows for which the part of bad events is recorded, and how many seconds each has.
pub(super) const WINDOWS: [(&str, u64); 8] =
    [("5m", 300), ("30m", 1_800), ("1h", 3_600), ("2h", 7_200), ("6h", 21_600), ("1d", 86_400), ("3d", 259_200), ("28d", 2_419_200)];

/// The window of a service level's budget.
pub(super) const BUDGET: &str = "28d";

/// How fast a budget may burn over a long and a short window, which must both burn: the pairs of the "SRE Workbook", chapter 5.
const FAST: [(f64, &str, &str); 2] = [(14.4, "1h", "5m"), (6.0, "6h", "30m")];
const SLOW: [(f64, &str, &str); 2] = [(3.0, "1d", "2h"), (1.0, "3d", "6h")];

/// Fewer events in a window than this say nothing about a level.
const EVENTS_MIN: u64 = 10;

/// All alerts there are: those of the tables and those of the service levels.
#[derive(Debug)]
pub(super) struct RuleBook {
    entries: Vec<Entry>,
}

/// An alert, and where it belongs.
#[derive(Debug)]
pub(super) struct Entry {
    /// The page of its runbook in `docs/runbooks`.
    pub(super) page: String,
    /// The file with its rule in `grafana/alerts`, without extension: a level has its own, so that its tests evaluate no other.
    pub(super) file: String,
    pub(super) alert: Alert,
}

impl RuleBook {
    pub(super) fn of(sources: &Sources) -> Self {
        let entry = |group: &str, alert: &Alert| Entry { page: group.to_owned(), file: group.to_owned(), alert: alert.clone() };
        let mut entries: Vec<Entry> = sources.alerts().map(|(group, alert)| entry(group, alert)).collect();
        for level in &sources.levels.level {
            let entry = |alert| Entry { page: LEVELS.to_owned(), file: level_file(level), alert };
            entries.extend(burns(level).into_iter().map(entry));
        }
        Self { entries }
    }

    /// The alerts.
    pub(super) fn all(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter()
    }

    /// The alert of this name.
    pub(super) fn alert(&self, name: &str) -> Result<&Alert> {
        self.all().map(|entry| &entry.alert).find(|alert| alert.name == name).with_context(|| format!("there is no alert {name}"))
    }

    /// Where the runbook of an alert is: page and heading.
    pub(super) fn runbook(&self, name: &str) -> String {
        let page = self.all().find(|entry| entry.alert.name == name).map_or("", |entry| entry.page.as_str());
        format!("{RUNBOOKS}/{page}.md#{}", name.to_lowercase())
    }

    /// The group of the rules of one file.
    pub(super) fn group(&self, file: &str) -> Result<String> {
        let mut out = format!("  - name: {file}\n    rules:\n");
        for entry in self.all().filter(|entry| entry.file == file) {
            out += &self.rule(&entry.alert)?;
        }
        Ok(out)
    }

    fn rule(&self, alert: &Alert) -> Result<String> {
        let mut out = format!("      - alert: {}\n        expr: {}\n", alert.name, text(&condition(alert)?));
        if let Some(holds) = &alert.holds {
            writeln!(out, "        for: {holds}")?;
        }
        writeln!(out, "        labels:\n          severity: {}", alert.severity.word())?;
        writeln!(out, "        annotations:\n          summary: {}", text(&alert.summary))?;
        writeln!(out, "          runbook_url: {}", text(&self.runbook(&alert.name)))?;
        Ok(out)
    }
}

/// The whole condition of an alert: its expression and its threshold.
pub(super) fn condition(alert: &Alert) -> Result<String> {
    let expr = one_line(&alert.expr);
    Ok(match (alert.above, alert.below) {
        (None, None) => expr,
        (Some(above), None) => format!("{expr} > {above}"),
        (None, Some(below)) => format!("{expr} < {below}"),
        (Some(_), Some(_)) => bail!("{} is both above and below", alert.name),
    })
}

/// An expression without the line ends and the indent that it has in its table.
pub(super) fn one_line(expr: &str) -> String {
    expr.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The file of a level's rules.
pub(super) fn level_file(level: &Level) -> String {
    format!("level-{}", level.name)
}

/// Recorded series of a service level: the part of bad events in each window, and what is left of the budget.
pub(super) fn recorded(level: &Level) -> Result<String> {
    let (mut out, name) = (String::new(), &level.name);
    // Long windows change slowly, and cost much.
    for (part, interval, windows) in [("now", "", &WINDOWS[..5]), ("long", "    interval: 5m\n", &WINDOWS[5..])] {
        writeln!(out, "  - name: level-{name}-{part}\n{interval}    rules:")?;
        for (window, seconds) in windows {
            let (bad, all) = (one_line(&level.bad).replace("WINDOW", window), one_line(&level.all).replace("WINDOW", window));
            // Without events there is no part of them: no series, and no alert.
            let expr = format!("(({bad}) / ({all}) and ({all}) > {EVENTS_MIN} / {seconds})");
            writeln!(out, "      - record: slo:{name}:bad_ratio{window}\n        expr: {}", text(&expr))?;
        }
        if part == "long" {
            let objective = level.objective;
            let left = if objective < 1.0 {
                format!("1 - slo:{name}:bad_ratio{BUDGET} / {:.6}", 1.0 - objective)
            } else {
                format!("slo:{name}:bad_ratio{BUDGET} == bool 0")
            };
            writeln!(out, "      - record: slo:{name}:budget_left\n        expr: {}", text(&left))?;
        }
    }
    Ok(out)
}

/// The alerts of a level: its budget burns fast, or slowly. A level without budget is missed by the first bad event.
fn burns(level: &Level) -> Vec<Alert> {
    let alert = |suffix: &str, severity, expr, summary: String, ill: &str| Alert {
        name: format!("{}{suffix}", level.alert),
        severity,
        summary,
        expr,
        above: None,
        below: None,
        holds: None,
        test: Test { series: level.test.clone(), labels: [("level".to_owned(), level.name.clone())].into(), ill: Some(ill.to_owned()) },
    };
    let labelled = |expr: String| format!("label_replace({expr}, \"level\", \"{}\", \"\", \"\")", level.name);
    if level.objective >= 1.0 {
        let expr = labelled(format!("slo:{}:bad_ratio1h > 0", level.name));
        return vec![alert("Missed", Severity::Page, expr, format!("Service level missed: {}", level.promise), "1h")];
    }
    let pairs = |pairs: &[(f64, &str, &str)]| {
        let name = &level.name;
        let one = |(times, long, short): &(f64, &str, &str)| {
            let limit = times * (1.0 - level.objective);
            format!("(slo:{name}:bad_ratio{long} > {limit:.6} and slo:{name}:bad_ratio{short} > {limit:.6})")
        };
        labelled(pairs.iter().map(one).collect::<Vec<_>>().join(" or "))
    };
    let summary = |how: &str| format!("The budget of a service level burns {how}: {}", level.promise);
    vec![
        alert("BurnsFast", Severity::Page, pairs(&FAST), summary("fast"), "1h"),
        alert("BurnsSlowly", Severity::Ticket, pairs(&SLOW), summary("slowly"), "1d"),
    ]
}
