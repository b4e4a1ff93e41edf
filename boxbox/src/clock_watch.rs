//! Watches the clocks of this machine: reads them for [`WallClock`], tells a person when the wall clock jumps, and remembers over a
//! restart what the time was.
//!
//! ```text
//! boxbox-data/
//!   clock          the believed time at the last look, Unix µs
//!   clock.confirm  when a person said that this machine's clock is right, by that clock, Unix µs
//! ```
//! Code that deletes by age takes [`WallClock::steady_us`] for the time now, and deletes nothing while [`WallClock::jump`] stands.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Context;
use boxbox_schemas::wall::{Jump, WallClock};
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;

use crate::data;

/// How often the clocks are read.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How often the time is written down: a jump while the process does not run is found to within this.
const NOTE_EVERY: Duration = Duration::from_secs(60);
/// A confirmation is for the time at which it was given: by a clock that shows more than this later it says nothing. Several services
/// may share a folder, and each sees it.
const CONFIRMED_FOR: Duration = Duration::from_secs(600);

boxbox_schemas::metrics! {
    /// The clocks of this machine.
    pub struct ClockMetrics("boxbox_clock") {
        /// Seconds by which the wall clock has jumped; 0 while it can be believed. Meanwhile nothing is deleted by its age.
        jump_seconds: gauge,
        /// Jumps that were found.
        jumps: counter,
    }
}

/// Reads the wall clock, Unix µs, and a monotonic clock.
pub type ReadClocks = Arc<dyn Fn() -> (i64, Duration) + Send + Sync>;

/// The clocks of this machine.
pub fn of_this_machine() -> ReadClocks {
    let started = std::time::Instant::now();
    Arc::new(move || {
        let wall_us = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros() as i64);
        (wall_us, since_boot().unwrap_or_else(|| started.elapsed()))
    })
}

/// Time since the machine was switched on, with the time that it slept: a monotonic clock that stands while a machine sleeps would
/// make each long sleep a jump.
#[cfg(target_os = "linux")]
fn since_boot() -> Option<Duration> {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    Some(Duration::new(u64::try_from(now.tv_sec).ok()?, u32::try_from(now.tv_nsec).ok()?))
}

#[cfg(not(target_os = "linux"))]
fn since_boot() -> Option<Duration> {
    None
}

