//! A recorder that tests can read: the sum of everything counted in this process, by metric and label value.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, LazyLock, Mutex};

use boxbox_schemas::metrics::facade::{self, Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};

static CELLS: LazyLock<Mutex<HashMap<String, Arc<AtomicU64>>>> = LazyLock::new(Mutex::default);

struct Cells;

/// Count from now on.
pub(crate) fn install() {
    static ONCE: LazyLock<()> = LazyLock::new(|| facade::set_global_recorder(Cells).expect("no other recorder in this process"));
    LazyLock::force(&ONCE);
}

/// A counter's value: `name`, or `name{value}` for one value of its label.
pub(crate) fn read(name: &str) -> u64 {
    CELLS.lock().unwrap().get(name).map_or(0, |cell| cell.load(Relaxed))
}

/// A gauge's value.
pub(crate) fn gauge(name: &str) -> f64 {
    f64::from_bits(read(name))
}

/// The sum of a family over its label's values.
pub(crate) fn family(name: &str) -> u64 {
    let prefix = format!("{name}{{");
    CELLS.lock().unwrap().iter().filter(|(key, _)| key.starts_with(&prefix)).map(|(_, cell)| cell.load(Relaxed)).sum()
}

/// Everything, to be taken off later.
pub(crate) fn snapshot() -> HashMap<String, u64> {
    CELLS.lock().unwrap().iter().map(|(key, cell)| (key.clone(), cell.load(Relaxed))).collect()
}

fn cell(key: &Key) -> Arc<AtomicU64> {
    let label = key.labels().map(|l| format!("{{{}}}", l.value())).collect::<String>();
    CELLS.lock().unwrap().entry(format!("{}{label}", key.name())).or_default().clone()
}

impl Recorder for Cells {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(cell(key))
    }
    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(cell(key))
    }
    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}
