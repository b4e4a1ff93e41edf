//! A dashboard's table becomes Grafana's classic JSON (`schemaVersion` 41), which Grafana 11 to 13 take from files.

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use super::rules::{RuleBook, one_line};
use super::source::{Dashboard, Kind, Panel, Row, Severity};

/// Columns of Grafana's grid.
pub(super) const COLUMNS: u32 = 24;

/// Less than any figure that is not 0.
const JUST_ABOVE_0: f64 = 1e-6;

/// How a panel's link to its runbook begins.
const RUNBOOK: &str = "Runbook";

/// The dashboard called `name`, as JSON.
pub(super) fn json_of(name: &str, dashboard: &Dashboard, book: &RuleBook) -> Result<Value> {
    let (mut panels, mut top, mut id) = (Vec::new(), 0, 0);
    let mut next = || {
        id += 1;
        id
    };
    for row in &dashboard.row {
        panels.push(heading(row, top, next()));
        top += 1;
        let mut left = 0;
        for panel in &row.panel {
            if left + panel.width > COLUMNS {
                (left, top) = (0, top + row.height);
            }
            let place = json!({"x": left, "y": top, "w": panel.width, "h": row.height});
            let made = panel_of(panel, place, next(), book).with_context(|| format!("{name}: panel {:?}", panel.title))?;
            panels.push(made);
            left += panel.width;
        }
        top += row.height;
    }
    Ok(json!({
        "uid": format!("boxbox-{name}"),
        "title": format!("Ok, Box Box: {}", dashboard.title),
        "description": dashboard.description,
        "tags": ["boxbox"],
        "schemaVersion": 41,
        "editable": false,
        "graphTooltip": 1,
        "timezone": "browser",
        "refresh": "10s",
        "time": {"from": "now-30m", "to": "now"},
        "links": [{"type": "dashboards", "title": "Dashboards", "tags": ["boxbox"], "asDropdown": false, "includeVars": false, "keepTime": true}],
        "annotations": {"list": annotations()},
        "templating": {"list": variables(dashboard)},
        "panels": panels,
    }))
}

/// Starts of services, and pages, as marks on every graph.
fn annotations() -> Value {
    let mark = |name: &str, colour: &str, expr: &str, title: &str| {
        json!({
            "name": name, "enable": true, "hide": false, "iconColor": colour, "datasource": datasource(),
            "expr": expr, "step": "30s", "titleFormat": title, "useValueForTime": false,
        })
    };
    json!([
        mark("Starts", "blue", "changes(process_start_time_seconds{job=~\"ingest|processor|api\"}[$__interval]) > 0", "{{job}} {{instance}} started"),
        mark("Pages", "red", "ALERTS{alertstate=\"firing\",severity=\"page\"}", "{{alertname}}"),
    ])
}

fn variables(dashboard: &Dashboard) -> Vec<Value> {
    let mut list = vec![json!({
        "type": "datasource", "name": "datasource", "label": "Prometheus", "query": "prometheus", "regex": "", "hide": 0,
        "current": {"text": "Prometheus", "value": "prometheus"}, "includeAll": false, "multi": false, "refresh": 1,
    })];
    if let Some(job) = &dashboard.instances {
        list.push(json!({
            "type": "query", "name": "instance", "label": "Instance", "datasource": datasource(), "hide": 0, "refresh": 2, "sort": 1,
            "query": {"query": format!("label_values(up{{job=~\"{job}\"}}, instance)"), "refId": "instance"},
            "multi": true, "includeAll": true, "allValue": ".*", "current": {"text": ["All"], "value": ["$__all"]},
        }));
    }
    list
}

fn datasource() -> Value {
    json!({"type": "prometheus", "uid": "${datasource}"})
}

fn heading(row: &Row, top: u32, id: u32) -> Value {
    json!({"id": id, "type": "row", "title": row.title, "collapsed": false, "gridPos": {"x": 0, "y": top, "w": COLUMNS, "h": 1}, "panels": []})
}

