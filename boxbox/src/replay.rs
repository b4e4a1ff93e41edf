//! `replay`: streams a recording through QUIC and prints its laps next to the simulator's own times.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use boxbox_client::{Stream, StreamId};
use boxbox_schemas::connect::ConnectString;
use boxbox_schemas::event::EndReason;
use boxbox_schemas::{DriverId, SessionId, Source, TenantId, grant};
use boxbox_sources::iracing::{self, IbtFile, Item};

use crate::node::Node;
use crate::node::options::NodeOptions;
use crate::sender::{self, Sender};
use crate::show::report::{Faults, Printer};
use crate::show::stderr::note;
use crate::show::watch::Watcher;
use crate::{signals, spool};

/// Unacked bytes beyond which reading the file pauses: far below what a spool holds, so that a file that is read faster than the
/// network sends never overflows the spool.
const AHEAD_BYTES: u64 = 4 << 20;
/// How long the server may take to ack the last frames.
const FINISH_WITHIN: Duration = Duration::from_secs(120);
/// Days for which the embedded pipeline's grant is valid.
const OWN_GRANT_DAYS: u32 = 1;
/// How long a replay that ends early waits for the acks of what it has sent.
const PUT_AWAY_WITHIN: Duration = Duration::from_secs(1);

/// Options of `replay`.
// Without Debug, which would show the grants.
#[derive(Clone)]
pub struct ReplayOptions {
    /// The recording: .ibt or .ibt.gz.
    pub file: PathBuf,
    /// The server to stream to; `None`: the embedded pipeline runs in this process.
    pub to: Option<ConnectString>,
    /// How fast.
    pub speed: Speed,
    /// Print one JSON object a line and nothing else on standard output.
    pub json: bool,
    /// Import the recording as a new session, even if it was replayed before.
    pub new_session: bool,
    /// Import a recording without a lobby into the session of this name: one name, one track and one session number are one session,
    /// whichever driver's recording it is. `None`: each recording without a lobby is a session by itself.
    pub session: Option<String>,
    /// Send only every Nth sample; 1: all.
    pub every: u32,
    /// The driver, without `to`.
    pub driver: DriverId,
    /// The embedded pipeline.
    pub node: NodeOptions,
}

/// How fast a recording is streamed.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Speed {
    /// As fast as the server accepts it.
    Max,
    /// Session time per real time.
    Times(f64),
}

/// Sleeps so that session time passes at a given speed.
pub struct Pace {
    speed: Speed,
    began: Option<(Instant, i64)>,
}

impl Pace {
    /// At `speed`.
    pub fn new(speed: Speed) -> Self {
        Self { speed, began: None }
    }
    /// How long to wait before a frame of session time `us` is due.
    pub fn wait(&mut self, us: i64) -> Option<Duration> {
        let Speed::Times(times) = self.speed else { return None };
        let (at, first) = *self.began.get_or_insert((Instant::now(), us));
        let due = at + Duration::from_secs_f64((us - first).max(0) as f64 / 1e6 / times);
        due.checked_duration_since(Instant::now())
    }
    /// Begin again after a jump of session time.
    pub fn restart(&mut self) {
        self.began = None;
    }
}

/// `replay`
pub async fn run(mut options: ReplayOptions) -> anyhow::Result<()> {
    // The file is opened before anything is started, because most mistakes are in its name.
    let file = IbtFile::open(&options.file).map_err(|e| match e.to_string() {
        named if named.contains(&*options.file.to_string_lossy()) => anyhow::anyhow!(named),
        other => anyhow::anyhow!("cannot read {}: {other}", options.file.display()),
    })?;
    let mut printer = Printer::new(options.json);
    let mut stop = std::pin::pin!(signals::asked_to_stop());
    let node = match &options.to {
        Some(_) => None,
        None => {
            options.node.clients = 1;
            tokio::select! {
                biased;
                () = &mut stop => bail!("stopped before anything was sent"),
                node = Node::start(&options.node) => Some(node?),
            }
        }
    };
    let connect = match (&options.to, &node) {
        (Some(to), _) => to.clone(),
        (None, Some(node)) => node.connect_string(options.driver, OWN_GRANT_DAYS)?,
        (None, None) => bail!("no server"),
    };
    let tenant = options.to.as_ref().and_then(|to| grant::peek(&to.grant)).map(|grant| grant.tenant);
    let spool = options.to.as_ref().map(|_| sender::spool_below(spool::folder(&options.node.data)));
    let sender = Sender::start(connect, spool, Default::default()).await?;
    let replay = Replay { options: &options, tenant, sender: &sender, node: node.as_ref(), printer: &mut printer }.run(file);
    let outcome = tokio::select! {
        outcome = replay => outcome,
        () = &mut stop => Err(anyhow::anyhow!("stopped before the end of the recording")),
    };
    let outcome = match outcome {
        Err(error) => Err(what_is_left(error, &options, &sender).await),
        done => done,
    };
    if let Some(node) = node {
        // At a second request, stop at once.
        tokio::select! {
            stopped = node.stop() => stopped?,
            () = signals::asked_again() => bail!("stopped without draining"),
        }
    }
    outcome
}

/// Add to the error of a replay that did not reach its end what became of the frames.
async fn what_is_left(error: anyhow::Error, options: &ReplayOptions, sender: &Sender) -> anyhow::Error {
    let remained = sender.client().finish(PUT_AWAY_WITHIN).await;
    let acked = sender.client().stats().acked_frames;
    let data = options.node.data.display();
    match (&options.to, remained.is_empty()) {
        (_, true) => anyhow::anyhow!("{error:#}; {acked} frames were sent and acked, and none is left over"),
        (Some(_), false) => anyhow::anyhow!(
            "{error:#}; {acked} frames were sent and acked, and {} are kept in {data}: the next replay to the same server sends them, or \
             `boxbox spool send`; `boxbox spool list` shows them",
            remained.frames
        ),
        (None, false) => anyhow::anyhow!("{error:#}; {acked} frames were sent and acked and are kept in {data}, {} were not", remained.frames),
    }
}

