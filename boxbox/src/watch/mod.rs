//! What `/metrics` shows beside the counters of the services: the recorder, and what is measured at the moment of a scrape (the process, its
//! runtimes, the data folder, the connections of the stores).

#[cfg(test)]
mod catalogue;
mod data;
mod process;
mod recorder;
mod runtimes;
mod stores;

use boxbox_api::Scrape;
use metrics_exporter_prometheus::PrometheusHandle;

pub use data::DataWatch;
pub use process::ProcessWatch;
pub use recorder::install;
pub use runtimes::RuntimeWatch;
pub use stores::StoreWatch;

/// Sets some gauges to what they are now.
type Measure = Box<dyn Fn() + Send + Sync>;

/// What is measured at each scrape.
#[derive(Default)]
pub struct Measures(Vec<Measure>);

impl Measures {
    /// Measure this too.
    pub fn add(&mut self, measure: impl Fn() + Send + Sync + 'static) {
        self.0.push(Box::new(measure));
    }

    /// What the API answers with.
    pub fn scrape(self, recorder: PrometheusHandle) -> Scrape {
        // Once at the start, so that every metric exists before the first scrape.
        self.measure();
        Scrape::new(recorder, move || self.measure())
    }

    fn measure(&self) {
        self.0.iter().for_each(|measure| measure());
    }
}
