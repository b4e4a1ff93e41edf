//! [`LogOptions`]: which log a process uses, and how it logs in there.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use boxbox_log::embedded;
use boxbox_schemas::wall::WallClock;
use tokio::sync::watch;

use crate::data;

/// Which log a process uses.
#[derive(Clone, Debug, Default)]
pub struct LogOptions {
    /// The log's URL; `None`: files in the data folder.
    pub url: Option<String>,
    /// File with the password of a log whose URL has `sasl=…`.
    pub password_file: Option<PathBuf>,
}

/// How much a log of files keeps. It never removes what results or archive have not processed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LogRetention {
    /// Most bytes.
    pub max_bytes: u64,
    /// Longest age.
    pub max_age: Duration,
}

impl Default for LogRetention {
    /// Eight hours of a full grid, and a week: time to look into a fault, on the disk of a home server.
    fn default() -> Self {
        Self { max_bytes: 8 << 30, max_age: Duration::from_secs(7 * 86_400) }
    }
}

impl LogRetention {
    /// Least bytes that may be asked for.
    pub const MIN_BYTES: u64 = 64 << 20;

    /// The options of a log of files. While the clock cannot be believed, nothing is removed by its age.
    pub fn options(&self, clock: watch::Receiver<WallClock>) -> embedded::Options {
        let time = move || {
            let clock = *clock.borrow();
            clock.jump().is_none().then(|| clock.steady_us())
        };
        embedded::Options {
            retention_bytes: Some(self.max_bytes),
            retention_age: Some(self.max_age),
            retain_unreleased: true,
            clock: Arc::new(time),
            ..embedded::Options::default()
        }
    }
}

impl LogOptions {
    /// What `boxbox_log` needs beside the URL.
    ///
    /// # Errors
    /// If the password file cannot be read or holds no password.
    pub fn open_options(&self) -> anyhow::Result<boxbox_log::open::Options> {
        let kafka_password = self.password_file.as_deref().map(data::read_secret).transpose()?;
        Ok(boxbox_log::open::Options { kafka_password, ..Default::default() })
    }
}
