//! What every log does, whatever it is made of. Each function is one test for each backend.

use std::sync::Arc;
use std::time::{Duration, Instant};

use boxbox_log::{AppendError, Limits, Log, LogError, Outcome, Ticket};
use boxbox_schemas::stamp::LOG_RECORD_MAX_BYTES;
use boxbox_testkit::wait::{PATIENCE, until_some};

use crate::bed::{Bed, Heard, Setup, append, key, of_partition, offsets, read, record};

pub(crate) async fn records_come_back_in_order_with_outcomes_in_order(bed: &dyn Bed) {
    let log = bed.open(Setup::default()).await;
    let heard = Heard::new();
    let writer = log.writer(heard.clone()).unwrap();
    for mark in 0..2_000 {
        append(&*writer, (mark % 4) as u32, 1, mark, 20 + (mark as usize * 37) % 2_000).await;
    }
    let outcomes = heard.exactly(2_000).await;
    for partition in 0..4 {
        let completed = of_partition(&outcomes, partition);
        let marks: Vec<u64> = completed.iter().map(|c| c.ticket.mark).collect();
        assert_eq!(marks, (0..2_000).filter(|m| m % 4 == u64::from(partition)).collect::<Vec<_>>(), "outcomes in order of append");
        let offsets = offsets(&completed);
        assert!(offsets.windows(2).all(|w| w[0] < w[1]), "offsets rise");
        let mut reader = log.reader(partition, 0).await.unwrap();
        let entries = read(&mut *reader, 500).await;
        for ((entry, completion), offset) in entries.iter().zip(&completed).zip(offsets) {
            let mark = completion.ticket.mark;
            assert_eq!((entry.offset, &entry.record), (offset, &record(1, mark, 20 + (mark as usize * 37) % 2_000)));
        }
        assert!(entries.windows(2).all(|w| w[0].appended_at_us <= w[1].appended_at_us));
        let bounds = log.bounds(partition).await.unwrap();
        assert!(bounds.start <= entries[0].offset && bounds.end > entries[499].offset);
    }
}

pub(crate) async fn accepted_is_not_yet_durable(bed: &dyn Bed) {
    let log = bed.open(Setup { hold: Duration::from_millis(1_500), ..Setup::default() }).await;
    let heard = Heard::new();
    let writer = log.writer(heard.clone()).unwrap();
    append(&*writer, 0, 1, 0, 100).await;
    heard.exactly(1).await;
    let began = Instant::now();
    append(&*writer, 0, 1, 1, 100).await;
    assert!(began.elapsed() < Duration::from_millis(500), "append does not wait");
    let end = log.bounds(0).await.unwrap().end;
    let mut reader = log.reader(0, 0).await.unwrap();
    let first = read(&mut *reader, 1).await;
    if heard.so_far().len() == 1 && began.elapsed() < Duration::from_millis(700) {
        assert!(first[0].offset < end);
        assert!(reader.next(1 << 20, Duration::from_millis(50)).await.unwrap().is_empty(), "what is not durable is not read");
    }
    heard.exactly(2).await;
    assert_eq!(read(&mut *reader, 1).await[0].record, record(1, 1, 100));
}

pub(crate) async fn a_reader_begins_at_any_offset(bed: &dyn Bed) {
    let log = bed.open(Setup { partitions: 2, ..Setup::default() }).await;
    let heard = Heard::new();
    let writer = log.writer(heard.clone()).unwrap();
    for mark in 0..60 {
        append(&*writer, 1, 1, mark, 50 + mark as usize * 300).await;
        if mark % 7 == 0 {
            heard.exactly(mark as usize + 1).await;
        }
    }
    let offsets = offsets(&heard.exactly(60).await);
    for (n, offset) in offsets.iter().enumerate() {
        let mut reader = log.reader(1, *offset).await.unwrap();
        let entries = reader.next(1, PATIENCE).await.unwrap();
        assert_eq!((entries.len(), entries[0].offset), (1, *offset), "at most max_bytes, but always one");
        assert_eq!(entries[0].record, record(1, n as u64, 50 + n * 300));
    }
    // What is given fits, unless it is a single record.
    let mut reader = log.reader(1, offsets[0]).await.unwrap();
    let mut given = 0;
    while given < 60 {
        let entries = reader.next(30_000, PATIENCE).await.unwrap();
        let bytes: usize = entries.iter().map(|e| e.record.len()).sum();
        assert!(!entries.is_empty() && (entries.len() == 1 || bytes <= 30_000));
        given += entries.len();
    }
    assert_eq!(given, 60);
}

