//! compose-go, the Compose Specification's own library, built into a small program from the Go module proxy. It reads a compose
//! file as Docker Compose would, without Docker.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::once::once;
use crate::folders;
use crate::tools::{self, Missing};
use crate::version::Version;

/// The Go that compose-go asks for.
pub const MIN_GO: Version = Version::new(1, 24, 0);

/// The program and the versions it is made of; go.sum has the hash of each module.
const FILES: [(&str, &str); 3] =
    [("main.go", include_str!("compose/main.go")), ("go.mod", include_str!("compose/go.mod")), ("go.sum", include_str!("compose/go.sum"))];

/// A command that loads the compose files it is given and prints the project as JSON; built the first time (3 MB, half a minute).
pub fn compose() -> Result<Command> {
    Ok(Command::new(program()?))
}

fn program() -> Result<PathBuf> {
    // Changed files get another folder.
    let hash = FILES.iter().flat_map(|(_, text)| text.bytes()).fold(0x811c_9dc5u32, |h, b| (h ^ u32::from(b)).wrapping_mul(0x0100_0193));
    let folder = once(&folders::xtask().join(format!("compose-{hash:08x}")), build)?;
    Ok(folder.join("compose"))
}

fn build(part: &Path) -> Result<()> {
    let missing = |what: String| Missing::error(what, "apt install golang-go (Debian 13 or later)");
    let go = tools::find("go").ok_or_else(|| missing("no Go to build compose-go".into()))?;
    let found = go_version(&go);
    if found.is_none_or(|found| found < MIN_GO) {
        return Err(missing(format!("Go {} is older than {MIN_GO}", found.map_or("of unknown version".into(), |found| found.to_string()))));
    }
    for (name, text) in FILES {
        std::fs::write(part.join(name), text).with_context(|| format!("cannot write {name}"))?;
    }
    let work = part.join("work");
    let mut command = Command::new(go);
    command.args(["build", "-trimpath", "-mod=readonly", "-modcacherw", "-o", "compose", "."]).current_dir(part);
    // Exactly the modules of go.sum, and no files left in the user's caches.
    command.env("GOWORK", "off").env("GOFLAGS", "").env("CGO_ENABLED", "0");
    command.env("GOMODCACHE", work.join("modules")).env("GOCACHE", work.join("cache"));
    tools::run(&mut command).context("Go could not build compose-go")?;
    std::fs::remove_dir_all(&work).with_context(|| format!("cannot remove {}", work.display()))
}

/// The version that `go version` names: `go version go1.26.8 linux/amd64`.
pub fn go_version(go: &Path) -> Option<Version> {
    tools::says(go, &["version"])?.split_whitespace().find_map(|word| Version::parse(word.strip_prefix("go")?))
}
