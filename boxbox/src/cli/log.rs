//! The options of the log.

use std::path::PathBuf;

use clap::Args;

use crate::config_check::{Findings, services};
use crate::log::LogOptions;

/// Which log, and how to log in there.
#[derive(Args)]
pub struct LogArgs {
    /// URL of a Kafka log, kafka://host:9092/topic; without it the log is files in the data folder. All nodes of a Kafka log use
    /// the same keys and revocations. Parameters follow a `?`, joined by `&`: tls=on, ca=FILE, sasl=plain or scram-sha-256 or scram-sha-512, user=NAME
    #[arg(long, env = "BOXBOX_LOG_URL")]
    log_url: Option<String>,
    /// File with the password for a log whose URL has sasl=…
    #[arg(long, env = "BOXBOX_LOG_PASSWORD_FILE")]
    log_password_file: Option<PathBuf>,
}

impl LogArgs {
    /// Look for what is wrong with the log.
    pub fn look(&self, findings: &mut Findings) {
        services::log(&LogOptions { url: self.log_url.clone(), password_file: self.log_password_file.clone() }, findings);
    }

    /// The options that the services take.
    pub fn options(self) -> LogOptions {
        LogOptions { url: self.log_url, password_file: self.log_password_file }
    }
}
