//! The archive on real servers: the suite, and what plans are for.
//!
//! `CLICKHOUSE_URL`, `CLICKHOUSE_PASSWORD_FILE`, `POSTGRES_URL` and `POSTGRES_PASSWORD_FILE` say where they are; without them
//! these tests say that they did not run. Every test has databases of its own, which are dropped when it ends.

mod crash;
mod fixture;
mod laps;
mod model;
mod plans;
mod resume;
mod ttl;

use fixture::Fixture;

macro_rules! on_servers {
    ($module:ident: $($name:ident),+ $(,)?) => {
        $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() {
            let Some(fixture) = Fixture::start(stringify!($name)).await else { return };
            crate::suite::$module::$name(&fixture).await;
        })+
    };
}

// Without those of retention, which is ClickHouse's own: see `ttl`.
on_servers!(
    archive: frames_come_back_bit_for_bit,
    a_span_is_given_exactly,
    runs_with_gaps_come_back_as_they_were,
    what_waited_long_is_kept,
    overlapping_owners_keep_each_frame_once,
    a_refused_block_changes_nothing,
    cursors_and_checkpoint_survive_and_never_go_back,
    tenants_see_only_their_own,
    aborted_appends_are_whole_or_nothing,
    random_blocks_are_as_in_the_reference,
);
on_servers!(records: records_come_back_as_they_were, records_are_kept_once, wrong_records_are_refused);
