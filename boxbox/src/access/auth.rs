//! Grants and the keys that sign them, as files in `auth/` of the data folder (W3), and what a running node knows of them.
//!
//! `auth/keys/` holds signing keys, named so that the newest sorts last: it signs, all of them verify. `grant rotate`
//! adds one; delete the older ones when what they signed has run out. `auth/revoked` lists revoked ids,
//! `auth/grants.jsonl` what was handed out (never the tokens). A running node looks for changes twice a second; with a Kafka
//! log it also follows the control topic (W10), and needs no files at all.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Context;
use boxbox_log::control::Control;
use boxbox_schemas::connect::{ConnectString, Pin};
use boxbox_schemas::grant::{Ability, Authority, Grant, SigningKey, key_id};
use boxbox_schemas::{DriverId, GrantId, TenantId};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;

use crate::access::control::Followed;
use crate::node::data;

/// How often a server looks for new keys and revocations; far below the 5 s within which a revocation must bite.
pub const LOOK_EVERY: Duration = Duration::from_millis(500);

/// What is kept of a grant that was handed out.
#[derive(Serialize, Deserialize)]
pub struct Issued {
    /// The grant.
    #[serde(flatten)]
    pub grant: Grant,
    /// When, Unix seconds.
    pub issued: i64,
}

/// A signing key of a data folder.
pub struct OwnKey {
    /// The key.
    pub key: SigningKey,
    /// When it was made, Unix seconds; 0 if its file's name does not say.
    pub made: i64,
}

/// Unix seconds now.
pub fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map(|d| d.as_secs() as i64).unwrap_or(0)
}

/// Where a data folder keeps all this.
pub fn folder(data: &Path) -> PathBuf {
    data.join("auth")
}

/// The signing keys there are, the newest last.
pub fn own_keys(data: &Path) -> anyhow::Result<Vec<OwnKey>> {
    let folder = folder(data).join("keys");
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
        let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        let key = SigningKey::from_bytes(&bytes)
            .with_context(|| format!("{} holds no signing key: restore it from a backup or delete it", path.display()))?;
        let made = path.file_name().and_then(|name| name.to_str()?.split('-').next()?.parse().ok());
        Ok(OwnKey { key, made: made.unwrap_or(0) })
    };
    paths.iter().map(load).collect()
}

/// The signing keys, of which one is made if there is none.
pub fn keys(data: &Path) -> anyhow::Result<Vec<OwnKey>> {
    let there = own_keys(data)?;
    if !there.is_empty() {
        return Ok(there);
    }
    if folder(data).join("grants.jsonl").exists() {
        let folder = folder(data).join("keys");
        tracing::error!(folder = %folder.display(), "the signing keys are gone: a new one was made, and no grant handed out before is good any more");
    }
    add_key(data)?;
    own_keys(data)
}

/// Make another signing key, which signs from now on.
pub fn add_key(data: &Path) -> anyhow::Result<PathBuf> {
    let folder = folder(data).join("keys");
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let key = SigningKey::generate().context("the system gives no random bytes")?;
    let path = folder.join(format!("{:011}-{}.key", now(), key_id(&key.public())));
    data::write_secret(&path, &key.to_bytes())?;
    Ok(path)
}

/// The revoked ids. A file that cannot be read or understood is an error, never an empty list: it would let everybody in.
pub fn revoked(data: &Path) -> anyhow::Result<Vec<GrantId>> {
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

/// Note that a grant is revoked. Appended, so that revocations made at the same moment all stay.
pub fn add_revoked(data: &Path, id: GrantId) -> anyhow::Result<()> {
    if revoked(data)?.contains(&id) {
        return Ok(());
    }
    let path = folder(data).join("revoked");
    let mut options = OpenOptions::new();
    let append =
        options.create(true).append(true).open(&path).and_then(|mut f| f.write_all(format!("{id}\n").as_bytes()).and_then(|()| f.sync_all()));
    append.with_context(|| format!("cannot write {}", path.display()))
}

/// What the files of a data folder say.
#[derive(Default)]
struct Files {
    keys: Vec<[u8; 32]>,
    revoked: Vec<GrantId>,
}

impl Files {
    fn read(data: &Path) -> anyhow::Result<Self> {
        Ok(Self { keys: own_keys(data)?.iter().map(|own| own.key.public()).collect(), revoked: revoked(data)? })
    }
}

/// Keep who may what up to date for as long as anybody listens: by the files of `data`, and by the control topic if there is one.
/// Returns when the topic was read to its end. With `make_key`, a key is made if the folder has none.
pub async fn watch(data: &Path, control: Option<Control>, make_key: bool) -> anyhow::Result<watch::Receiver<Arc<Authority>>> {
    if make_key {
        keys(data)?;
    }
    let mut files = Files::read(data)?;
    let mut followed = Followed::begin(control).await?;
    if files.keys.is_empty() && followed.standing().keys().is_empty() {
        tracing::warn!(
            "no key is known that grants are signed with: nobody gets in until `boxbox grant create` with this log's --log-url publishes one"
        );
    }
    let (sender, receiver) = watch::channel(Arc::new(followed.standing().authority(files.keys.clone(), files.revoked.clone())));
    let data = data.to_path_buf();
    let mut looks = tokio::time::interval(LOOK_EVERY);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    tokio::spawn(async move {
        while !sender.is_closed() {
            tokio::select! {
                () = followed.changed() => {}
                _ = looks.tick() => match Files::read(&data) {
                    Ok(read) => files = read,
                    // What the files said stays; the next look may succeed.
                    Err(error) => tracing::warn!(error = format!("{error:#}"), "cannot read keys and revocations"),
                },
            }
            let new = followed.standing().authority(files.keys.iter().copied(), files.revoked.iter().copied());
            sender.send_if_modified(|old| {
                **old != new && {
                    *old = Arc::new(new);
                    true
                }
            });
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
    let OwnKey { key, .. } = keys.last().context("a folder that issues has at least one key")?;
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
pub fn connect_string(token: String, host: String, port: u16, pins: Vec<Pin>) -> String {
    ConnectString { grant: token, host, port, pins }.to_string()
}

/// What was handed out.
pub fn issued(data: &Path) -> Vec<Issued> {
    let text = fs::read_to_string(folder(data).join("grants.jsonl")).unwrap_or_default();
    text.lines().filter_map(|l| serde_json::from_str(l).ok()).collect()
}
