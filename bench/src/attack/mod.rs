//! `boxbox-attack`: hostile connections beside honest cars, and what the honest cars notice of them.
//!
//! The honest cars connect first and drive for a while undisturbed. Then the attack begins; the cars' acks and laps are measured, and
//! the server's memory is read every second. After the attack the server is killed and must start again with what the attack left.

mod api;
mod options;
mod report;
mod sender;
mod shapes;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use tokio::task::JoinSet;

pub use self::options::Options;
use self::report::Held;
use self::sender::{Counts, Sender};
use self::shapes::Shape;
use crate::connection::{self, Counters};
use crate::freshness::Watch;
use crate::load::connect_all;
use crate::process::usage;
use crate::server::Server;

/// The honest cars: frames per second, frames per record, seconds per lap.
const RATE: f64 = 60.0;
const BATCH: u16 = 5;
const LAP_S: f64 = 10.0;
/// The cars drive undisturbed for so long: every car has a lap by then, so that the heavy requests have something to ask for.
const UNDISTURBED: Duration = Duration::from_secs(22);
/// Laps that were driven before the end of the attack are waited for at most so long.
const LAST_LAPS: Duration = Duration::from_secs(20);
/// The server must answer within this after its restart, else it counts as not started.
const START_WITHIN: Duration = Duration::from_secs(60);

/// Runs the attack and prints what came of it; true if the server held.
pub async fn run(options: Options) -> anyhow::Result<bool> {
    let mut server = Server::start(options.launch())?;
    let cars = connect_all(&server, options.cars, RATE, LAP_S).await?;
    let watch = Watch::new(server.api(), 1)?;
    let counters = Arc::new(Counters { freshness: Some(watch.clone()), ..Counters::default() });
    counters.interval_ns.store((f64::from(BATCH) / RATE * 1e9) as u64, Ordering::Relaxed);
    *counters.latency.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(Histogram::new_with_bounds(1, 600_000_000, 3)?);
    let until = Instant::now() + UNDISTURBED + Duration::from_secs(options.seconds);
    let mut random = fastrand::Rng::with_seed(options.seed);
    let mut driving = JoinSet::new();
    for car in cars {
        let phase = Duration::from_nanos(counters.interval_ns.load(Ordering::Relaxed)).mul_f64(random.f64());
        driving.spawn(connection::drive(car, BATCH, phase, until, counters.clone()));
    }
    tokio::time::sleep(UNDISTURBED).await;

    counters.counting.store(true, Ordering::Relaxed);
    let over = Arc::new(AtomicBool::new(false));
    let mut attacks = Attacks { running: JoinSet::new(), over: over.clone(), counts: vec![] };
    for shape in options.shapes() {
        attacks.start(shape, &server, options.connections)?;
    }
    let mut memory = vec![];
    let mut killed = None;
    while Instant::now() < until && killed.is_none() {
        tokio::time::sleep(Duration::from_secs(1)).await;
        memory.extend(usage(server.pid()).map(|usage| usage.rss_bytes));
        killed = server.ended();
    }
    counters.counting.store(false, Ordering::Relaxed);
    over.store(true, Ordering::Relaxed);
    attacks.running.abort_all();
    let late = Instant::now() + LAST_LAPS;
    while watch.waiting() > 0 && Instant::now() < late && killed.is_none() {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    driving.abort_all();
    let again = Instant::now();
    server.restart()?;
    let started = ready(server.api(), again + START_WITHIN).await.then(|| again.elapsed());
    let held = Held::new(&options, killed, &counters, &watch, &memory, started, &attacks.counts);
    held.print(options.json)?;
    Ok(held.held)
}

/// The attacks under way.
struct Attacks {
    running: JoinSet<()>,
    over: Arc<AtomicBool>,
    counts: Vec<(Shape, Arc<Counts>)>,
}

impl Attacks {
    /// Starts `connections` of a shape. All of them use the grant of one driver of the honest cars' tenant.
    fn start(&mut self, shape: Shape, server: &Server, connections: u32) -> anyhow::Result<()> {
        let counts = Arc::new(Counts::default());
        self.counts.push((shape, counts.clone()));
        let (api, over) = (server.api().to_owned(), self.over.clone());
        match shape {
            Shape::ApiIdle => drop(self.running.spawn_blocking(move || api::idle(&api, &counts, &over))),
            Shape::ApiHeavy => drop(self.running.spawn_blocking(move || api::heavy(&api, &counts, &over))),
            _ => {
                let to = server.grant("local", "attacker", u128::MAX)?;
                for number in 0..connections {
                    let (endpoint, config) = (connection::endpoint()?, connection::tls(&to)?);
                    let sender = Sender { endpoint, config, to: to.clone(), counts: counts.clone() };
                    self.running.spawn(sender.run(shape, number));
                }
            }
        }
        Ok(())
    }
}

/// Whether the API says that it is ready before `until`.
async fn ready(api: &str, until: Instant) -> bool {
    let url = format!("{api}/readyz");
    let ask = move || {
        let agent = ureq::Agent::config_builder().timeout_global(Some(Duration::from_secs(1))).build().new_agent();
        while Instant::now() < until {
            if agent.get(&url).call().is_ok() {
                return true;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        false
    };
    tokio::task::spawn_blocking(ask).await.unwrap_or(false)
}
