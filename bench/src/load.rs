//! A run: connects every car, lets them warm up, counts, and measures the processes before and after.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::Context;
use hdrhistogram::Histogram;
use tokio::task::JoinSet;

use crate::connection::{self, Connected, Counters};
use crate::freshness::Watch;
use crate::options::Options;
use crate::process::{Usage, usage};
use crate::report::{self, Figures, Overload, Percentiles};
use crate::server::Server;

/// UDP sockets that the cars share; a single one would be a bottleneck of this program.
const ENDPOINTS: u32 = 8;
/// Handshakes that run at the same time.
const CONNECTING: usize = 16;

/// One of this many cars is watched: some laps a second, and few requests beside the load. Each session has twenty cars, numbered
/// along the lap, so the watched cars are spread over the whole lap.
const WATCHED_EVERY: u32 = 21;

/// How long after the run its last laps are watched for.
const LAST_LAPS: Duration = Duration::from_secs(5);

struct Snapshot {
    at: Instant,
    acked: u64,
    offered: u64,
    server: Option<Usage>,
    own: Option<Usage>,
    also: Vec<Option<Usage>>,
}

/// Runs the load and prints the figures.
pub async fn run(options: Options) -> anyhow::Result<()> {
    let server = Server::start(options.launch())?;
    let empty = usage(server.pid());
    let mut cars = connect_all(&server, options.clients, options.rate, options.lap_s()).await?;
    // The memory of the handshakes is freed before the memory of an idle connection is measured.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let idle = usage(server.pid());

    let freshness = options.freshness.then(|| Watch::new(server.api(), WATCHED_EVERY)).transpose()?;
    let counters = Arc::new(Counters { freshness: freshness.clone(), ..Counters::default() });
    counters.interval_ns.store(options.interval().as_nanos() as u64, Ordering::Relaxed);
    // 1 µs to 10 minutes, three digits.
    *lock(&counters) = Some(Histogram::new_with_bounds(1, 600_000_000, 3)?);
    let overload_s = if options.overload > 0.0 { options.seconds.div_ceil(2) + 2 } else { 0 };
    let until = Instant::now() + Duration::from_secs(options.warm_up + options.seconds + overload_s + 1);
    let mut random = fastrand::Rng::with_seed(options.seed);
    let mut driving = JoinSet::new();
    for car in cars.drain(..) {
        let phase = options.interval().mul_f64(random.f64());
        driving.spawn(connection::drive(car, options.batch, phase, until, counters.clone()));
    }
    let snapshot = || Snapshot {
        at: Instant::now(),
        acked: counters.acked.load(Ordering::Relaxed),
        offered: counters.offered.load(Ordering::Relaxed),
        server: usage(server.pid()),
        own: usage(std::process::id()),
        also: options.also.iter().map(|(_, pid)| usage(*pid)).collect(),
    };
    tokio::time::sleep(Duration::from_secs(options.warm_up)).await;
    let before = snapshot();
    counters.counting.store(true, Ordering::Relaxed);
    tokio::time::sleep(Duration::from_secs(options.seconds)).await;
    counters.counting.store(false, Ordering::Relaxed);
    let after = snapshot();
    if freshness.is_some() {
        // Waits for the laps of the last crossings.
        tokio::time::sleep(LAST_LAPS).await;
    }
    let mut overload = None;
    if options.overload > 0.0 {
        let interval = options.interval().div_f64(options.overload);
        counters.interval_ns.store(interval.as_nanos() as u64, Ordering::Relaxed);
        tokio::time::sleep(Duration::from_secs(2)).await;
        let from = snapshot();
        tokio::time::sleep(Duration::from_secs(options.seconds.div_ceil(2))).await;
        let to = snapshot();
        let seconds = (to.at - from.at).as_secs_f64();
        overload = Some(Overload {
            offered_per_s: (to.offered - from.offered) as f64 / seconds,
            acked_per_s: (to.acked - from.acked) as f64 / seconds,
            rss_before_bytes: from.server.unwrap_or_default().rss_bytes,
            rss_after_bytes: to.server.unwrap_or_default().rss_bytes,
        });
    }
    let seconds = (after.at - before.at).as_secs_f64();
    let frames = (after.acked - before.acked) as f64;
    let per_frame = |a: Option<Usage>, b: Option<Usage>| Some((b?.cpu_us - a?.cpu_us) / frames);
    let latency = lock(&counters).take().context("the histogram is there until here")?;
    let figures = Figures {
        processors: std::thread::available_parallelism().map_or(0, usize::from),
        services: options.services.clone(),
        log: options.log_url.clone().unwrap_or_else(|| "embedded".into()),
        stores: if options.results_url.is_some() { "servers" } else { "files" }.into(),
        clients: options.clients,
        rate: options.rate,
        batch: options.batch,
        seconds,
        offered_per_s: (after.offered - before.offered) as f64 / seconds,
        acked_per_s: frames / seconds,
        dropped: counters.dropped.load(Ordering::Relaxed),
        lost: counters.lost.load(Ordering::Relaxed),
        ack_ms: Percentiles::from(&latency),
        server_us_per_frame: per_frame(before.server, after.server),
        server_wakeups_per_s: before.server.zip(after.server).map(|(a, b)| b.sleeps.saturating_sub(a.sleeps) as f64 / seconds),
        client_us_per_frame: per_frame(before.own, after.own),
        also_us_per_frame: options
            .also
            .iter()
            .zip(before.also.iter().zip(&after.also))
            .map(|((name, _), (a, b))| (name.clone(), per_frame(*a, *b)))
            .collect(),
        lap_fresh_ms: freshness.as_ref().map(|watch| Percentiles::from(&watch.measured().latency)),
        laps_watched: freshness.as_ref().map_or(0, |watch| watch.measured().latency.len()),
        laps_missing: freshness.as_ref().map_or(0, |watch| watch.measured().missing),
        idle_connection_bytes: empty.zip(idle).map(|(e, i)| i.rss_bytes.saturating_sub(e.rss_bytes) / u64::from(options.clients.max(1))),
        server_rss_bytes: after.server.map(|u| u.rss_bytes),
        overload,
        seed: options.seed,
    };
    driving.abort_all();
    report::print(&options, &figures)
}

fn lock(counters: &Counters) -> std::sync::MutexGuard<'_, Option<Histogram<u64>>> {
    counters.latency.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Connects `clients` cars that send `rate` frames a second and drive laps of `lap_s` seconds.
pub async fn connect_all(server: &Server, clients: u32, rate: f64, lap_s: f64) -> anyhow::Result<Vec<Connected>> {
    let endpoints = (0..ENDPOINTS.min(clients).max(1)).map(|_| connection::endpoint()).collect::<Result<Vec<_>, _>>()?;
    let config = connection::tls(&server.connect_as(0)?)?;
    let mut connecting = JoinSet::new();
    let mut cars = vec![];
    for number in 0..clients {
        while connecting.len() >= CONNECTING {
            cars.push(joined(connecting.join_next().await)?);
        }
        let endpoint = endpoints[number as usize % endpoints.len()].clone();
        let (config, to) = (config.clone(), server.connect_as(number)?);
        connecting.spawn(async move { connection::connect(&endpoint, config, &to, number, rate, lap_s).await });
    }
    while !connecting.is_empty() {
        cars.push(joined(connecting.join_next().await)?);
    }
    Ok(cars)
}

fn joined(joined: Option<Result<anyhow::Result<Connected>, tokio::task::JoinError>>) -> anyhow::Result<Connected> {
    joined.context("a car is connecting")??.context("a car could not connect")
}
