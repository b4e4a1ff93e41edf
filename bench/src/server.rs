//! The server under test: a child process with a temporary folder. Both are removed when [`Server`] is dropped.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, bail};
use boxbox_schemas::connect::ConnectString;
use boxbox_schemas::grant::{Ability, Grant, SigningKey};
use boxbox_schemas::{DriverId, GrantId, TenantId};

use crate::options::Options;

/// A running `boxbox`.
pub struct Server {
    child: Child,
    folder: PathBuf,
    api: String,
    connect: ConnectString,
    key: SigningKey,
}

impl Server {
    /// Starts the server and waits until it listens.
    pub fn start(options: &Options) -> anyhow::Result<Self> {
        let program = match &options.server {
            Some(path) => path.clone(),
            None => std::env::current_exe()?.with_file_name(format!("boxbox{}", std::env::consts::EXE_SUFFIX)),
        };
        if !program.exists() {
            bail!("{} is not built: run `cargo build --release` first, or name it with --server", program.display());
        }
        let folder = options.folder.clone().unwrap_or_else(std::env::temp_dir).join(format!("boxbox-bench-{}", std::process::id()));
        let log = options.log_url.clone().unwrap_or_else(|| format!("file://{}", folder.join("log").display()));
        let mut command = Command::new(&program);
        command.arg(&options.services).arg("--data").arg(&folder).args(["--quic-port", "0", "--api-port", "0", "--log-url", &log]);
        command.args(["--connections", &(options.clients * 2 + 16).to_string()]);
        for (name, value) in [("--results-url", &options.results_url), ("--archive-url", &options.archive_url)] {
            command.args(value.iter().flat_map(|value| [name, value]));
        }
        for (name, file) in [("--results-password-file", &options.results_password_file), ("--archive-password-file", &options.archive_password_file)]
        {
            file.iter().for_each(|file| _ = command.arg(name).arg(file));
        }
        let mut child = command.stdout(Stdio::piped()).stdin(Stdio::null()).spawn().with_context(|| format!("cannot start {}", program.display()))?;
        let out = child.stdout.take().context("its output is a pipe")?;
        let (mut quic, mut api) = (None, String::new());
        let mut lines = BufReader::new(out).lines();
        for line in &mut lines {
            let line = line?;
            if let Some(address) = line.strip_prefix("sim clients") {
                quic = address.split_whitespace().next().map(str::to_owned);
            }
            // Not the line about the page, which has more than the address in it.
            if let Some(address) = line.strip_prefix("API").or_else(|| line.strip_prefix("health")) {
                api = address.trim().to_owned();
            }
            if line.starts_with("data") {
                break;
            }
        }
        // Reads on, so that the server never blocks on a full pipe.
        std::thread::spawn(move || lines.for_each(drop));
        let Some(quic) = quic else { bail!("{} ended before it listened", program.display()) };
        let created = Command::new(&program).args(["grant", "create", "--driver", "bench", "--data"]).arg(&folder).stderr(Stdio::null()).output()?;
        let connect: ConnectString = String::from_utf8_lossy(&created.stdout).trim().parse()?;
        let keys = folder.join("auth/keys");
        let key = std::fs::read_dir(&keys)?.filter_map(Result::ok).map(|e| e.path()).max().context("the server made a key")?;
        let key = SigningKey::from_bytes(&std::fs::read(key)?).context("the server's key is readable")?;
        let (host, port) = quic.rsplit_once(':').context("an address has a port")?;
        Ok(Self { child, folder, api, connect: ConnectString { host: host.into(), port: port.parse()?, ..connect }, key })
    }

    /// The address of its API, `http://…`.
    pub fn api(&self) -> &str {
        &self.api
    }

    /// The id of its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The connect string of car `number`; each car has a driver.
    pub fn connect_as(&self, number: u32) -> anyhow::Result<ConnectString> {
        let grant = Grant {
            id: GrantId(u128::from(number).to_le_bytes()),
            tenant: TenantId::new("local")?,
            driver: DriverId::new(&format!("bench-{number}"))?,
            abilities: [Ability::Car].into(),
            event: None,
            expires: i64::MAX,
        };
        Ok(ConnectString { grant: self.key.sign(&grant).context("a short grant")?, ..self.connect.clone() })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}
