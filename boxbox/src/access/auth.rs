//! Grants and the keys that sign them, as files in `auth/` of the data folder (W3).
//!
//! `auth/keys/` holds the signing keys, named so that the newest sorts last. The newest key signs, and all keys verify. `grant rotate`
//! adds a key. An older key can be deleted when all grants that it signed have expired; a grant that has not expired ends when its
//! key is deleted. `auth/revoked` lists the revoked ids, `auth/grants.jsonl` the grants that were made, without their tokens.
//! [`crate::access::authority`] reads these files in a running node.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context;
use boxbox_schemas::connect::{ConnectString, Pin};
use boxbox_schemas::grant::{Ability, Grant, SigningKey, key_id};
use boxbox_schemas::{DriverId, GrantId, TenantId};
use serde::{Deserialize, Serialize};

use crate::data;

/// What a grant of a driver who sends allows.
pub const SEND: &[Ability] = &[Ability::Car, Ability::Field, Ability::Meta];
/// What a grant to read results allows.
pub const READ: &[Ability] = &[Ability::Read];
/// What a grant to read, close and reopen sessions allows.
pub const MANAGE: &[Ability] = &[Ability::Read, Ability::Manage];

/// A grant that was made, as `auth/grants.jsonl` keeps it.
#[derive(Serialize, Deserialize)]
pub struct Issued {
    /// The grant.
    #[serde(flatten)]
    pub grant: Grant,
    /// When it was made, Unix seconds.
    pub issued: i64,
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
        let bytes = data::read_key(path)?;
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
        return Ok(there);
    }
    if folder(data).join("grants.jsonl").exists() {
        let folder = keys_folder(data);
        tracing::error!(folder = %folder.display(), "the signing keys are gone: a new one was made, and the grants made before are not valid any more");
    }
    add_key(data)?;
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

/// The revoked ids. A file that cannot be read or parsed is an error and never an empty list, with which revoked grants would be
/// accepted.
pub fn revoked(data: &Path) -> anyhow::Result<Vec<GrantId>> {
    let path = revoked_file(data);
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(vec![]),
        Err(error) => return Err(error).with_context(|| format!("cannot read the revocations in {}: restore it from a backup", path.display())),
    };
    let ids = text.lines().map(str::trim).filter(|l| !l.is_empty());
    let parse = |line: &str| {
        line.parse().ok().with_context(|| format!("{} holds {line:?}, which is not the id of a grant: correct that line", path.display()))
    };
    ids.map(parse).collect()
}

/// Add a grant to the revoked ids. The id is appended, so that revocations made at the same moment are all kept.
pub fn add_revoked(data: &Path, id: GrantId) -> anyhow::Result<()> {
    if revoked(data)?.contains(&id) {
        return Ok(());
    }
    let path = revoked_file(data);
    let mut options = OpenOptions::new();
    let append =
        options.create(true).append(true).open(&path).and_then(|mut f| f.write_all(format!("{id}\n").as_bytes()).and_then(|()| f.sync_all()));
    append.with_context(|| format!("cannot write {}", path.display()))
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
    let keys = keys(data)?;
    let OwnKey { key, .. } = keys.last().context("a folder that makes grants has at least one key")?;
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

/// The connect string, which a sim client's user pastes.
pub fn connect_string(token: String, host: String, port: u16, pins: Vec<Pin>) -> String {
    ConnectString { grant: token, host, port, pins }.to_string()
}

/// The grants that were made.
pub fn issued(data: &Path) -> Vec<Issued> {
    let text = fs::read_to_string(folder(data).join("grants.jsonl")).unwrap_or_default();
    text.lines().filter_map(|l| serde_json::from_str(l).ok()).collect()
}
