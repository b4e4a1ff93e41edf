//! Damage at every byte (E7): after the last commit marker it is cut and nothing confirmed is lost, before it the log is
//! refused, and nothing is changed.
//!
//! In `BOXBOX_CAMPAIGN=1` whole logs are reopened at every offset too, instead of at every 41st.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use boxbox_schemas::SessionId;
use bytes::Bytes;
use fastrand::Rng;

use super::format::{BATCH_HEAD_BYTES, BatchHead, HEADER_BYTES, Ident, MARKER_BYTES, MARKER_MAGIC, Marker, batch_length, batch_records};
use super::recover::{self, COMMIT_FILE, inspect, scan};
use super::tests::{options, read_all};
use super::{EmbeddedLog, Options, meta};
use crate::heard::Heard;
use crate::{Log, LogError, Ticket};

const TAIL_BYTES: usize = 16 << 10;

/// A log of one partition, closed: which records were confirmed as durable, and which it wrote without confirming.
struct Built {
    folder: tempfile::TempDir,
    ident: Ident,
    confirmed: Vec<Bytes>,
    all: Vec<Bytes>,
    segments: Vec<PathBuf>,
}

impl Built {
    fn new(segment_bytes: u64, confirmed: usize, tail_bytes: usize) -> Self {
        let folder = fast_folder();
        let faults = Arc::default();
        let setup = Options { segment_bytes, faults: Arc::clone(&faults), space_patience: Duration::ZERO, ..options(1) };
        let log = EmbeddedLog::open(folder.path(), setup).unwrap();
        let heard = Arc::new(Heard::default());
        let writer = log.writer(heard.clone()).unwrap();
        let mut rng = Rng::with_seed(42);
        let mut all = Vec::new();
        let mut append = |all: &mut Vec<Bytes>| {
            let record: Bytes = std::iter::repeat_with(|| rng.u8(..)).take(20 + all.len() * 53 % 300).collect();
            writer.append(0, SessionId::default(), record.clone(), Ticket { owner: 0, mark: all.len() as u64 }).unwrap();
            all.push(record);
            heard.wait(all.len());
        };
        while all.len() < confirmed {
            append(&mut all);
        }
        heard.all_durable();
        let confirmed = all.clone();
        faults.skip_markers.store(true, Ordering::Relaxed);
        while all[confirmed.len()..].iter().map(|r| r.len() + 4 + BATCH_HEAD_BYTES).sum::<usize>() < tail_bytes {
            append(&mut all);
        }
        drop((writer, log));
        let (lock, meta) = meta::take(folder.path(), None).unwrap();
        drop(lock);
        let ident = Ident { log: meta.id.into_bytes(), key: meta.key.into_bytes(), partition: 0, base: 0 };
        let mut segments: Vec<PathBuf> = fs::read_dir(folder.path().join("0000")).unwrap().map(|e| e.unwrap().path()).collect();
        segments.retain(|path| path.extension().is_some_and(|e| e == "seg"));
        segments.sort();
        Self { folder, ident, confirmed, all, segments }
    }

    fn partition(&self) -> PathBuf {
        self.folder.path().join("0000")
    }

    fn last(&self) -> (PathBuf, Vec<u8>, Ident) {
        let path = self.segments.last().unwrap().clone();
        let bytes = fs::read(&path).unwrap();
        let base = super::segment::base_of(&path).unwrap();
        (path, bytes, Ident { base, ..self.ident })
    }
}

/// Where the last marker of a segment stands, found without the code under test.
fn last_marker(bytes: &[u8]) -> usize {
    bytes.windows(MARKER_MAGIC.len()).rposition(|w| w == MARKER_MAGIC).expect("the segment has a marker")
}

/// In memory if the system has such a folder: thousands of logs are opened here, and what is tested is not the disk.
fn fast_folder() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

#[derive(Clone, Copy, Debug)]
enum Harm {
    Cut,
    ZeroFrom,
    Overwrite,
    NoiseFrom,
}

const HARMS: [Harm; 4] = [Harm::Cut, Harm::ZeroFrom, Harm::Overwrite, Harm::NoiseFrom];