pub(crate) async fn a_reader_at_the_end_waits_for_more(bed: &dyn Bed) {
    let log = bed.open(Setup { partitions: 1, ..Setup::default() }).await;
    let heard = Heard::new();
    let writer = log.writer(heard.clone()).unwrap();
    append(&*writer, 0, 1, 0, 100).await;
    heard.exactly(1).await;
    let end = log.bounds(0).await.unwrap().end;
    let mut reader = log.reader(0, end).await.unwrap();
    assert!(reader.next(1 << 20, Duration::from_millis(20)).await.unwrap().is_empty());
    assert!(reader.end() <= end, "a reader that has everything is level with the log");
    let waiting = tokio::spawn(async move {
        let entries = reader.next(1 << 20, PATIENCE).await.unwrap();
        (entries, reader)
    });
    tokio::time::sleep(Duration::from_millis(50)).await;
    append(&*writer, 0, 1, 1, 100).await;
    let (entries, mut reader) = waiting.await.unwrap();
    assert_eq!((entries.len(), &entries[0].record), (1, &record(1, 1, 100)));
    let level = async {
        while reader.end() > entries[0].offset + 1 {
            assert!(reader.next(1 << 20, Duration::from_millis(50)).await.unwrap().is_empty());
        }
    };
    tokio::time::timeout(PATIENCE, level).await.expect("it becomes level again");
    assert_eq!(reader.end(), entries[0].offset + 1);
}

pub(crate) async fn offsets_that_are_not_there_are_refused(bed: &dyn Bed) {
    let log = bed.open(Setup { partitions: 1, retention: true, ..Setup::default() }).await;
    let heard = Heard::new();
    let writer = log.writer(heard.clone()).unwrap();
    for mark in 0..600 {
        append(&*writer, 0, 1, mark, 8 << 10).await;
        if mark % 40 == 0 {
            heard.exactly(mark as usize + 1).await;
        }
    }
    heard.exactly(600).await;
    let end = log.bounds(0).await.unwrap().end;
    for from in [end + 1, end + 1_000_000, u64::MAX] {
        let refused = log.reader(0, from).await.err();
        assert!(matches!(refused, Some(LogError::OutOfRange { asked, end: e, .. }) if asked == from && e == end), "{refused:?}");
    }
    assert!(matches!(log.reader(1, 0).await.err(), Some(LogError::Mismatch(_))));
    assert!(matches!(log.bounds(1).await.err(), Some(LogError::Mismatch(_))));

    bed.trim(&log).await;
    let start = until_some("retention removes something", async || {
        let start = log.bounds(0).await.unwrap().start;
        (start > 0).then_some(start)
    })
    .await;
    let refused = log.reader(0, start - 1).await.err();
    assert!(matches!(refused, Some(LogError::OutOfRange { start: s, .. }) if s == start), "{refused:?}");
    let mut reader = log.reader(0, start).await.unwrap();
    let entries = read(&mut *reader, (end - start) as usize).await;
    assert_eq!(entries[0].record, record(1, start, 8 << 10), "offsets are gapless here, so they are the marks");
}

pub(crate) async fn budgets_bound_what_is_on_its_way(bed: &dyn Bed) {
    let limits = Limits { writer_bytes: 300_000, partition_bytes: 100_000 };
    let log = bed.open(Setup { limits, hold: Duration::from_millis(1_500), ..Setup::default() }).await;
    let heard = Heard::new();
    let writer = log.writer(heard.clone()).unwrap();
    let mut marks = 0;
    for partition in 0..4 {
        append(&*writer, partition, 1, marks, 100).await;
        marks += 1;
    }
    heard.exactly(4).await;
    let fill = |partition: u32, marks: &mut u64| {
        let mut bytes = 0;
        loop {
            match writer.append(partition, key(1), record(1, *marks, 1_000), Ticket { owner: 1, mark: *marks }) {
                Ok(()) => {
                    (*marks, bytes) = (*marks + 1, bytes + 1_000);
                    assert!(bytes <= 100_000, "a partition holds at most its budget");
                }
                Err(AppendError::Full) => return bytes,
                Err(e) => panic!("{e}"),
            }
        }
    };
    for partition in 0..3 {
        let bytes = fill(partition, &mut marks);
        assert!(bytes >= 80_000, "a full partition leaves the others their budget: {bytes}");
    }
    assert!(fill(3, &mut marks) <= 60_000, "the writer's own bound");
    // Another writer has its own.
    let other = Heard::new();
    let second = log.writer(other.clone()).unwrap();
    assert_eq!(second.append(3, key(2), record(2, 0, 1_000), Ticket { owner: 2, mark: 0 }), Ok(()));
    other.exactly(1).await;
    let outcomes = heard.exactly(marks as usize).await;
    offsets(&outcomes);
    assert!(fill(0, &mut marks) >= 80_000, "outcomes give the budget back");
    heard.exactly(marks as usize).await;
}

