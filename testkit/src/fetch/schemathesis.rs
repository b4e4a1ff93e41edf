//! Schemathesis, from PyPI: it sends an HTTP API the requests that its OpenAPI document allows and forbids, and checks the answers.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::once::once;
use super::pip::pip;
use crate::folders;
use crate::tools::{self, Missing};

/// Schemathesis and its dependencies, pinned, so that two runs send the same requests.
const REQUIREMENTS: &str = include_str!("schemathesis.txt");

/// A command that runs Schemathesis; its wheels are fetched the first time (15 MB). Give it arguments as to `st`.
pub fn schemathesis() -> Result<Command> {
    let folder = wheels()?;
    let python = tools::find("python3").ok_or_else(|| Missing::error("no Python to run Schemathesis", "apt install python3"))?;
    let mut command = Command::new(python);
    // Only the wheels and Python's own library: other installed packages have no influence.
    command.env("PYTHONPATH", folder).env("PYTHONNOUSERSITE", "1").env("PYTHONDONTWRITEBYTECODE", "1");
    command.args(["-c", "from schemathesis.cli import schemathesis; schemathesis(prog_name='st')"]);
    Ok(command)
}

fn wheels() -> Result<PathBuf> {
    // Another list of versions gets another folder.
    let name = format!("schemathesis-{:08x}", REQUIREMENTS.bytes().fold(0x811c_9dc5u32, |h, b| (h ^ u32::from(b)).wrapping_mul(0x0100_0193)));
    once(&folders::xtask().join(name), |part: &Path| {
        let mut pip = pip().ok_or_else(|| Missing::error("no pip to fetch Schemathesis", "apt install python3-pip"))?;
        let list = part.join("requirements.txt");
        std::fs::write(&list, REQUIREMENTS)?;
        pip.args(["install", "--only-binary", ":all:", "--no-compile", "--target"]).arg(part).arg("-r").arg(&list);
        tools::run(&mut pip).context("pip could not fetch Schemathesis")?;
        Ok(())
    })
}