impl Harm {
    fn apply(self, bytes: &[u8], at: usize, rng: &mut Rng) -> Vec<u8> {
        let mut bytes = bytes.to_vec();
        match self {
            Harm::Cut => bytes.truncate(at),
            Harm::ZeroFrom => bytes[at..].fill(0),
            Harm::Overwrite => bytes[at] ^= rng.u8(1..),
            Harm::NoiseFrom => rng.fill(&mut bytes[at..]),
        }
        bytes
    }
}

/// The records in the first `position` bytes of a segment.
fn records(bytes: &[u8], position: usize) -> Vec<Bytes> {
    let (mut at, mut found) = (HEADER_BYTES as usize, Vec::new());
    while at < position {
        if bytes[at..].starts_with(&MARKER_MAGIC) {
            at += MARKER_BYTES;
            continue;
        }
        let block = &bytes[at..at + batch_length(&bytes[at..]).unwrap()];
        assert_eq!(BatchHead::read(block).base, found.len() as u64);
        found.extend(batch_records(block).unwrap().into_iter().map(|r| Bytes::copy_from_slice(&block[r])));
        at += block.len();
    }
    found
}

#[test]
fn whatever_happens_to_an_unconfirmed_tail_it_is_cut_and_nothing_else() {
    let built = Built::new(64 << 10, 40, TAIL_BYTES);
    let (_, bytes, ident) = built.last();
    let tail = last_marker(&bytes) + MARKER_BYTES;
    let mut rng = Rng::with_seed(1);
    let (mut kept_whole, mut cut) = (0, 0);
    for at in tail..tail + TAIL_BYTES {
        for harm in HARMS {
            let harmed = harm.apply(&bytes, at, &mut rng);
            let witness = Marker { segment: 0, position: (tail - MARKER_BYTES) as u64, end: 40 };
            let scan = scan(&harmed, &ident, Some(witness)).unwrap_or_else(|e| panic!("{harm:?} at {at}: {e:?}"));
            let kept = records(&harmed, scan.position as usize);
            assert!(kept.len() >= built.confirmed.len(), "{harm:?} at {at} lost {} confirmed records", built.confirmed.len() - kept.len());
            assert_eq!(kept, built.all[..kept.len()], "{harm:?} at {at}");
            assert_eq!(scan.end, kept.len() as u64);
            (kept_whole, cut) = if kept.len() > built.confirmed.len() { (kept_whole + 1, cut) } else { (kept_whole, cut + 1) };
        }
    }
    assert!(kept_whole > 0 && cut > 0, "whole batches before the harm are kept, the harmed one is cut: {kept_whole}, {cut}");
}

#[test]
fn a_log_with_a_harmed_tail_opens_goes_on_and_opens_again() {
    let stride = if boxbox_testkit::campaign::campaign() { 1 } else { 41 };
    let built = Built::new(64 << 10, 40, TAIL_BYTES);
    let (path, bytes, _) = built.last();
    let tail = last_marker(&bytes) + MARKER_BYTES;
    let commit = fs::read(built.partition().join(COMMIT_FILE)).unwrap();
    let mut rng = Rng::with_seed(2);
    for at in (tail..tail + TAIL_BYTES).step_by(stride) {
        for harm in HARMS {
            fs::write(&path, harm.apply(&bytes, at, &mut rng)).unwrap();
            fs::write(built.partition().join(COMMIT_FILE), &commit).unwrap();
            let open = || EmbeddedLog::open(built.folder.path(), Options { segment_bytes: 64 << 10, ..options(1) });
            let log = open().unwrap_or_else(|e| panic!("{harm:?} at {at}: {e}"));
            let kept = read_all(&log, 0);
            assert!(kept.len() >= built.confirmed.len() && kept == built.all[..kept.len()], "{harm:?} at {at}");
            // A short record behind the cut: what was torn must not reappear behind it.
            let heard = Arc::new(Heard::default());
            let writer = log.writer(heard.clone()).unwrap();
            writer.append(0, SessionId::default(), Bytes::from_static(b"after"), Ticket::default()).unwrap();
            heard.wait(1);
            heard.all_durable();
            drop((writer, log));
            let again = read_all(&open().unwrap(), 0);
            assert_eq!((again.len(), again.last().unwrap().as_ref()), (kept.len() + 1, b"after".as_ref()), "{harm:?} at {at}");
            assert_eq!(again[..kept.len()], kept);
        }
    }
}

fn is_refused(built: &Built) -> bool {
    match inspect(&built.partition(), &built.ident) {
        Err(LogError::Damaged { .. }) => true,
        Err(e) => panic!("{e}"),
        Ok(_) => false,
    }
}

