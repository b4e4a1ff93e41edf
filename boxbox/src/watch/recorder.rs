//! The recorder of metrics of this process, and the buckets of its histograms.

use anyhow::Context;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

/// Buckets of histograms, seconds: from a commit on a fast disk to the timeouts. 0.5 s is the threshold of the platform's alert.
const SECONDS: &[f64] = &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
/// Of acks: finer where the figures of docs/MEASURED.md are, and with 1 s, which the service level is about.
const ACK_SECONDS: &[f64] = &[0.001, 0.0025, 0.005, 0.01, 0.015, 0.02, 0.03, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
/// Of the time until a lap can be read: with 2 s, which the service level is about.
const FRESHNESS_SECONDS: &[f64] = &[0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0, 30.0, 60.0, 300.0];
/// Of round trips: from a LAN to a link by satellite.
const RTT_SECONDS: &[f64] = &[0.0005, 0.001, 0.005, 0.01, 0.02, 0.04, 0.08, 0.15, 0.3, 0.6, 1.2];

/// Install the metrics recorder. A second node in the same process shares the recorder.
///
/// # Errors
/// If another recorder is installed.
pub fn install() -> anyhow::Result<PrometheusHandle> {
    static HANDLE: std::sync::OnceLock<PrometheusHandle> = std::sync::OnceLock::new();
    if let Some(handle) = HANDLE.get() {
        return Ok(handle.clone());
    }
    // Buckets and not summaries, because buckets of several processes can be added.
    let builder = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".into()), SECONDS)?
        .set_buckets_for_metric(Matcher::Full("boxbox_edge_ack_seconds".into()), ACK_SECONDS)?
        .set_buckets_for_metric(Matcher::Full("boxbox_processor_freshness_seconds".into()), FRESHNESS_SECONDS)?
        .set_buckets_for_metric(Matcher::Full("boxbox_edge_quic_rtt_seconds".into()), RTT_SECONDS)?;
    let handle = builder.install_recorder().context("cannot install the metrics recorder")?;
    Ok(HANDLE.get_or_init(|| handle).clone())
}
