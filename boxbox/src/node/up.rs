//! `up`, and the commands that run one service: run until the process is asked to stop.

use anyhow::bail;
use boxbox_schemas::DriverId;
use boxbox_schemas::connect::pin_text;
use boxbox_schemas::grant::DEFAULT_DAYS;

use crate::node::Node;
use crate::node::options::NodeOptions;
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

/// `up`, `ingest`, `processor` and `api`
pub async fn run(options: &UpOptions) -> anyhow::Result<()> {
    let UpOptions { node: options, connect } = options;
    let node = Node::start(options).await?;
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
    if let Some(probes) = node.probes() {
        report::line(&format!("probes       http://{probes} (livez, readyz, metrics)"));
    }
    report::line(&format!("data         {}", options.data.display()));
    if let Some(driver) = connect {
        let string = node.connect_string(*driver, DEFAULT_DAYS)?;
        report::line(&format!(
            "paste this into the sim client of {driver}, in single quotes (for other drivers: boxbox grant create --driver NAME):"
        ));
        report::line(&string);
    }
    tokio::select! {
        () = signals::asked_to_stop() => tracing::info!("asked to stop: draining"),
        () = node.failed() => tracing::error!("a service ended unexpectedly: stopping"),
    }
    // At a second request, stop at once.
    tokio::select! {
        outcome = node.stop() => outcome,
        () = signals::asked_to_stop() => bail!("stopped without draining"),
    }
}
