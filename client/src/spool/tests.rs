//! The files under every kind of damage: what is recovered is a prefix, what is missing is a gap of exactly that range.

use std::path::PathBuf;

use super::disk::{Disk, Recovered};
use super::*;
use crate::observe::StreamName;
use crate::queue::{Body, Entry, Wanted};
use boxbox_schemas::event::GapReason;
use boxbox_schemas::record::{Kind, Prelude};
use boxbox_schemas::{RunId, Sim, Source};
use boxbox_testkit::frames::{opaque, prelude};
use bytes::Bytes;
use proptest::prelude::*;

const MIB: u64 = 1 << 20;

fn name(run: u8) -> StreamName {
    StreamName { run: RunId([run; 16]), source: Source { sim: Sim::SYNTHETIC, id: 5, session_num: 1 } }
}

/// A record of `count` numbers with a payload that nothing looks into.
fn sealed(name: &StreamName, first_seq: u64, count: u16) -> Bytes {
    opaque(&Prelude { count, ..prelude(Kind::CAR, name.run, name.source, first_seq) }, 200)
}

/// A spool with `records` records of 5 numbers each, in one go each.
fn filled(dir: &Path, max_bytes: u64, records: u64) -> Disk {
    let (mut disk, recovered) = Disk::open(dir, max_bytes).unwrap();
    assert_eq!(recovered, []);
    for n in 0..records {
        disk.append(0, name(1), n * 5, n * 5 + 5, &[sealed(&name(1), n * 5, 5)]).unwrap();
    }
    disk
}

/// Everything from `from` to `until`, in small bites.
fn read_all(disk: &mut Disk, from: u64, until: u64) -> Vec<Entry> {
    let (mut at, mut all) = (from, vec![]);
    while at < until {
        let entries = disk.read(0, Wanted { from: at, until, max_bytes: 4_000 }).unwrap();
        assert!(!entries.is_empty(), "no progress at {at}");
        for entry in entries {
            assert_eq!(entry.first, at, "no holes");
            at = entry.next;
            all.push(entry);
        }
    }
    assert_eq!(at, until);
    all
}

fn only_file(dir: &Path) -> PathBuf {
    let stream = std::fs::read_dir(dir).unwrap().next().unwrap().unwrap().path();
    stream.join("000000000000.rec")
}

#[test]
fn what_was_written_is_read_back_byte_for_byte() {
    let dir = tempfile::tempdir().unwrap();
    drop(filled(dir.path(), 64 * MIB, 2_000));
    let (mut disk, recovered) = Disk::open(dir.path(), 64 * MIB).unwrap();
    assert_eq!(recovered, [Recovered { id: 0, name: name(1), acked: 0, next: 10_000, bytes: disk.bytes() }]);
    for (n, entry) in read_all(&mut disk, 0, 10_000).iter().enumerate() {
        assert_eq!(entry.body, Body::Record { bytes: sealed(&name(1), n as u64 * 5, 5), frames: 5 });
    }
    disk.note_ack(0, 3_000).unwrap();
    disk.acked(0, 3_000);
    let (_, recovered) = Disk::open(dir.path(), 64 * MIB).unwrap();
    assert_eq!((recovered[0].acked, recovered[0].next), (3_000, 10_000));
    disk.forget(0).unwrap();
    assert_eq!((disk.bytes(), std::fs::read_dir(dir.path()).unwrap().count()), (0, 0));
}

