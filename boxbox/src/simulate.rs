//! `simulate`: the demo's race as clients only, to a server that runs elsewhere.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use boxbox_schemas::connect::ConnectString;
use boxbox_schemas::grant;
use boxbox_schemas::{SessionId, Sim, Source, TenantId};
use boxbox_sources::synth::Race;

use crate::access::{auth, identity};
use crate::data;
use crate::fleet::{Fleet, Rates};
use crate::node::reachable_here;
use crate::race::{CARS, RaceOptions};
use crate::show::report::{lap_time, line};
use crate::signals;

/// How often the clients send what is due.
const STEP: Duration = Duration::from_millis(8);
/// How often progress is printed.
const PRINT_EVERY: Duration = Duration::from_secs(5);
/// How long a race that is stopped waits for the acks of what it has sent.
const PUT_AWAY_WITHIN: Duration = Duration::from_secs(1);
/// Session time per real time, unless another speed is given.
pub const SPEED: f64 = 1.0;
/// Days for which the grants that it makes are valid.
const GRANT_DAYS: u32 = 1;

/// Options of `simulate`.
// Without Debug, which would show the grants.
#[derive(Clone)]
pub struct SimulateOptions {
    /// Connect strings, one for each car; none: grants are made in `data`.
    pub to: Vec<ConnectString>,
    /// Cars; `None`: as many as there are connect strings, or [`CARS`] if none are given.
    pub cars: Option<usize>,
    /// The race that they drive.
    pub race: RaceOptions,
    /// How they send.
    pub rates: Rates,
    /// Data folder of a server on this machine, where the cars' grants are made if no connect strings are given.
    pub data: PathBuf,
    /// Tenant of the grants that are made there.
    pub tenant: TenantId,
}

/// `simulate`
pub async fn run(options: &SimulateOptions) -> anyhow::Result<()> {
    let given = options.to.clone();
    let cars = options.cars.unwrap_or(if given.is_empty() { usize::from(CARS) } else { given.len() });
    let race = options.race.race(cars);
    let connects = if given.is_empty() { options.made(&race)? } else { given };
    ensure!(
        connects.len() >= cars,
        "{cars} cars need {cars} connect strings, each for another driver, and there are {}: make more with `boxbox grant create`, or give --cars {}",
        connects.len(),
        connects.len()
    );
    let tenant = connects.first().and_then(|c| grant::peek(&c.grant)).map_or(options.tenant, |g| g.tenant);
    let source = Source { sim: Sim::SYNTHETIC, id: uuid::Uuid::new_v4().as_u128(), session_num: 0 };
    let session = SessionId::of(&tenant, &source);
    let speed = options.rates.speed;
    let lasts = race.until_us() as f64 / 1e6 / speed;
    line(&format!("{cars} cars, {} laps at {speed} times real time: about {lasts:.0} s", options.race.laps));
    line(&format!("session {session}: /api/v1/sessions/{session}/order at the server's API"));
    let mut fleet = Fleet::start(&race, source, options.rates, connects.into_iter().take(cars).map(|c| vec![c]).collect()).await?;
    let mut stop = std::pin::pin!(signals::asked_to_stop());
    let mut steps = tokio::time::interval(STEP);
    steps.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    let mut printed = Instant::now();
    loop {
        tokio::select! {
            _ = steps.tick() => {}
            () = &mut stop => {
                // What is on its way may still be acked.
                fleet.flush()?;
                let until = Instant::now() + PUT_AWAY_WITHIN;
                while fleet.outstanding_bytes() > 0 && Instant::now() < until {
                    tokio::time::sleep(STEP).await;
                }
                let (sent, acked) = (fleet.sent(), fleet.acked());
                if fleet.outstanding_bytes() == 0 {
                    bail!("stopped before the flag: all {sent} frames that were sent are acked");
                }
                let lost = sent.saturating_sub(acked);
                bail!("stopped before the flag: {acked} of {sent} frames are acked; the other {lost} are lost, because `simulate` keeps nothing on disk");
            }
        }
        if !fleet.advance().await? {
            break;
        }
        if printed.elapsed() >= PRINT_EVERY {
            printed = Instant::now();
            line(&format!("{:>8}  {} frames sent, {} acked", lap_time(fleet.now_us()), fleet.sent(), fleet.acked()));
        }
    }
    fleet.finish().await?;
    line(&format!("{} frames sent, {} acked", fleet.sent(), fleet.acked()));
    let truth = race.truth();
    let winner = truth.classification.first().and_then(|c| race.cars().get(usize::from(c.slot)));
    line(&format!(
        "driven: {} laps; the winner is car {}",
        truth.cars.iter().map(|c| c.laps.len()).sum::<usize>(),
        winner.map_or("?", |c| &c.number)
    ));
    Ok(())
}

impl SimulateOptions {
    /// Make a grant for each car in the server's data folder.
    fn made(&self, race: &Race) -> anyhow::Result<Vec<ConnectString>> {
        let quic = data::running(&self.data).and_then(|r| r.quic).with_context(|| {
            format!(
                "no server runs in {}: start one with `boxbox up`, give its folder with --data, or give connect strings with --to-file or --to",
                self.data.display()
            )
        })?;
        let (pin, revoked) = (identity::load_or_make(&self.data)?.pin, auth::revoked(&self.data)?);
        let string = |car: &boxbox_sources::synth::Car| {
            // A revoked one is made again.
            let valid = |token: &str| grant::peek(token).is_some_and(|grant| !revoked.contains(&grant.id));
            let token = auth::own_token(&self.data, self.tenant, car.drivers[0].driver, GRANT_DAYS, auth::now(), valid)?;
            auth::connect_string(token, reachable_here(quic.ip()).to_string(), quic.port(), vec![pin])
        };
        race.cars().iter().map(string).collect()
    }
}
