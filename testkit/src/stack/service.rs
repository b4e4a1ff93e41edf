//! The operations of every kind of part, and the paths of a part's files.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;
use rustix::process::Signal;

/// A service that a part runs. `PartFiles` has the paths of the part's files.
pub(super) trait Service {
    /// Its name for people: "Kafka 4.3.1".
    fn title(&self) -> String;

    /// The version that this xtask starts; data of another one is not started.
    fn version(&self) -> (&str, &'static str);

    /// The ports it holds, whether it runs or not.
    fn ports(&self) -> Vec<u16>;

    /// Where clients connect, for a table.
    fn address(&self) -> String;

    /// Prepares everything for a start, also what only a first start needs, and returns the command that starts it.
    fn command(&self, files: &PartFiles<'_>) -> Result<Command>;

    /// True once it answers; an error if another program answers at its port.
    fn answers(&self, files: &PartFiles<'_>) -> Result<bool>;

    /// A file that every data folder of this kind has.
    fn landmark(&self) -> &'static str;

    /// The signal that ends it cleanly.
    fn stop_signal(&self) -> Signal {
        Signal::TERM
    }
}

/// The paths of a part's files.
#[derive(Debug, Clone, Copy)]
pub(super) struct PartFiles<'a> {
    /// The stack's folder.
    pub(super) stack: &'a Path,
    /// The part's name.
    pub(super) part: &'a str,
}

impl PartFiles<'_> {
    /// The part's folder. If the part's user may not enter the stack's folder it is a link to a folder elsewhere; this is that folder then.
    pub(super) fn home(&self) -> PathBuf {
        let home = self.stack.join(self.part);
        std::fs::read_link(&home).unwrap_or(home)
    }

    /// The folder of its data: a copy is the part's state at that moment.
    pub(super) fn data(&self) -> PathBuf {
        self.home().join("data")
    }

    /// A file of the part beside its folder: `kafka.log`, `kafka.pid`.
    pub(super) fn file(&self, extension: &str) -> PathBuf {
        self.stack.join(format!("{}.{extension}", self.part))
    }
}
