//! [`Options`]: the command line of `boxbox-attack`.

use std::path::PathBuf;

use clap::Parser;

use super::shapes::Shape;
use crate::server::Launch;

/// Starts a server, attacks it beside honest cars, and says what the honest cars noticed of it
///
/// The server runs on a loopback address, in a folder that is deleted afterwards. The exit code is 0 if the server held: it was not
/// ended, no honest car lost its connection or a frame, each watched lap came to the API, and the server starts again afterwards.
#[derive(Parser, Clone, Debug)]
#[command(name = "boxbox-attack", version, max_term_width = 110)]
pub struct Options {
    /// What is sent (repeatable); by default all shapes at once
    #[arg(long = "shape", value_enum)]
    pub shapes: Vec<Shape>,
    /// Seconds that the attack lasts
    #[arg(long, default_value_t = 600)]
    pub seconds: u64,
    /// Honest cars
    #[arg(long, default_value_t = 24)]
    pub cars: u32,
    /// Connections of each shape; all of them use one grant
    #[arg(long, default_value_t = 2)]
    pub connections: u32,
    /// Most memory that the server may use, MiB (a memory cgroup: needs root); 512 is what docker-compose.yml gives it
    #[arg(long, value_name = "MIB")]
    pub memory_max: Option<u64>,
    /// The server's program; by default `boxbox` beside this one
    #[arg(long)]
    pub server: Option<PathBuf>,
    /// Folder in which the server's temporary folder is made; by default the system's
    #[arg(long)]
    pub folder: Option<PathBuf>,
    /// Further argument of the server (repeatable)
    #[arg(long = "server-arg", value_name = "ARG", allow_hyphen_values = true)]
    pub server_args: Vec<String>,
    /// Seed of the honest cars' send times
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// One JSON object instead of text
    #[arg(long)]
    pub json: bool,
}

impl Options {
    /// The shapes to send.
    pub fn shapes(&self) -> Vec<Shape> {
        if self.shapes.is_empty() { <Shape as clap::ValueEnum>::value_variants().to_vec() } else { self.shapes.clone() }
    }

    /// How the server is started.
    pub fn launch(&self) -> Launch {
        Launch {
            program: self.server.clone(),
            services: "up".into(),
            within: self.folder.clone(),
            log_url: None,
            args: self.server_args.iter().map(Into::into).collect(),
            memory_max_bytes: self.memory_max.map(|mib| mib << 20),
        }
    }
}
