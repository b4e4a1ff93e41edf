//! Where an archive goes on, case by case.

use std::collections::BTreeMap;

use boxbox_schemas::StreamKey;

use super::super::resume::{Held, Plan, Planned, Resumed, resume};
use crate::StoreError;
use crate::suite::samples::*;

const NEVER: i64 = i64::MIN;

fn key(n: u32) -> StreamKey {
    stream(&session(tenant("a"), 1), n)
}

/// Blocks up to 10, 20 … of one stream, ten frames each; the newest is open.
fn planned(blocks: u64, all: bool) -> Planned {
    let plan = |n: u64| Plan {
        last: n * 10,
        crc: crc(n * 10),
        behind: (n > 1).then(|| (n - 1) * 10),
        token: format!("token {n}"),
        frames: 10,
        records: Some(2),
        appended_us: n as i64,
        confirmed: n < blocks,
        before: vec![(key(1), (n - 1) * 10)],
    };
    Planned { plans: (1..=blocks).rev().map(plan).collect(), all, cursors: BTreeMap::from([(key(1), blocks * 10), (key(2), 7)]) }
}

fn held(plans: &[u64], unplanned: Option<u64>) -> Held {
    Held { plans: plans.iter().copied().collect(), unplanned, unplanned_records: unplanned }
}

fn at(planned: &Planned, held: &Held) -> Resumed {
    resume(planned, held, NEVER, &lease()).unwrap().unwrap()
}

/// Checkpoint, cursor of the stream, what must be made again and up to where frames are there.
type Summary<'a> = (Option<u64>, u64, &'a [u64], Option<u64>);

fn summary(r: &Resumed) -> Summary<'_> {
    let cursor = r.state.cursors.iter().find(|(stream, _)| *stream == key(1)).map_or(0, |(_, next)| *next);
    assert!(r.state.cursors.contains(&(key(2), 7)), "a stream that no plan touches");
    (r.state.checkpoint.as_ref().map(|c| c.offset), cursor, &r.state.planned, r.state.held_to)
}

#[test]
fn nothing_planned_is_the_beginning() {
    let nothing = Planned { all: true, ..Planned::default() };
    let r = at(&nothing, &held(&[], None));
    assert_eq!((r.state, r.renewed), (crate::ArchiveState::default(), vec![]));
    let r = at(&nothing, &held(&[], Some(90)));
    assert_eq!((r.state.checkpoint, r.state.held_to), (None, Some(90)), "PostgreSQL lost everything");
}

#[test]
fn the_newest_block_is_there() {
    let r = at(&planned(3, true), &held(&[10, 20, 30], None));
    assert_eq!((summary(&r), r.renewed.is_empty()), ((Some(30), 30, &[][..], None), true));
    assert_eq!(r.state.checkpoint, Some(checkpoint(30)));
}

#[test]
fn the_newest_block_may_be_lost_or_under_way() {
    let r = at(&planned(3, true), &held(&[10, 20], None));
    assert_eq!((summary(&r), r.renewed.is_empty()), ((Some(20), 20, &[30][..], None), true), "the token is kept");
    let r = at(&planned(1, true), &held(&[], None));
    assert_eq!((summary(&r), r.renewed.is_empty()), ((None, 0, &[10][..], None), true));
}

#[test]
fn blocks_that_were_there_get_new_tokens() {
    let r = at(&planned(5, true), &held(&[10, 20], None));
    assert_eq!((summary(&r), r.renewed.clone()), ((Some(20), 20, &[30, 40, 50][..], None), vec![40, 30]));
    let r = at(&planned(2, true), &held(&[], None));
    assert_eq!((summary(&r), r.renewed.clone()), ((None, 0, &[10, 20][..], None), vec![10]));
}

/// The first of two blocks that are made again is begun; the last one's first INSERT came late, before them.
#[test]
fn what_is_made_again_is_so_in_order_even_if_the_last_is_there() {
    let mut p = planned(4, true);
    p.plans[1].confirmed = false;
    p.plans[2].confirmed = false;
    let r = at(&p, &held(&[10, 40], None));
    assert_eq!((summary(&r), r.renewed.is_empty()), ((Some(10), 10, &[20, 30, 40][..], None), true), "those may be under way");
    let r = at(&p, &held(&[10, 20, 40], None));
    assert_eq!(summary(&r), (Some(20), 20, &[30, 40][..], None));
    let r = at(&p, &held(&[10, 20, 30, 40], None));
    assert_eq!(summary(&r), (Some(40), 40, &[][..], None));
}

#[test]
fn a_block_without_frames_says_nothing_about_those_before() {
    let mut p = planned(4, true);
    for plan in &mut p.plans[..2] {
        (plan.frames, plan.records) = (0, Some(0));
    }
    assert_eq!(summary(&at(&p, &held(&[10, 20], None))), (Some(40), 40, &[][..], None));
    let r = at(&p, &held(&[10], None));
    assert_eq!((summary(&r), r.renewed.clone()), ((Some(10), 10, &[20, 30, 40][..], None), vec![20]));
}

#[test]
fn what_is_too_old_need_not_be_there() {
    let r = resume(&planned(4, true), &held(&[], None), 5, &lease()).unwrap().unwrap();
    assert_eq!(summary(&r), (Some(40), 40, &[][..], None));
    let r = resume(&planned(4, true), &held(&[], None), 4, &lease()).unwrap().unwrap();
    assert_eq!(summary(&r), (Some(30), 30, &[40][..], None));
}

#[test]
fn blocks_that_nobody_planned_are_left_out() {
    let r = at(&planned(3, true), &held(&[10, 20, 30], Some(77)));
    assert_eq!(summary(&r), (Some(30), 30, &[][..], Some(77)));
    let r = at(&planned(3, true), &held(&[10, 20, 30], Some(5)));
    assert_eq!(summary(&r), (Some(30), 30, &[][..], None), "older than the plans");
    // A plan made since then, not inserted yet.
    let r = at(&planned(3, true), &held(&[10, 20], Some(25)));
    assert_eq!(summary(&r), (Some(20), 20, &[30][..], Some(25)));
}

#[test]
fn more_is_asked_for_until_it_is_clear() {
    let mut p = planned(5, false);
    p.plans.truncate(2);
    assert_eq!(resume(&p, &held(&[], None), NEVER, &lease()).unwrap(), None);
    assert!(resume(&p, &held(&[50], None), NEVER, &lease()).unwrap().is_some());
    p.plans.truncate(1);
    assert_eq!(resume(&p, &held(&[], None), NEVER, &lease()).unwrap(), None);
}

#[test]
fn what_does_not_fit_together_is_for_a_person() {
    let mut p = planned(5, true);
    p.plans.truncate(3);
    let e = resume(&p, &held(&[], None), NEVER, &lease()).unwrap_err();
    assert!(matches!(&e, StoreError::Unreadable(what) if what.contains("none of the last 3 blocks") && what.contains("archive_plans")), "{e}");
    let e = resume(&planned(3, true), &held(&[10], Some(25)), NEVER, &lease()).unwrap_err();
    assert!(matches!(&e, StoreError::Unreadable(what) if what.contains("both databases")), "{e}");
}
