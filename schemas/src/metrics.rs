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
//!         closed: counter by "reason",
//!     }
//! }
//! let metrics = EdgeMetrics::new();
//! metrics.acked.increment(1);
//! metrics.closed.with("crc").increment(1);
//! ```
//! Names are the prefix, the field, and `_total` for counters. A label's values never come from a peer.

pub use ::metrics as facade;

/// A family of counters, one for each value of a label.
#[derive(Clone, Debug)]
pub struct CounterBy {
    name: &'static str,
    label: &'static str,
}

impl CounterBy {
    #[doc(hidden)]
    pub const fn new(name: &'static str, label: &'static str) -> Self {
        Self { name, label }
    }
    /// The counter whose label has this value, one of a fixed set of words.
    pub fn with(&self, value: &'static str) -> facade::Counter {
        facade::counter!(self.name, self.label => value)
    }
}

/// See the [module](self).
#[macro_export]
macro_rules! metrics {
    ($(#[doc = $doc:literal])* pub struct $name:ident($prefix:literal) { $($(#[doc = $help:literal])* $field:ident: $kind:ident $(by $label:literal)?),* $(,)? }) => {
        $(#[doc = $doc])*
        #[derive(Clone)]
        pub struct $name { $($(#[doc = $help])* pub $field: $crate::metrics!(@type $kind $($label)?)),* }

        impl $name {
            /// Describe and register the metrics with the recorder that is installed, if any.
            pub fn new() -> Self {
                $($crate::metrics!(@describe $kind, $crate::metrics!(@name $prefix, $field, $kind), concat!($($help),*).trim());)*
                Self { $($field: $crate::metrics!(@make $kind, $crate::metrics!(@name $prefix, $field, $kind) $(, $label)?)),* }
            }
        }
        impl Default for $name {
            fn default() -> Self {
                Self::new()
            }
        }
    };
    (@type counter $label:literal) => { $crate::metrics::CounterBy };
    (@type counter) => { $crate::metrics::facade::Counter };
    (@type gauge) => { $crate::metrics::facade::Gauge };
    (@type histogram) => { $crate::metrics::facade::Histogram };
    (@name $prefix:literal, $field:ident, counter) => { concat!($prefix, "_", stringify!($field), "_total") };
    (@name $prefix:literal, $field:ident, $kind:ident) => { concat!($prefix, "_", stringify!($field)) };
    (@describe counter, $name:expr, $help:expr) => { $crate::metrics::facade::describe_counter!($name, $help) };
    (@describe gauge, $name:expr, $help:expr) => { $crate::metrics::facade::describe_gauge!($name, $help) };
    (@describe histogram, $name:expr, $help:expr) => { $crate::metrics::facade::describe_histogram!($name, $help) };
    (@make counter, $name:expr, $label:literal) => { $crate::metrics::CounterBy::new($name, $label) };
    (@make counter, $name:expr) => { $crate::metrics::facade::counter!($name) };
    (@make gauge, $name:expr) => { $crate::metrics::facade::gauge!($name) };
    (@make histogram, $name:expr) => { $crate::metrics::facade::histogram!($name) };
}