fn panel_of(panel: &Panel, place: Value, id: u32, book: &RuleBook) -> Result<Value> {
    for (legend, _) in &panel.quiet {
        ensure!(panel.queries.iter().any(|(other, _)| other == legend), "no query has the legend {legend:?} of `quiet`");
    }
    let limits = panel.alert.as_deref().map(|alert| limits(alert, book)).transpose()?;
    let thresholds = json!({"mode": "absolute", "steps": limits.clone().unwrap_or_else(|| json!([{"color": "green", "value": null}]))});
    let words: Vec<Value> =
        panel.words.iter().map(|(value, word)| json!({"type": "value", "options": {value.as_str(): {"text": word, "index": 0}}})).collect();
    let mut defaults = json!({"unit": panel.unit, "thresholds": thresholds, "mappings": words});
    let (kind, options) = match panel.kind {
        Kind::Lines | Kind::Stack => {
            let stack = panel.kind == Kind::Stack;
            defaults["color"] = json!({"mode": "palette-classic"});
            defaults["custom"] = json!({
                "drawStyle": "line", "lineWidth": 1, "fillOpacity": if stack { 40 } else { 10 }, "showPoints": "never", "spanNulls": false,
                "stacking": {"mode": if stack { "normal" } else { "none" }, "group": "A"},
                "thresholdsStyle": {"mode": if limits.is_some() { "dashed" } else { "off" }},
            });
            defaults["min"] = json!(0);
            if let Some(reaches) = reaches(panel, book)? {
                defaults["custom"]["axisSoftMax"] = json!(reaches);
            }
            let legend = json!({"displayMode": "list", "placement": "bottom", "showLegend": true, "calcs": []});
            ("timeseries", json!({"legend": legend, "tooltip": {"mode": "multi", "sort": "desc"}}))
        }
        Kind::Stat => {
            defaults["color"] = json!({"mode": "thresholds"});
            let reduce = json!({"calcs": ["lastNotNull"], "fields": "", "values": false});
            ("stat", json!({"reduceOptions": reduce, "colorMode": "value", "graphMode": "area", "textMode": "auto", "orientation": "auto"}))
        }
        Kind::Table => {
            defaults["color"] = json!({"mode": "thresholds"});
            ("table", json!({"showHeader": true, "cellHeight": "sm"}))
        }
    };
    let instant = panel.kind == Kind::Table;
    let queries = panel.queries.iter().zip('A'..).map(|((legend, expr), letter)| {
        let mut query = json!({"refId": letter, "datasource": datasource(), "expr": one_line(expr), "legendFormat": legend});
        if instant {
            query["instant"] = json!(true);
            query["format"] = json!("table");
        }
        query
    });
    let mut made = json!({
        "id": id, "type": kind, "title": panel.title, "description": description(panel, book), "gridPos": place, "datasource": datasource(),
        "options": options, "fieldConfig": {"defaults": defaults, "overrides": []}, "targets": queries.collect::<Vec<_>>(),
    });
    if let Some(alert) = &panel.alert {
        made["links"] = json!([{"title": format!("{RUNBOOK}: {alert}"), "url": book.runbook(alert), "targetBlank": true}]);
    }
    if instant {
        let hidden = json!({"excludeByName": {"Time": true, "__name__": true, "job": false}});
        made["transformations"] = json!([{"id": "organize", "options": hidden}]);
    }
    Ok(made)
}

/// Up to what the axis of a graph reaches at least: the threshold, so that its line shows; and of parts 1 %, because the axis of a part that
/// stays 0 would reach 10,000 %.
fn reaches(panel: &Panel, book: &RuleBook) -> Result<Option<f64>> {
    let above = match &panel.alert {
        Some(alert) => book.alert(alert)?.above.filter(|above| *above > 0.0),
        None => None,
    };
    Ok(above.or((panel.unit == "percentunit").then_some(0.01)))
}

/// What the panel means, and what is normal.
fn description(panel: &Panel, book: &RuleBook) -> String {
    let rests = panel.rests.as_ref().map(|why| format!(" Empty or 0 is normal: {why}."));
    let quiet: String = panel.quiet.iter().map(|(legend, why)| format!(" {legend:?} may be 0: {why}.")).collect();
    let alert = panel.alert.as_ref().map(|alert| format!(" Alert: {alert}; runbook: {}.", book.runbook(alert)));
    format!("{}{}{quiet}{}", panel.description, rests.unwrap_or_default(), alert.unwrap_or_default())
}

/// The steps of a threshold: those of the alert, so that a panel turns red when the alert's condition holds.
fn limits(alert: &str, book: &RuleBook) -> Result<Value> {
    let alert = book.alert(alert)?;
    let colour = if alert.severity == Severity::Page { "red" } else { "orange" };
    match (alert.above, alert.below) {
        // A colour begins at its value, and an alert that is above it: at 0 that would be red where all is well.
        (Some(above), None) => {
            Ok(json!([{"color": "green", "value": null}, {"color": colour, "value": if above == 0.0 { JUST_ABOVE_0 } else { above }}]))
        }
        (None, Some(below)) => Ok(json!([{"color": colour, "value": null}, {"color": "green", "value": below}])),
        _ => bail!("{} has no threshold to show", alert.name),
    }
}
