//! `demo`: a whole race through the whole pipeline in one process. A terminal shows a live tower; otherwise each lap is a line.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use boxbox_race::timing::Classified;
use boxbox_race::view::SessionView;
use boxbox_schemas::{SessionId, Sim, Source};
use boxbox_sources::synth::{Race, Truth};

use crate::fleet::{Fleet, Rates};
use crate::node::Node;
use crate::node::options::NodeOptions;
use crate::ports;
use crate::race::RaceOptions;
use crate::show::follow::Follow;
use crate::show::report::line;
use crate::show::tower::{Progress, Tower};
use crate::show::{columns, result, stderr};
use crate::signals;

/// How often the clients send what is due.
const STEP: Duration = Duration::from_millis(8);
/// How often the tower is drawn.
const DRAW_EVERY: Duration = Duration::from_millis(100);
/// How long the processor may take to reach the end of every stream.
const PROCESSED_WITHIN: Duration = Duration::from_secs(30);
/// Session time per real time, unless another speed is given.
pub const SPEED: f64 = 5.0;
/// Days for which the demo's grants are valid.
const GRANT_DAYS: u32 = 1;

/// Options of `demo`.
#[derive(Clone, Debug)]
pub struct DemoOptions {
    /// Number of cars, each with its own client.
    pub cars: usize,
    /// The race that they drive.
    pub race: RaceOptions,
    /// Session time per real time.
    pub speed: f64,
    /// Print lines instead of drawing the tower, also on a terminal.
    pub plain: bool,
    /// The services.
    pub node: NodeOptions,
}

/// `demo`
pub async fn run(mut options: DemoOptions) -> anyhow::Result<()> {
    let race = options.race.race(options.cars);
    options.node.clients = race.cars().len();
    let node = Node::start(&options.node).await?;
    let outcome = Demo { options: &options, race: &race, node: &node }.run().await;
    node.stop().await?;
    outcome
}

/// How the drive ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Drove {
    ToTheEnd,
    Stopped,
}

struct Demo<'a> {
    options: &'a DemoOptions,
    race: &'a Race,
    node: &'a Node,
}

