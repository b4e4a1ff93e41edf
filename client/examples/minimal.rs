//! A client without async: the simulator's thread calls the library, and a tokio runtime runs beside it.
//!
//! ```text
//! cargo run --release -p boxbox-client --example minimal -- 'boxbox://GRANT@host:port?pin=…' [SECONDS]
//! ```
//! It drives one synthetic car around a circle at 60 Hz.

use std::error::Error;
use std::time::{Duration, Instant};

use boxbox_client::{Client, Config, Spool};
use boxbox_schemas::event::EndReason;
use boxbox_schemas::frame::{CarFrame, Presence, TrackLoc};
use boxbox_schemas::meta::SessionMeta;
use boxbox_schemas::{Sim, Source};

const TICK: Duration = Duration::from_micros(16_667);
const LAP_METRES: f64 = 2_000.0;
const SPEED_MPS: f32 = 50.0;

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let connect = args.next().ok_or("give the connect string that `boxbox up` prints, in single quotes")?.parse()?;
    let seconds: u32 = args.next().map_or(Ok(10), |s| s.parse())?;

    // One worker thread is enough for the connection. The runtime must live as long as the client.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let spool = Spool::Disk { dir: std::env::temp_dir().join("boxbox-minimal"), max_bytes: 64 << 20 };
    let client = runtime.block_on(Client::start(Config { spool, agent: "minimal/1".into(), ..Config::new(connect) }))?;

    // The simulator here has no lobby id, so this makes up a session.
    let id = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_nanos();
    let stream = client.open(Source { sim: Sim::SYNTHETIC, id, session_num: 0 }, 0)?;
    stream.meta(&SessionMeta { track_name: "Circle".into(), track_length_m: LAP_METRES, sector_starts: vec![0.0, 0.5], ..Default::default() })?;

    let began = Instant::now();
    let frame = |tick: u32| {
        let sim_time_us = i64::from(tick) * TICK.as_micros() as i64;
        let metres = f64::from(SPEED_MPS) * sim_time_us as f64 / 1e6;
        CarFrame {
            tick,
            sim_time_us,
            presence: Presence::LAP_PCT.with(Presence::SPEED).with(Presence::TRACK_LOC),
            lap_pct: (metres / LAP_METRES).fract(),
            speed_mps: SPEED_MPS,
            track_loc: TrackLoc::ON_TRACK,
            ..Default::default()
        }
    };
    let ticks = seconds * 60;
    for tick in 0..ticks {
        // Never waits, whatever the state of the network.
        stream.car(&frame(tick))?;
        std::thread::sleep((TICK * (tick + 1)).saturating_sub(began.elapsed()));
        if tick % 60 == 59 {
            let stats = client.stats();
            eprintln!("{:?}: {} frames, {} acked, {:?} round trip", client.status(), stats.frames, stats.acked_frames, stats.rtt.unwrap_or_default());
        }
    }
    stream.end(ticks, frame(ticks).sim_time_us, EndReason::FINISHED)?;

    let remained = runtime.block_on(client.finish(Duration::from_secs(10)));
    match remained.is_empty() {
        true => eprintln!("all acked"),
        false => eprintln!("{} frames are kept for the next start: {:?}", remained.frames, client.stats().last_error),
    }
    Ok(())
}
