//! How fast a log is, and what it costs: records at a steady rate, time from the intended append to durable, CPU by thread.
//!
//! ```text
//! cargo run --release -p boxbox-log --example throughput -- file:///tmp/log [records/s] [bytes] [seconds]
//! cargo run --release -p boxbox-log --example throughput -- 'kafka://127.0.0.1:9092/throughput?partitions=4'
//! ```
//! The defaults are 50,000 frames a second, 6 to a record: 8,334 records of 1,100 bytes. Rate 0 appends as fast as it can.
#![allow(clippy::print_stdout)]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use boxbox_log::{AppendError, Completion, Completions, Outcome, Ticket};
use boxbox_schemas::SessionId;
use bytes::Bytes;
use hdrhistogram::Histogram;
use parking_lot::Mutex;

/// Outcomes of the first two seconds are not counted: producer ids, leaders, the first segments.
const WARM_UP_US: u64 = 2_000_000;

struct Clock {
    start: Instant,
    early: AtomicU64,
    latency_us: Mutex<Histogram<u64>>,
    durable: AtomicU64,
    failed: AtomicU64,
}

impl Completions for Clock {
    fn completed(&self, batch: &[Completion]) {
        let now = self.start.elapsed().as_micros() as u64;
        let mut latency = self.latency_us.lock();
        for completion in batch {
            if now < WARM_UP_US {
                self.early.fetch_add(1, Ordering::Relaxed);
                continue;
            }
            let counter = if let Outcome::Durable(_) = completion.outcome { &self.durable } else { &self.failed };
            counter.fetch_add(1, Ordering::Relaxed);
            latency.saturating_record(now.saturating_sub(completion.ticket.mark));
        }
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let url = args.next().ok_or("usage: throughput URL [records/s] [bytes] [seconds]")?;
    let mut number = |default: u64| args.next().map_or(Ok(default), |text| text.parse());
    let (rate, bytes, seconds) = (number(8_334)?, number(1_100)? as usize, number(20)?);
    let log = boxbox_log::open(&url, boxbox_log::open::Options::default()).await?;
    let partitions = log.partitions();
    let clock = Arc::new(Clock {
        start: Instant::now(),
        early: AtomicU64::new(0),
        latency_us: Mutex::new(Histogram::new_with_bounds(1, 600_000_000, 3)?),
        durable: AtomicU64::new(0),
        failed: AtomicU64::new(0),
    });
    let writer = log.writer(clock.clone())?;
    let mut noise = fastrand::Rng::with_seed(1);
    let record: Bytes = std::iter::repeat_with(|| noise.u8(0..16)).take(bytes).collect();
    let (mut sent, mut refused) = (0_u64, 0_u64);
    let warm_up = Duration::from_micros(WARM_UP_US);
    let end = warm_up + Duration::from_secs(seconds);
    let run = std::thread::spawn(move || {
        let mut before = None;
        while clock.start.elapsed() < end {
            if before.is_none() && clock.start.elapsed() >= warm_up {
                before = Some(cpu_by_thread());
            }
            let due = if rate == 0 { sent + 256 } else { (clock.start.elapsed().as_secs_f64() * rate as f64) as u64 };
            while sent < due {
                // The intended time, not the actual one: a stall shows in full.
                let intended_us = (sent * 1_000_000).checked_div(rate).unwrap_or_else(|| clock.start.elapsed().as_micros() as u64);
                let partition = (sent % u64::from(partitions)) as u32;
                match writer.append(partition, SessionId([partition as u8; 16]), record.clone(), Ticket { owner: 0, mark: intended_us }) {
                    Ok(()) => sent += 1,
                    Err(AppendError::Full) => {
                        refused += 1;
                        std::thread::sleep(Duration::from_micros(500));
                    }
                    Err(e) => panic!("{e}"),
                }
            }
            if rate != 0 {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        let until = Instant::now() + Duration::from_secs(60);
        let told = || [&clock.early, &clock.durable, &clock.failed].iter().map(|n| n.load(Ordering::Relaxed)).sum::<u64>();
        while told() < sent && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(1));
        }
        let took = (clock.start.elapsed() - warm_up).as_secs_f64();
        (clock, sent, refused, took, before.unwrap_or_default(), cpu_by_thread())
    });
    let (clock, sent, refused, took, before, after) = run.join().map_err(|_| "the appending thread panicked")?;
    let (durable, failed) = (clock.durable.load(Ordering::Relaxed), clock.failed.load(Ordering::Relaxed));
    let latency = clock.latency_us.lock();
    println!("{url}: {partitions} partitions, {bytes}-byte records, {seconds} s");
    println!("appended {sent}, durable {durable}, failed {failed}, refused for want of budget {refused}: {:.0} records/s", durable as f64 / took);
    println!(
        "append to durable, ms: p50 {:.1}  p99 {:.1}  p99.9 {:.1}  max {:.1}",
        latency.value_at_quantile(0.5) as f64 / 1e3,
        latency.value_at_quantile(0.99) as f64 / 1e3,
        latency.value_at_quantile(0.999) as f64 / 1e3,
        latency.max() as f64 / 1e3,
    );
    let mut total = 0;
    for (thread, ns) in &after {
        let spent = ns - before.get(thread).copied().unwrap_or(0).min(*ns);
        total += spent;
        if spent / durable.max(1) >= 50 {
            println!("  {thread:<16} {:>6.2} µs a record, {:>5.1} % of a core", spent as f64 / 1e3 / durable as f64, spent as f64 / took / 1e7);
        }
    }
    println!("  {:<16} {:>6.2} µs a record", "all threads", total as f64 / 1e3 / durable as f64);
    Ok(())
}

/// Nanoseconds of CPU by thread name, digits left out. Empty where the system has no such table.
fn cpu_by_thread() -> BTreeMap<String, u64> {
    let mut by_name = BTreeMap::new();
    for task in std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten() {
        let read = |file| std::fs::read_to_string(task.path().join(file)).unwrap_or_default();
        let name: String = read("comm").trim().chars().filter(|c| !c.is_ascii_digit()).collect();
        let ns: u64 = read("schedstat").split(' ').next().and_then(|n| n.parse().ok()).unwrap_or(0);
        *by_name.entry(name).or_default() += ns;
    }
    by_name
}
