//! `boxbox-bench` measures how many frames a server takes, how fast it acks them, and what one frame costs.
//!
//! Without arguments it makes the canonical run: a server of its own (the edge and the embedded log, in a folder that is
//! deleted afterwards), 834 cars at 60 Hz, 5 frames a record, 30 seconds.

use clap::Parser;

use boxbox_bench::load;
use boxbox_bench::options::Options;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    anyhow::ensure!(!options.freshness || options.services == "up", "laps are made and shown by all services: --services up");
    anyhow::ensure!(options.lap_s() > 1.0, "give a --lap above 1 second");
    anyhow::ensure!(options.rate > 0.0 && options.rate.is_finite(), "give a --rate above 0");
    if cfg!(debug_assertions) {
        eprintln!("boxbox-bench: built without --release: the figures mean nothing");
    }
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?.block_on(load::run(options))
}
