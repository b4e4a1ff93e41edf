//! A real PostgreSQL as a part of a stack: on 127.0.0.1 only, with a password, with and without TLS, with fsync on.
//!
//! PostgreSQL refuses to run as root. Started by root it runs as a user who owns nothing else. If that user may not enter the
//! target folder, the server's folder is among the system's temporary files, with a link to it in the stack's folder.

use std::collections::BTreeMap;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, chown, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use rustix::process::Signal;
use serde::{Deserialize, Serialize};

use super::folder::OUTSIDE_PREFIX;
use super::postgres_probe;
use super::process_table::{command_line, is_gone};
use super::secrets::{self, DATABASE, USER};
use super::service::{PartFiles, Service};
use crate::{fetch, tools};

/// The user that it runs as if xtask is run by root: `nobody` on every Linux. It must be a user with a name, or initdb refuses.
const UNPRIVILEGED: u32 = 65534;

/// Options of a PostgreSQL.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PostgresOptions {
    /// Settings beyond those of `Postgres::settings`, or instead of them: ("max_connections", "20").
    pub settings: BTreeMap<String, String>,
}

/// The record of a stack's PostgreSQL.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Postgres {
    /// The server's version; data of another one is not started.
    pub version: String,
    /// Where clients connect, on 127.0.0.1.
    pub port: u16,
    /// Settings given by the user.
    pub settings: BTreeMap<String, String>,
}

impl Postgres {
    /// A new server; the caller has picked its port.
    pub(super) fn new(port: u16) -> Self {
        Self { version: fetch::POSTGRES_VERSION.into(), port, settings: BTreeMap::new() }
    }

    /// Takes over what may change between two starts.
    pub(super) fn adopt(&mut self, options: &PostgresOptions) {
        self.settings.extend(options.settings.clone());
    }

    /// Its address, without the password.
    pub fn url(&self) -> String {
        format!("postgres://{USER}@127.0.0.1:{}/{DATABASE}", self.port)
    }

    fn settings(&self, home: &Path) -> BTreeMap<String, String> {
        let own = [
            ("listen_addresses", "127.0.0.1".into()),
            ("port", self.port.to_string()),
            // No socket: its path may be too long, and no client needs it.
            ("unix_socket_directories", String::new()),
            ("ssl", "on".into()),
            ("ssl_cert_file", home.join("server.pem").display().to_string()),
            ("ssl_key_file", home.join("server.key").display().to_string()),
        ];
        let mut all: BTreeMap<String, String> = own.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
        all.extend(self.settings.clone());
        all
    }

    /// Makes a data folder with the database and one user. The password goes through a pipe, so that no command line shows it.
    fn make_data(home: &Path, program: &Path, password: &str) -> Result<()> {
        let part = home.join("data.part");
        if part.exists() {
            std::fs::remove_dir_all(&part).with_context(|| format!("cannot remove {}", part.display()))?;
        }
        let mut initdb = as_its_user(&program.join("bin/initdb"), home);
        // `trust` until the rules below replace it; nothing listens before.
        initdb.args(["--auth=trust", "--no-instructions", "--encoding=UTF8", "--locale=C", "--locale-provider=builtin"]);
        initdb.args(["--builtin-locale=C.UTF-8", "-U", USER, "-D"]).arg(&part);
        tools::run(&mut initdb).context("initdb failed")?;
        std::fs::write(part.join("pg_hba.conf"), HBA)?;
        let mut single = as_its_user(&program.join("bin/postgres"), home);
        single.args(["--single", "-c", "exit_on_error=on", "-D"]).arg(&part).arg("postgres");
        tools::feed(&mut single, &format!("ALTER ROLE {USER} PASSWORD '{password}'\nCREATE DATABASE {DATABASE}\n"))
            .context("PostgreSQL did not take its first commands")?;
        Ok(std::fs::rename(part, home.join("data"))?)
    }

    /// The certificate, unless it is there.
    fn make_identity(home: &Path, authority: &Path) -> Result<()> {
        let (certificate, key) = (home.join("server.pem"), home.join("server.key"));
        if authority.exists() && certificate.exists() && key.exists() {
            return Ok(());
        }
        let identity = secrets::identity()?;
        secrets::private(&certificate, &identity.certificate)?;
        secrets::private(&key, &identity.key)?;
        give(&certificate)?;
        give(&key)?;
        std::fs::write(authority, identity.authority).with_context(|| format!("cannot write {}", authority.display()))
    }
}

impl Service for Postgres {
    fn title(&self) -> String {
        format!("PostgreSQL {}", self.version)
    }

    fn version(&self) -> (&str, &'static str) {
        (&self.version, fetch::POSTGRES_VERSION)
    }

    fn ports(&self) -> Vec<u16> {
        vec![self.port]
    }

    fn address(&self) -> String {
        self.url()
    }

    fn command(&self, files: &PartFiles<'_>) -> Result<Command> {
        let program = fetch::postgres().context("cannot start PostgreSQL")?;
        let (home, program) = settle(files, &program)?;
        let password = secrets::password(&files.file("password"))?;
        Self::make_identity(&home, &files.file("ca.pem"))?;
        if !files.data().exists() {
            Self::make_data(&home, &program, &password).with_context(|| format!("cannot make a database in {}", home.display()))?;
        }
        forget_dead_postmaster(&files.data());
        let mut server = as_its_user(&program.join("bin/postgres"), &home);
        server.arg("-D").arg(files.data());
        for (key, value) in self.settings(&home) {
            server.arg("-c").arg(format!("{key}={value}"));
        }
        Ok(server)
    }

