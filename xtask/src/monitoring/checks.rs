//! Rules of form for dashboards and alerts, so that a person who looks at one finds what it means, and a name that is wrong is found
//! before a graph stays empty or an alert silent.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::Result;
use serde_json::Value;

use super::dashboard::COLUMNS;
use super::names::{Known, PAGE};
use super::promql;
use super::rules::{Entry, RuleBook, condition};
use super::source::Sources;

/// Units of panels, of those that Grafana knows.
const UNITS: [&str; 14] = [
    "short",
    "none",
    "ops",
    "reqps",
    "s",
    "bytes",
    "Bps",
    "percentunit",
    "percent",
    "dtdurations",
    "dateTimeFromNow",
    "bool_yes_no",
    "cps",
    "bool_on_off",
];

/// Windows that follow the time range and the resolution of a graph; a fixed window is wrong at most of them.
const WINDOWS: [&str; 3] = ["$__rate_interval", "$__range", "$__interval"];

/// Shorter texts explain nothing.
const DESCRIPTION_MIN: usize = 30;

/// Checks everything that is generated. Each line is one fault.
pub(super) fn check(root: &Path, sources: &Sources, files: &BTreeMap<String, String>) -> Result<Vec<String>> {
    let rules = files.iter().filter(|(file, _)| file.starts_with("grafana/alerts/level-")).map(|(_, text)| text.as_str());
    let known = Known::read(root, sources, rules)?;
    let (mut wrong, mut shown) = (Vec::new(), BTreeSet::new());
    for (file, text) in files.iter().filter(|(file, _)| file.starts_with("grafana/dashboards/")) {
        let dashboard: Value = serde_json::from_str(text)?;
        wrong.extend(form(&dashboard).into_iter().map(|fault| format!("{file}: {fault}")));
        for expr in queries(&dashboard) {
            for name in promql::metrics(expr) {
                match known.metric(name) {
                    Some(metric) => _ = shown.insert(metric.to_owned()),
                    None => wrong.push(format!("{file}: no metric is called {name}")),
                }
            }
        }
    }
    let book = RuleBook::of(sources);
    wrong.extend(alerts(&book, &known)?);
    for level in &sources.levels.level {
        for name in promql::metrics(&level.all).into_iter().chain(promql::metrics(&level.bad)).filter(|name| known.metric(name).is_none()) {
            wrong.push(format!("service level {}: no metric is called {name}", level.name));
        }
    }
    wrong.extend(coverage(sources, &known, &shown));
    let named = sources.routes.inhibit.iter().flat_map(|inhibit| inhibit.cause.iter().chain(&inhibit.silent));
    wrong.extend(named.filter(|name| book.alert(name).is_err()).map(|name| format!("routes.toml: there is no alert {name}")));
    Ok(wrong)
}

/// The faults of form of a dashboard.
fn form(dashboard: &Value) -> Vec<String> {
    let mut wrong = Vec::new();
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    if word(&dashboard["description"]).len() < DESCRIPTION_MIN {
        wrong.push("it does not say what it is for".to_owned());
    }
    let defined: BTreeSet<String> = list(&dashboard["templating"]["list"]).iter().map(|variable| word(&variable["name"])).collect();
    let (mut ids, mut titles, mut taken) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for panel in list(&dashboard["panels"]) {
        let title = word(&panel["title"]);
        let mut say = |what: String| wrong.push(format!("panel {title:?} {what}"));
        if title.is_empty() || !titles.insert(title.clone()) {
            say("has no title, or that of another".to_owned());
        }
        if !ids.insert(panel["id"].as_u64()) {
            say("has the id of another".to_owned());
        }
        let place = |key: &str| panel["gridPos"][key].as_u64().unwrap_or(0) as u32;
        let (left, top, width, height) = (place("x"), place("y"), place("w"), place("h"));
        if width == 0 || height == 0 || left + width > COLUMNS {
            say("is not on the grid".to_owned());
        }
        if !(left..left + width).all(|x| (top..top + height).all(|y| taken.insert((x, y)))) {
            say("lies over another".to_owned());
        }
        if panel["type"] == "row" {
            continue;
        }
        if word(&panel["description"]).len() < DESCRIPTION_MIN {
            say("does not say what it means".to_owned());
        }
        let unit = word(&panel["fieldConfig"]["defaults"]["unit"]);
        if !UNITS.contains(&unit.as_str()) {
            say(format!("has the unit {unit:?}, which is not one of {UNITS:?}"));
        }
        if panel["datasource"]["uid"] != "${datasource}" || list(&panel["targets"]).is_empty() {
            say("asks nothing, or always the same source".to_owned());
        }
        for target in list(&panel["targets"]) {
            let expr = word(&target["expr"]);
            for window in promql::windows(&expr).into_iter().filter(|window| !WINDOWS.contains(window)) {
                say(format!("has the fixed window [{window}]"));
            }
            for variable in promql::variables(&expr).into_iter().filter(|name| !name.starts_with("__") && !defined.contains(*name)) {
                say(format!("names the variable {variable}, which is not defined"));
            }
        }
    }
    wrong
}

