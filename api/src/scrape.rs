//! [`Scrape`]: what `/metrics` answers.

use std::sync::Arc;

use metrics_exporter_prometheus::PrometheusHandle;

/// The metrics of the process, and what measures those that nothing keeps up to date.
#[derive(Clone)]
pub struct Scrape {
    recorder: PrometheusHandle,
    measure: Arc<dyn Fn() + Send + Sync>,
}

impl Scrape {
    /// `measure` is called before each answer, on a thread that may wait for a disk: it sets gauges such as the memory of the process.
    pub fn new(recorder: PrometheusHandle, measure: impl Fn() + Send + Sync + 'static) -> Self {
        Self { recorder, measure: Arc::new(measure) }
    }

    /// Every metric, in the text format of Prometheus.
    pub(crate) async fn text(&self) -> String {
        let this = self.clone();
        let text = move || {
            (this.measure)();
            this.recorder.render()
        };
        // It fails only if `measure` panics: what the recorder has is answered all the same.
        tokio::task::spawn_blocking(text).await.unwrap_or_else(|_| self.recorder.render())
    }

    /// Merges samples, so that histograms do not grow while nothing asks for them.
    pub(crate) fn upkeep(&self) {
        self.recorder.run_upkeep();
    }
}

impl From<PrometheusHandle> for Scrape {
    fn from(recorder: PrometheusHandle) -> Self {
        Self::new(recorder, || {})
    }
}
