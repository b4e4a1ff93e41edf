//! `simulate`: the demo's race as clients only, to a server that runs elsewhere.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use boxbox_schemas::connect::ConnectString;
use boxbox_schemas::grant::{self, Ability};
use boxbox_schemas::{SessionId, Sim, Source, TenantId};
use boxbox_sources::synth::{Circuit, Distance, Race, Spec, TICK_HZ};
use clap::Args;

use crate::access::{auth, identity};
use crate::fleet::{Fleet, Rates};
use crate::node::data;
use crate::show::report::{lap_time, line};
use crate::signals;

/// How often the clients send what is due.
const STEP: Duration = Duration::from_millis(8);
/// How often it is said how far it is.
const SAY_EVERY: Duration = Duration::from_secs(5);
/// Days the grants that it makes for itself are good for.
const GRANT_DAYS: u32 = 1;

/// Which race.
#[derive(Args, Clone)]
pub struct RaceArgs {
    /// Cars, each with a client of its own (1 to 128) [default: 24; simulate --to: as many as there are strings]
    #[arg(long, env = "BOXBOX_CARS", value_parser = clap::value_parser!(u16).range(1..=128))]
    cars: Option<u16>,
    /// Laps of the winner
    #[arg(long, env = "BOXBOX_LAPS", default_value_t = 6, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    laps: u32,
    /// Times real time [default: demo 5, simulate 1]
    #[arg(long, env = "BOXBOX_RACE_SPEED", value_parser = speed)]
    speed: Option<f64>,
    /// What decides who is how fast, who stops when, and what goes wrong: one seed, one race
    #[arg(long, env = "BOXBOX_RACE_SEED", default_value_t = 1)]
    seed: u64,
}

fn speed(text: &str) -> Result<f64, String> {
    text.parse().ok().filter(|s: &f64| s.is_finite() && *s > 0.0).ok_or_else(|| "give a number above 0".into())
}

impl RaceArgs {
    /// Drive it.
    pub fn race(&self) -> anyhow::Result<Race> {
        Ok(self.race_of(usize::from(self.cars.unwrap_or(24))))
    }

    fn race_of(&self, cars: usize) -> Race {
        // Room for the grid, and short enough that a lap is soon done.
        let length_m = (1_400.0_f64).max(cars as f64 * 30.0);
        let circuit = Circuit::new("Synthetic Ring", length_m, 3);
        Race::new(&Spec { cars, circuit, distance: Distance::Laps(self.laps), ..Spec::new(self.seed) })
    }

    /// Laps of the winner.
    pub fn laps(&self) -> u32 {
        self.laps
    }

    /// Times real time, in the demo.
    pub fn speed(&self) -> f64 {
        self.speed.unwrap_or(5.0)
    }
}

/// Options of `simulate`.
#[derive(Args)]
pub struct SimulateArgs {
    /// Connect string of a car's driver, as `grant create` printed it, in single quotes; once for each car
    #[arg(long, env = "BOXBOX_TO", hide_env_values = true, value_delimiter = ' ')]
    to: Vec<String>,
    /// File with a connect string a line, instead of --to
    #[arg(long, env = "BOXBOX_GRANTS", conflicts_with = "to")]
    grants: Option<PathBuf>,
    #[command(flatten)]
    race: RaceArgs,
    /// Frames a second of every car: 60 or a divisor of it
    #[arg(long, env = "BOXBOX_RATE", default_value_t = TICK_HZ, value_parser = rate)]
    rate: u32,
    /// Frames a second of all other cars from every client, as simulators show them; 0: none
    #[arg(long, env = "BOXBOX_FIELD", default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=20))]
    field: u32,
    /// Data folder of a server that runs on this machine: without --to and --grants the cars' grants are made there
    #[arg(long, env = "BOXBOX_DATA", default_value = "boxbox-data")]
    data: PathBuf,
    /// Tenant of the grants made there
    #[arg(long, env = "BOXBOX_TENANT", default_value = "local")]
    tenant: TenantId,
}

fn rate(text: &str) -> Result<u32, String> {
    text.parse().ok().filter(|hz| *hz > 0 && TICK_HZ.is_multiple_of(*hz)).ok_or_else(|| "give 60, 30, 20, 15, 12, 10, 6, 5, 4, 3, 2 or 1".into())
}

/// `simulate`
pub async fn run(args: SimulateArgs) -> anyhow::Result<()> {
    let given = args.given()?;
    let cars = args.race.cars.map_or(if given.is_empty() { 24 } else { given.len() }, usize::from);
    let race = args.race.race_of(cars);
    let connects = if given.is_empty() { args.made(&race)? } else { given };
    ensure!(
        connects.len() >= cars,
        "{cars} cars need {cars} connect strings, each of a driver of its own, and there are {}: make more with `boxbox grant create`, or give --cars {}",
        connects.len(),
        connects.len()
    );
    let tenant = connects.first().and_then(|c| grant::peek(&c.grant)).map_or(args.tenant, |g| g.tenant);
    let source = Source { sim: Sim::SYNTHETIC, id: uuid::Uuid::new_v4().as_u128(), session_num: 0 };
    let session = SessionId::of(&tenant, &source);
    let speed = args.race.speed.unwrap_or(1.0);
    let lasts = race.until_us() as f64 / 1e6 / speed;
    line(&format!("{cars} cars, {} laps at {speed} times real time: about {lasts:.0} s", args.race.laps));
    line(&format!("session {session}: /api/v1/sessions/{session}/order at the server's API"));
    let rates = Rates { speed, car_hz: args.rate, field_hz: args.field };
    let mut fleet = Fleet::start(&race, source, rates, connects.into_iter().take(cars).map(|c| vec![c]).collect()).await?;
    let mut stop = std::pin::pin!(signals::asked_to_stop());
    let mut steps = tokio::time::interval(STEP);
    steps.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    let mut said = Instant::now();
    loop {
        tokio::select! {
            _ = steps.tick() => {}
            () = &mut stop => bail!("stopped before the flag, with {} of {} frames acked", fleet.acked(), fleet.sent()),
        }
        if !fleet.advance().await? {
            break;
        }
        if said.elapsed() >= SAY_EVERY {
            said = Instant::now();
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

impl SimulateArgs {
    /// The strings that the user gave.
    fn given(&self) -> anyhow::Result<Vec<ConnectString>> {
        let text = match &self.grants {
            Some(path) => std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?,
            None => self.to.join("\n"),
        };
        let strings = text.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#'));
        // Without the string itself, which holds a secret.
        strings.enumerate().map(|(i, s)| s.parse().with_context(|| format!("connect string {} is none", i + 1))).collect()
    }

    /// A grant for each car from a server's own folder.
    fn made(&self, race: &Race) -> anyhow::Result<Vec<ConnectString>> {
        let quic = data::running(&self.data).and_then(|r| r.quic).with_context(|| {
            format!("no server runs in {}: start one with `boxbox up`, name its folder with --data, or give --to 'boxbox://…'", self.data.display())
        })?;
        let pin = identity::load_or_make(&self.data)?.pin;
        let abilities = [Ability::Car, Ability::Field, Ability::Meta];
        let string = |car: &boxbox_sources::synth::Car| {
            let (_, token) = auth::issue(&self.data, self.tenant, car.drivers[0].driver, &abilities, None, GRANT_DAYS)?;
            Ok(auth::connect_string(token, quic.ip().to_string(), quic.port(), vec![pin]).parse()?)
        };
        race.cars().iter().map(string).collect()
    }
}