/// Watch the clocks for as long as the result, or a clone of it, is held. What `folder` remembers is compared at once.
///
/// # Errors
/// If the folder's `clock` cannot be read or written.
pub fn begin(folder: &Path, read: ReadClocks) -> anyhow::Result<watch::Receiver<WallClock>> {
    let (file, confirm) = (folder.join("clock"), folder.join("clock.confirm"));
    let (wall_us, monotonic) = read();
    let before = match fs::read_to_string(&file) {
        // A file that was cut by a crash, or changed by hand, says nothing.
        Ok(text) => text.trim().parse::<i64>().ok(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", file.display())),
    };
    let clock = before.map_or_else(|| WallClock::new(wall_us, monotonic), |last| WallClock::resume(last, wall_us, monotonic));
    let (sender, receiver) = watch::channel(clock);
    let watched = Watched { read, file, confirm, sender, metrics: ClockMetrics::new(), noted: None };
    if let Some(jump) = clock.jump() {
        watched.tell(jump);
    }
    tokio::spawn(watched.run());
    Ok(receiver)
}

/// Say that the clock of the machine whose server uses `folder` is right.
///
/// # Errors
/// If nothing can be written there.
pub fn confirm(folder: &Path) -> anyhow::Result<()> {
    anyhow::ensure!(folder.join("clock").exists(), "{} is not the data folder of a server: give the right folder with --data", folder.display());
    let (wall_us, _) = of_this_machine()();
    confirm_at(folder, wall_us)
}

fn confirm_at(folder: &Path, wall_us: i64) -> anyhow::Result<()> {
    data::write_whole(&folder.join("clock.confirm"), format!("{wall_us}\n").as_bytes())
}

/// What a jump means and what to do, for people.
pub fn advice(jump: Jump) -> String {
    format!(
        "{jump}: nothing is deleted by its age, no session is retired, and no grant expires by it, until the clock is set right, or a person \
         says that it is right with: boxbox clock confirm"
    )
}

struct Watched {
    read: ReadClocks,
    file: PathBuf,
    confirm: PathBuf,
    sender: watch::Sender<WallClock>,
    metrics: ClockMetrics,
    /// The monotonic time when the time was written down last.
    noted: Option<Duration>,
}

impl Watched {
    async fn run(mut self) {
        let mut ticks = tokio::time::interval(LOOK_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = self.sender.closed() => return,
                _ = ticks.tick() => {}
            }
            // The folder may be on a disk that does not answer.
            let looked = tokio::task::spawn_blocking(move || {
                self.look();
                self
            });
            let Ok(again) = looked.await else { return };
            self = again;
        }
    }

    fn look(&mut self) {
        let (wall_us, monotonic) = (self.read)();
        let mut clock = *self.sender.borrow();
        let stood = clock.jump().is_some();
        let found = clock.look(wall_us, monotonic);
        let confirmed = clock.jump().is_some() && self.confirmed(wall_us);
        if confirmed {
            clock.confirm();
        }
        let over = stood && clock.jump().is_none();
        self.sender.send_replace(clock);
        if let Some(jump) = found.filter(|_| !confirmed) {
            self.tell(jump);
        }
        if over {
            tracing::warn!(confirmed, "the clock of this machine is believed again: what is old by it is deleted");
        }
        self.metrics.jump_seconds.set(clock.jump().map_or(0.0, |jump| jump.by_us as f64 / 1e6));
        if over || self.noted.is_none_or(|at| monotonic.saturating_sub(at) >= NOTE_EVERY) {
            self.noted = Some(monotonic);
            if let Err(error) = data::write_whole(&self.file, format!("{}\n", clock.steady_us()).as_bytes()) {
                tracing::warn!(error = format!("{error:#}"), "cannot write down the time: a jump of the clock during a restart would not be found");
            }
        }
    }

    fn confirmed(&self, wall_us: i64) -> bool {
        let said = fs::read_to_string(&self.confirm).ok().and_then(|text| text.trim().parse::<i64>().ok());
        said.is_some_and(|said| (0..=CONFIRMED_FOR.as_micros() as i64).contains(&wall_us.saturating_sub(said)))
    }

    fn tell(&self, jump: Jump) {
        self.metrics.jumps.increment(1);
        tracing::error!("{}", advice(jump));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicI64, Ordering::Relaxed};

    use super::*;

    const START: i64 = 1_700_000_000_000_000;
    const DAY: i64 = 86_400_000_000;

    /// Clocks of which the wall clock is set by the test.
    fn clocks(set_us: Arc<AtomicI64>) -> ReadClocks {
        let started = std::time::Instant::now();
        Arc::new(move || (set_us.load(Relaxed) + started.elapsed().as_micros() as i64, started.elapsed()))
    }

    async fn until(clock: &mut watch::Receiver<WallClock>, wanted: impl Fn(&WallClock) -> bool) -> WallClock {
        *tokio::time::timeout(Duration::from_secs(30), clock.wait_for(wanted)).await.expect("in time").expect("it is watched")
    }

    #[tokio::test]
    async fn a_jump_stands_over_a_restart_until_a_person_confirms_it() {
        let folder = tempfile::tempdir().unwrap();
        assert!(confirm(folder.path()).is_err(), "no server's folder");
        let set = Arc::new(AtomicI64::new(START));
        let mut clock = begin(folder.path(), clocks(set.clone())).unwrap();
        until(&mut clock, |_| folder.path().join("clock").exists()).await;
        set.store(START + 40 * DAY, Relaxed);
        let seen = until(&mut clock, |clock| clock.jump().is_some()).await;
        assert!(seen.steady_us() < START + DAY);
        drop(clock);
        let mut clock = begin(folder.path(), clocks(set.clone())).unwrap();
        assert!(clock.borrow().jump().is_some(), "also after a restart");
        confirm_at(folder.path(), START + DAY).unwrap();
        tokio::time::sleep(LOOK_EVERY * 2).await;
        assert!(clock.borrow().jump().is_some(), "another time was confirmed");
        confirm_at(folder.path(), START + 40 * DAY).unwrap();
        let seen = until(&mut clock, |clock| clock.jump().is_none()).await;
        assert!(seen.steady_us() >= START + 40 * DAY);
    }
}
