//! [`Sender`]: the client library as `demo`, `simulate` and `replay` use it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use boxbox_client::{Batch, Client, Config, Event, Observer, Spool, Status, StreamId};
use boxbox_schemas::connect::ConnectString;
use parking_lot::Mutex;

use crate::show::stderr::note;

/// Most bytes of unacked frames that are kept: about an hour of one car at 60 Hz.
const SPOOL_MAX_BYTES: u64 = 64 << 20;
/// How long to wait for the first connection. After this time the address or the pin is wrong, or the server does not run.
const FIRST_CONTACT: Duration = Duration::from_secs(15);
/// Time without an answer after which the user is warned.
const SILENCE: Duration = Duration::from_secs(2);

/// The spool of the server and driver of a connect string, below `dir`.
pub fn spool_below(dir: PathBuf) -> Spool {
    Spool::Disk { dir, max_bytes: SPOOL_MAX_BYTES }
}

/// The spool in `folder`, whichever server it was for.
pub fn spool_of(folder: PathBuf) -> Spool {
    Spool::Kept { folder, max_bytes: SPOOL_MAX_BYTES }
}

/// A client for a command that a person waits for: what a sim client retries for ever is an error here after a while.
pub struct Sender {
    client: Client,
    began: Instant,
    warned: AtomicBool,
    closed: Arc<ClosedSessions>,
}

/// The streams whose session the edge has reported as closed on purpose; true: retired.
#[derive(Default)]
struct ClosedSessions(Mutex<BTreeMap<StreamId, bool>>);

impl Observer for ClosedSessions {
    fn event(&self, event: &Event) {
        if let Event::SessionClosed { stream, retired } = event {
            self.0.lock().insert(*stream, *retired);
        }
    }
}

impl Sender {
    /// Start a client. `spool`: where unacked frames are kept if they must outlive this process; without it, in memory.
    pub async fn start(connect: ConnectString, spool: Option<Spool>, batch: Batch) -> anyhow::Result<Self> {
        let spool = spool.unwrap_or(Spool::Memory { max_bytes: SPOOL_MAX_BYTES });
        let closed = Arc::new(ClosedSessions::default());
        let (agent, observer) = (concat!("boxbox/", env!("CARGO_PKG_VERSION")).into(), Some(closed.clone() as Arc<dyn Observer>));
        let config = Config { spool, batch, agent, observer, ..Config::new(connect) };
        Ok(Self { client: Client::start(config).await?, began: Instant::now(), warned: AtomicBool::new(false), closed })
    }

    /// The streams whose session the server has reported as closed on purpose; true: retired.
    pub fn closed_sessions(&self) -> BTreeMap<StreamId, bool> {
        self.closed.0.lock().clone()
    }

    /// The client.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// An error as soon as the client cannot succeed any more.
    pub fn check(&self) -> anyhow::Result<()> {
        let waiting = if self.client.stats().rtt.is_none() { self.began.elapsed() } else { Duration::ZERO };
        let never_reached = waiting > FIRST_CONTACT;
        if waiting > SILENCE && !self.warned.swap(true, Ordering::Relaxed) {
            let why = self.client.stats().last_error.unwrap_or_else(|| "no answer".into());
            note(&format!("boxbox: not connected yet ({why}); trying for {} s", FIRST_CONTACT.as_secs()));
        }
        match self.client.status() {
            Status::Refused(reason) => anyhow::bail!("the server refuses this client: {reason}"),
            Status::Connecting { error } if never_reached => {
                let error = error.unwrap_or_else(|| "it does not answer".into());
                anyhow::bail!("no connection within {} s: {error}", FIRST_CONTACT.as_secs())
            }
            _ => Ok(()),
        }
    }

    /// Wait until everything is acked.
    pub async fn finish(&self, within: Duration) -> anyhow::Result<()> {
        let mut finished = std::pin::pin!(self.client.finish(within));
        let remained = loop {
            tokio::select! {
                remained = &mut finished => break remained,
                () = tokio::time::sleep(Duration::from_millis(200)) => self.check()?,
            }
        };
        self.check()?;
        let last = self.client.stats().last_error.unwrap_or_else(|| "no error was seen".into());
        let within = within.as_secs();
        anyhow::ensure!(remained.is_empty(), "the server did not ack everything within {within} s ({} frames are left): {last}", remained.frames);
        Ok(())
    }
}
