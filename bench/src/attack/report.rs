//! [`Held`]: what the honest cars noticed of an attack, and whether the server held.

use std::collections::BTreeMap;
use std::process::ExitStatus;
use std::sync::Arc;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde::Serialize;

use super::Options;
use super::sender::Counts;
use super::shapes::Shape;
use crate::connection::Counters;
use crate::freshness::Watch;
use crate::report::Percentiles;

/// The outcome of an attack.
#[derive(Serialize)]
pub struct Held {
    /// Whether the server held: it was not ended, no honest car lost its connection or a frame, each watched lap came, and it started again.
    pub held: bool,
    /// How the server ended, if it did.
    pub ended: Option<String>,
    /// Honest frames that were dropped because the server was too slow.
    pub dropped: u64,
    /// Honest connections that were lost.
    pub lost: u64,
    /// Ack latency of the honest cars, ms.
    pub ack_ms: Percentiles,
    /// From the crossing of an honest car to its lap in the API, ms.
    pub lap_fresh_ms: Percentiles,
    /// Laps of honest cars that came.
    pub laps: u64,
    /// Laps of honest cars that did not come.
    pub laps_missing: u64,
    /// The server's memory: the most in each tenth of the attack, MiB.
    pub memory_mib: Vec<u64>,
    /// From the start of the server after the attack to its readiness, ms; none if it did not become ready.
    pub start_ms: Option<u64>,
    /// What each shape could send.
    pub sent: BTreeMap<String, Sent>,
    seconds: u64,
    cars: u32,
    memory_max_mib: Option<u64>,
}

/// What a shape could send.
#[derive(Serialize)]
pub struct Sent {
    connected: u64,
    records: u64,
    mib: u64,
    closed: BTreeMap<String, u64>,
}

impl Held {
    /// Judges what was measured.
    pub fn new(
        options: &Options,
        ended: Option<ExitStatus>,
        counters: &Counters,
        watch: &Watch,
        memory: &[u64],
        started: Option<Duration>,
        counts: &[(Shape, Arc<Counts>)],
    ) -> Self {
        let latency = counters.latency.lock().unwrap_or_else(PoisonError::into_inner);
        let ack_ms = latency.as_ref().map(Percentiles::from).unwrap_or_default();
        let measured = watch.measured();
        let (dropped, lost) = (counters.dropped.load(Ordering::Relaxed), counters.lost.load(Ordering::Relaxed));
        let (laps, laps_missing) = (measured.latency.len(), measured.missing);
        let held = ended.is_none() && dropped == 0 && lost == 0 && laps > 0 && laps_missing == 0 && started.is_some();
        Self {
            held,
            ended: ended.map(|status| status.to_string()),
            dropped,
            lost,
            ack_ms,
            lap_fresh_ms: Percentiles::from(&measured.latency),
            laps,
            laps_missing,
            memory_mib: memory.chunks(memory.len().div_ceil(10).max(1)).filter_map(|part| part.iter().max()).map(|bytes| bytes >> 20).collect(),
            start_ms: started.map(|took| took.as_millis() as u64),
            sent: counts.iter().map(|(shape, counts)| (format!("{shape:?}"), Sent::of(counts))).collect(),
            seconds: options.seconds,
            cars: options.cars,
            memory_max_mib: options.memory_max,
        }
    }

    /// Prints it, for people or for programs.
    pub fn print(&self, json: bool) -> anyhow::Result<()> {
        use std::io::Write;
        let mut out = std::io::stdout().lock();
        if json {
            writeln!(out, "{}", serde_json::to_string(self)?)?;
            return Ok(());
        }
        let verdict = if self.held { "the server held" } else { "the server did NOT hold" };
        let limit = self.memory_max_mib.map_or_else(String::new, |mib| format!(", at most {mib} MiB"));
        writeln!(out, "{verdict}: {} s beside {} honest cars{limit}", self.seconds, self.cars)?;
        if let Some(ended) = &self.ended {
            writeln!(out, "the server ended: {ended}")?;
        }
        writeln!(out, "honest cars: {} connections lost, {} frames dropped", self.lost, self.dropped)?;
        writeln!(out, "  acks {}", self.ack_ms)?;
        writeln!(out, "  laps in the API {}; {} came, {} did not", self.lap_fresh_ms, self.laps, self.laps_missing)?;
        let memory: Vec<String> = self.memory_mib.iter().map(u64::to_string).collect();
        writeln!(out, "memory, the most in each tenth: {} MiB", memory.join(" "))?;
        match self.start_ms {
            Some(ms) => writeln!(out, "started again within {ms} ms")?,
            None => writeln!(out, "did not become ready after a restart")?,
        }
        for (shape, sent) in &self.sent {
            writeln!(out, "{shape}: {} connections, {} records or requests, {} MiB", sent.connected, sent.records, sent.mib)?;
            for (reason, times) in &sent.closed {
                writeln!(out, "  {times} × {reason}")?;
            }
        }
        Ok(())
    }
}

impl Sent {
    fn of(counts: &Counts) -> Self {
        let closed = counts.closed.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Self {
            connected: counts.connected.load(Ordering::Relaxed),
            records: counts.records.load(Ordering::Relaxed),
            mib: counts.bytes.load(Ordering::Relaxed) >> 20,
            closed,
        }
    }
}
