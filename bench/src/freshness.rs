//! [`Watch`]: measures how long after a car has crossed the line the API shows its lap.
//!
//! Some of the cars are watched. When one of them crosses the line, the API is asked for its laps until the new lap is there. The
//! time is measured from the crossing, not from the first request.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::Context;
use boxbox_schemas::{SessionId, Source, TenantId};
use hdrhistogram::Histogram;

use crate::car::Crossing;

/// Pause between two requests: the resolution of the measurement.
const ASK_EVERY: Duration = Duration::from_millis(10);
/// A lap that is not in the API after this long is counted as missing.
const GIVE_UP: Duration = Duration::from_secs(20);
/// Tolerance between the crossing's time that the server interpolates and ours, µs: far less than a lap.
const SAME_US: i64 = 100_000;

/// Watches for laps in the API.
#[derive(Clone)]
pub struct Watch {
    api: Arc<str>,
    tenant: TenantId,
    every: u32,
    agent: ureq::Agent,
    measured: Arc<Mutex<Measured>>,
    waiting: Arc<AtomicUsize>,
}

/// The measurements.
pub struct Measured {
    /// Time from crossing to API, µs.
    pub latency: Histogram<u64>,
    /// Laps that did not appear.
    pub missing: u64,
}

impl Watch {
    /// Watches the API at `http://…` for the laps of one car of `every`.
    pub fn new(api: &str, every: u32) -> anyhow::Result<Self> {
        let measured = Measured { latency: Histogram::new_with_bounds(1, 600_000_000, 3)?, missing: 0 };
        let agent = ureq::Agent::config_builder().timeout_global(Some(Duration::from_secs(5))).build().new_agent();
        Ok(Self {
            api: api.into(),
            tenant: TenantId::new("local").context("five letters are an id")?,
            every,
            agent,
            measured: Arc::new(Mutex::new(measured)),
            waiting: Arc::default(),
        })
    }

    /// Car `number` has crossed the line, and the record with the crossing is sent at `due`. Watches for the car's lap, if it is one
    /// of the watched cars and `counting` is on.
    pub fn crossed(&self, number: u32, source: Source, crossing: &Crossing, due: Instant, counting: bool) {
        if !number.is_multiple_of(self.every) || !counting {
            return;
        }
        let crossed = due.checked_sub(crossing.before_last).unwrap_or(due);
        let (watch, at_us) = (self.clone(), crossing.at_us);
        let session = SessionId::of(&self.tenant, &source);
        self.waiting.fetch_add(1, Ordering::Relaxed);
        tokio::task::spawn_blocking(move || {
            let url = format!("{}/api/v1/sessions/{session}/laps?entry=bench-{number}&limit=500", watch.api);
            let found = watch.until_there(&url, at_us, crossed);
            let mut measured = watch.measured.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            match found {
                Some(took) => measured.latency.saturating_record(took.as_micros() as u64),
                None => measured.missing += 1,
            }
            watch.waiting.fetch_sub(1, Ordering::Relaxed);
        });
    }

    fn until_there(&self, url: &str, at_us: i64, crossed: Instant) -> Option<Duration> {
        while crossed.elapsed() < GIVE_UP {
            let answer = self.agent.get(url).call().ok().and_then(|mut a| a.body_mut().read_json::<serde_json::Value>().ok());
            let there = |laps: &serde_json::Value| {
                let ends = laps["laps"].as_array()?.iter().filter_map(|lap| lap["end_us"].as_i64());
                Some(ends.into_iter().any(|end| (end - at_us).abs() < SAME_US))
            };
            if answer.as_ref().and_then(there) == Some(true) {
                return Some(crossed.elapsed());
            }
            std::thread::sleep(ASK_EVERY);
        }
        None
    }

    /// Laps that are looked for now.
    pub fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// The measurements so far.
    pub fn measured(&self) -> std::sync::MutexGuard<'_, Measured> {
        self.measured.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
