//! `boxbox-attack` starts a server and sends to it what a hostile or broken client could, beside honest cars, and says what these
//! noticed of it. See `--help`.

use clap::Parser;

use boxbox_bench::attack::{Options, run};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> anyhow::Result<std::process::ExitCode> {
    let options = Options::parse();
    let held = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?.block_on(run(options))?;
    Ok(if held { std::process::ExitCode::SUCCESS } else { std::process::ExitCode::FAILURE })
}
