//! The server under test: a child process with a temporary folder. Both are removed when [`Server`] is dropped.

use std::ffi::OsString;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, bail};
use boxbox_schemas::connect::ConnectString;
use boxbox_schemas::grant::{Ability, Grant, SigningKey};
use boxbox_schemas::{DriverId, GrantId, TenantId};

use crate::memory_limit::MemoryLimit;

/// How a server is started.
#[derive(Clone, Debug, Default)]
pub struct Launch {
    /// The program; without it, `boxbox` beside this one.
    pub program: Option<PathBuf>,
    /// `ingest` or `up`.
    pub services: String,
    /// The folder in which the server's temporary folder is made; without it, the system's.
    pub within: Option<PathBuf>,
    /// The log's URL; without it, the embedded log in the server's folder.
    pub log_url: Option<String>,
    /// Further arguments.
    pub args: Vec<OsString>,
    /// The most memory that the server may use, bytes.
    pub memory_max_bytes: Option<u64>,
}

/// A running `boxbox`.
pub struct Server {
    launch: Launch,
    limit: Option<MemoryLimit>,
    child: Child,
    folder: PathBuf,
    addresses: Addresses,
    connect: ConnectString,
    key: SigningKey,
}

/// Where a server listens.
struct Addresses {
    quic: String,
    api: String,
}

impl Server {
    /// Starts the server and waits until it listens.
    pub fn start(launch: Launch) -> anyhow::Result<Self> {
        let program = launch.program()?;
        let folder = launch.within.clone().unwrap_or_else(std::env::temp_dir).join(format!("boxbox-bench-{}", std::process::id()));
        let limit = launch.memory_max_bytes.map(MemoryLimit::new).transpose()?;
        let (child, addresses) = launch.spawn(&folder, limit.as_ref())?;
        let created = Command::new(&program).args(["grant", "create", "--driver", "bench", "--data"]).arg(&folder).stderr(Stdio::null()).output()?;
        let connect: ConnectString = String::from_utf8_lossy(&created.stdout).trim().parse()?;
        let keys = folder.join("auth/keys");
        let key = std::fs::read_dir(&keys)?.filter_map(Result::ok).map(|e| e.path()).max().context("the server made a key")?;
        let key = SigningKey::from_bytes(&std::fs::read(key)?).context("the server's key is readable")?;
        let connect = addresses.of(connect)?;
        Ok(Self { launch, limit, child, folder, addresses, connect, key })
    }

    /// Kills the server and starts it again with the same folder.
    pub fn restart(&mut self) -> anyhow::Result<()> {
        self.child.kill().context("cannot end the server")?;
        self.child.wait().context("cannot end the server")?;
        (self.child, self.addresses) = self.launch.spawn(&self.folder, self.limit.as_ref())?;
        self.connect = self.addresses.of(self.connect.clone())?;
        Ok(())
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Option<std::process::ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// The address of its API, `http://…`.
    pub fn api(&self) -> &str {
        &self.addresses.api
    }

    /// The id of its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The connect string of car `number`; each car has a driver.
    pub fn connect_as(&self, number: u32) -> anyhow::Result<ConnectString> {
        self.grant("local", &format!("bench-{number}"), number.into())
    }

    /// A connect string of `driver` of `tenant`, whose grant has the id `id`.
    pub fn grant(&self, tenant: &str, driver: &str, id: u128) -> anyhow::Result<ConnectString> {
        let grant = Grant {
            id: GrantId(id.to_le_bytes()),
            tenant: TenantId::new(tenant)?,
            driver: DriverId::new(driver)?,
            abilities: [Ability::Car].into(),
            event: None,
            expires: i64::MAX,
        };
        Ok(ConnectString { grant: self.key.sign(&grant).context("a short grant")?, ..self.connect.clone() })
    }
}

impl Launch {
    fn program(&self) -> anyhow::Result<PathBuf> {
        let program = match &self.program {
            Some(path) => path.clone(),
            None => std::env::current_exe()?.with_file_name(format!("boxbox{}", std::env::consts::EXE_SUFFIX)),
        };
        if !program.exists() {
            bail!("{} is not built: run `cargo build --release` first, or name it with --server", program.display());
        }
        Ok(program)
    }

    /// Starts the server and waits for the addresses that it prints.
    fn spawn(&self, folder: &Path, limit: Option<&MemoryLimit>) -> anyhow::Result<(Child, Addresses)> {
        let program = self.program()?;
        let log = self.log_url.clone().unwrap_or_else(|| format!("file://{}", folder.join("log").display()));
        let mut command = limit.map_or_else(|| Command::new(&program), |limit| limit.command(&program));
        command.arg(&self.services).arg("--data").arg(folder).args(["--quic-port", "0", "--api-port", "0", "--log-url", &log]).args(&self.args);
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
        Ok((child, Addresses { quic, api }))
    }
}

impl Addresses {
    fn of(&self, connect: ConnectString) -> anyhow::Result<ConnectString> {
        let (host, port) = self.quic.rsplit_once(':').context("an address has a port")?;
        Ok(ConnectString { host: host.into(), port: port.parse()?, ..connect })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
        // The limit is dropped after this: its group must be empty.
    }
}