/// A process may die while it writes: whatever byte the file ends at, the whole records before it are recovered.
#[test]
fn cut_at_every_byte_leaves_a_prefix() {
    let dir = tempfile::tempdir().unwrap();
    let whole: Vec<u8> = (0..3).flat_map(|n| sealed(&name(1), n, 1)).collect();
    let length = whole.len() / 3;
    for cut in 0..=whole.len() {
        drop(filled(dir.path(), MIB, 1));
        std::fs::write(only_file(dir.path()), &whole[..cut]).unwrap();
        let (mut disk, recovered) = Disk::open(dir.path(), MIB).unwrap();
        let records = cut / length;
        assert_eq!(recovered.first().map_or(0, |l| l.next), records as u64, "cut at {cut}");
        assert_eq!(disk.bytes(), (records * length) as u64);
        if records > 0 {
            assert!(read_all(&mut disk, 0, records as u64).iter().all(|e| matches!(e.body, Body::Record { .. })));
            // The rest is gone from the file too.
            assert_eq!(std::fs::metadata(only_file(dir.path())).unwrap().len(), disk.bytes());
        }
        disk.forget(0).unwrap();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    /// Damage costs the records it touches: before the end each becomes a gap of exactly their range, at the end they are cut.
    #[test]
    fn damage_is_a_gap_of_exactly_what_it_touches(hits in proptest::collection::vec((any::<prop::sample::Index>(), 1usize..3_000, any::<u8>()), 1..4)) {
        const RECORDS: usize = 20;
        let dir = tempfile::tempdir().unwrap();
        drop(filled(dir.path(), MIB, RECORDS as u64));
        let path = only_file(dir.path());
        let mut bytes = std::fs::read(&path).unwrap();
        let (length, before) = (bytes.len() / RECORDS, bytes.clone());
        for (at, run, value) in hits {
            let at = at.index(bytes.len());
            let end = (at + run).min(bytes.len());
            bytes[at..end].fill(value);
        }
        std::fs::write(&path, &bytes).unwrap();
        let sound: Vec<bool> = (0..RECORDS).map(|n| bytes[n * length..(n + 1) * length] == before[n * length..(n + 1) * length]).collect();
        let end = sound.iter().rposition(|s| *s).map_or(0, |n| n + 1);
        let (mut disk, recovered) = Disk::open(dir.path(), MIB).unwrap();
        prop_assert_eq!(recovered.first().map_or(0, |l| l.next), end as u64 * 5);
        let mut touched = vec![true; RECORDS];
        for entry in read_all(&mut disk, 0, end as u64 * 5) {
            match entry.body {
                Body::Record { bytes, .. } => {
                    let n = entry.first as usize / 5;
                    prop_assert_eq!(&bytes[..], &before[n * length..(n + 1) * length]);
                    touched[n] = false;
                }
                Body::Gap(reason) => prop_assert_eq!(reason, GapReason::SPOOL_DAMAGED),
            }
        }
        prop_assert_eq!(touched, sound.iter().map(|s| !s).collect::<Vec<_>>());
    }
}

#[test]
fn a_lost_segment_is_a_gap_of_its_range() {
    let dir = tempfile::tempdir().unwrap();
    let mut disk = filled(dir.path(), MIB, 300);
    let stream = std::fs::read_dir(dir.path()).unwrap().next().unwrap().unwrap().path();
    let mut files: Vec<_> = std::fs::read_dir(stream).unwrap().map(|e| e.unwrap().path()).collect();
    files.sort();
    assert!(files.len() >= 4, "a spool of 1 MiB has segments of 64 KiB");
    std::fs::remove_file(&files[1]).unwrap();
    let first = |p: &Path| u64::from_str_radix(p.file_stem().unwrap().to_str().unwrap(), 16).unwrap();
    let gaps: Vec<_> = read_all(&mut disk, 0, 1_500).into_iter().filter(|e| e.len() == 0).collect();
    assert_eq!(gaps, [Entry::gap(first(&files[1]), first(&files[2]), GapReason::SPOOL_DAMAGED)]);
}

/// W8: full means that the oldest goes, of the oldest stream first, and the range is known exactly.
#[test]
fn a_full_spool_drops_the_oldest_segments() {
    let dir = tempfile::tempdir().unwrap();
    let mut disk = filled(dir.path(), MIB, 500);
    let record = sealed(&name(2), 0, 5);
    let (mut next, mut lost_upto) = (0, 0);
    while lost_upto < 1_000 {
        for (id, upto) in disk.make_room(record.len() as u64) {
            assert_eq!(id, 0, "the older stream loses first");
            assert!(upto > lost_upto);
            lost_upto = upto;
        }
        disk.append(1, name(2), next, next + 5, &[sealed(&name(2), next, 5)]).unwrap();
        next += 5;
        assert!(disk.bytes() <= MIB);
    }
    let gap = disk.read(0, Wanted { from: 0, until: 2_500, max_bytes: 1 }).unwrap();
    assert_eq!(gap, [Entry::gap(0, lost_upto, GapReason::SPOOL_FULL)]);
    assert!(read_all(&mut disk, lost_upto, 2_500).iter().all(|e| e.len() > 0));
}

#[test]
fn a_torn_note_of_acks_is_none() {
    let dir = tempfile::tempdir().unwrap();
    let mut disk = filled(dir.path(), MIB, 10);
    disk.note_ack(0, 25).unwrap();
    let note = only_file(dir.path()).with_file_name("acked");
    let mut bytes = std::fs::read(&note).unwrap();
    bytes[2] ^= 1;
    std::fs::write(&note, bytes).unwrap();
    assert_eq!(Disk::open(dir.path(), MIB).unwrap().1[0].acked, 0);
}

fn connect(driver: &str, pins: &[u8]) -> ConnectString {
    use boxbox_schemas::grant::{Grant, SigningKey};
    use boxbox_schemas::{DriverId, GrantId, TenantId};
    let grant = Grant {
        id: GrantId([1; 16]),
        tenant: TenantId::new("league").unwrap(),
        driver: DriverId::new(driver).unwrap(),
        abilities: Default::default(),
        event: None,
        expires: 0,
    };
    let grant = SigningKey::generate().unwrap().sign(&grant).unwrap();
    ConnectString { grant, host: "h".into(), port: 1, pins: pins.iter().map(|p| [*p; 32]).collect() }
}

/// One folder for each server, tenant and driver: another grant and another key of the server are the same, a driver is not.
#[test]
fn whose_folder_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let folder = |connect: &ConnectString| folder::open(dir.path(), connect).unwrap().0;
    let first = folder(&connect("max", &[1]));
    assert_eq!(folder(&connect("max", &[1])), first, "a new grant");
    assert_eq!(folder(&connect("max", &[1, 2])), first, "a rotation begins");
    assert_eq!(folder(&connect("max", &[2])), first, "and ends");
    assert_ne!(folder(&connect("max", &[3])), first, "another server");
    assert_ne!(folder(&connect("lewis", &[1])), first, "another driver");
    let text = std::fs::read_to_string(first.join("about.json")).unwrap();
    assert!(text.contains("league / max") && !text.contains("v4.public"));
    #[cfg(unix)]
    for (path, mode) in [(first.join("about.json"), 0o600), (first.join("lock"), 0o600), (first, 0o700)] {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, mode, "{}", path.display());
    }
}

