//! Every metric of every service, from which docs/METRICS.md is made.

use std::collections::BTreeSet;
use std::fmt::Write;

use boxbox_schemas::metrics::{Described, Kind};

use crate::access::authority::GrantMetrics;
use crate::access::control::ControlMetrics;
use crate::clock_watch::ClockMetrics;
use crate::logs::counting::LogCounts;
use crate::logs::reports::ReportMetrics;
use crate::node::handles::HandleMetrics;
use crate::traces::SpanMetrics;

/// A chapter of the page: which processes have the metrics, and the metrics.
struct Chapter {
    title: &'static str,
    parts: Vec<&'static [Described]>,
}

fn chapters() -> Vec<Chapter> {
    let chapter = |title, parts: &[&'static [Described]]| Chapter { title, parts: parts.to_vec() };
    vec![
        chapter("The edge: `boxbox up`, `boxbox ingest`", &[boxbox_ingest::EdgeMetrics::NAMES]),
        chapter("The log: every process that opens one", &[boxbox_log::metrics::LogMetrics::NAMES]),
        chapter("Kafka: every process that writes to a Kafka log", &[boxbox_log::kafka::KafkaMetrics::NAMES]),
        chapter("The processor: `boxbox up`, `boxbox processor`", &[boxbox_processor::ProcessorMetrics::NAMES]),
        chapter("HTTP: every process, because each answers for its health and metrics", &[boxbox_api::ApiMetrics::NAMES]),
        chapter("The stores: `boxbox up`, `boxbox processor`, `boxbox api`", &[super::stores::StoreMetrics::NAMES]),
        chapter(
            "The process: every one",
            &[
                super::process::BuildMetrics::NAMES,
                super::process::ProcessMetrics::NAMES,
                super::runtimes::TaskMetrics::NAMES,
                super::data::DataMetrics::NAMES,
                HandleMetrics::NAMES,
                LogCounts::NAMES,
                ReportMetrics::NAMES,
                SpanMetrics::NAMES,
                GrantMetrics::NAMES,
                ClockMetrics::NAMES,
            ],
        ),
        chapter("The control topic: every process with a Kafka log", &[ControlMetrics::NAMES]),
    ]
}

/// What stands before the tables.
const HEAD: &str = include_str!("head.md");
/// Values of a label that are named on the page; of those with more only the number is.
const VALUES_SHOWN: usize = 24;

fn page() -> String {
    let mut page = HEAD.to_owned();
    for Chapter { title, parts } in chapters() {
        let _ = write!(page, "\n## {title}\n\n| metric | type | labels | what it says |\n|---|---|---|---|\n");
        for Described { name, kind, labels, help } in parts.into_iter().flatten() {
            let labels: Vec<String> = labels.iter().map(|label| format!("`{}`: {}", label.name, values(label.name, label.values))).collect();
            let _ = writeln!(page, "| `{name}` | {} | {} | {} |", kind.name(), labels.join("; "), help.replace('|', "\\|"));
        }
    }
    page
}

fn values(label: &str, values: &[&str]) -> String {
    match label {
        "version" => "the version of the program".to_owned(),
        _ if values.len() > VALUES_SHOWN => format!("{} values, of which the first are {}", values.len(), values[..3].join(", ")),
        _ => values.join(", "),
    }
}

/// The page is what the code says. With BOXBOX_WRITE_DOCS=1 it is written.
#[test]
fn the_page_of_metrics_is_what_the_code_says() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/METRICS.md");
    let page = page();
    if std::env::var_os("BOXBOX_WRITE_DOCS").is_some_and(|value| value == "1") {
        std::fs::write(path, &page).unwrap();
    }
    let stands = std::fs::read_to_string(path).unwrap();
    let different = page.lines().zip(stands.lines()).find(|(made, stands)| made != stands);
    assert!(page == stands, "docs/METRICS.md is not what the code says (run this test with BOXBOX_WRITE_DOCS=1): {different:?}");
}

#[test]
fn names_help_texts_and_labels_keep_to_their_form() {
    let mut seen = BTreeSet::new();
    for Described { name, kind, labels, help } in chapters().into_iter().flat_map(|chapter| chapter.parts).flatten() {
        assert!(seen.insert(*name), "{name} is there twice");
        assert!(name.starts_with("boxbox_") || name.starts_with("process_"), "{name}");
        assert_eq!(name.ends_with("_total"), *kind == Kind::Counter, "{name}");
        assert!(help.ends_with('.') && help.len() > 10, "{name}: {help:?}");
        // Ids of invariants say nothing to who looks at a dashboard.
        let is_id = |word: &str| matches!(word.as_bytes(), [b'A'..=b'Z', digits @ ..] if digits.first().is_some_and(u8::is_ascii_digit));
        assert!(!help.split(|c: char| !c.is_alphanumeric()).any(is_id), "{name}: {help:?}");
        let mut series = 1;
        for label in *labels {
            let values: BTreeSet<_> = label.values.iter().collect();
            assert!(values.len() == label.values.len() && !values.is_empty(), "{name}: {:?}", label.values);
            series *= values.len();
        }
        let most = if *kind == Kind::Histogram { 2_000 } else { 100 };
        assert!(series <= most, "{name} would be {series} series");
    }
}
