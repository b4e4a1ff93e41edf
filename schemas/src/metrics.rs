//! `metrics!`: declares a struct of metrics for a service. The doc comments are the help texts.
//!
//! ```
//! boxbox_schemas::metrics! {
//!     /// What an edge counts.
//!     pub struct EdgeMetrics("boxbox_edge") {
//!         /// Records made durable.
//!         acked: counter,
//!         /// Connections now.
//!         connections: gauge,
//!         /// Seconds from receipt to ack.
//!         ack_seconds: histogram,
//!         /// Closed connections, by reason.
//!         closed: counter by "code" of ["done", "crc"],
//!         /// Answers, by route and method.
//!         answer_seconds: histogram by "route" of ["/laps"], "method" of ["GET", "POST"],
//!     }
//! }
//! let metrics = EdgeMetrics::new();
//! metrics.acked.increment(1);
//! metrics.closed.with("crc").increment(1);
//! metrics.answer_seconds.with(["/laps", "GET"]).record(0.1);
//! assert_eq!(EdgeMetrics::NAMES[3].name, "boxbox_edge_closed_total");
//! ```
//! Names are the prefix, the field, and `_total` for counters. A label declares its values, and has no others: they never come from a peer.
//! Counters and gauges exist with each value from the start, at 0, because an alert on a series that does not exist never fires.
//! Histograms by a label are many series each, and no alert asks for their absence: theirs exist from the first value on.

use std::sync::{Arc, OnceLock};

pub use ::metrics as facade;

/// What a value is counted as that its label does not declare.
const OTHER: &str = "other";

/// The kind of a metric.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Only rises.
    Counter,
    /// Rises and falls.
    Gauge,
    /// Counts values by size.
    Histogram,
}

impl Kind {
    /// The kind as one word.
    pub const fn name(self) -> &'static str {
        match self {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        }
    }
}

/// A label and all values that it can have.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Label {
    /// The label's name.
    pub name: &'static str,
    /// Its values.
    pub values: &'static [&'static str],
}

/// What is known of a metric without a recorder.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Described {
    /// The name, as `/metrics` shows it.
    pub name: &'static str,
    /// The kind.
    pub kind: Kind,
    /// The labels; none for most.
    pub labels: &'static [Label],
    /// The help text.
    pub help: &'static str,
}

/// A metric with labels: one for each combination of their values.
pub type CounterBy = By<facade::Counter>;
/// As [`CounterBy`], of gauges.
pub type GaugeBy = By<facade::Gauge>;
/// As [`CounterBy`], of histograms.
pub type HistogramBy = By<facade::Histogram>;

/// A kind of metric that can have labels.
pub trait Series: Clone {
    /// Whether it exists from the start with each value.
    const FROM_THE_START: bool;

    /// The metric with these labels.
    fn of(name: &'static str, labels: Vec<facade::Label>) -> Self;
}

impl Series for facade::Counter {
    const FROM_THE_START: bool = true;
    fn of(name: &'static str, labels: Vec<facade::Label>) -> Self {
        facade::counter!(name, labels)
    }
}

impl Series for facade::Gauge {
    const FROM_THE_START: bool = true;
    fn of(name: &'static str, labels: Vec<facade::Label>) -> Self {
        facade::gauge!(name, labels)
    }
}

impl Series for facade::Histogram {
    const FROM_THE_START: bool = false;
    fn of(name: &'static str, labels: Vec<facade::Label>) -> Self {
        facade::histogram!(name, labels)
    }
}

/// A family of metrics, one for each combination of the values of its labels.
#[derive(Clone)]
pub struct By<M> {
    name: &'static str,
    labels: &'static [Label],
    /// In the order of the values, the last label's values next to each other.
    made: Arc<[OnceLock<M>]>,
}

impl<M> std::fmt::Debug for By<M> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("By").field("name", &self.name).field("labels", &self.labels).finish_non_exhaustive()
    }
}

impl<M: Series> By<M> {
    #[doc(hidden)]
    pub fn new(name: &'static str, labels: &'static [Label]) -> Self {
        let many = labels.iter().map(|label| label.values.len()).product();
        let by = Self { name, labels, made: (0..many).map(|_| OnceLock::new()).collect() };
        if M::FROM_THE_START {
            (0..many).for_each(|at| drop(by.at(at)));
        }
        by
    }

    /// The metric whose labels have these values: one text, or an array of one for each label.
    pub fn with<V: Values>(&self, values: V) -> M {
        let values = values.as_slice();
        let places = self.labels.iter().zip(values).map(|(label, value)| label.values.iter().position(|known| known == value));
        let at = places.zip(self.labels).try_fold(0, |at, (place, label)| place.map(|place| at * label.values.len() + place));
        match at {
            Some(at) if values.len() == self.labels.len() && at < self.made.len() => self.at(at),
            _ => M::of(self.name, self.labels.iter().map(|label| facade::Label::new(label.name, OTHER)).collect()),
        }
    }

