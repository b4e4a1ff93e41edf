//! The behaviour suites: what every backend of [`Steps`] and [`Sessions`], of [`Leagues`], and of [`Archive`] must do.
//!
//! A backend gives a fixture and expands `results_suite!`, `shared_results_suite!`, `leagues_suite!` or `archive_suite!` in its tests. One that needs
//! a server says what is missing if it has none.

pub(crate) mod archive;
pub(crate) mod found;
pub(crate) mod leagues;
pub(crate) mod migrated;
pub(crate) mod records;
pub(crate) mod results;
pub(crate) mod rows;
pub(crate) mod samples;
pub(crate) mod shared;

use async_trait::async_trait;
use boxbox_schemas::LogId;

use crate::{Archive, Leagues, Quarantined, Sessions, Steps};

/// An empty results store that can be opened again and again, as other processes or a restart would.
#[async_trait]
pub(crate) trait ResultsFixture: Sync {
    type Store: Steps + Sessions + Leagues;
    /// What there must be to run these tests, and is not there.
    fn missing() -> Option<&'static str> {
        None
    }
    fn new() -> Self;
    async fn open(&self) -> Self::Store;
    async fn quarantine(&self, store: &Self::Store, log: &LogId, partition: u32) -> Vec<Quarantined>;
}

/// An empty archive, likewise.
#[async_trait]
pub(crate) trait ArchiveFixture: Sync {
    type Store: Archive;
    /// What there must be to run these tests, and is not there.
    fn missing() -> Option<&'static str> {
        None
    }
    fn new() -> Self;
    async fn open(&self) -> Self::Store;
}

/// Poll `call` while other tasks get `turns` turns, then drop it, done or not.
pub(crate) async fn drop_after<T>(call: impl Future<Output = T>, turns: u32) {
    let turns = async {
        for _ in 0..turns {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        _ = call => {}
        () = turns => {}
    }
}

macro_rules! behaviours {
    ($suite:ident, $fixture:ty as $trait:ident, $($name:ident),+ $(,)?) => {
        $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() {
            if let Some(why) = <$fixture as $crate::suite::$trait>::missing() {
                return boxbox_testkit::not_run(concat!(module_path!(), "::", stringify!($name)), why);
            }
            $crate::suite::$suite::$name(&<$fixture as $crate::suite::$trait>::new()).await;
        })+
    };
}

macro_rules! results_suite {
    ($fixture:ty) => {
        behaviours!(
            results,
            $fixture as ResultsFixture,
            the_owner_before_is_fenced,
            everything_survives_a_restart,
            a_refused_step_changes_nothing,
            rows_are_replaced_by_key,
            withdrawn_laps_are_gone,
            what_is_superseded_is_never_shown,
            tenants_see_only_their_own,
            sessions_are_paged_newest_first,
            laps_are_paged_in_order,
            laps_are_filtered,
            laps_at_a_moment,
            retired_sessions_keep_what_is_shown,
            field_states_are_merged_by_slot,
            partitions_and_logs_are_apart,
            quarantine_keeps_the_newest,
            readers_see_whole_steps_only,
            aborted_commits_are_whole_or_nothing,
            random_steps_are_as_in_the_reference,
        );
        behaviours!(found, $fixture as ResultsFixture, sessions_are_found_when_they_are_needed, many_large_sessions_are_found_in_parts,);
        behaviours!(rows, $fixture as ResultsFixture, rows_of_an_unknown_kind_are_kept);
    };
}

macro_rules! leagues_suite {
    ($fixture:ty) => {
        behaviours!(
            leagues,
            $fixture as ResultsFixture,
            a_league_grows_by_acts,
            another_head_is_a_conflict,
            of_writers_at_once_one_wins,
            a_request_is_done_once,
            a_request_at_once_is_done_once,
            refused_writes_change_nothing,
            imports_keep_their_hashes,
            projections_are_rebuilt,
            texts_are_erased,
            dropped_writes_are_whole_or_nothing,
            tenants_see_only_their_own,
            revisions_stay_readable,
            lists_go_on_where_they_ended,
            pages_are_bounded,
            random_writes_are_as_in_the_reference,
        );
    };
}

macro_rules! shared_results_suite {
    ($fixture:ty) => {
        behaviours!(
            shared,
            $fixture as ResultsFixture,
            one_alone_has_everything,
            who_comes_gets_a_fair_share,
            who_is_silent_loses_what_it_had,
            who_leaves_frees_everything_at_once,
            giving_back_what_is_lost_changes_nothing,
            acquiring_takes_from_any_owner,
            logs_are_shared_apart,
            many_at_once_never_share_a_partition,
            dropped_beats_lock_nobody_out,
        );
    };
}

macro_rules! archive_suite {
    ($fixture:ty) => {
        behaviours!(
            archive,
            $fixture as ArchiveFixture,
            frames_come_back_bit_for_bit,
            a_span_is_given_exactly,
            runs_with_gaps_come_back_as_they_were,
            what_waited_long_is_kept,
            the_oldest_are_removed_by_age,
            the_oldest_are_removed_by_bytes,
            by_age_a_part_goes_in_a_day,
            retention_takes_nothing_young,
            overlapping_owners_keep_each_frame_once,
            a_refused_block_changes_nothing,
            cursors_and_checkpoint_survive_and_never_go_back,
            tenants_see_only_their_own,
            aborted_appends_are_whole_or_nothing,
            random_blocks_are_as_in_the_reference,
        );
        behaviours!(
            records,
            $fixture as ArchiveFixture,
            records_come_back_as_they_were,
            records_are_kept_once,
            wrong_records_are_refused,
            records_are_removed_by_age,
        );
    };
}
