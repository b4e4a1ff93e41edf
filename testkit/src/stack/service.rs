//! What every kind of part can say of itself, and where a part keeps its things.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;
use rustix::process::Signal;

/// A kind of part. `PartFiles` is where that part's files are.
pub(super) trait Service {
    /// What it is, for people: "Kafka 4.3.1".
    fn title(&self) -> String;

    /// The version that this xtask starts; data of another one is not started.
    fn version(&self) -> (&str, &'static str);

    /// The ports it holds, whether it runs or not.
    fn ports(&self) -> Vec<u16>;

    /// Where clients connect, for a table.
    fn address(&self) -> String;

    /// Makes everything ready to start (what a first start needs once included) and says how to start it.
    fn command(&self, files: &PartFiles<'_>) -> Result<Command>;

    /// True once it answers as what it should be; an error if something else answers at its port.
    fn answers(&self, files: &PartFiles<'_>) -> Result<bool>;

    /// A file that every data folder of this kind has.
    fn landmark(&self) -> &'static str;

    /// What ends it cleanly.
    fn stop_signal(&self) -> Signal {
        Signal::TERM
    }
}

/// Where a part's files are.
#[derive(Debug, Clone, Copy)]
pub(super) struct PartFiles<'a> {
    /// The stack's folder.
    pub(super) stack: &'a Path,
    /// The part's name.
    pub(super) part: &'a str,
}

impl PartFiles<'_> {
    /// The part's own folder. It may be a link to one elsewhere, where who runs it may not enter the stack's; then this is that.
    pub(super) fn home(&self) -> PathBuf {
        let home = self.stack.join(self.part);
        std::fs::read_link(&home).unwrap_or(home)
    }

    /// The folder that makes it what it has become: copied, it is the part at that moment.
    pub(super) fn data(&self) -> PathBuf {
        self.home().join("data")
    }

    /// A file of the part beside its folder: `kafka.log`, `kafka.pid`.
    pub(super) fn file(&self, extension: &str) -> PathBuf {
        self.stack.join(format!("{}.{extension}", self.part))
    }
}