pub(crate) async fn a_stalled_partition_stops_only_itself(bed: &dyn Bed) {
    let limits = Limits { writer_bytes: 300_000, partition_bytes: 100_000 };
    let log = bed.open(Setup { limits, ..Setup::default() }).await;
    bed.stall(2, true);
    let heard = Heard::new();
    let writer = log.writer(heard.clone()).unwrap();
    let mut stalled = 0;
    while writer.append(2, key(2), record(2, stalled, 1_000), Ticket { owner: 2, mark: stalled }).is_ok() {
        stalled += 1;
    }
    assert!((80..=100).contains(&stalled));
    for mark in 0..500 {
        append(&*writer, [0, 1, 3][mark as usize % 3], 1, mark, 1_000).await;
    }
    offsets(&heard.exactly(500).await);
    assert!(heard.so_far().iter().all(|c| c.partition != 2));
    bed.stall(2, false);
    let outcomes = heard.exactly(500 + stalled as usize).await;
    assert_eq!(of_partition(&outcomes, 2).iter().map(|c| c.ticket.mark).collect::<Vec<_>>(), (0..stalled).collect::<Vec<_>>());
}

pub(crate) async fn writers_do_not_disturb_each_other(bed: &dyn Bed) {
    let log = bed.open(Setup { partitions: 2, ..Setup::default() }).await;
    let write = |owner: u64| {
        let log = log.clone();
        async move {
            let heard = Heard::new();
            let writer = log.writer(heard.clone()).unwrap();
            for mark in 0..500 {
                append(&*writer, (mark % 2) as u32, owner, mark, 300).await;
            }
            let outcomes = heard.exactly(500).await;
            assert!(outcomes.iter().all(|c| c.ticket.owner == owner), "a writer hears of its own records only");
            for partition in 0..2 {
                let marks: Vec<u64> = of_partition(&outcomes, partition).iter().map(|c| c.ticket.mark).collect();
                assert!(marks.is_sorted() && marks.len() == 250);
            }
            outcomes
        }
    };
    let tasks: Vec<_> = (0..4).map(|owner| tokio::spawn(write(owner))).collect();
    let mut by_place = std::collections::BTreeMap::new();
    for task in tasks {
        for c in task.await.unwrap() {
            let Outcome::Durable(offset) = c.outcome else { panic!("{c:?}") };
            assert_eq!(by_place.insert((c.partition, offset), c.ticket), None, "two records never share an offset");
        }
    }
    for partition in 0..2 {
        let mut reader = log.reader(partition, 0).await.unwrap();
        for entry in read(&mut *reader, 1_000).await {
            let Ticket { owner, mark } = by_place[&(partition, entry.offset)];
            assert_eq!(entry.record, record(owner, mark, 300));
        }
    }
}

pub(crate) async fn records_of_every_size_that_the_contract_allows(bed: &dyn Bed) {
    let log = bed.open(Setup { partitions: 1, ..Setup::default() }).await;
    let heard = Heard::new();
    let writer = log.writer(heard.clone()).unwrap();
    let sizes = [16, 17, 1_000, 4_095, 4_096, 4_097, 32_768, LOG_RECORD_MAX_BYTES - 1, LOG_RECORD_MAX_BYTES];
    let rounds = 60;
    for round in 0..rounds {
        for (n, size) in sizes.iter().enumerate() {
            append(&*writer, 0, 1, (round * sizes.len() + n) as u64, *size).await;
        }
    }
    let ticket = Ticket::default();
    let refused = |partition, length| writer.append(partition, key(1), record(1, 0, LOG_RECORD_MAX_BYTES + 1).slice(..length), ticket);
    assert!(matches!(refused(0, LOG_RECORD_MAX_BYTES + 1), Err(AppendError::Invalid(_))));
    assert!(matches!(refused(0, 0), Err(AppendError::Invalid(_))));
    assert!(matches!(refused(1, 20), Err(AppendError::Invalid(_))));
    offsets(&heard.exactly(rounds * sizes.len()).await);
    let mut reader = log.reader(0, 0).await.unwrap();
    for (n, entry) in read(&mut *reader, rounds * sizes.len()).await.iter().enumerate() {
        assert_eq!(entry.record, record(1, n as u64, sizes[n % sizes.len()]));
    }
}

