//! Alertmanager's configuration: who is told of what, and which alerts keep others silent.

use std::fmt::Write;

use anyhow::Result;

use super::source::Routes;
use super::yaml::text;

/// Receivers, and whether they are told of the end too.
const RECEIVERS: [(&str, bool); 3] = [("pager", true), ("tickets", true), ("deadman", false)];

/// What stands above the routes.
const HEAD: &str = "\
# Who is told of what. docker-compose.yml puts real addresses in the place of those that end with .invalid; a receiver without an address
# tells no one; its alerts show in Alertmanager and Grafana only.
global:
  resolve_timeout: 5m
route:
  receiver: tickets
  group_by: [alertname, job]
  group_wait: 30s
  group_interval: 5m
  repeat_interval: 4h
  routes:
    # The dead man's switch: its receiver, outside, alarms when this stays away for 3 minutes.
    - matchers: ['alertname=\"Watchdog\"']
      receiver: deadman
      group_wait: 0s
      group_interval: 1m
      repeat_interval: 1m
    - matchers: ['severity=\"page\"']
      receiver: pager
";

/// The file.
pub(super) fn yaml(routes: &Routes) -> Result<String> {
    let mut out = HEAD.to_owned() + "receivers:\n";
    for (name, ends) in RECEIVERS {
        writeln!(out, "  - name: {name}\n    webhook_configs: [{{ url: 'http://{name}.invalid/', send_resolved: {ends} }}]")?;
    }
    out += "inhibit_rules:\n";
    for inhibit in &routes.inhibit {
        let any = |names: &[String]| text(&format!("alertname=~\"{}\"", names.join("|")));
        writeln!(out, "  # {}", inhibit.because)?;
        writeln!(out, "  - source_matchers: [{}]", any(&inhibit.cause))?;
        writeln!(out, "    target_matchers: [{}]", any(&inhibit.silent))?;
        if !inhibit.equal.is_empty() {
            writeln!(out, "    equal: [{}]", inhibit.equal.join(", "))?;
        }
    }
    Ok(out)
}
