//! Grants and the keys that sign them, as files in `auth/` of the data folder (W3).
//!
//! `auth/keys/` holds signing keys, named so that the newest sorts last: it signs, all of them verify. `grant rotate`
//! adds one; delete the older ones when what they signed has run out. `auth/revoked` lists revoked ids,
//! `auth/grants.jsonl` what was handed out (never the tokens). A running server looks for changes twice a second.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Context;
use boxbox_schemas::connect::{ConnectString, Pin};
use boxbox_schemas::grant::{Ability, Authority, DEFAULT_DAYS, Grant, SigningKey, key_id};
use boxbox_schemas::{DriverId, GrantId, TenantId};
use clap::Args;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::cli::QUIC_PORT;
use crate::{data, identity};

/// How often a server looks for new keys and revocations; far below the 5 s within which a revocation must bite.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Options of `grant create`.
#[derive(Args)]
pub struct CreateArgs {
    /// The driver as your league knows them (1 to 40 of a-z A-Z 0-9 - _ . :)
    #[arg(long, env = "BOXBOX_DRIVER", required_unless_present_any = ["read", "manage"])]
    driver: Option<DriverId>,
    /// A grant to read the tenant's results through the API, instead of one to send
    #[arg(long, env = "BOXBOX_GRANT_READ")]
    read: bool,
    /// A grant to read, and to close sessions and open them again
    #[arg(long, env = "BOXBOX_GRANT_MANAGE")]
    manage: bool,
    /// Days until it expires
    #[arg(long, env = "BOXBOX_GRANT_DAYS", default_value_t = DEFAULT_DAYS)]
    days: u32,
    /// Only for this event
    #[arg(long, env = "BOXBOX_GRANT_EVENT")]
    event: Option<String>,
    /// Tenant
    #[arg(long, env = "BOXBOX_TENANT", default_value = "local")]
    tenant: TenantId,
    /// Host name or address under which clients reach the server, if it does not run now
    #[arg(long, env = "BOXBOX_PUBLIC_HOST")]
    host: Option<String>,
    /// UDP port of the server, if it does not run now
    #[arg(long, env = "BOXBOX_QUIC_PORT")]
    quic_port: Option<u16>,
    /// The data folder of the server
    #[arg(long, env = "BOXBOX_DATA", default_value = "boxbox-data")]
    data: PathBuf,
}

/// What is kept of a grant that was handed out.
#[derive(Serialize, Deserialize)]
struct Issued {
    #[serde(flatten)]
    grant: Grant,
    issued: i64,
}

/// Unix seconds now.
pub fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map(|d| d.as_secs() as i64).unwrap_or(0)
}

fn folder(data: &Path) -> PathBuf {
    data.join("auth")
}

fn keys(data: &Path) -> anyhow::Result<Vec<SigningKey>> {
    let folder = folder(data).join("keys");
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let read = || {
        let mut paths = fs::read_dir(&folder)?.map(|e| e.map(|e| e.path())).collect::<Result<Vec<_>, _>>()?;
        paths.retain(|p| p.extension().is_some_and(|e| e == "key"));
        paths.sort();
        std::io::Result::Ok(paths)
    };
    let mut paths = read().with_context(|| format!("cannot read {}", folder.display()))?;
    if paths.is_empty() {
        if self::folder(data).join("grants.jsonl").exists() {
            tracing::error!(folder = %folder.display(), "the signing keys are gone: a new one was made, and no grant handed out before is good any more");
        }
        paths.push(add_key(&folder)?);
    }
    let load = |path: &PathBuf| {
        let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        SigningKey::from_bytes(&bytes).with_context(|| format!("{} holds no signing key: restore it from a backup or delete it", path.display()))
    };
    paths.iter().map(load).collect()
}

fn add_key(folder: &Path) -> anyhow::Result<PathBuf> {
    let key = SigningKey::generate().context("the system gives no random bytes")?;
    let path = folder.join(format!("{:011}-{}.key", now(), key_id(&key.public())));
    data::write_secret(&path, &key.to_bytes())?;
    Ok(path)
}

/// `grant rotate`
pub fn rotate(data: &Path) -> anyhow::Result<()> {
    let before = keys(data)?.len();
    let path = add_key(&folder(data).join("keys"))?;
    crate::report::line(&format!(
        "new grants are signed with {}; the {before} older keys still verify: delete them when their grants have run out",
        path.display()
    ));
    Ok(())
}

/// The revoked ids. A file that cannot be read or understood is an error, never an empty list: it would let everybody in.
fn revoked(data: &Path) -> anyhow::Result<Vec<GrantId>> {
    let path = folder(data).join("revoked");
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(vec![]),
        Err(error) => return Err(error).with_context(|| format!("cannot read the revocations in {}: restore it from a backup", path.display())),
    };
    let ids = text.lines().map(str::trim).filter(|l| !l.is_empty());
    let parse =
        |line: &str| line.parse().ok().with_context(|| format!("{} holds {line:?}, which is no grant's id: correct that line", path.display()));
    ids.map(parse).collect()
}

/// Keys and revocations as they are now; keys are made at the first call.
pub fn authority(data: &Path) -> anyhow::Result<Authority> {
    Ok(Authority::new(keys(data)?.iter().map(SigningKey::public), revoked(data)?))
}

