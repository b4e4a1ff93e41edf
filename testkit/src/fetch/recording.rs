//! A genuine recording for machines without the project's own: the race inside PyPI's sdist of libibt, 70 MB, iRacing's format.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use super::once::once;
use super::pip::pip;
use crate::folders;
use crate::tools::{self, Missing};

const SDIST: &str = "libibt-0.0.1";

/// The `.ibt` file of the sdist, fetched and unpacked the first time (25 MB).
pub fn recording() -> Result<PathBuf> {
    let folder = once(&folders::xtask().join("recording"), |part| {
        let mut pip = pip().ok_or_else(|| Missing::error("no pip to fetch a recording", "apt install python3-pip"))?;
        let tar = tools::find("tar").ok_or_else(|| Missing::error("no tar to unpack a recording", "apt install tar"))?;
        // Only libibt as source: with `:all:` pip would build its build tools from source as well, for minutes.
        pip.args(["download", "--no-deps", "--no-binary", "libibt", "libibt==0.0.1", "-d"]).arg(part);
        tools::run(&mut pip).context("pip could not fetch the recording inside libibt 0.0.1")?;
        let archive = part.join(format!("{SDIST}.tar.gz"));
        let inside = format!("{SDIST}/tests/test_data/test.ibt");
        tools::run(Command::new(tar).arg("-xzf").arg(&archive).args(["--strip-components=3", "-C"]).arg(part).arg(&inside))?;
        Ok(std::fs::remove_file(archive)?)
    })?;
    Ok(folder.join("test.ibt"))
}