#[test]
fn a_spool_has_one_user() {
    let dir = tempfile::tempdir().unwrap();
    let held = open(dir.path(), &connect("max", &[1]), MIB).unwrap();
    let Err(error) = open(dir.path(), &connect("max", &[1]), MIB) else { panic!("two users") };
    assert!(error.to_string().contains("in use by another process"), "{error}");
    assert!(open(dir.path(), &connect("lewis", &[1]), MIB).is_ok());
    drop(held);
    assert!(open(dir.path(), &connect("max", &[1]), MIB).is_ok());
}

#[test]
fn what_is_left_is_listed_sent_elsewhere_or_deleted() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(kept(&dir.path().join("none")).unwrap(), [], "no folder, no spool");
    let fill = |connect: &ConnectString, records: u64| {
        let mut files = open(dir.path(), connect, MIB).unwrap();
        for n in 0..records {
            files.disk.append(0, name(1), n * 5, n * 5 + 5, &[sealed(&name(1), n * 5, 5)]).unwrap();
        }
        files
    };
    let (max, empty) = (fill(&connect("max", &[1]), 3), fill(&connect("lewis", &[1]), 0));
    drop(empty);
    let list = || kept(dir.path()).unwrap();
    assert_eq!(list().iter().map(|spool| (spool.owner.as_str(), spool.unacked)).collect::<Vec<_>>(), [("league / max", None)], "it is in use");
    assert!(matches!(delete(&list()[0]), Err(SpoolError::InUse(_))));
    drop(max);
    let spool = list().remove(0);
    assert_eq!((spool.unacked, spool.addresses.clone(), spool.pins.len()), (Some((1, 15)), vec!["h:1".to_owned()], 1));
    assert!(spool.bytes > 0 && spool.changed.is_some());
    // A description of the version before has no addresses.
    let about = spool.folder.join("about.json");
    let old = serde_json::json!({ "owner": spool.owner, "pins": spool.pins });
    std::fs::write(&about, old.to_string()).unwrap();
    assert_eq!(list()[0].addresses, Vec::<String>::new());

    // Another server with another key: its pin is noted, and the streams are there.
    let elsewhere = ConnectString { host: "elsewhere".into(), ..connect("max", &[9]) };
    assert!(matches!(open_kept(&spool.folder, &connect("lewis", &[1]), MIB), Err(SpoolError::Foreign { .. })));
    assert!(matches!(open_kept(dir.path(), &elsewhere, MIB), Err(SpoolError::Unknown(_))));
    let opened = open_kept(&spool.folder, &elsewhere, MIB).unwrap();
    assert_eq!(opened.recovered.len(), 1);
    drop(opened);
    assert_eq!((list()[0].addresses.clone(), list()[0].pins.len()), (vec!["elsewhere:1".to_owned()], 2));
    delete(&list()[0]).unwrap();
    assert_eq!(list(), []);
    assert!(!spool.folder.exists());
}

