//! The real [`Processor`] on a log and the stores of a profile, with steps of its own, until everything is stored.

use std::sync::Arc;
use std::time::Duration;

use boxbox_log::Log;
use boxbox_processor::{Config, Processor};
use boxbox_store::Pace;
use boxbox_testkit::wait::until;
use tokio_util::sync::CancellationToken;

use crate::pipeline::{Outcome, Profile};

/// The races are of another year, and nothing of them ends by this machine's clock.
const NEVER: Duration = Duration::from_secs(100 * 365 * 86_400);

/// A configuration that stores soon and closes no session.
pub fn config() -> Config {
    let ms = Duration::from_millis;
    Config {
        close_after: NEVER,
        retire_after: NEVER,
        pace: Some(Pace { every: ms(500), idle: ms(50), bytes: 4 << 20 }),
        // A processor that crashed loses its partitions so soon, and so soon they are known to be this one's.
        member_ttl: ms(400),
        retry_first: ms(1),
        retry_last: ms(50),
        ..Config::default()
    }
}

/// Process all of `log` that is durable: results and frames are stored when this returns.
pub async fn process(profile: &Profile, log: &Arc<dyn Log>) {
    let processor = Processor::new(config(), log.clone(), profile.results.clone(), profile.archive.clone());
    let (status, stop) = (processor.status(), CancellationToken::new());
    let work = tokio::spawn(processor.run(stop.clone()));
    for partition in 0..log.partitions() {
        let (what, end) = (format!("partition {partition} is stored"), log.bounds(partition).await.unwrap().end);
        until(what, || {
            let at = &status.partitions()[partition as usize];
            assert!(!work.is_finished(), "the processor has ended: {at:?}");
            at.results.committed >= end && at.archive.committed >= end
        })
        .await;
    }
    stop.cancel();
    work.await.unwrap().unwrap();
}

/// Assert that every frame that a ledger counts is archived once. Of a retired session the ledger counts none of what comes later.
pub async fn assert_archived(profile: &Profile, outcome: &Outcome) {
    let info = &outcome.info;
    if !info.retired {
        let counted: u64 = outcome.ledgers.iter().map(|ledger| ledger.car_frames).sum();
        assert_eq!(profile.archive.count(&info.tenant, &info.id, None).await.unwrap(), counted, "{}: frames archived", info.tenant);
    }
}