#[test]
fn damage_before_the_last_marker_is_refused_wherever_it_is() {
    // Two segments, so that the files that a start reads wholly are both harmed at every byte.
    let built = Built::new(7 << 10, 48, 0);
    assert_eq!(built.segments.len(), 2);
    assert!(!is_refused(&built));
    let mut rng = Rng::with_seed(3);
    for (n, path) in built.segments.iter().enumerate() {
        let bytes = fs::read(path).unwrap();
        let sealed = n == 0;
        let end = if sealed { bytes.len() } else { last_marker(&bytes) };
        for at in 0..end {
            for harm in HARMS {
                let harmed = harm.apply(&bytes, at, &mut rng);
                // Zeros over zeros, noise that happens to be what was there.
                if harmed.get(..end) == Some(&bytes[..end]) {
                    continue;
                }
                fs::write(path, &harmed).unwrap();
                assert!(is_refused(&built), "{harm:?} at {at} of segment {n}");
            }
        }
        fs::write(path, &bytes).unwrap();
    }
    assert!(!is_refused(&built), "the test put everything back");
}

#[test]
fn a_marker_and_its_batch_lost_together_are_missed() {
    let built = Built::new(64 << 10, 40, 0);
    let (path, bytes, _) = built.last();
    let marker = last_marker(&bytes);
    let last_batch = bytes[..marker].windows(4).rposition(|w| w == b"bxB1").unwrap();
    for at in last_batch + 1..marker {
        fs::write(&path, Harm::ZeroFrom.apply(&bytes, at, &mut Rng::with_seed(4))).unwrap();
        assert!(is_refused(&built), "zeroed from {at}");
    }
    // The marker alone: its batch is whole, and is confirmed anew.
    for at in marker..marker + MARKER_BYTES {
        fs::write(&path, Harm::Overwrite.apply(&bytes, at, &mut Rng::with_seed(5))).unwrap();
        let log = EmbeddedLog::open(built.folder.path(), Options { segment_bytes: 64 << 10, ..options(1) }).unwrap();
        assert_eq!(read_all(&log, 0), built.all);
    }
}

#[test]
fn a_refused_log_is_left_as_it_is() {
    let built = Built::new(64 << 10, 40, 2_000);
    let (path, mut bytes, _) = built.last();
    bytes[HEADER_BYTES as usize + 40] ^= 1;
    fs::write(&path, &bytes).unwrap();
    let before = contents(built.folder.path());
    let error = EmbeddedLog::open(built.folder.path(), options(1)).err().unwrap();
    let LogError::Damaged { partition: 0, place, .. } = &error else { panic!("{error}") };
    assert_eq!(place, &format!("{} byte {HEADER_BYTES}", path.display()), "file and position");
    assert_eq!(contents(built.folder.path()), before);
}

/// Every file below, except the lock, which holds the pid of the last process that opened the log.
fn contents(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.extend(contents(&path));
        } else if path.file_name().is_some_and(|n| n != "lock") {
            let bytes = fs::read(&path).unwrap();
            all.push((path, bytes));
        }
    }
    all.sort();
    all
}

#[test]
fn damage_in_an_old_segment_is_an_error_of_the_reader() {
    let built = Built::new(7 << 10, 150, 0);
    assert!(built.segments.len() > 3);
    let path = &built.segments[1];
    let bytes = fs::read(path).unwrap();
    let mut rng = Rng::with_seed(6);
    for at in (HEADER_BYTES as usize..bytes.len() - 300).step_by(17) {
        fs::write(path, Harm::Overwrite.apply(&bytes, at, &mut rng)).unwrap();
        let log = EmbeddedLog::open(built.folder.path(), Options { segment_bytes: 7 << 10, ..options(1) }).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let read = runtime.block_on(async {
            let mut reader = log.reader(0, 0).await.unwrap();
            let mut given = Vec::new();
            loop {
                match reader.next(usize::MAX, Duration::from_secs(20)).await {
                    Ok(entries) if entries.is_empty() => panic!("harm at {at} was passed over"),
                    Ok(entries) => given.extend(entries.into_iter().map(|e| e.record)),
                    Err(e) => break (given, e),
                }
            }
        });
        let (given, error) = read;
        assert!(matches!(error, LogError::Damaged { partition: 0, .. }), "{error}");
        assert!(given.len() < built.all.len() && given == built.all[..given.len()]);
    }
    fs::write(path, &bytes).unwrap();
}

