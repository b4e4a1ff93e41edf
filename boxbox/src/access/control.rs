//! W10: the control topic of a Kafka log, from which nodes without a common folder learn keys and revocations.
//!
//! Each `boxbox grant` with a Kafka log brings the topic in line with its data folder: it publishes public keys and revocations and
//! removes expired revocations. `auth/published` lists the keys that this folder has published, so that a key whose file was
//! deleted is removed from the topic as well. Private keys stay in the folder.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use boxbox_log::LogError;
use boxbox_log::control::{Change, Changes, Control};
use boxbox_schemas::GrantId;
use boxbox_schemas::control::{FOR_EVER, Record, Standing};
use boxbox_schemas::grant::key_id;
use tokio::task::JoinSet;

use crate::access::auth;
use crate::data;
use crate::log::LogOptions;
use crate::show::stderr::note;

/// Pause before each attempt to read the topic again after its reader has died.
const AGAIN: Duration = Duration::from_secs(1);
/// A revocation is removed this long after its grant has expired, seconds: clocks differ.
const EXPIRED_FOR_S: i64 = 24 * 3600;

boxbox_schemas::metrics! {
    /// What a node knows from the control topic.
    pub struct ControlMetrics("boxbox_control") {
        /// Verifying keys in use, according to the control topic.
        keys: gauge,
        /// Revoked grants, according to the control topic.
        revoked: gauge,
        /// Records of the control topic that were not understood: written by a newer version, or damaged.
        ignored: counter,
    }
}

/// The control topic of the log; `None` if the log is not a Kafka log.
pub async fn open(log: &LogOptions) -> anyhow::Result<Option<Control>> {
    let Some(url) = log.url.as_deref().filter(|url| url.starts_with("kafka://")) else { return Ok(None) };
    let control = Control::open(url, log.open_options()?)
        .await
        .context("cannot open the control topic of the log that --log-url names; it says who may send and read")?;
    Ok(Some(control))
}

/// All that a control topic holds, and the changes that follow.
type Read = (Vec<Change>, Changes);
/// Reads a control topic from its beginning.
type Reading = Arc<dyn Fn() -> Pin<Box<dyn Future<Output = Result<Read, LogError>> + Send>> + Send + Sync>;

/// The keys and revocations of the control topic, kept up to date. Without a topic there are none.
pub struct Followed {
    standing: Standing,
    topic: Option<Topic>,
}

struct Topic {
    reading: Reading,
    state: State,
    metrics: ControlMetrics,
}

enum State {
    /// Changes of the topic arrive here.
    Following(Changes),
    /// No changes arrive any more; the task reads the topic again, and ends when it has read it.
    Lost(JoinSet<Read>),
}

impl Followed {
    /// Read the topic to its end. If a part cannot be read, this is an error: a revocation could be in that part.
    pub async fn begin(control: Option<Control>) -> anyhow::Result<Self> {
        let Some(control) = control.map(Arc::new) else { return Ok(Self { standing: Standing::default(), topic: None }) };
        let name = control.topic().to_owned();
        let reading = move || {
            let control = control.clone();
            Box::pin(async move { control.read().await }) as Pin<Box<dyn Future<Output = _> + Send>>
        };
        let followed = Self::read_by(Arc::new(reading)).await.context("cannot read the control topic, which says who may send and read")?;
        let (keys, revoked) = (followed.standing.keys().len(), followed.standing.revoked().len());
        tracing::info!(topic = name, keys, revoked, "read the control topic");
        Ok(followed)
    }

    /// As [`Followed::begin`], from what `reading` reads.
    pub async fn read_by(reading: Reading) -> Result<Self, LogError> {
        let (all, changes) = reading().await?;
        let topic = Topic { reading, state: State::Following(changes), metrics: ControlMetrics::new() };
        let mut followed = Self { standing: Standing::default(), topic: Some(topic) };
        all.iter().for_each(|change| followed.apply(change));
        Ok(followed)
    }

    /// The keys and revocations now. They may be outdated while there is [`Followed::trouble`].
    pub fn standing(&self) -> &Standing {
        &self.standing
    }

    /// Why [`Followed::standing`] may be outdated, if it may.
    pub fn trouble(&self) -> Option<&'static str> {
        match &self.topic.as_ref()?.state {
            State::Following(_) => None,
            State::Lost(_) => {
                Some("the reader of the control topic has ended, and the topic is being read again: if this lasts, check that Kafka answers")
            }
        }
    }

    /// Returns when the keys and revocations, or the trouble, may have changed; without a topic, never. Cancel safe.
    pub async fn changed(&mut self) {
        let Some(topic) = &mut self.topic else { return std::future::pending().await };
        match &mut topic.state {
            State::Following(changes) => match changes.next().await {
                Some(change) => self.apply(&change),
                // The channel closes only if the reader's thread has panicked.
                None => topic.state = State::Lost(JoinSet::from_iter([read_again(topic.reading.clone())])),
            },
            State::Lost(task) => match task.join_next().await {
                Some(Ok((all, changes))) => {
                    topic.state = State::Following(changes);
                    // Begin with nothing, as a node that starts now: `all` does not hold what was removed meanwhile.
                    self.standing = Standing::default();
                    all.iter().for_each(|change| self.apply(change));
                }
                // The task has panicked.
                Some(Err(_)) | None => *task = JoinSet::from_iter([read_again(topic.reading.clone())]),
            },
        }
    }

    fn apply(&mut self, change: &Change) {
        let understood = self.standing.apply(&change.key, change.value.as_deref());
        if let Some(Topic { metrics, .. }) = &self.topic {
            metrics.keys.set(self.standing.keys().len() as f64);
            metrics.revoked.set(self.standing.revoked().len() as f64);
            metrics.ignored.increment(u64::from(!understood));
        }
        if !understood {
            tracing::debug!(key = %String::from_utf8_lossy(&change.key).escape_debug(), "a record of the control topic was not understood");
        }
    }
}

