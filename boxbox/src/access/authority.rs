//! What a running node knows of keys and revocations, kept up to date: by the files of its data folder (W3), and with a Kafka log
//! by the control topic as well (W10), for which it needs no files at all.
//!
//! Who cannot read a list does not know who was revoked since. So when the files cannot be read [`FAILED_LOOKS_MAX`] times in a
//! row, or the control topic is followed no more, all grants are suspended: no client is accepted, connections are closed with a code
//! that lets clients come back later, and readiness fails and says what to do. The suspension ends when everything can be read again.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::bail;
use boxbox_log::control::Control;
use boxbox_schemas::GrantId;
use boxbox_schemas::grant::Authority;
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;

use crate::access::auth;
use crate::access::control::Followed;

/// How often a node looks for new keys and revocations; far below the 5 s within which a revocation must bite.
pub const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Looks in a row that may fail before grants are suspended. After 2 s, so that within the 5 s a revocation bites, or everything
/// is closed; and not after one, for a file may be looked at while somebody replaces it.
const FAILED_LOOKS_MAX: u32 = 4;

boxbox_schemas::metrics! {
    /// What a node knows about grants.
    pub struct GrantMetrics("boxbox_grants") {
        /// 1 while keys and revocations cannot be read, so that no client is accepted and connections are closed; else 0.
        suspended: gauge,
        /// Looks at the files of keys and revocations that failed.
        failed_looks: counter,
    }
}

/// Who may what, kept up to date.
pub struct Known {
    /// What decides about grants now.
    pub authority: watch::Receiver<Arc<Authority>>,
    /// Why it refuses all of them, if it does.
    pub suspension: Arc<Suspension>,
}

/// Why all grants are suspended, if they are.
#[derive(Default)]
pub struct Suspension(Mutex<Option<String>>);

impl Suspension {
    /// An error if they are: what is wrong, and what a person can do.
    pub fn check(&self) -> Result<(), String> {
        self.0.lock().clone().map_or(Ok(()), Err)
    }
}

/// Keep who may what up to date for as long as anybody listens: by the files of `data`, and by the control topic if there is one.
/// Returns when all of it was read. With `make_key`, a key is made if the folder has none.
///
/// # Errors
/// If a part of it cannot be read.
pub async fn watch(data: &Path, control: Option<Control>, make_key: bool) -> anyhow::Result<Known> {
    if make_key {
        auth::keys(data)?;
    }
    follow(data, Followed::begin(control).await?)
}

fn follow(data: &Path, followed: Followed) -> anyhow::Result<Known> {
    let files = Files::read(data, None)?;
    if files.keys.is_empty() && followed.standing().keys().is_empty() {
        tracing::warn!(
            "no key is known that grants are signed with: no client gets in until `boxbox grant create` with this log's --log-url publishes one"
        );
    }
    let suspension = Arc::new(Suspension::default());
    let looks = Looks { files, failed: 0, error: None };
    let (publish, authority) = watch::channel(Arc::new(looks.authority(&followed)));
    let watcher = Watcher { data: data.to_path_buf(), looks, followed, publish, suspension: suspension.clone(), metrics: GrantMetrics::new() };
    tokio::spawn(watcher.run());
    Ok(Known { authority, suspension })
}

struct Watcher {
    data: PathBuf,
    looks: Looks,
    followed: Followed,
    publish: watch::Sender<Arc<Authority>>,
    suspension: Arc<Suspension>,
    metrics: GrantMetrics,
}

impl Watcher {
    async fn run(mut self) {
        let mut ticks = tokio::time::interval(LOOK_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut spare, mut looking) = (Some(Spare::take()), None);
        while !self.publish.is_closed() {
            tokio::select! {
                () = self.followed.changed() => {}
                (outcome, back) = ended(&mut looking) => {
                    spare = Some(back);
                    self.looked(outcome);
                }
                _ = ticks.tick() => match spare.take() {
                    Some(spare) => looking = Some(self.look(spare)),
                    // A folder on another machine, or a disk that hangs.
                    None => self.looked(Err(anyhow::anyhow!("{} does not answer", auth::folder(&self.data).display()))),
                },
            }
            self.tell();
        }
    }

    /// Look at the files, on a thread that may wait for them.
    fn look(&self, mut spare: Spare) -> JoinHandle<(anyhow::Result<Files>, Spare)> {
        let (data, before) = (self.data.clone(), self.looks.files.there);
        tokio::task::spawn_blocking(move || (spare.lent(|| Files::read(&data, Some(before))), spare))
    }