#[test]
fn noise_and_other_logs_do_not_look_like_markers() {
    let built = Built::new(64 << 10, 40, TAIL_BYTES);
    let other = Built::new(64 << 10, 60, TAIL_BYTES);
    let (_, bytes, ident) = built.last();
    let (_, foreign, _) = other.last();
    let tail = last_marker(&bytes) + MARKER_BYTES;
    // A copy of another log's markers, and of this log's own at other places, in the torn tail.
    for shift in 0..200 {
        let mut harmed = bytes[..tail].to_vec();
        harmed.extend_from_slice(&[7; 3]);
        harmed.extend_from_slice(&foreign[shift..]);
        harmed.extend_from_slice(&bytes[shift..tail]);
        let scan = recover::scan(&harmed, &ident, None).unwrap();
        assert_eq!((scan.end, scan.position), (40, tail as u64));
    }
}

#[test]
fn the_segments_alone_tell_of_damage_before_a_marker() {
    let built = Built::new(64 << 10, 40, 0);
    let (path, bytes, _) = built.last();
    fs::remove_file(built.partition().join(COMMIT_FILE)).unwrap();
    let mut rng = Rng::with_seed(8);
    for at in 0..last_marker(&bytes) {
        fs::write(&path, Harm::Overwrite.apply(&bytes, at, &mut rng)).unwrap();
        assert!(is_refused(&built), "overwritten at {at}");
    }
    fs::write(&path, &bytes).unwrap();
    assert!(!is_refused(&built));
}

#[test]
fn what_was_cut_does_not_come_back() {
    let built = Built::new(64 << 10, 40, TAIL_BYTES);
    let (path, mut bytes, _) = built.last();
    let tail = last_marker(&bytes) + MARKER_BYTES;
    let (mut at, mut whole) = (tail, built.confirmed.len());
    let torn = loop {
        match batch_length(&bytes[at..]).unwrap() {
            long if long > 200 => break long,
            short => (at, whole) = (at + short, whole + 1),
        }
    };
    bytes[at + BATCH_HEAD_BYTES + 10] ^= 1;
    fs::write(&path, &bytes).unwrap();
    let open = || EmbeddedLog::open(built.folder.path(), Options { segment_bytes: 64 << 10, ..options(1) }).unwrap();
    let log = open();
    let heard = Arc::new(Heard::default());
    let writer = log.writer(heard.clone()).unwrap();
    // As long as the torn batch with its marker, so that the whole batch behind that would follow in its right place.
    // (The kept batches got a marker too, before it.)
    let marker_before = if whole > built.confirmed.len() { MARKER_BYTES } else { 0 };
    let record = Bytes::from(vec![9; torn - marker_before - MARKER_BYTES - BATCH_HEAD_BYTES - 4]);
    writer.append(0, SessionId::default(), record.clone(), Ticket::default()).unwrap();
    heard.wait(1);
    heard.all_durable();
    drop((writer, log));
    let kept = read_all(&open(), 0);
    assert_eq!((kept.len(), kept.last()), (whole + 1, Some(&record)));
}

#[test]
fn a_block_is_valid_in_its_own_place_only() {
    let ident = Ident { log: [1; 16], key: [2; 16], partition: 3, base: 40 };
    let record = Bytes::from_static(b"a record");
    let mut block = Vec::new();
    ident.batch(&mut block, 640, 41, 0, std::iter::once(&record));
    let marker = ident.marker(640, 42);
    let footer = ident.footer(640, &[(40, 64)], 42, 0);
    assert!(ident.check_batch(&block, 640) && Marker::read_at(&ident, &marker, 640).is_some() && ident.check_footer(&footer, 640).is_some());
    let elsewhere =
        [(ident, 641), (Ident { key: [9; 16], ..ident }, 640), (Ident { partition: 4, ..ident }, 640), (Ident { base: 41, ..ident }, 640)];
    for (other, position) in elsewhere {
        assert!(!other.check_batch(&block, position));
        assert!(Marker::read_at(&other, &marker, position).is_none());
        assert!(other.check_footer(&footer, position).is_none());
        assert!(other.check_header(&ident.header(0)).is_err() || position != 640);
    }
}
