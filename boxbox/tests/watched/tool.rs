//! [`Tool`]: a process that a test starts, with its output in a file; it ends with the value.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use boxbox_testkit::tools;

/// A process.
pub(crate) struct Tool {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Tool {
    /// Starts `command`; what it prints goes to a file in `folder`.
    pub(crate) fn start(name: &str, mut command: Command, folder: &Path) -> Self {
        let log = folder.join(format!("{name}.log"));
        let out = File::options().create(true).append(true).open(&log).unwrap();
        let child = command.stdin(Stdio::null()).stdout(out.try_clone().unwrap()).stderr(out).spawn();
        let child = child.unwrap_or_else(|error| panic!("{name}: {error}"));
        Self { name: name.to_owned(), child, log }
    }

    /// Whether it has this name.
    pub(crate) fn is(&self, name: &str) -> bool {
        self.name == name
    }

    /// As a crash does: kill -9, waited for.
    pub(crate) fn kill(&mut self) {
        // One that has ended is what is wanted.
        let _ = self.child.kill();
        self.child.wait().unwrap();
    }

    /// Stops or continues it.
    pub(crate) fn signal(&self, signal: &str) {
        tools::run(Command::new("kill").arg(signal).arg(self.child.id().to_string())).unwrap();
    }

    /// Panics with what it printed if it has ended by itself.
    pub(crate) fn runs(&mut self) {
        if let Some(status) = self.child.try_wait().unwrap() {
            let said = std::fs::read_to_string(&self.log).unwrap_or_default();
            panic!("{} ended with {status}:\n{}", self.name, tools::tail(&said, tools::TAIL_LINES));
        }
    }
}

impl Drop for Tool {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            let said = std::fs::read_to_string(&self.log).unwrap_or_default();
            eprintln!("--- {}\n{}", self.name, tools::tail(&said, tools::TAIL_LINES));
        }
    }
}
