//! The options that name an API.

use std::path::PathBuf;

use clap::Args;

use crate::http::Api;
use crate::ports;

/// Which API to ask, and how it knows who asks.
#[derive(Args)]
pub struct ApiArgs {
    #[arg(long, env = "BOXBOX_API", value_name = "ADDRESS", default_value_t = format!("127.0.0.1:{}", ports::API), help = "Where the API answers, HOST:PORT")]
    api: String,
    /// File with a grant that allows it, as `grant create --manage` prints it; `-` is standard input. An API on this machine may need none
    #[arg(long, value_name = "FILE", env = "BOXBOX_GRANT_FILE")]
    grant_file: Option<PathBuf>,
}

impl ApiArgs {
    /// The options that the commands take.
    pub fn options(self) -> Api {
        Api { address: self.api, grant_file: self.grant_file }
    }
}
