//! `--log`: which parts of the program log how much.

use std::str::FromStr;

use tracing_subscriber::EnvFilter;

/// What is logged unless something else is given.
pub const DEFAULT: &str = "warn";
const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// A filter of logs that was checked.
#[derive(Clone, Debug)]
pub struct Verbosity(String);

impl Verbosity {
    /// The filter.
    pub fn filter(&self) -> EnvFilter {
        // It was parsed before.
        EnvFilter::try_new(&self.0).unwrap_or_else(|_| EnvFilter::new(DEFAULT))
    }
}

impl FromStr for Verbosity {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let help = || format!("give one of {}, or target=level for parts of the program, joined by commas", LEVELS.join(", "));
        // The filter takes a word that is no level for the name of a part that does not exist, and then nothing is logged.
        let is_level = |word: &str| LEVELS.iter().any(|level| level.eq_ignore_ascii_case(word));
        let part = |part: &str| match part.trim().rsplit_once('=') {
            None => is_level(part.trim()),
            // Spans may have any form.
            Some((target, level)) => !target.trim().is_empty() && (is_level(level.trim()) || target.contains('[')),
        };
        if !text.contains('[') && !text.split(',').all(part) {
            return Err(help());
        }
        // The filter takes no spaces.
        let text: String = text.split(',').map(str::trim).collect::<Vec<_>>().join(",");
        EnvFilter::try_new(&text).map_err(|_| help())?;
        Ok(Self(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_is_levels_with_or_without_a_target() {
        for right in ["warn", "INFO", "off", "boxbox_ingest=debug", "warn,boxbox_ingest=debug, boxbox_log=trace", "info,[session]=debug"] {
            assert!(right.parse::<Verbosity>().is_ok(), "{right}");
        }
        for wrong in ["", "verbose", "warning", "boxbox=verbose", "warn,", "=debug", "warn;info", "debug warn", "boxbox_ingest", "a=b=c"] {
            let error = wrong.parse::<Verbosity>().unwrap_err();
            assert!(error.contains("debug") && error.contains("target=level"), "{wrong}: {error}");
        }
    }
}