pub(crate) async fn a_cancelled_read_loses_nothing(bed: &dyn Bed) {
    let log = bed.open(Setup { partitions: 1, ..Setup::default() }).await;
    let heard = Heard::new();
    let writer = log.writer(heard.clone()).unwrap();
    let feed = tokio::spawn(async move {
        for mark in 0..3_000 {
            append(&*writer, 0, 1, mark, 200 + (mark as usize % 50) * 100).await;
            if mark % 20 == 0 {
                tokio::time::sleep(Duration::from_micros(300)).await;
            }
        }
        writer
    });
    let mut reader = log.reader(0, 0).await.unwrap();
    let mut dice = fastrand::Rng::with_seed(7);
    let (mut next, mut cancelled) = (0, 0);
    let began = Instant::now();
    while next < 3_000 {
        assert!(began.elapsed() < PATIENCE, "{next} records came");
        // Mostly so short that the read is cut off wherever it happens to be.
        let patience = Duration::from_micros(if cancelled % 8 == 7 { 50_000 } else { dice.u64(0..400) });
        match tokio::time::timeout(patience, reader.next(10_000, PATIENCE)).await {
            Err(_) => cancelled += 1,
            Ok(entries) => {
                for entry in entries.unwrap() {
                    assert_eq!(entry.record, record(1, next, 200 + (next as usize % 50) * 100));
                    next += 1;
                }
            }
        }
    }
    assert!(cancelled > 0, "the test cancels reads");
    feed.await.unwrap();
}

pub(crate) async fn a_dropped_writer_completes_what_it_holds(bed: &dyn Bed) {
    let log = bed.open(Setup { partitions: 2, ..Setup::default() }).await;
    let heard = Heard::new();
    let writer = log.writer(heard.clone()).unwrap();
    for mark in 0..300 {
        append(&*writer, (mark % 2) as u32, 1, mark, 500).await;
    }
    drop(writer);
    let outcomes = heard.exactly(300).await;
    let durable = outcomes.iter().filter(|c| matches!(c.outcome, Outcome::Durable(_))).count();
    let (mut left, mut right) = (log.reader(0, 0).await.unwrap(), log.reader(1, 0).await.unwrap());
    let n = of_partition(&outcomes, 0).iter().filter(|c| matches!(c.outcome, Outcome::Durable(_))).count();
    read(&mut *left, n).await;
    read(&mut *right, durable - n).await;
}

pub(crate) async fn a_log_opened_again_is_the_same_log(bed: &dyn Bed) {
    let log = bed.open(Setup::default()).await;
    let id = log.id().clone();
    assert!(!id.0.is_empty() && log.partitions() == 4);
    if !bed.persists() {
        return;
    }
    let mut completed = Vec::new();
    let mut log: Option<Arc<dyn Log>> = Some(log);
    for round in 0..3_u64 {
        let open = match log.take() {
            Some(log) => log,
            None => bed.open(Setup::default()).await,
        };
        assert_eq!((open.id(), open.partitions()), (&id, 4));
        for partition in 0..4 {
            let before = of_partition(&completed, partition);
            let mut reader = open.reader(partition, 0).await.unwrap();
            for (entry, c) in read(&mut *reader, before.len()).await.iter().zip(&before) {
                assert_eq!((Outcome::Durable(entry.offset), &entry.record), (c.outcome, &record(c.ticket.owner, c.ticket.mark, 700)));
            }
        }
        let heard = Heard::new();
        let writer = open.writer(heard.clone()).unwrap();
        for mark in 0..200 {
            append(&*writer, (mark % 4) as u32, round, mark, 700).await;
        }
        completed.extend(heard.exactly(200).await);
        for partition in 0..4 {
            assert!(offsets(&of_partition(&completed, partition)).windows(2).all(|w| w[0] < w[1]), "offsets rise across openings");
        }
    }
}
