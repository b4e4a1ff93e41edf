//! `up`, and the commands that run one service: run until the process is asked to stop.

use anyhow::{bail, ensure};
use boxbox_log::Kept;
use boxbox_schemas::DriverId;
use boxbox_schemas::connect::{is_unspecified, pin_text};
use boxbox_schemas::grant::DEFAULT_DAYS;

use crate::access::auth;
use crate::log::LogRetention;
use crate::node::Node;
use crate::node::options::{NodeOptions, Roles};
use crate::show::report;
use crate::signals;

/// Options of `up`, and of the commands that run one service.
#[derive(Clone, Debug)]
pub struct UpOptions {
    /// The services.
    pub node: NodeOptions,
    /// Whose connect string to print, if any.
    pub connect: Option<DriverId>,
}

impl UpOptions {
    /// Check that clients can reach what connect strings name.
    ///
    /// # Errors
    /// If they would name no host that clients can reach.
    pub fn check_host(&self) -> anyhow::Result<()> {
        let quic = self.node.quic.ip();
        if self.connect.is_some() && self.node.public_host.is_none() {
            ensure!(
                !is_unspecified(quic),
                "--quic-host {quic} accepts clients at every address of this machine: give the host name or address by which they reach it with --public-host"
            );
        }
        self.node.public_host.as_deref().map_or(Ok(()), auth::check_host)
    }
}

/// How much the log keeps, and how much of it is more than it is to keep, for people.
fn log_kept(kept: Kept, retention: LogRetention) -> String {
    let (bytes, max) = (kept.bytes >> 20, retention.max_bytes >> 20);
    let age = humantime::format_duration(retention.max_age);
    let beyond = match bytes.saturating_sub(max) {
        0 => String::new(),
        beyond => format!("; {beyond} MiB of it are beyond that"),
    };
    format!("{bytes} MiB; what is older than {age} or beyond {max} MiB is removed once results and archive have it{beyond}")
}

/// `up`, `ingest`, `processor` and `api`
pub async fn run(options: &UpOptions) -> anyhow::Result<()> {
    options.check_host()?;
    let UpOptions { node: options, connect } = options;
    // From here on a request to stop is heard.
    let mut stop = std::pin::pin!(signals::asked_to_stop());
    let node = tokio::select! {
        biased;
        () = &mut stop => bail!("stopped before everything had started"),
        node = Node::start(options) => node?,
    };
    if let Some(quic) = node.quic() {
        report::line(&format!("sim clients  {quic} (UDP)"));
        report::line(&format!("pin          {}", pin_text(&node.identity.pin)));
    }
    if let Some(api) = node.api() {
        let what = if options.roles.api { "API          " } else { "health       " };
        report::line(&format!("{what}http://{api}"));
        if options.roles.api {
            report::line(&format!("page         http://{api}/ (for a browser: sessions, results, pictures of laps)"));
        }
    }
    if options.roles == Roles::INGEST && options.closed_in.is_none() {
        report::line("not told     clients whose session was closed on purpose: give --results-url, so that this edge can ask which are");
    }
    if let Some(probes) = node.probes() {
        report::line(&format!("probes       http://{probes} (livez, readyz, metrics)"));
    }
    report::line(&format!("data         {}", options.data.display()));
    if let Some(kept) = node.kept() {
        report::line(&format!("log          {}", log_kept(kept, options.log_retention)));
    }
    if let Some(driver) = connect {
        let string = node.connect_string(*driver, DEFAULT_DAYS)?;
        report::line(&format!(
            "paste this into the sim client of {driver}, in single quotes (for other drivers: boxbox grant create --driver NAME):"
        ));
        report::line(&string.to_string());
    }
    tokio::select! {
        () = &mut stop => tracing::info!("asked to stop: draining"),
        () = node.failed() => tracing::error!("a service ended unexpectedly: stopping"),
    }
    // At a second request, stop at once.
    tokio::select! {
        outcome = node.stop() => outcome,
        () = signals::asked_again() => bail!("stopped without draining"),
    }
}