/// The expressions of a dashboard's panels.
fn queries(dashboard: &Value) -> impl Iterator<Item = &str> {
    let panels = dashboard["panels"].as_array().into_iter().flatten();
    panels.flat_map(|panel| panel["targets"].as_array().into_iter().flatten()).filter_map(|target| target["expr"].as_str())
}

fn alerts(book: &RuleBook, known: &Known) -> Result<Vec<String>> {
    let (mut wrong, mut names) = (Vec::new(), BTreeSet::new());
    for Entry { page, alert, .. } in book.all() {
        let mut say = |what: String| wrong.push(format!("alert {} ({page}) {what}", alert.name));
        if !names.insert(&alert.name) {
            say("has the name of another".to_owned());
        }
        let expr = condition(alert)?;
        for name in promql::metrics(&expr).into_iter().filter(|name| known.metric(name).is_none()) {
            say(format!("asks for {name}, and no metric is called so"));
        }
        if alert.summary.len() < DESCRIPTION_MIN {
            say("does not say what is wrong".to_owned());
        }
    }
    Ok(wrong)
}

/// Each metric of ours is on a dashboard, or there is a reason why not.
fn coverage(sources: &Sources, known: &Known, shown: &BTreeSet<String>) -> Vec<String> {
    let unshown = &sources.names.unshown;
    let mut wrong = Vec::new();
    for name in &known.ours {
        match (shown.contains(name), unshown.contains_key(name)) {
            (false, false) => wrong.push(format!("{PAGE}: {name} is on no dashboard, and names.toml does not say why")),
            (true, true) => wrong.push(format!("names.toml: {name} is on a dashboard")),
            _ => {}
        }
    }
    wrong.extend(unshown.keys().filter(|name| !known.ours.contains(*name)).map(|name| format!("names.toml: {name} is not in {PAGE}")));
    wrong
        .extend(unshown.iter().filter(|(_, why)| why.len() < DESCRIPTION_MIN).map(|(name, _)| format!("names.toml: why is {name} on no dashboard?")));
    wrong
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn dashboard() -> Value {
        let panel = |id: u32, x: u32, title: &str| {
            json!({
                "id": id, "type": "stat", "title": title, "description": "What it means, and what to do then.",
                "gridPos": {"x": x, "y": 0, "w": 12, "h": 4}, "datasource": {"uid": "${datasource}"},
                "fieldConfig": {"defaults": {"unit": "s"}}, "targets": [{"expr": "rate(a{instance=~\"$instance\"}[$__rate_interval])"}],
            })
        };
        json!({
            "description": "What this dashboard is for, in words.", "templating": {"list": [{"name": "instance"}]},
            "panels": [panel(1, 0, "A"), panel(2, 12, "B")],
        })
    }

    #[test]
    fn each_rule_finds_its_breach() {
        assert_eq!(form(&dashboard()), [] as [String; 0]);
        let breaches = [
            ("/panels/0/title", json!(""), "no title"),
            ("/panels/1/title", json!("A"), "that of another"),
            ("/panels/1/id", json!(1), "the id of another"),
            ("/panels/1/gridPos/x", json!(11), "over another"),
            ("/panels/1/gridPos/w", json!(13), "not on the grid"),
            ("/panels/0/description", json!("short"), "what it means"),
            ("/panels/0/fieldConfig/defaults/unit", json!(""), "the unit"),
            ("/panels/0/datasource/uid", json!("x"), "always the same source"),
            ("/panels/0/targets/0/expr", json!("rate(a[5m])"), "fixed window [5m]"),
            ("/panels/0/targets/0/expr", json!("a{job=\"$job\"}"), "variable job"),
            ("/description", json!(""), "what it is for"),
        ];
        for (place, value, says) in breaches {
            let mut dashboard = dashboard();
            *dashboard.pointer_mut(place).unwrap() = value;
            let wrong = form(&dashboard).join("\n");
            assert!(wrong.contains(says), "{place}: {wrong:?}");
        }
    }
}
