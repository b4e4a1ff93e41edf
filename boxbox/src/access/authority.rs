//! The keys and revocations that a running node knows, kept up to date from the files of its data folder (W3) and, with a Kafka log,
//! from the control topic (W10). A node with a control topic needs no files.
//!
//! A node that cannot read a list does not know which grants were revoked since. When the files cannot be read [`FAILED_LOOKS_MAX`]
//! times in a row, or the control topic is not followed, the node suspends all grants: it accepts no client, closes
//! connections with a code that lets clients come back later, and fails its readiness check, which shows what to do. The suspension
//! ends when everything can be read again.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::bail;
use boxbox_log::control::Control;
use boxbox_schemas::GrantId;
use boxbox_schemas::grant::Authority;
use parking_lot::Mutex;
use tokio::sync::{oneshot, watch};
use tokio::time::MissedTickBehavior;

use crate::access::auth;
use crate::access::control::Followed;

/// How often a node reads the files of keys and revocations; far below the 5 s within which a revocation must take effect.
pub const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Failed reads in a row after which grants are suspended. That is 2 s, so that within 5 s a revocation takes effect or all
/// connections are closed. One failed read is not enough, because a file may be read while a person replaces it.
const FAILED_LOOKS_MAX: u32 = 4;

boxbox_schemas::metrics! {
    /// What a node knows about grants.
    pub struct GrantMetrics("boxbox_grants") {
        /// 1 while keys and revocations cannot be read, so that no client is accepted and connections are closed; else 0.
        suspended: gauge,
        /// Failed reads of the files of keys and revocations.
        failed_looks: counter,
    }
}

/// What decides about grants, kept up to date.
pub struct Known {
    /// Decides about grants now.
    pub authority: watch::Receiver<Arc<Authority>>,
    /// Why it refuses all grants, if it does.
    pub suspension: Arc<Suspension>,
}

/// Why all grants are suspended, if they are.
#[derive(Default)]
pub struct Suspension(Mutex<Option<String>>);

impl Suspension {
    /// An error if they are: it describes what is wrong and what to do.
    pub fn check(&self) -> Result<(), String> {
        self.0.lock().clone().map_or(Ok(()), Err)
    }
}

/// Read the files of `data`, and the control topic if there is one, and keep the result up to date for as long as it has receivers.
/// Returns when all was read once. With `make_key`, a key is made if the folder has none.
///
/// # Errors
/// If a file or the control topic cannot be read.
pub async fn watch(data: &Path, control: Option<Control>, make_key: bool) -> anyhow::Result<Known> {
    if make_key {
        auth::keys(data)?;
    } else if !auth::own_keys(data)?.is_empty() {
        auth::begin_revocations(data)?;
    }
    follow(data, Followed::begin(control).await?)
}

fn follow(data: &Path, followed: Followed) -> anyhow::Result<Known> {
    let files = Files::read(data, None)?;
    if files.keys.is_empty() && followed.standing().keys().is_empty() {
        tracing::warn!(
            "no key is known that grants are signed with: no client is accepted until `boxbox grant create` with this log's --log-url publishes one"
        );
    }
    let suspension = Arc::new(Suspension::default());
    let looks = Looks { files, failed: 0, error: None };
    let (sender, authority) = watch::channel(Arc::new(looks.authority(&followed)));
    let updater = Updater { data: data.to_path_buf(), looks, followed, sender, suspension: suspension.clone(), metrics: GrantMetrics::new() };
    tokio::spawn(updater.run());
    Ok(Known { authority, suspension })
}

struct Updater {
    data: PathBuf,
    looks: Looks,
    followed: Followed,
    sender: watch::Sender<Arc<Authority>>,
    suspension: Arc<Suspension>,
    metrics: GrantMetrics,
}

impl Updater {
    async fn run(mut self) {
        let mut ticks = tokio::time::interval(LOOK_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut spare, mut looking) = (Some(Spare::take()), None);
        while !self.sender.is_closed() {
            tokio::select! {
                () = self.followed.changed() => {}
                (outcome, back) = ended(&mut looking) => {
                    spare = Some(back);
                    self.looked(outcome);
                }
                _ = ticks.tick() => match spare.take() {
                    Some(spare) => looking = Some(self.look(spare)),
                    // The read before has not ended: the folder is on another machine that does not answer, or the disk hangs.
                    None => self.looked(Err(anyhow::anyhow!("{} does not answer", auth::folder(&self.data).display()))),
                },
            }
            self.send();
        }
    }

