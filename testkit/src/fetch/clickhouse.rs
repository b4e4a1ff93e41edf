//! ClickHouse, from PyPI: the wheel `chdb-core` is the whole engine as a Python module.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::once::once;
use super::pip::pip;
use crate::folders;
use crate::tools::{self, Missing};
use crate::version::Version;

/// The engine that tests run against.
pub const CLICKHOUSE_VERSION: &str = "26.9";

/// Pinned to the file: `clickhouse.py` uses internals that another version may not have.
const REQUIREMENT: &str = "chdb-core==26.9.0 --hash=sha256:707e2ec3fe0f7953bac97942eaeb7a1ed1d66b1e56ecef3f0aa2130f61f6e735\n";

/// The oldest Python that the wheel supports.
const MIN_PYTHON: Version = Version::new(3, 9, 0);

/// The folder that the wheel is installed in: 180 MB to fetch the first time, 540 MB on disk.
pub fn clickhouse() -> Result<PathBuf> {
    once(&wheel_folder(), |part: &Path| {
        if cfg!(not(all(target_os = "linux", target_arch = "x86_64"))) {
            return Err(Missing::error("ClickHouse for tests is pinned for Linux on x86-64 only", "set CLICKHOUSE_URL to a server of yours"));
        }
        python()?;
        let mut pip = pip().ok_or_else(|| Missing::error("no pip to fetch ClickHouse", "apt install python3-pip"))?;
        let list = part.join("requirements.txt");
        std::fs::write(&list, REQUIREMENT)?;
        pip.args(["install", "--no-deps", "--require-hashes", "--only-binary", ":all:", "--no-compile", "--target"]);
        pip.arg(part).arg("-r").arg(&list);
        tools::run(&mut pip).map(drop).context("pip could not fetch ClickHouse (chdb-core, is PyPI reachable?)")
    })
}

/// A Python that is new enough to load the wheel.
pub fn python() -> Result<PathBuf> {
    let get = "apt install python3 python3-pip";
    let python = tools::find("python3").ok_or_else(|| Missing::error("no Python to run ClickHouse", get))?;
    match tools::version(&python, &["--version"]) {
        Some(version) if version < MIN_PYTHON => {
            Err(Missing::error(format!("Python {version} is too old (ClickHouse's wheel needs {MIN_PYTHON})"), get))
        }
        _ => Ok(python),
    }
}

/// True if it is fetched already: then only Python is needed for it.
pub fn has_clickhouse() -> bool {
    wheel_folder().exists()
}

fn wheel_folder() -> PathBuf {
    folders::xtask().join("clickhouse").join(CLICKHOUSE_VERSION).join("wheel")
}
