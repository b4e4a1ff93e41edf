//! Grants and the keys that sign them, as files in `auth/` of the data folder (W3).
//!
//! `auth/keys/` holds the signing keys, named so that the newest sorts last. The newest key signs, and all keys verify. `grant rotate`
//! adds a key. Each list is replaced as a whole, so a crash leaves the old one or the new one. An older key can be deleted when all grants that it signed have expired; a grant that has not expired ends when its
//! key is deleted. `auth/revoked` lists the revoked ids; it is made with the first key, and without it no grant is accepted; `auth/grants.jsonl` the grants that were made, without their tokens.
//! [`crate::access::authority`] reads these files in a running node.

use std::fs::{self, File, OpenOptions};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, bail};
use boxbox_schemas::connect::{self, ConnectString, ConnectStringError, Pin};
use boxbox_schemas::grant::{Ability, Grant, SigningKey, key_id};
use boxbox_schemas::{DriverId, GrantId, TenantId};
use serde::{Deserialize, Serialize};

use crate::data;
use crate::private;

const DAY_S: i64 = 24 * 3_600;
/// Bytes of a list at most: half a million revoked grants, or a hundred thousand that were made.
const LIST_MAX_BYTES: u64 = 32 << 20;
/// Digits of a grant's id as text.
const GRANT_ID_DIGITS: usize = 32;

/// What a grant of a driver who sends allows.
pub const SEND: &[Ability] = &[Ability::Car, Ability::Field, Ability::Meta];
/// What a grant to read results allows.
pub const READ: &[Ability] = &[Ability::Read];
/// What a grant of a steward allows: to read, and to decide penalties.
pub const STEWARD: &[Ability] = &[Ability::Read, Ability::Steward];
/// What a grant to read, manage leagues, close and reopen sessions allows.
pub const MANAGE: &[Ability] = &[Ability::Read, Ability::Manage];

/// A grant that was made, as `auth/grants.jsonl` keeps it.
#[derive(Serialize, Deserialize)]
pub struct Issued {
    /// The grant.
    #[serde(flatten)]
    pub grant: Grant,
    /// When it was made, Unix seconds.
    pub issued: i64,
    /// A command made it for itself, as `up` does: see [`own_token`].
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub own: bool,
}

/// A signing key of a data folder.
pub struct OwnKey {
    /// The key.
    pub key: SigningKey,
    /// When it was made, Unix seconds; 0 if the file's name does not contain it.
    pub made: i64,
}

/// The time now, Unix seconds.
pub fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map(|d| d.as_secs() as i64).unwrap_or(0)
}

/// The folder of keys, grants and revocations in a data folder.
pub fn folder(data: &Path) -> PathBuf {
    data.join("auth")
}

/// The folder of the signing keys.
pub fn keys_folder(data: &Path) -> PathBuf {
    folder(data).join("keys")
}

/// The signing keys of a data folder, the newest last.
pub fn own_keys(data: &Path) -> anyhow::Result<Vec<OwnKey>> {
    let folder = keys_folder(data);
    let read = || {
        let mut paths = fs::read_dir(&folder)?.map(|e| e.map(|e| e.path())).collect::<Result<Vec<_>, _>>()?;
        paths.retain(|p| p.extension().is_some_and(|e| e == "key"));
        paths.sort();
        std::io::Result::Ok(paths)
    };
    let paths = match read() {
        Ok(paths) => paths,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => vec![],
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", folder.display())),
    };
    let load = |path: &PathBuf| {
        let bytes = private::read_key(path)?;
        let key = SigningKey::from_bytes(&bytes)
            .with_context(|| format!("{} holds no signing key: restore it from a backup or delete it", path.display()))?;
        let made = path.file_name().and_then(|name| name.to_str()?.split('-').next()?.parse().ok());
        Ok(OwnKey { key, made: made.unwrap_or(0) })
    };
    paths.iter().map(load).collect()
}

/// The signing keys of a data folder, the newest last. If there is none, one is made.
pub fn keys(data: &Path) -> anyhow::Result<Vec<OwnKey>> {
    let there = own_keys(data)?;
    if !there.is_empty() {
        begin_revocations(data)?;
        return Ok(there);
    }
    if grants_file(data).exists() {
        let folder = keys_folder(data);
        tracing::error!(folder = %folder.display(), "the signing keys are gone: a new one was made, and the grants made before are not valid any more");
    }
    add_key(data)?;
    begin_revocations(data)?;
    own_keys(data)
}

