//! Saving and restoring a part's data: a test returns a database to an earlier moment, as a restored backup does.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use super::folder::lock;
use super::handle::Stack;
use super::process::State;
use super::record::Part;
use crate::tools;

impl Stack {
    /// Copies a part's data folder to `to`, which must not exist: stops the part cleanly if it runs, and starts it again. If the part
    /// was killed, the copy is the data as the crash left it.
    pub fn save(&self, part: &str, to: &Path) -> Result<()> {
        let _lock = lock(&self.folder)?;
        let part = self.record.part(part)?;
        let data = self.files(part).data();
        ensure!(data.exists(), "{} of stack {} has no data yet", part.name, self.record.name);
        let ran = matches!(self.state(part), State::Running(_));
        if ran {
            self.pid_file(part).stop()?;
        }
        // The part must run again even if the copy fails.
        let copied = tools::copy_folder(&data, to);
        if ran {
            self.start_parts(&[part])?;
        }
        copied
    }

    /// Puts a copy that `save` made in the place of a part's data, and starts it. The copy stays and can be put back again.
    pub fn put_back(&self, part: &str, from: &Path) -> Result<()> {
        let _lock = lock(&self.folder)?;
        let part = self.record.part(part)?;
        let (data, service) = (self.files(part).data(), part.engine.service());
        ensure!(
            from.join(service.landmark()).exists(),
            "{} is no data folder of {}: it has no {}",
            from.display(),
            service.title(),
            service.landmark()
        );
        self.pid_file(part).stop()?;
        self.exchange(part, from, &data).with_context(|| format!("cannot put {} back", from.display()))?;
        self.start_parts(&[part])
    }

    /// The copy is complete before the old data is removed.
    fn exchange(&self, part: &Part, from: &Path, data: &Path) -> Result<()> {
        let [copy, old] = ["data.copy", "data.old"].map(|name| self.files(part).home().join(name));
        for leftover in [&copy, &old] {
            remove(leftover)?;
        }
        tools::copy_folder(from, &copy)?;
        if data.exists() {
            std::fs::rename(data, &old)?;
        }
        std::fs::rename(&copy, data)?;
        remove(&old)
    }
}

/// Removes a folder, if it exists.
fn remove(folder: &PathBuf) -> Result<()> {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error).with_context(|| format!("cannot remove {}", folder.display())),
        _ => Ok(()),
    }
}