async fn read_again(reading: Reading) -> Read {
    loop {
        tokio::time::sleep(AGAIN).await;
        match reading().await {
            Ok(read) => return read,
            Err(error) => tracing::warn!(%error, "the control topic cannot be read again yet"),
        }
    }
}

/// The topic as `boxbox grant` uses it.
pub struct Publisher {
    control: Control,
    standing: Standing,
}

impl Publisher {
    /// Open and read the topic of the log; `None` if the log is not a Kafka log.
    pub async fn open(log: &LogOptions) -> anyhow::Result<Option<Self>> {
        let Some(control) = open(log).await? else { return Ok(None) };
        let (all, _) = control.read().await.context("cannot read the control topic")?;
        let mut standing = Standing::default();
        for change in &all {
            standing.apply(&change.key, change.value.as_deref());
        }
        Ok(Some(Self { control, standing }))
    }

    /// The keys and revocations of the topic.
    pub fn standing(&self) -> &Standing {
        &self.standing
    }

    /// Write a record durably.
    pub async fn put(&mut self, record: &Record) -> anyhow::Result<()> {
        let (key, value) = (record.key(), record.value());
        self.standing.apply(key.as_bytes(), value.as_deref());
        self.control.put(key, value).await.context("not every edge and API knows the change: run the command again")
    }

    /// Write that a grant is revoked, unless the topic holds that already.
    pub async fn revoke(&mut self, data: &Path, id: GrantId) -> anyhow::Result<()> {
        if self.standing.revoked().contains_key(&id) {
            return Ok(());
        }
        let until = auth::issued(data).iter().find(|i| i.grant.id == id).map_or(FOR_EVER, |i| i.grant.expires);
        self.put(&Record::Revoked { id, until }).await
    }

    /// Bring the topic in line with a data folder. Returns whether a key was added.
    pub async fn publish(&mut self, data: &Path) -> anyhow::Result<bool> {
        let (own, now) = (auth::own_keys(data)?, auth::now());
        let ids: BTreeSet<String> = own.iter().map(|own| key_id(&own.key.public())).collect();
        let (published, mut new) = (published(data)?, false);
        for own in &own {
            let public = own.key.public();
            if !self.standing.keys().contains_key(&key_id(&public)) {
                if !published.contains(&key_id(&public)) {
                    note_published(data, &key_id(&public))?;
                }
                self.put(&Record::Key { public, made: own.made }).await?;
                new = true;
            }
        }
        self.remove_keys(data, &ids, &published).await?;

        let issued = auth::issued(data);
        let expires = |id: &GrantId| issued.iter().find(|i| i.grant.id == *id).map_or(FOR_EVER, |i| i.grant.expires);
        let over = |until: i64| until.saturating_add(EXPIRED_FOR_S) < now;
        for id in auth::revoked(data)? {
            if !over(expires(&id)) {
                self.revoke(data, id).await?;
            }
        }
        let expired: Vec<GrantId> = self.standing.revoked().iter().filter(|(_, until)| over(**until)).map(|(id, _)| *id).collect();
        for id in expired {
            self.put(&Record::RevocationRemoved { id }).await?;
        }
        Ok(new)
    }

    /// Remove the keys that this folder has published and does not hold any more.
    async fn remove_keys(&mut self, data: &Path, own: &BTreeSet<String>, published: &BTreeSet<String>) -> anyhow::Result<()> {
        let gone: Vec<&String> = published.difference(own).filter(|id| self.standing.keys().contains_key(*id)).collect();
        if gone.is_empty() {
            return Ok(());
        }
        // A person who deletes an old key keeps a newer one. If no published key is left, the keys were lost, and drivers still use
        // their grants.
        let lost = published.is_disjoint(own);
        for id in gone {
            if lost {
                note(&format!(
                    "note: the key {id} was published from {}, whose keys are gone. Grants signed with it stay valid; if the key may be stolen, run: \
                     boxbox grant remove-key {id}",
                    data.display()
                ));
            } else {
                self.put(&Record::KeyRemoved { id: id.clone() }).await?;
                note(&format!("the key {id}, whose file was deleted, is not valid on any node any more"));
            }
        }
        write_published(data, own.iter().filter(|id| self.standing.keys().contains_key(*id)))
    }
}

fn published_file(data: &Path) -> PathBuf {
    auth::folder(data).join("published")
}

fn published(data: &Path) -> anyhow::Result<BTreeSet<String>> {
    let path = published_file(data);
    match fs::read_to_string(&path) {
        Ok(text) => Ok(text.lines().map(|line| line.trim().to_owned()).filter(|line| !line.is_empty()).collect()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(BTreeSet::new()),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}

/// Add a key to `auth/published`. This comes before the key is published: a key that is published and not listed is never removed.
fn note_published(data: &Path, id: &str) -> anyhow::Result<()> {
    let _changing = auth::changing(data)?;
    let mut ids = published(data)?;
    ids.insert(id.to_owned());
    write_published(data, ids.iter())
}

fn write_published<'a>(data: &Path, ids: impl Iterator<Item = &'a String>) -> anyhow::Result<()> {
    let text: String = ids.map(|id| format!("{id}\n")).collect();
    data::write_secret(&published_file(data), text.as_bytes())
}
