//! [`LogOptions`]: which log a process uses, and how it logs in there.

use std::path::PathBuf;

use crate::data;

/// Which log a process uses.
#[derive(Clone, Debug, Default)]
pub struct LogOptions {
    /// The log's URL; `None`: files in the data folder.
    pub url: Option<String>,
    /// File with the password of a log whose URL has `sasl=…`.
    pub password_file: Option<PathBuf>,
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