impl Demo<'_> {
    async fn run(&self) -> anyhow::Result<()> {
        let terminal = !self.options.plain && std::io::stdout().is_terminal() && !stderr::is_dumb();
        // A new session each time.
        let source = Source { sim: Sim::SYNTHETIC, id: uuid::Uuid::new_v4().as_u128(), session_num: 0 };
        let session = SessionId::of(&self.node.tenant(), &source);
        let feed = self.node.feed().context("this process runs a processor")?;
        let mut follow = Follow::new(feed, self.node.sessions()?.clone(), self.node.tenant(), session);
        let grant = |driver| self.node.connect_string(driver, GRANT_DAYS);
        let grants = |car: &boxbox_sources::synth::Car| car.drivers.iter().map(|p| grant(p.driver)).collect::<anyhow::Result<Vec<_>>>();
        let connects = self.race.cars().iter().map(grants).collect::<anyhow::Result<Vec<_>>>()?;
        let rates = Rates { speed: self.options.speed, car_hz: boxbox_sources::synth::TICK_HZ, field_hz: 0 };
        let page = format!("http://{}/", self.node.api().context("this process runs an API")?);
        if !terminal {
            line(&format!(
                "{} sim clients → QUIC → edge → log → processor → store → API, all in this process, at {} times real time",
                self.race.cars().len(),
                rates.speed
            ));
            line(&format!("in a browser, while it drives: {page}"));
            line("each lap as it is timed, next to the time that the car was made to drive");
        }
        let mut fleet = Fleet::start(self.race, source, rates, connects).await?;
        let truth = self.race.truth();
        let mut shown = if terminal { Shown::Tower(Tower::open(page)?) } else { Shown::Lines };
        let drove = self.drive(&mut fleet, &mut follow, &mut shown, &truth).await?;
        // Restores the terminal.
        drop(shown);
        if drove == Drove::Stopped {
            line("stopped before the flag; what was sent until then is kept");
            return Ok(());
        }
        self.print_result(follow.view(), &fleet, &truth, session, terminal).await
    }

    /// Drive until every lap is sent and processed, or the user stops the demo.
    async fn drive(&self, fleet: &mut Fleet<'_>, follow: &mut Follow, shown: &mut Shown, truth: &Truth) -> anyhow::Result<Drove> {
        let mut steps = tokio::time::interval(STEP);
        steps.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        let mut stop = std::pin::pin!(signals::asked_to_stop());
        let (mut drawn, mut sent, mut frames_per_s) = (Instant::now(), 0, 0.0);
        let mut sending = true;
        let mut processed = std::pin::pin!(self.processed(follow.view().session()));
        loop {
            tokio::select! {
                _ = steps.tick() => {}
                () = &mut stop => return Ok(Drove::Stopped),
                () = self.node.failed() => anyhow::bail!("a service ended unexpectedly"),
                done = &mut processed, if !sending => {
                    done?;
                    fleet.finish().await?;
                    follow.reload().await?;
                    shown.laps(follow, truth, self.race);
                    return Ok(Drove::ToTheEnd);
                }
            }
            sending = sending && fleet.advance().await?;
            follow.update().await?;
            shown.laps(follow, truth, self.race);
            let Shown::Tower(tower) = shown else { continue };
            if tower.asked_to_leave()? {
                return Ok(Drove::Stopped);
            }
            let since = drawn.elapsed();
            if since >= DRAW_EVERY {
                // Smoothed over about a second, so that it can be read.
                frames_per_s += 0.1 * ((fleet.sent() - sent) as f64 / since.as_secs_f64() - frames_per_s);
                (drawn, sent) = (Instant::now(), fleet.sent());
                let now_us = fleet.now_us();
                let done = now_us as f64 / self.race.until_us() as f64;
                let progress = Progress { laps: self.options.race.laps, done, now_us, frames_per_s, sent: fleet.sent(), acked: fleet.acked() };
                tower.draw(follow.view(), &progress)?;
            }
        }
    }

    /// Wait until the processor has reached the end of every stream.
    async fn processed(&self, session: SessionId) -> anyhow::Result<()> {
        let began = Instant::now();
        loop {
            let ledgers = self.node.sessions()?.ledgers(&self.node.tenant(), &session).await?;
            if ledgers.len() >= self.race.cars().len() && ledgers.iter().all(|l| l.ended) {
                return Ok(());
            }
            ensure!(began.elapsed() < PROCESSED_WITHIN, "the processor did not reach the end within {} s", PROCESSED_WITHIN.as_secs());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn print_result(&self, view: &SessionView, fleet: &Fleet<'_>, truth: &Truth, session: SessionId, serve: bool) -> anyhow::Result<()> {
        let info = view.info().context("the session is known")?;
        let classified = view.classification();
        line("");
        result::table(&classified, info.meta.as_ref(), columns::of_terminal()).iter().for_each(|row| line(row));
        line("");
        line(&format!("{} frames sent, {} acked", fleet.sent(), fleet.acked()));
        let verdict = result::Verdict::of(truth, view.laps(), &classified);
        line(&verdict.to_string());
        line(&format!("everything is kept in {}", self.options.node.data.display()));
        let api = self.node.api().context("this process runs an API")?;
        line("");
        if serve {
            line(&format!("Until Ctrl-C, the page http://{api}/ shows the race, and the API answers:"));
        } else {
            line(&format!(
                "Next: `boxbox up --data '{}'` serves the results, `boxbox replay FILE.ibt` streams a recording, `boxbox --help` lists all commands.",
                self.options.node.data.display()
            ));
            line("(In the source folder, boxbox is `cargo run --release --`.) Requests to try with its API:");
        }
        let api = if serve { format!("http://{api}") } else { format!("http://127.0.0.1:{}", ports::API) };
        requests(&api, session, &classified).iter().for_each(|request| line(request));
        if serve {
            tokio::select! {
                () = signals::asked_to_stop() => {}
                () = self.node.failed() => anyhow::bail!("a service ended unexpectedly"),
            }
        }
        verdict.check()
    }
}

/// Three requests to paste into a shell: all laps, the order, the winner's best lap.
fn requests(api: &str, session: SessionId, classified: &[Classified]) -> Vec<String> {
    let base = format!("{api}/api/v1/sessions/{session}");
    let mut lines = vec![format!("  curl '{base}/laps'"), format!("  curl '{base}/order'")];
    if let Some((winner, lap)) = classified.first().and_then(|c| Some((c.entry, c.best_lap?))) {
        lines.push(format!("  curl '{base}/laps/{winner}/{lap}/trace?channels=speed_mps,throttle,brake'"));
    }
    lines
}

/// Where laps are shown.
#[allow(clippy::large_enum_variant, reason = "there is only one value")]
enum Shown {
    Tower(Tower),
    Lines,
}

impl Shown {
    /// Print the new laps, unless the tower shows them.
    fn laps(&mut self, follow: &mut Follow, truth: &Truth, race: &Race) {
        let fresh = follow.fresh();
        if let Shown::Lines = self {
            fresh.iter().for_each(|lap| line(&result::lap(lap, truth, race)));
        }
    }
}
