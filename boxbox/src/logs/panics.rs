//! What happens at a panic, also at one that is caught: it is counted, logged and reported, with where it happened.

use std::backtrace::Backtrace;
use std::panic::{self, PanicHookInfo};

use super::counting;
use super::reports::Reports;

/// From now on watch for panics. With `json` they are logged as events; else the program says them as Rust programs do.
pub fn watch(json: bool, reports: Option<Reports>) {
    let usual = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        counting::panicked();
        let (place, message) = (place(info), info.payload_as_str().unwrap_or("a panic without a text"));
        if json {
            // A warning, because an error would be reported a second time.
            tracing::warn!(place, "panic: {message}");
        } else {
            usual(info);
        }
        if let Some(reports) = &reports {
            reports.panic(&place, message, || Backtrace::force_capture().to_string());
        }
    }));
}

/// File, line and column.
fn place(info: &PanicHookInfo<'_>) -> String {
    info.location().map_or_else(|| "?".to_owned(), ToString::to_string)
}