    fn answers(&self, _: &PartFiles<'_>) -> Result<bool> {
        postgres_probe::is_ready(self.port, USER, DATABASE)
    }

    fn landmark(&self) -> &'static str {
        "PG_VERSION"
    }

    /// Its SIGTERM waits until every client has gone.
    fn stop_signal(&self) -> Signal {
        Signal::INT
    }
}

/// PostgreSQL does not start if a process with its last pid seems to live, even if it is a zombie or another program. It detects
/// its surviving children without that file, by the memory that they share.
fn forget_dead_postmaster(data: &Path) {
    let file = data.join("postmaster.pid");
    let pid = std::fs::read_to_string(&file).ok().and_then(|text| text.lines().next()?.trim().parse::<i32>().ok());
    let is_ours = |pid| command_line(pid).is_some_and(|line| line.contains(&data.display().to_string()));
    if pid.is_some_and(|pid| is_gone(pid) || !is_ours(pid)) {
        // If that fails PostgreSQL reports the cause.
        drop(std::fs::remove_file(file));
    }
}

/// The folder to run in and the program to run, both accessible to the user that the server runs as.
fn settle(files: &PartFiles<'_>, program: &Path) -> Result<(PathBuf, PathBuf)> {
    let home = files.stack.join(files.part);
    let is_link = home.is_symlink();
    if !home.exists() {
        anyhow::ensure!(!is_link, "{} is gone, and the data with it; its link is {}", files.home().display(), home.display());
        let within_reach = !runs_as_other() || (reachable(files.stack) && reachable(&program.join("bin/postgres")));
        if within_reach {
            make_folder(&home)?;
            give(&home)?;
        } else {
            let outside = std::env::temp_dir().join(format!("{OUTSIDE_PREFIX}{:016x}", fastrand::u64(..)));
            make_folder(&outside)?;
            give(&outside)?;
            // A copy for each stack: among temporary files another user could replace a shared program.
            tools::copy_folder(program, &outside.join("program"))?;
            symlink(&outside, &home).with_context(|| format!("cannot make {}", home.display()))?;
        }
    }
    let own_program = files.home().join("program");
    Ok((files.home(), if own_program.exists() { own_program } else { program.to_path_buf() }))
}

/// A new folder; an error if there is something already.
fn make_folder(folder: &Path) -> Result<()> {
    std::fs::DirBuilder::new().mode(0o700).create(folder).with_context(|| format!("cannot make {}", folder.display()))
}

/// True if it must run as another user than xtask.
fn runs_as_other() -> bool {
    rustix::process::geteuid().is_root()
}

/// A command of PostgreSQL, run as its user, in its folder, without the environment of this terminal.
fn as_its_user(program: &Path, home: &Path) -> Command {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_str().is_some_and(|name| name.starts_with("PG") || name.starts_with("LC_"))) {
        command.env_remove(name);
    }
    command.env("LC_ALL", "C").current_dir(home);
    if runs_as_other() {
        // This also drops the groups of root.
        command.uid(UNPRIVILEGED).gid(UNPRIVILEGED);
    }
    command
}

/// Gives a file or folder to the server's user.
fn give(path: &Path) -> Result<()> {
    if runs_as_other() {
        chown(path, Some(UNPRIVILEGED), Some(UNPRIVILEGED)).with_context(|| format!("cannot give {} to user {UNPRIVILEGED}", path.display()))?;
    }
    Ok(())
}

/// True if the server's user may enter every folder above `path` and `path` itself.
fn reachable(path: &Path) -> bool {
    let path = path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
    let enters = |folder: &Path| {
        std::fs::metadata(folder).is_ok_and(|meta| {
            let needed = if meta.uid() == UNPRIVILEGED { 0o100 } else { 0o001 };
            meta.permissions().mode() & needed != 0
        })
    };
    path.ancestors().all(enters)
}

/// Only over TCP on loopback, only with the password.
const HBA: &str = "\
host all all 127.0.0.1/32 scram-sha-256
host replication all 127.0.0.1/32 scram-sha-256
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_users_setting_wins_and_stays() {
        let mut postgres = Postgres::new(5432);
        postgres.adopt(&PostgresOptions { settings: [("ssl".to_owned(), "off".to_owned())].into() });
        postgres.adopt(&PostgresOptions::default());
        let all = postgres.settings(Path::new("/home"));
        assert_eq!((all["ssl"].as_str(), all["listen_addresses"].as_str()), ("off", "127.0.0.1"));
        assert_eq!(postgres.url(), "postgres://boxbox@127.0.0.1:5432/boxbox");
    }

    #[test]
    fn a_folder_is_within_reach_only_if_all_above_it_are() {
        let dir = tempfile::tempdir().unwrap();
        let inner = dir.path().join("inner");
        std::fs::create_dir(&inner).unwrap();
        let mode = |path: &Path, mode| std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
        mode(&inner, 0o755);
        mode(dir.path(), 0o755);
        assert!(reachable(&inner));
        mode(dir.path(), 0o700);
        assert!(!reachable(&inner));
    }
}
