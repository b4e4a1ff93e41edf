//! `demo`: the embedded pipeline and one synthetic car, three short laps through real QUIC.

use std::time::Duration;

use anyhow::Context;
use boxbox_schemas::event::EndReason;
use boxbox_schemas::{DriverId, Sim, Source};
use clap::Args;

use crate::cli::NodeArgs;
use crate::node::{Node, NodeOptions, Roles};
use crate::replay::{Pace, Speed};
use crate::report::Printer;
use crate::sender::Sender;
use crate::synthetic::SyntheticCar;
use crate::watch::{Watcher, When};

const FINISH_WITHIN: Duration = Duration::from_secs(30);
const APPROACH_US: i64 = 2_000_000;
/// Lap times of the demo's car, µs.
const LAPS_US: [i64; 3] = [21_345_678, 20_123_456, 20_456_789];

/// Options of `demo`.
#[derive(Args)]
pub struct DemoArgs {
    /// Times real time
    #[arg(long, env = "BOXBOX_DEMO_SPEED", default_value_t = 5.0)]
    speed: f64,
    #[command(flatten)]
    node: NodeArgs,
}

/// `demo`
pub async fn run(args: DemoArgs) -> anyhow::Result<()> {
    anyhow::ensure!(args.speed.is_finite() && args.speed > 0.0, "give a --speed above 0");
    let node = Node::start(&NodeOptions::new(&args.node, Roles::ALL, true)).await?;
    let outcome = drive(&args, &node).await;
    node.stop().await?;
    outcome
}

async fn drive(args: &DemoArgs, node: &Node) -> anyhow::Result<()> {
    let driver = DriverId::new("demo").context("a fixed text")?;
    let sender = Sender::start(node.connect_string(driver, None, 1)?.parse()?, None).await?;
    let car = SyntheticCar::new(APPROACH_US, &LAPS_US);
    // A session of its own each time.
    let source = Source { sim: Sim::SYNTHETIC, id: uuid::Uuid::new_v4().as_u128(), session_num: 0 };
    let mut watcher =
        Watcher::new(node.feed().context("this process runs a processor")?, node.results().clone(), node.tenant(), driver, When::Timed(&LAPS_US));

    let mut printer = Printer::new(false, "exact");
    printer.say("sim client → QUIC → edge → log → processor → store → API, all in this process");
    printer.say(&format!("one synthetic car, {} short laps at {} times real time, each printed when timed", LAPS_US.len(), args.speed));
    let stream = sender.client().open(source, car.slot())?;
    watcher.follow(&stream);
    stream.meta(&car.meta())?;
    let (mut pace, mut frames, mut last) = (Pace::new(Speed::Times(args.speed)), 0, (0, 0));
    for frame in car.frames() {
        if let Some(wait) = pace.wait(frame.sim_time_us) {
            tokio::time::sleep(wait).await;
        }
        stream.car(&frame)?;
        watcher.drain(&mut printer);
        sender.check()?;
        frames += 1;
        last = (frame.tick, frame.sim_time_us);
    }
    stream.end(last.0, last.1, EndReason::FINISHED)?;
    sender.finish(FINISH_WITHIN).await?;
    let ledgers = watcher.finish(&mut printer, FINISH_WITHIN).await?;
    printer.summary(frames, frames, &ledgers);
    printer.say(&format!("everything is kept in {}", args.node.data.display()));
    printer.say("\nGo on:");
    printer.say("  boxbox replay FILE.ibt        a recording (Documents/iRacing/telemetry)");
    printer.say("  boxbox up                     the services, until Ctrl-C");
    printer.say("  boxbox --help                 the rest");
    printer.say("(boxbox is `cargo run --release --` here)");
    Ok(())
}