/// Keep `authority` up to date for as long as anybody listens.
pub fn watch(data: &Path) -> anyhow::Result<watch::Receiver<Arc<Authority>>> {
    let (sender, receiver) = watch::channel(Arc::new(authority(data)?));
    let data = data.to_path_buf();
    tokio::spawn(async move {
        while !sender.is_closed() {
            tokio::time::sleep(LOOK_EVERY).await;
            match authority(&data) {
                Ok(new) => _ = sender.send_if_modified(|old| std::mem::replace(old, Arc::new(new.clone())).as_ref() != &new),
                // The keys in use stay; the next look may succeed.
                Err(error) => tracing::warn!(error = format!("{error:#}"), "cannot read keys and revocations"),
            }
        }
    });
    Ok(receiver)
}

/// Sign a grant and note that it was handed out.
pub fn issue(
    data: &Path,
    tenant: TenantId,
    driver: DriverId,
    abilities: &[Ability],
    event: Option<String>,
    days: u32,
) -> anyhow::Result<(Grant, String)> {
    let keys = keys(data)?;
    let key = keys.last().context("a server has at least one key")?;
    let issued = now();
    let grant = Grant {
        id: GrantId(uuid::Uuid::new_v4().into_bytes()),
        tenant,
        driver,
        abilities: abilities.iter().copied().collect(),
        event,
        expires: issued + i64::from(days) * 24 * 3600,
    };
    let token = key.sign(&grant).context("the grant is too long: give a shorter --event")?;
    let mut line = serde_json::to_vec(&Issued { grant: grant.clone(), issued })?;
    line.push(b'\n');
    let path = folder(data).join("grants.jsonl");
    let append = OpenOptions::new().create(true).append(true).open(&path).and_then(|mut f| f.write_all(&line));
    append.with_context(|| format!("cannot write {}", path.display()))?;
    Ok((grant, token))
}

/// What a sim client's user pastes.
pub fn connect_string(token: String, host: String, port: u16, pin: Pin) -> String {
    ConnectString { grant: token, host, port, pins: vec![pin] }.to_string()
}

/// `grant create`
pub fn create(args: &CreateArgs) -> anyhow::Result<()> {
    let pin = identity::load_or_make(&args.data)?.pin;
    let abilities: &[Ability] = match (args.manage, args.read) {
        (true, _) => &[Ability::Read, Ability::Manage],
        (false, true) => &[Ability::Read],
        (false, false) => &[Ability::Car, Ability::Field, Ability::Meta],
    };
    let driver = match args.driver {
        Some(driver) => driver,
        None => DriverId::new("reader").context("a fixed text")?,
    };
    let (grant, token) = issue(&args.data, args.tenant, driver, abilities, args.event.clone(), args.days)?;
    eprintln!(
        "grant {} for {} of tenant {}, good for {} days. Take it back with: boxbox grant revoke {}",
        grant.id, driver, args.tenant, args.days, grant.id
    );
    if abilities.contains(&Ability::Read) {
        eprintln!("Send it with each request: curl -H 'Authorization: Bearer GRANT' http://…/api/v1/sessions");
        crate::report::line(&token);
    } else {
        let running = data::running(&args.data);
        let quic = running.as_ref().and_then(|r| r.quic);
        let host = args.host.clone().or_else(|| running.as_ref().and_then(|r| r.public_host.clone())).or_else(|| quic.map(|a| a.ip().to_string()));
        let port = args.quic_port.or_else(|| quic.map(|a| a.port())).unwrap_or(QUIC_PORT);
        eprintln!("Paste this into the sim client, in single quotes:");
        crate::report::line(&connect_string(token, host.unwrap_or_else(|| "127.0.0.1".into()), port, pin));
    }
    Ok(())
}

/// `grant revoke`
pub fn revoke(data: &Path, id: GrantId) -> anyhow::Result<()> {
    anyhow::ensure!(folder(data).is_dir(), "{} is no data folder of a server: give its --data", data.display());
    if !revoked(data)?.contains(&id) {
        // Appended, so that revocations made at the same moment all stay.
        let path = folder(data).join("revoked");
        let mut options = OpenOptions::new();
        let append =
            options.create(true).append(true).open(&path).and_then(|mut f| f.write_all(format!("{id}\n").as_bytes()).and_then(|()| f.sync_all()));
        append.with_context(|| format!("cannot write {}", path.display()))?;
    }
    if !issued(data).iter().any(|i| i.grant.id == id) {
        eprintln!("note: no grant with this id was made in {}", data.display());
    }
    crate::report::line(&format!("revoked {id}; connections that use it are closed within 5 seconds"));
    Ok(())
}

fn issued(data: &Path) -> Vec<Issued> {
    let text = fs::read_to_string(folder(data).join("grants.jsonl")).unwrap_or_default();
    text.lines().filter_map(|l| serde_json::from_str(l).ok()).collect()
}

/// `grant list`
pub fn list(data: &Path) -> anyhow::Result<()> {
    anyhow::ensure!(folder(data).is_dir(), "{} is no data folder of a server: give its --data", data.display());
    let (revoked, now) = (revoked(data)?, now());
    for Issued { grant, .. } in issued(data) {
        let state = if revoked.contains(&grant.id) {
            "revoked".into()
        } else if grant.expires <= now {
            "expired".into()
        } else {
            format!("{} days left", (grant.expires - now) / (24 * 3600))
        };
        let may = |ability| grant.abilities.contains(&ability);
        let kind = if may(Ability::Manage) {
            "manage"
        } else if may(Ability::Read) {
            "read"
        } else {
            "send"
        };
        crate::report::line(&format!("{}  {kind}  {}  {}  {state}", grant.id, grant.tenant, grant.driver));
    }
    Ok(())
}