struct Replay<'a> {
    options: &'a ReplayOptions,
    // Tenant at the server given with `--to`, if the grant contains it.
    tenant: Option<TenantId>,
    sender: &'a Sender,
    node: Option<&'a Node>,
    printer: &'a mut Printer,
}

impl Replay<'_> {
    async fn run(mut self, file: IbtFile) -> anyhow::Result<()> {
        let mut watcher = match self.node {
            Some(node) => Some(Watcher::new(
                node.feed().context("this process runs a processor")?,
                node.sessions()?.clone(),
                node.tenant(),
                self.options.driver,
            )),
            None => None,
        };
        let options = iracing::ReplayOptions {
            every: self.options.every,
            new_session: self.options.new_session.then(uuid::Uuid::new_v4),
            named: self.options.session.clone(),
        };
        let (mut stream, mut frames, mut last) = (None::<Stream>, 0u64, (0u32, 0i64));
        let mut sources: BTreeMap<StreamId, Source> = BTreeMap::new();
        let mut pace = Pace::new(self.options.speed);
        let mut items = file.replay(options)?;
        for item in &mut items {
            match item.with_context(|| format!("cannot read the rest of {}", self.options.file.display()))? {
                Item::Session { source, slot, meta } => {
                    if let Some(stream) = stream.take() {
                        stream.end(last.0, last.1, EndReason::SESSION_CHANGED)?;
                    }
                    let opened = self.sender.client().open(source, slot)?;
                    opened.meta(&meta)?;
                    sources.insert(opened.id(), source);
                    let name = [&meta.track_name, &meta.track_config, &meta.session_type].map(String::as_str);
                    self.printer.text(&name.into_iter().filter(|t| !t.is_empty()).collect::<Vec<_>>().join(", "));
                    if let Some(watcher) = &mut watcher {
                        watcher.follow(&opened);
                    } else if let Some(tenant) = &self.tenant {
                        let session = SessionId::of(tenant, &source);
                        self.printer.text(&format!("laps: /api/v1/sessions/{session}/laps at the server's API"));
                    }
                    stream = Some(opened);
                    pace.restart();
                }
                Item::Car(frame) => {
                    let Some(stream) = &stream else { continue };
                    if let Some(wait) = pace.wait(frame.sim_time_us) {
                        tokio::time::sleep(wait).await;
                    }
                    stream.car(&frame)?;
                    frames += 1;
                    last = (frame.tick, frame.sim_time_us);
                    if frames.is_multiple_of(64) {
                        self.keep_up(&mut watcher).await?;
                    }
                }
                Item::Slow(frame) => {
                    if let Some(stream) = &stream {
                        stream.slow(&frame)?;
                    }
                }
                Item::Rewind { tick, sim_time_us } => {
                    if let Some(stream) = &stream {
                        stream.rewind(tick, sim_time_us)?;
                    }
                    pace.restart();
                }
            }
        }
        let mut faults = Faults::default();
        for warning in file.warnings().iter().chain(&items.stats().warnings) {
            note(&format!("boxbox: {}: {warning}", self.options.file.display()));
            faults.incomplete |= warning.is_incomplete();
            faults.warnings.push(warning.to_string());
        }
        anyhow::ensure!(frames > 0, "{} holds no samples", self.options.file.display());
        if let Some(stream) = stream.take() {
            stream.end(last.0, last.1, EndReason::FINISHED)?;
        }
        self.sender.finish(FINISH_WITHIN).await?;
        let ledgers = match &mut watcher {
            Some(watcher) => watcher.finish(self.printer, FINISH_WITHIN).await?,
            None => vec![],
        };
        // All frames are acked: otherwise `finish` fails.
        self.printer.summary(frames, frames, &faults, &ledgers);
        let closed = match &watcher {
            Some(watcher) => watcher.closed_sessions().await?,
            None => self.closed_sessions(&sources),
        };
        closed.iter().for_each(|(session, retired)| self.printer.session_closed(*session, *retired));
        match closed.first_key_value() {
            None => Ok(()),
            Some((session, true)) => bail!("session {session} is retired: what was sent is dropped. --new-session imports it as another session"),
            Some((session, false)) => bail!(
                "session {session} was closed on purpose: what was sent is kept, and changes no result until the session is opened again \
                 (POST /api/v1/sessions/{session}/reopen)"
            ),
        }
    }

    /// The streams' sessions that the server has reported as closed on purpose; true: retired.
    fn closed_sessions(&self, sources: &BTreeMap<StreamId, Source>) -> BTreeMap<SessionId, bool> {
        let Some(tenant) = &self.tenant else { return BTreeMap::new() };
        let closed = self.sender.closed_sessions().into_iter();
        closed.filter_map(|(stream, retired)| Some((SessionId::of(tenant, sources.get(&stream)?), retired))).collect()
    }

    /// Print the laps that were committed, and wait while too many bytes are unacked.
    async fn keep_up(&mut self, watcher: &mut Option<Watcher>) -> anyhow::Result<()> {
        loop {
            if let Some(watcher) = watcher {
                watcher.drain(self.printer);
            }
            self.sender.check()?;
            // A file that is read faster than the network sends must leave room for a request to stop.
            tokio::task::yield_now().await;
            if self.sender.client().stats().outstanding_bytes < AHEAD_BYTES {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
}
