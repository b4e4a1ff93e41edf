//! The figures, for people and for programs.

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::options::Options;

/// Everything a run measured.
#[derive(Serialize, Default)]
pub struct Figures {
    /// Processors that the machine offers.
    pub processors: usize,
    /// The services that ran.
    pub services: String,
    /// The log's URL, or `embedded`.
    pub log: String,
    /// Where results and frames were kept: `files` or `servers`.
    pub stores: String,
    /// Cars.
    pub clients: u32,
    /// Frames per second and car.
    pub rate: f64,
    /// Frames per record.
    pub batch: u16,
    /// Seconds measured.
    pub seconds: f64,
    /// Frames offered per second.
    pub offered_per_s: f64,
    /// Frames acked per second.
    pub acked_per_s: f64,
    /// Frames dropped at the cars.
    pub dropped: u64,
    /// Connections lost.
    pub lost: u64,
    /// Ack latency from the intended send time, ms.
    pub ack_ms: Percentiles,
    /// CPU of the server, µs per acked frame.
    pub server_us_per_frame: Option<f64>,
    /// Wake-ups of the server's threads per second.
    pub server_wakeups_per_s: Option<f64>,
    /// CPU of this program, µs per acked frame.
    pub client_us_per_frame: Option<f64>,
    /// CPU of other processes, µs per acked frame.
    pub also_us_per_frame: Vec<(String, Option<f64>)>,
    /// From a car's crossing of the line to its lap in the API, ms, if laps were watched.
    pub lap_fresh_ms: Option<Percentiles>,
    /// Watched laps that appeared.
    pub laps_watched: u64,
    /// Watched laps that did not appear.
    pub laps_missing: u64,
    /// Server memory per idle connection, bytes.
    pub idle_connection_bytes: Option<u64>,
    /// Server memory at the end, bytes.
    pub server_rss_bytes: Option<u64>,
    /// The overload phase, if asked for.
    pub overload: Option<Overload>,
    /// Seed.
    pub seed: u64,
}

/// The figures of the overload phase, in which more is offered than fits.
#[derive(Serialize, Default)]
pub struct Overload {
    /// Frames offered per second.
    pub offered_per_s: f64,
    /// Frames acked per second.
    pub acked_per_s: f64,
    /// Server memory at its beginning, bytes.
    pub rss_before_bytes: u64,
    /// Server memory at its end, bytes.
    pub rss_after_bytes: u64,
}

/// Percentiles of a latency, ms.
#[derive(Serialize, Default)]
pub struct Percentiles {
    p50: f64,
    p99: f64,
    p99_9: f64,
    max: f64,
}

impl From<&Histogram<u64>> for Percentiles {
    fn from(h: &Histogram<u64>) -> Self {
        let ms = |us: u64| us as f64 / 1e3;
        Percentiles { p50: ms(h.value_at_quantile(0.5)), p99: ms(h.value_at_quantile(0.99)), p99_9: ms(h.value_at_quantile(0.999)), max: ms(h.max()) }
    }
}

impl std::fmt::Display for Percentiles {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "p50 {:.1} ms  p99 {:.1} ms  p99.9 {:.1} ms  max {:.1} ms", self.p50, self.p99, self.p99_9, self.max)
    }
}

/// Prints the figures.
pub fn print(options: &Options, f: &Figures) -> anyhow::Result<()> {
    use std::io::Write;
    let mut out = std::io::stdout().lock();
    if options.json {
        writeln!(out, "{}", serde_json::to_string(f)?)?;
        return Ok(());
    }
    let us = |v: Option<f64>| v.map_or_else(|| "unknown".into(), |v| format!("{v:.2} µs"));
    writeln!(out, "{:.0} frames/s acked of {:.0} offered", f.acked_per_s, f.offered_per_s)?;
    writeln!(
        out,
        "ack latency p50 {:.1} ms  p99 {:.1} ms  p99.9 {:.1} ms  max {:.1} ms, from the intended send time",
        f.ack_ms.p50, f.ack_ms.p99, f.ack_ms.p99_9, f.ack_ms.max
    )?;
    writeln!(
        out,
        "CPU per frame: server {}, this program {}{}",
        us(f.server_us_per_frame),
        us(f.client_us_per_frame),
        f.also_us_per_frame.iter().map(|(name, v)| format!(", {name} {}", us(*v))).collect::<String>()
    )?;
    if let Some(fresh) = &f.lap_fresh_ms {
        writeln!(
            out,
            "laps: {} watched, in the API p50 {:.0} ms  p99 {:.0} ms  max {:.0} ms after the crossing; {} did not come",
            f.laps_watched, fresh.p50, fresh.p99, fresh.max, f.laps_missing
        )?;
    }
    if let Some(wakeups) = f.server_wakeups_per_s {
        writeln!(out, "the server's threads woke up {wakeups:.0} times a second")?;
    }
    if let (Some(idle), Some(rss)) = (f.idle_connection_bytes, f.server_rss_bytes) {
        writeln!(out, "server memory: {} KiB per idle connection, {} MiB at the end", idle / 1024, rss >> 20)?;
    }
    writeln!(out, "dropped at the cars {} frames, connections lost {}", f.dropped, f.lost)?;
    if let Some(o) = &f.overload {
        writeln!(
            out,
            "overload: {:.0} frames/s acked of {:.0} offered ({:.0} % of the run's), server memory {} to {} MiB",
            o.acked_per_s,
            o.offered_per_s,
            100.0 * o.acked_per_s / f.acked_per_s,
            o.rss_before_bytes >> 20,
            o.rss_after_bytes >> 20
        )?;
    }
    writeln!(
        out,
        "{} cars × {} Hz, {} frames a record, {:.0} s, services {}, log {}, stores {}, {} processors shared with the server, seed {}",
        f.clients, f.rate, f.batch, f.seconds, f.services, f.log, f.stores, f.processors, f.seed
    )?;
    Ok(())
}
