//! Which metrics there are: those that `docs/METRICS.md` lists, those that others export, and those that rules record.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context, Result, ensure};

use super::source::Sources;

/// The page that lists the metrics of this workspace, a row of a table for each.
pub(super) const PAGE: &str = "docs/METRICS.md";

/// What a histogram adds to its name.
const PARTS: [&str; 3] = ["_bucket", "_count", "_sum"];

/// Series that Prometheus itself makes.
const OF_PROMETHEUS: [&str; 2] = ["up", "ALERTS"];

/// All names, and what each is.
pub(super) struct Known {
    /// Of this workspace.
    pub(super) ours: BTreeSet<String>,
    /// Of others, by name, with who exports it.
    pub(super) others: BTreeMap<String, String>,
    recorded: BTreeSet<String>,
}

impl Known {
    /// From the page, the tables, and the texts of the recording rules.
    pub(super) fn read<'a>(root: &Path, sources: &Sources, rules: impl Iterator<Item = &'a str>) -> Result<Self> {
        let page = std::fs::read_to_string(root.join(PAGE)).with_context(|| format!("cannot read {PAGE}"))?;
        let ours = listed(&page);
        ensure!(!ours.is_empty(), "{PAGE} lists no metric");
        let others = sources.names.others.iter().flat_map(|(who, names)| names.iter().map(|name| (name.clone(), who.clone()))).collect();
        let recorded = rules.flat_map(str::lines).filter_map(|line| line.trim().strip_prefix("- record: ")).map(str::to_owned).collect();
        Ok(Self { ours, others, recorded })
    }

    /// The name without what a histogram adds, if there is such a metric.
    pub(super) fn metric<'a>(&self, name: &'a str) -> Option<&'a str> {
        let is =
            |name: &str| self.ours.contains(name) || self.others.contains_key(name) || self.recorded.contains(name) || OF_PROMETHEUS.contains(&name);
        std::iter::once(name).chain(PARTS.iter().filter_map(|part| name.strip_suffix(part))).find(|name| is(name))
    }
}

/// The names in the first cells of the page's tables.
fn listed(page: &str) -> BTreeSet<String> {
    let cell = |line: &str| Some(line.strip_prefix("| `")?.split_once('`')?.0.to_owned());
    page.lines().filter_map(cell).map(|name| name.split('{').next().unwrap_or_default().to_owned()).filter(|name| name.contains('_')).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_listed_or_known_as_part_of_a_histogram() {
        let page = "# Metrics\n\n| metric | help |\n|---|---|\n| `a_seconds` | Seconds. |\n| `b_total{reason}` | Times `c_total`. |\n";
        let known = Known {
            ours: listed(page),
            others: [("pg_up".to_owned(), "postgres_exporter".to_owned())].into(),
            recorded: ["slo:a:bad_ratio5m".to_owned()].into(),
        };
        assert_eq!(known.ours, ["a_seconds".to_owned(), "b_total".to_owned()].into());
        let metric = |name| known.metric(name);
        assert_eq!(metric("a_seconds_bucket"), Some("a_seconds"));
        assert_eq!([metric("b_total"), metric("pg_up"), metric("slo:a:bad_ratio5m"), metric("up")].iter().flatten().count(), 4);
        assert_eq!([metric("c_total"), metric("b_total_sum_x")], [None, None]);
    }
}