    /// The metric at a place of the order of the values.
    fn at(&self, at: usize) -> M {
        let make = || {
            let mut left = at;
            let mut labels: Vec<_> = (self.labels.iter().rev())
                .map(|label| {
                    let value = label.values[left % label.values.len()];
                    left /= label.values.len();
                    facade::Label::new(label.name, value)
                })
                .collect();
            labels.reverse();
            M::of(self.name, labels)
        };
        self.made[at].get_or_init(make).clone()
    }
}

/// The values of the labels of one metric.
pub trait Values {
    /// In the order of the labels.
    fn as_slice(&self) -> &[&'static str];
}

impl Values for &'static str {
    fn as_slice(&self) -> &[&'static str] {
        std::slice::from_ref(self)
    }
}

impl<const N: usize> Values for [&'static str; N] {
    fn as_slice(&self) -> &[&'static str] {
        self
    }
}

/// See the [module](self).
#[macro_export]
macro_rules! metrics {
    ($(#[doc = $doc:literal])* pub struct $name:ident($prefix:literal) {
        $($(#[doc = $help:literal])* $field:ident: $kind:ident $(by $($label:literal of $values:expr),+)?),* $(,)?
    }) => {
        $(#[doc = $doc])*
        #[derive(Clone)]
        pub struct $name { $($(#[doc = $help])* pub $field: $crate::metrics!(@type $kind $($($label)+)?)),* }

        impl $name {
            /// Every metric of these, in order.
            pub const NAMES: &'static [$crate::metrics::Described] = &[$($crate::metrics::Described {
                name: $crate::metrics!(@name $prefix, $field, $kind),
                kind: $crate::metrics!(@kind $kind),
                labels: &[$($($crate::metrics::Label { name: $label, values: &$values }),+)?],
                help: concat!($($help),*).trim_ascii(),
            }),*];

            /// Describe and register the metrics with the recorder that is installed, if any.
            pub fn new() -> Self {
                $($crate::metrics!(@describe $kind, $crate::metrics!(@name $prefix, $field, $kind), concat!($($help),*).trim());)*
                let mut names = Self::NAMES.iter();
                // One name for each field.
                $(let $field = {
                    let labels = names.next().map_or(&[][..], |described| described.labels);
                    $crate::metrics!(@make $kind, $crate::metrics!(@name $prefix, $field, $kind), labels $(, $($label)+)?)
                };)*
                Self { $($field),* }
            }
        }
        impl Default for $name {
            fn default() -> Self {
                Self::new()
            }
        }
    };
    (@type counter $($label:literal)+) => { $crate::metrics::CounterBy };
    (@type gauge $($label:literal)+) => { $crate::metrics::GaugeBy };
    (@type histogram $($label:literal)+) => { $crate::metrics::HistogramBy };
    (@type counter) => { $crate::metrics::facade::Counter };
    (@type gauge) => { $crate::metrics::facade::Gauge };
    (@type histogram) => { $crate::metrics::facade::Histogram };
    (@kind counter) => { $crate::metrics::Kind::Counter };
    (@kind gauge) => { $crate::metrics::Kind::Gauge };
    (@kind histogram) => { $crate::metrics::Kind::Histogram };
    (@name $prefix:literal, $field:ident, counter) => { concat!($prefix, "_", stringify!($field), "_total") };
    (@name $prefix:literal, $field:ident, $kind:ident) => { concat!($prefix, "_", stringify!($field)) };
    (@describe counter, $name:expr, $help:expr) => { $crate::metrics::facade::describe_counter!($name, $help) };
    (@describe gauge, $name:expr, $help:expr) => { $crate::metrics::facade::describe_gauge!($name, $help) };
    (@describe histogram, $name:expr, $help:expr) => { $crate::metrics::facade::describe_histogram!($name, $help) };
    (@make $kind:ident, $name:expr, $labels:expr, $($label:literal)+) => { $crate::metrics::By::new($name, $labels) };
    (@make counter, $name:expr, $labels:expr) => {{ let _ = $labels; $crate::metrics::facade::counter!($name) }};
    (@make gauge, $name:expr, $labels:expr) => {{ let _ = $labels; $crate::metrics::facade::gauge!($name) }};
    (@make histogram, $name:expr, $labels:expr) => {{ let _ = $labels; $crate::metrics::facade::histogram!($name) }};
}