    fn looked(&mut self, outcome: anyhow::Result<Files>) {
        self.metrics.failed_looks.increment(u64::from(outcome.is_err()));
        self.looks.take(outcome);
    }

    /// Tell what holds now to everybody who decides by it.
    fn tell(&self) {
        let trouble = self.looks.trouble().or_else(|| self.followed.trouble().map(str::to_owned));
        let new = if trouble.is_some() { Authority::unavailable() } else { self.looks.authority(&self.followed) };
        self.metrics.suspended.set(f64::from(u8::from(trouble.is_some())));
        let before = std::mem::replace(&mut *self.suspension.0.lock(), trouble.clone());
        match (before, trouble) {
            (None, Some(why)) => tracing::error!(why, "all grants are suspended: no client is accepted, and connections are closed"),
            (Some(_), None) => tracing::warn!("keys and revocations are known again: grants hold as before"),
            _ => {}
        }
        self.publish.send_if_modified(|old| {
            **old != new && {
                *old = Arc::new(new);
                true
            }
        });
    }
}

/// The look that is under way, if there is one.
async fn ended(looking: &mut Option<JoinHandle<(anyhow::Result<Files>, Spare)>>) -> (anyhow::Result<Files>, Spare) {
    let Some(handle) = looking else { return std::future::pending().await };
    let outcome = handle.await;
    *looking = None;
    outcome.unwrap_or_else(|panic| (Err(panic.into()), Spare::take()))
}

/// What the files said last, and how often in a row they have said nothing since.
struct Looks {
    files: Files,
    failed: u32,
    error: Option<String>,
}

impl Looks {
    fn take(&mut self, outcome: anyhow::Result<Files>) {
        match outcome {
            Ok(files) => *self = Self { files, failed: 0, error: None },
            Err(error) => {
                let error = format!("{error:#}");
                if self.error.as_ref() != Some(&error) {
                    tracing::warn!(error, "cannot read keys and revocations");
                }
                self.failed = self.failed.saturating_add(1);
                self.error = Some(error);
            }
        }
    }

    /// Why what the files said last may not be so any more.
    fn trouble(&self) -> Option<String> {
        self.error.clone().filter(|_| self.failed >= FAILED_LOOKS_MAX)
    }

    fn authority(&self, followed: &Followed) -> Authority {
        followed.standing().authority(self.files.keys.iter().copied(), self.files.revoked.iter().copied())
    }
}

/// What the files of a data folder say.
struct Files {
    there: There,
    keys: Vec<[u8; 32]>,
    revoked: Vec<GrantId>,
}

/// What there was to read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct There {
    keys: bool,
    revoked: bool,
}

impl Files {
    /// Read them. What was there `before` and is gone as a whole is an error: somebody has moved a folder away or a disk is not
    /// there, and nothing says that no grant is revoked.
    fn read(data: &Path, before: Option<There>) -> anyhow::Result<Self> {
        let (keys, revoked) = (auth::keys_folder(data), auth::revoked_file(data));
        let there = There { keys: keys.try_exists()?, revoked: revoked.try_exists()? };
        if before.is_some_and(|before| before.keys && !there.keys) {
            bail!("the folder {} is gone: put it back; to take a key out of use, delete its file alone", keys.display());
        }
        if before.is_some_and(|before| before.revoked && !there.revoked) {
            bail!(
                "the list of revocations {} is gone: put it back, or make it an empty file if no grant is to be revoked any more",
                revoked.display()
            );
        }
        Ok(Self { there, keys: auth::own_keys(data)?.iter().map(|own| own.key.public()).collect(), revoked: auth::revoked(data)? })
    }
}

/// Handles that are held for nothing but to be let go of before a look, so that it finds some when the process has no more.
struct Spare(Vec<File>);

impl Spare {
    /// A look needs one at a time; the other is for somebody who opens a file at that very moment.
    const COUNT: usize = 2;

    fn take() -> Self {
        let mut spare = Self(Vec::new());
        spare.refill();
        spare
    }

    fn refill(&mut self) {
        let nothing = if cfg!(windows) { "NUL" } else { "/dev/null" };
        self.0.extend(std::iter::repeat_with(|| File::open(nothing)).take(Self::COUNT - self.0.len()).filter_map(Result::ok));
    }

    /// What `work` gives while the handles are free for it.
    fn lent<T>(&mut self, work: impl FnOnce() -> T) -> T {
        self.0.clear();
        let done = work();
        self.refill();
        done
    }
}

#[cfg(test)]
mod tests;
