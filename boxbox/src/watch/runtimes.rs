//! The runtimes: the threads that run tasks, and how many tasks there are. The edge has threads of its own.

use tokio::runtime::RuntimeMetrics;

/// The runtimes of a process.
const RUNTIMES: [&str; 2] = ["main", "edge"];

boxbox_schemas::metrics! {
    /// The threads that run tasks.
    pub struct TaskMetrics("boxbox_runtime") {
        /// Threads that run tasks.
        workers: gauge by "runtime" of RUNTIMES,
        /// Tasks that have not ended.
        tasks: gauge by "runtime" of RUNTIMES,
        /// Tasks that wait for any of the threads.
        queued_tasks: gauge by "runtime" of RUNTIMES,
        /// Time that the threads have spent with tasks, whole s; where the processor has 64 bits.
        busy_seconds: counter by "runtime" of RUNTIMES,
    }
}

/// Measures the runtimes.
pub struct RuntimeWatch {
    metrics: TaskMetrics,
    runtimes: Vec<(&'static str, RuntimeMetrics)>,
}

impl RuntimeWatch {
    /// The runtime that this is called on, and the edge's, if there is one.
    pub fn here(edge: Option<RuntimeMetrics>) -> Self {
        let main = tokio::runtime::Handle::current().metrics();
        let runtimes = [(RUNTIMES[0], main)].into_iter().chain(edge.map(|edge| (RUNTIMES[1], edge))).collect();
        Self { metrics: TaskMetrics::new(), runtimes }
    }

    /// As they are now.
    pub fn measure(&self) {
        let m = &self.metrics;
        for (name, runtime) in &self.runtimes {
            m.workers.with(*name).set(runtime.num_workers() as f64);
            m.tasks.with(*name).set(runtime.num_alive_tasks() as f64);
            m.queued_tasks.with(*name).set(runtime.global_queue_depth() as f64);
            #[cfg(target_has_atomic = "64")]
            {
                let busy: std::time::Duration = (0..runtime.num_workers()).map(|worker| runtime.worker_total_busy_duration(worker)).sum();
                m.busy_seconds.with(*name).absolute(busy.as_secs());
            }
        }
    }
}