/// Make a new signing key, which signs from now on.
pub fn add_key(data: &Path) -> anyhow::Result<PathBuf> {
    let folder = keys_folder(data);
    fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let key = SigningKey::generate().context("the system gives no random bytes")?;
    let path = folder.join(format!("{:011}-{}.key", now(), key_id(&key.public())));
    data::write_secret(&path, &key.to_bytes())?;
    Ok(path)
}

/// The file of the revoked ids.
pub fn revoked_file(data: &Path) -> PathBuf {
    folder(data).join("revoked")
}

/// The file that says that there is a list of revocations. Without it the folder is of a version that made the list at the first revocation.
fn revocations_begun(data: &Path) -> PathBuf {
    folder(data).join("revoked.begun")
}

/// What it says to a person who looks into the folder.
const BEGUN: &[u8] = b"The file `revoked` beside this one lists the revoked grants. Without it no grant is accepted: do not delete it.\n";

/// Make the list of revocations, empty, if this folder has never had one. From then on a list that is missing is an error.
pub fn begin_revocations(data: &Path) -> anyhow::Result<()> {
    let (list, begun) = (revoked_file(data), revocations_begun(data));
    if begun.try_exists().with_context(|| format!("cannot read {}", begun.display()))? {
        return Ok(());
    }
    // Another process may add an id at this moment: what is there stays.
    let make = || data::make_secret_once(&list).map_err(anyhow::Error::from).and_then(|()| data::write_secret(&begun, BEGUN));
    // A folder that is mounted to be read only works as it did.
    if let Err(error) = make() {
        tracing::warn!(error = format!("{error:#}"), list = %list.display(), "the list of revocations cannot be made: if it is ever deleted, revoked grants are accepted again, without a warning");
    }
    Ok(())
}

/// The revoked ids. A file that cannot be read or parsed, or that is gone, is an error and never an empty list, with which revoked grants
/// would be accepted. The first part of an id at the end, without the end of its line, is what a crash left of a revocation whose command did
/// not report success: it is left out.
pub fn revoked(data: &Path) -> anyhow::Result<Vec<GrantId>> {
    let path = revoked_file(data);
    let bytes = match private::read_regular(&path, LIST_MAX_BYTES) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            if revocations_begun(data).try_exists().with_context(|| format!("cannot read {}", folder(data).display()))? {
                bail!("the list of revocations {} is gone: put it back, or create an empty file if no grant has to stay revoked", path.display());
            }
            return Ok(vec![]);
        }
        Err(error) => return Err(error).with_context(|| format!("cannot read the revocations in {}: restore it from a backup", path.display())),
    };
    let text = String::from_utf8(bytes).with_context(|| format!("{} holds more than ids of grants: correct it", path.display()))?;
    let (whole, last) = text.rsplit_once('\n').unwrap_or(("", &text));
    // A power cut can leave zeros where the rest was to be.
    let last = last.trim_end_matches('\0').trim();
    let torn = last.len() < GRANT_ID_DIGITS && last.chars().all(|c| c.is_ascii_hexdigit());
    let ids = whole.lines().map(str::trim).chain(Some(last).filter(|_| !torn)).filter(|l| !l.is_empty());
    let parse = |line: &str| {
        line.parse().ok().with_context(|| format!("{} holds {line:?}, which is not the id of a grant: correct that line", path.display()))
    };
    ids.map(parse).collect()
}

/// Add a grant to the revoked ids.
pub fn add_revoked(data: &Path, id: GrantId) -> anyhow::Result<()> {
    let _changing = changing(data)?;
    let mut ids = revoked(data)?;
    if ids.contains(&id) {
        return Ok(());
    }
    ids.push(id);
    let text: String = ids.iter().map(|id| format!("{id}\n")).collect();
    data::write_secret(&revoked_file(data), text.as_bytes())
}

/// Held while a list is read, changed and written as a whole: of changes made at the same moment none is lost.
pub fn changing(data: &Path) -> anyhow::Result<File> {
    let path = folder(data).join("lock");
    let open = || {
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path)?;
        file.lock()?;
        Ok::<_, std::io::Error>(file)
    };
    open().with_context(|| format!("cannot lock {}", path.display()))
}

