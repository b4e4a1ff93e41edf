//! Counts errors and warnings by the part of the program that logs them, whatever of it is shown, and passes errors on to be reported.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

use super::reports::Reports;

/// The parts of the program: its crates. `other`: those of others.
const TARGETS: [&str; 11] = ["api", "boxbox", "client", "ingest", "log", "processor", "race", "schemas", "sources", "store", "other"];

boxbox_schemas::metrics! {
    /// What is logged.
    pub struct LogCounts("boxbox") {
        /// Errors that were logged, by the part of the program.
        errors: counter by "target" of TARGETS,
        /// Warnings that were logged, by the part of the program.
        warnings: counter by "target" of TARGETS,
        /// Panics of this process. It must stay 0.
        panics: counter,
    }
}

/// The counts: the log begins before the recorder of metrics, and lives longer.
static ERRORS: [AtomicU64; TARGETS.len()] = [const { AtomicU64::new(0) }; TARGETS.len()];
static WARNINGS: [AtomicU64; TARGETS.len()] = [const { AtomicU64::new(0) }; TARGETS.len()];
static PANICS: AtomicU64 = AtomicU64::new(0);

/// The target of a panic's event. A panic is reported where it is caught, with its backtrace, and not from the event.
pub const PANIC: &str = "panic";

/// A panic has happened.
pub fn panicked() {
    PANICS.fetch_add(1, Relaxed);
}

/// Shows the counts as metrics.
pub fn measuring() -> impl Fn() + Send + Sync + 'static {
    let metrics = LogCounts::new();
    move || {
        for (at, target) in TARGETS.into_iter().enumerate() {
            metrics.errors.with(target).absolute(ERRORS[at].load(Relaxed));
            metrics.warnings.with(target).absolute(WARNINGS[at].load(Relaxed));
        }
        metrics.panics.absolute(PANICS.load(Relaxed));
    }
}

/// The layer that counts.
pub struct Counting {
    /// Where errors are reported, if anywhere.
    pub reports: Option<Reports>,
}

impl<S: Subscriber> Layer<S> for Counting {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let at = place(event.metadata().target());
        match *event.metadata().level() {
            Level::ERROR => {
                ERRORS[at].fetch_add(1, Relaxed);
                if let Some(reports) = self.reports.as_ref().filter(|_| event.metadata().target() != PANIC) {
                    reports.event(event);
                }
            }
            Level::WARN => {
                WARNINGS[at].fetch_add(1, Relaxed);
            }
            _ => {}
        }
    }
}

/// The part of the program that logs under `target`.
fn place(target: &str) -> usize {
    let part = target.split("::").next().unwrap_or_default();
    let part = part.strip_prefix("boxbox_").unwrap_or(part);
    TARGETS.iter().position(|known| *known == part).unwrap_or(TARGETS.len() - 1)
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    #[test]
    fn the_part_of_the_program_is_its_crate() {
        let of = |target: &str| TARGETS[place(target)];
        for (target, part) in
            [("boxbox_ingest::edge", "ingest"), ("boxbox::node", "boxbox"), ("boxbox_log", "log"), ("quinn_proto::x", "other"), ("", "other")]
        {
            assert_eq!(of(target), part);
        }
    }

    #[test]
    fn errors_and_warnings_are_counted_apart() {
        let (errors, warnings) = (&ERRORS[place("boxbox_race")], &WARNINGS[place("boxbox_race")]);
        let before = (errors.load(Relaxed), warnings.load(Relaxed));
        tracing::subscriber::with_default(tracing_subscriber::registry().with(Counting { reports: None }), || {
            tracing::error!(target: "boxbox_race::test", "one");
            tracing::warn!(target: "boxbox_race::test", "two");
            tracing::warn!(target: "boxbox_race::test", "three");
            tracing::info!(target: "boxbox_race::test", "four");
        });
        assert_eq!((errors.load(Relaxed) - before.0, warnings.load(Relaxed) - before.1), (1, 2));
    }
}
