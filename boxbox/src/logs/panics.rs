//! What happens at a panic, also at one that is caught: it is counted, logged and reported, with where it happened.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::panic::{self, PanicHookInfo};

use boxbox_schemas::text::plain;

use super::counting;
use super::reports::Reports;
use crate::cli::secret::masked;
use crate::show::stderr;

/// From now on watch for panics. With `json` they are logged as events, which are errors; else they are written to standard error, also if nothing
/// else is logged.
pub fn watch(json: bool, reports: Option<Reports>) {
    panic::set_hook(Box::new(move |info| {
        counting::panicked();
        let (place, message) = (place(info), info.payload_as_str().unwrap_or("a panic without a text"));
        // With RUST_BACKTRACE=1, as Rust programs do.
        let backtrace = Some(Backtrace::capture()).filter(|backtrace| backtrace.status() == BacktraceStatus::Captured);
        let message = plain(&masked(message)).into_owned();
        if json {
            tracing::error!(target: counting::PANIC, place, backtrace = backtrace.map(|backtrace| backtrace.to_string()), "panic: {message}");
        } else {
            let thread = std::thread::current();
            let of = backtrace.map_or_else(String::new, |backtrace| format!("\n{backtrace}"));
            stderr::note(&format!("panic in the thread {} at {place}: {message}{of}", thread.name().unwrap_or("without a name")));
        }
        if let Some(reports) = &reports {
            reports.panic(&place, &message, || Backtrace::force_capture().to_string());
        }
    }));
}

/// File, line and column.
fn place(info: &PanicHookInfo<'_>) -> String {
    info.location().map_or_else(|| "?".to_owned(), ToString::to_string)
}