/// Make a grant, sign it, and add it to `auth/grants.jsonl`. Returns the grant and its token.
pub fn issue(
    data: &Path,
    tenant: TenantId,
    driver: DriverId,
    abilities: &[Ability],
    event: Option<String>,
    days: u32,
) -> anyhow::Result<(Grant, String)> {
    let expires = now() + i64::from(days) * DAY_S;
    let id = GrantId(uuid::Uuid::new_v4().into_bytes());
    make(data, Grant { id, tenant, driver, abilities: abilities.iter().copied().collect(), event, expires }, false)
}

/// Sign a grant and note that it was made; `own`: see [`own_token`].
fn make(data: &Path, grant: Grant, own: bool) -> anyhow::Result<(Grant, String)> {
    let keys = keys(data)?;
    let OwnKey { key, .. } = keys.last().context("a folder that makes grants has at least one key")?;
    let token = key.sign(&grant).context("the grant is too long: give a shorter --event")?;
    let issued = Issued { grant, issued: now(), own };
    note_issued(data, &issued)?;
    Ok((issued.grant, token))
}

/// Add a grant to `auth/grants.jsonl`.
fn note_issued(data: &Path, issued: &Issued) -> anyhow::Result<()> {
    let _changing = changing(data)?;
    let path = grants_file(data);
    let mut text = match private::read_regular(&path, LIST_MAX_BYTES) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => vec![],
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
    };
    // Without the end of its line, the last entry is what a crash left of it; a person may have written it so.
    let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    if serde_json::from_slice::<Issued>(&text[whole..]).is_ok() {
        text.push(b'\n');
    } else {
        text.truncate(whole);
    }
    serde_json::to_writer(&mut text, issued)?;
    text.push(b'\n');
    data::write_secret(&path, &text)
}

/// The token of the grant that a command makes for itself, once: the next start has the same grant, with at least a quarter of its time
/// left at `now` (Unix seconds; a server knows better than a clock that jumped). `valid` says whether a token is still accepted.
pub fn own_token(data: &Path, tenant: TenantId, driver: DriverId, days: u32, now: i64, valid: impl Fn(&str) -> bool) -> anyhow::Result<String> {
    let least = now + i64::from(days) * DAY_S / 4;
    let suits = |i: &Issued| i.own && (i.grant.tenant, i.grant.driver) == (tenant, driver) && i.grant.expires > least;
    if let Some(OwnKey { key, .. }) = keys(data)?.last() {
        // Signing gives the same token each time, and after a change of keys one of the new key: so no token is kept.
        let tokens = issued(data).into_iter().rev().filter(suits).filter_map(|issued| key.sign(&issued.grant));
        if let Some(token) = tokens.into_iter().find(|token| valid(token)) {
            return Ok(token);
        }
    }
    let id = GrantId(uuid::Uuid::new_v4().into_bytes());
    let expires = now + i64::from(days) * DAY_S;
    Ok(make(data, Grant { id, tenant, driver, abilities: SEND.iter().copied().collect(), event: None, expires }, true)?.1)
}

/// The connect string, which a sim client's user pastes.
///
/// # Errors
/// If no client can reach a server by `host`.
pub fn connect_string(token: String, host: String, port: u16, pins: Vec<Pin>) -> anyhow::Result<ConnectString> {
    let connect = ConnectString { grant: token, host, port, pins };
    // As the client reads it.
    match connect.to_string().parse::<ConnectString>() {
        Ok(read) if read == connect => Ok(connect),
        Err(error @ (ConnectStringError::Unspecified(_) | ConnectStringError::Number)) => {
            Err(error).with_context(|| format!("{:?} is no address of a server", connect.host))
        }
        _ => Err(no_host(&connect.host)),
    }
}

/// Check a host that a person has given, before anything is made for it.
///
/// # Errors
/// If no client can reach a server by it.
pub fn check_host(host: &str) -> anyhow::Result<()> {
    connect::check_host(host).map_err(|error| match error {
        ConnectStringError::Unspecified(_) | ConnectStringError::Number => anyhow::Error::from(error).context(format!("--public-host {host}")),
        _ => no_host(host),
    })
}

fn no_host(host: &str) -> anyhow::Error {
    anyhow::anyhow!("{host:?} is no host name and no address: give --public-host the one by which clients reach the server, without a port")
}

fn grants_file(data: &Path) -> PathBuf {
    folder(data).join("grants.jsonl")
}

/// The grants that were made. What cannot be read is left out: the list is for people.
pub fn issued(data: &Path) -> Vec<Issued> {
    let text = private::read_regular(&grants_file(data), LIST_MAX_BYTES).unwrap_or_default();
    text.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect()
}
