//! A log, somebody who archives it, and all that can happen meanwhile: in the end the archive is as the reference's.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use boxbox_schemas::StreamKey;
use boxbox_schemas::results::Span;

use super::super::ClickHouseArchive;
use super::fixture::Fixture;
use super::plans::{Ready, heading, plan, send};
use crate::memory::MemoryArchive;
use crate::suite::ArchiveFixture;
use crate::suite::samples::*;
use crate::{Archive, ArchiveBlock, ArchiveState, FrameRun, KeptRecord, Lease, StoreError, StreamRecords};

const STREAMS: u32 = 3;

fn key(n: u32) -> StreamKey {
    stream(&session(tenant("a"), 1), n)
}

/// Records, by offset: whose they are and their first and next numbers.
pub(super) struct Log {
    records: Vec<(StreamKey, u64, u64)>,
}

impl Log {
    pub(super) fn random(rng: &mut fastrand::Rng, records: usize) -> Self {
        let mut next = [0u64; STREAMS as usize];
        let mut record = || {
            let of = rng.u32(0..STREAMS);
            let at = &mut next[of as usize];
            // Other kinds take numbers too, and some records have no frames at all.
            let first = *at + rng.u64(0..3);
            *at = first + if rng.u8(0..8) == 0 { 0 } else { rng.u64(1..20) };
            (key(of), first, *at)
        };
        Self { records: (0..records).map(|_| record()).collect() }
    }

    pub(super) fn last(&self) -> u64 {
        self.records.len() as u64 - 1
    }

    /// A block of these records, behind what `cursors` say, without the frames of records up to `held_to`.
    fn block(&self, offsets: RangeInclusive<u64>, cursors: &mut BTreeMap<StreamKey, u64>, held: [Option<u64>; 2]) -> ArchiveBlock {
        let beyond = |held: Option<u64>, offset: u64| held.is_none_or(|held| offset > held);
        let (last, mut touched, mut runs) = (*offsets.end(), BTreeMap::new(), vec![]);
        let mut records: BTreeMap<StreamKey, Vec<KeptRecord>> = BTreeMap::new();
        for offset in offsets {
            let (stream, first, next) = self.records[offset as usize];
            let cursor = cursors.entry(stream).or_default();
            let first = first.max(*cursor);
            if first < next && beyond(held[1], offset) {
                records.entry(stream).or_default().extend(heading(stream, first, offset).records);
            }
            if first < next && beyond(held[0], offset) {
                runs.push(FrameRun::new(stream, first, frames(first, next - first)).unwrap());
            }
            *cursor = next.max(*cursor);
            touched.insert(stream, *cursor);
        }
        let records = records.into_iter().map(|(stream, records)| StreamRecords { stream, records }).collect();
        let appended_at_us = 1_800_000_000_000_000 + last as i64 * 1_000_000;
        ArchiveBlock { checkpoint: checkpoint(last), received_at_us: 0, appended_at_us, cursors: touched.into_iter().collect(), runs, records }
    }
}

/// An archiving process: what the archive loaded for it, and what it has done since.
pub(super) struct Owner<'a> {
    log: &'a Log,
    archive: ClickHouseArchive,
    lease: Lease,
    state: ArchiveState,
    cursors: BTreeMap<StreamKey, u64>,
}

impl<'a> Owner<'a> {
    pub(super) async fn start(log: &'a Log, archive: ClickHouseArchive, lease: Lease) -> Result<Self, StoreError> {
        let state = archive.load(&lease).await?;
        let cursors = state.cursors.iter().copied().collect();
        Ok(Self { log, archive, lease, state, cursors })
    }

    fn next_offset(&self) -> u64 {
        self.state.checkpoint.as_ref().map_or(0, |c| c.offset + 1)
    }

    pub(super) fn is_done(&self) -> bool {
        self.next_offset() > self.log.last()
    }

    fn next_block(&self, rng: &mut fastrand::Rng) -> (ArchiveBlock, BTreeMap<StreamKey, u64>) {
        let first = self.next_offset();
        let last = self.state.planned.first().copied().unwrap_or_else(|| (first + rng.u64(0..5)).min(self.log.last()));
        let mut cursors = self.cursors.clone();
        (self.log.block(first..=last, &mut cursors, [self.state.held_to, self.state.records_held_to]), cursors)
    }

    pub(super) async fn step(&mut self, rng: &mut fastrand::Rng) -> Result<(), StoreError> {
        let (block, cursors) = self.next_block(rng);
        self.archive.append(&self.lease, &block).await?;
        self.cursors = cursors;
        self.state.planned.retain(|end| *end > block.checkpoint.offset);
        self.state.checkpoint = Some(block.checkpoint);
        Ok(())
    }
}