/// A crash of the machine, or a person, may leave nothing of a description, or rubbish.
#[test]
fn a_spool_without_a_readable_description_is_listed_and_deleted_and_goes_on_for_its_driver() {
    for damage in [Some(""), Some("{"), Some("[]"), Some("{\"pins\":[]}"), Some("\0\0\0"), None] {
        let dir = tempfile::tempdir().unwrap();
        for (driver, records) in [("max", 3), ("lewis", 2)] {
            let mut files = open(dir.path(), &connect(driver, &[1]), MIB).unwrap();
            for n in 0..records {
                files.disk.append(0, name(1), n * 5, n * 5 + 5, &[sealed(&name(1), n * 5, 5)]).unwrap();
            }
        }
        // Beside spools there may be anything.
        std::fs::create_dir(dir.path().join("notes")).unwrap();
        std::fs::write(dir.path().join("notes.txt"), "").unwrap();
        let list = || kept(dir.path()).unwrap();
        let hurt = list().into_iter().find(|spool| spool.owner == "league / max").unwrap();
        match damage {
            Some(text) => std::fs::write(hurt.folder.join("about.json"), text).unwrap(),
            None => std::fs::remove_file(hurt.folder.join("about.json")).unwrap(),
        }
        let found = list().into_iter().find(|spool| spool.name == hurt.name).unwrap_or_else(|| panic!("{damage:?}: not listed"));
        assert_eq!((found.owner.as_str(), found.unacked, found.bytes), ("an unknown driver", Some((1, 15)), hurt.bytes), "{damage:?}");
        assert_eq!(list().len(), 2, "{damage:?}");
        // Another driver does not get the records. The driver for whom the spool was made does, if nothing else is known of it.
        assert!(matches!(open_kept(&hurt.folder, &connect("lewis", &[1]), MIB), Err(SpoolError::Damaged(_))), "{damage:?}");
        assert_eq!(open_kept(&hurt.folder, &connect("max", &[1]), MIB).unwrap().recovered.len(), 1, "{damage:?}");
        assert!(list().iter().any(|spool| spool.owner == "league / max"), "{damage:?}");
        std::fs::write(hurt.folder.join("about.json"), damage.unwrap_or_default()).unwrap();
        delete(&found).unwrap();
        assert_eq!(list().iter().map(|spool| spool.owner.as_str()).collect::<Vec<_>>(), ["league / lewis"], "{damage:?}");
    }
}