    /// Read the files, on a thread that may block.
    fn look(&self, mut spare: Spare) -> Looking {
        let (data, before) = (self.data.clone(), self.looks.files.before());
        let (told, looking) = oneshot::channel();
        // A separate thread: the process's end waits for those of the runtime, and a disk that hangs must not delay it. Without a thread,
        // nothing is told, and that is a failed look.
        let look = move || drop(told.send((spare.lend(|| Files::read(&data, Some(&before))), spare)));
        if let Err(error) = std::thread::Builder::new().name("grants".into()).spawn(look) {
            tracing::warn!(%error, "no thread to read keys and revocations");
        }
        looking
    }

    fn looked(&mut self, outcome: anyhow::Result<Files>) {
        self.metrics.failed_looks.increment(u64::from(outcome.is_err()));
        self.looks.take(outcome);
    }

    /// Send the current authority to the services, if it has changed, and log when a suspension begins or ends.
    fn send(&self) {
        let trouble = self.looks.trouble().or_else(|| self.followed.trouble().map(str::to_owned));
        let new = if trouble.is_some() { Authority::unavailable() } else { self.looks.authority(&self.followed) };
        self.metrics.suspended.set(f64::from(u8::from(trouble.is_some())));
        let before = std::mem::replace(&mut *self.suspension.0.lock(), trouble.clone());
        match (before, trouble) {
            (None, Some(why)) => tracing::error!(why, "all grants are suspended: no client is accepted, and connections are closed"),
            (Some(_), None) => tracing::warn!("keys and revocations are known again: grants hold as before"),
            _ => {}
        }
        self.sender.send_if_modified(|old| {
            **old != new && {
                *old = Arc::new(new);
                true
            }
        });
    }
}

/// A read that is in progress.
type Looking = oneshot::Receiver<(anyhow::Result<Files>, Spare)>;

/// Waits for the read that is in progress; without one, for ever.
async fn ended(looking: &mut Option<Looking>) -> (anyhow::Result<Files>, Spare) {
    let Some(handle) = looking else { return std::future::pending().await };
    let outcome = handle.await;
    *looking = None;
    outcome.unwrap_or_else(|_| (Err(anyhow::anyhow!("the thread that reads keys and revocations ended")), Spare::take()))
}

/// What the files held at the last successful read, and how many reads have failed since.
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

    /// Why what was read last may be outdated, if it may.
    fn trouble(&self) -> Option<String> {
        self.error.clone().filter(|_| self.failed >= FAILED_LOOKS_MAX)
    }

    fn authority(&self, followed: &Followed) -> Authority {
        followed.standing().authority(self.files.keys.iter().copied(), self.files.revoked.iter().copied())
    }
}

/// What the files of a data folder hold.
struct Files {
    there: There,
    keys: Vec<[u8; 32]>,
    revoked: Vec<GrantId>,
}

/// What was there at the read before.
struct Before {
    there: There,
    revoked: BTreeSet<GrantId>,
}

/// Which of the files exist.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct There {
    keys: bool,
    revoked: bool,
}

impl Files {
    /// What the next read is compared with.
    fn before(&self) -> Before {
        Before { there: self.there, revoked: self.revoked.iter().copied().collect() }
    }

    /// Read them. It is an error if a folder or a list that existed `before` is gone, or has fewer ids: a folder was moved, a disk is missing
    /// or was full, and that does not mean that no grant is revoked.
    fn read(data: &Path, before: Option<&Before>) -> anyhow::Result<Self> {
        let (keys, revoked) = (auth::keys_folder(data), auth::revoked_file(data));
        let there = There { keys: keys.try_exists()?, revoked: revoked.try_exists()? };
        if before.is_some_and(|before| before.there.keys && !there.keys) {
            bail!("the folder {} is gone: put it back; to remove one key, delete only its file", keys.display());
        }
        if before.is_some_and(|before| before.there.revoked && !there.revoked) {
            bail!("the list of revocations {} is gone: put it back, or create an empty file if no grant has to stay revoked", revoked.display());
        }
        let ids = auth::revoked(data)?;
        let known: BTreeSet<GrantId> = ids.iter().copied().collect();
        let lost = before.map_or(0, |before| before.revoked.difference(&known).count());
        if lost > 0 {
            bail!(
                "the list of revocations {} has lost {lost} of its ids: put it back. If these grants are to hold again, restart the server",
                revoked.display()
            );
        }
        Ok(Self { there, keys: auth::own_keys(data)?.iter().map(|own| own.key.public()).collect(), revoked: ids })
    }
}

/// File handles in reserve. They are closed before each read, so that the read can open files when the process has no handles left.
struct Spare(Vec<File>);

impl Spare {
    /// A read needs one handle at a time; the other is for a thread that opens a file at the same moment.
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

    /// Run `read` while the handles are closed.
    fn lend<T>(&mut self, read: impl FnOnce() -> T) -> T {
        self.0.clear();
        let done = read();
        self.refill();
        done
    }
}

#[cfg(test)]
mod tests;