/// The whole log in one.
pub(super) async fn assert_whole(log: &Log, archive: &ClickHouseArchive) {
    let reference = MemoryArchive::new();
    reference.append(&lease(), &log.block(0..=log.last(), &mut BTreeMap::new(), [None, None])).await.unwrap();
    for n in 0..STREAMS {
        let StreamKey { tenant, session, driver, run } = key(n);
        let span = Span { driver, run, first_seq: 0, next_seq: u64::MAX };
        let wanted = reference.count(&tenant, &session, Some(&driver)).await.unwrap();
        assert_eq!(archive.count(&tenant, &session, Some(&driver)).await.unwrap(), wanted, "stream {n}");
        let wanted = reference.frames(&tenant, &session, &span, u32::MAX).await.unwrap();
        assert_eq!(archive.frames(&tenant, &session, &span, u32::MAX).await.unwrap(), wanted, "stream {n}");
        let wanted = reference.records(&tenant, &session, &span, u32::MAX).await.unwrap();
        assert_eq!(archive.records(&tenant, &session, &span, u32::MAX).await.unwrap(), wanted, "stream {n}");
        assert!(archive.streams(&tenant, &session).await.unwrap().contains(&key(n)));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_happens_every_frame_is_there_once() {
    let Some(f) = Fixture::start("whatever_happens_every_frame_is_there_once").await else { return };
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut rng = fastrand::Rng::with_seed(seed);
    let log = Log::random(&mut rng, 150);
    let mut lease = lease();
    let mut owner = Owner::start(&log, f.open().await, lease.clone()).await.unwrap();
    // INSERTs of processes that are gone, and how far ClickHouse may be put back: not behind what PostgreSQL has forgotten since.
    let (mut late, mut floor, mut snapshot): (Vec<Ready>, u64, bool) = (vec![], 0, false);
    let mut happened = BTreeMap::<&str, u32>::new();
    while !owner.is_done() {
        let what = *rng.choice(&["step", "step", "step", "lost", "answer", "late", "late", "clickhouse", "postgres", "snapshot", "owner"]).unwrap();
        *happened.entry(what).or_default() += 1;
        let mut restart = true;
        match what {
            "lost" => drop(plan(&owner.archive, &lease, &owner.next_block(&mut rng).0).await.unwrap()),
            "answer" => {
                if let Some(ready) = plan(&owner.archive, &lease, &owner.next_block(&mut rng).0).await.unwrap() {
                    send(&owner.archive, &ready).await.unwrap();
                }
            }
            "late" if rng.bool() => late.extend(plan(&owner.archive, &lease, &owner.next_block(&mut rng).0).await.unwrap()),
            "late" => {
                restart = false;
                if !late.is_empty() {
                    send(&owner.archive, &late.swap_remove(rng.usize(..late.len()))).await.unwrap();
                }
            }
            "clickhouse" if owner.next_offset() > floor => {
                let to = rng.u64(owner.next_offset().saturating_sub(20).max(floor)..owner.next_offset());
                for table in ["frames", "records"] {
                    f.clickhouse(&format!("ALTER TABLE {table} DELETE WHERE log_offset > {to}")).await;
                }
            }
            "snapshot" if owner.state.planned.is_empty() && owner.next_offset() > floor => {
                restart = false;
                f.sql(
                    "DROP TABLE IF EXISTS plans_then, cursors_then; CREATE TABLE plans_then AS SELECT * FROM archive_plans; \
                       CREATE TABLE cursors_then AS SELECT * FROM archive_cursors",
                )
                .await;
                snapshot = true;
            }
            "postgres" if snapshot && owner.state.planned.is_empty() => {
                f.sql(
                    "TRUNCATE archive_plans, archive_cursors; INSERT INTO archive_plans SELECT * FROM plans_then; \
                       INSERT INTO archive_cursors SELECT * FROM cursors_then",
                )
                .await;
                // Both put back is for a person; and what was planned before that is forgotten, its INSERTs with it.
                floor = owner.next_offset();
                (snapshot, late) = (false, vec![]);
            }
            "owner" => lease = f.take_over(&lease).await,
            _ => {
                restart = false;
                owner.step(&mut rng).await.unwrap();
            }
        }
        if restart {
            owner = Owner::start(&log, f.open().await, lease.clone()).await.unwrap();
        }
    }
    println!("{happened:?}");
    for ready in &late {
        send(&owner.archive, ready).await.unwrap();
    }
    assert_whole(&log, &owner.archive).await;
}
