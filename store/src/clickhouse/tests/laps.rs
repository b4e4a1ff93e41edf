//! Laps for seasons: each there once, as it is now, however often it was copied.

use boxbox_schemas::meta::{MetaEntry, SessionMeta};
use clickhouse::Row;
use serde::Deserialize;

use super::fixture::Fixture;
use crate::suite::ArchiveFixture;
use crate::suite::samples::*;
use crate::{Archive, Lease, Step, Steps};

#[derive(Row, Deserialize, PartialEq, Debug)]
struct Found {
    entry: String,
    number: u32,
    revision: u32,
    sectors_us: Vec<i64>,
    fuel_l: Option<f32>,
    track: String,
    car: String,
    class: String,
}

async fn laps(f: &Fixture) -> Vec<(u32, u32)> {
    let sql = "SELECT entry, number, revision, sectors_us, fuel_l, track, car, class FROM laps FINAL ORDER BY entry, number";
    let found: Vec<Found> = f.server().rows(f.server().client.query_raw(sql)).await.unwrap();
    for lap in &found {
        assert_eq!((lap.entry.as_str(), lap.track.as_str()), ("entry-1", "phillipisland"));
        assert_eq!((lap.car.as_str(), lap.class.as_str()), ("fia f4\0", "F4"));
        assert_eq!((lap.sectors_us.as_slice(), lap.fuel_l), (&[29_786_600, 28_242_800, 34_526_700][..], Some(17.5)));
    }
    found.iter().map(|lap| (lap.number, lap.revision)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn laps_are_copied_as_they_are() {
    let Some(f) = Fixture::start("laps_are_copied_as_they_are").await else { return };
    let (results, archive) = (f.results().await, f.open().await);
    let lease = results.acquire(&log(), 3).await.unwrap();
    let mut info = session(tenant("a"), 1);
    let car = MetaEntry { slot: 7, car_name: "fia f4\0".into(), class_name: "F4".into(), ..MetaEntry::default() };
    info.meta = Some(SessionMeta { track_name: "phillipisland".into(), entries: vec![car], ..random_meta(&mut fastrand::Rng::new()) });
    let lap_of = |number: u32, revision: u32| boxbox_schemas::results::Lap { fuel_l: Some(17.5), ..lap(info.id, entry(1), number, revision) };
    let commit = async |offset: u64, laps: &[(u32, u32)], withdrawn: &[u32]| {
        let step = Step {
            sessions: vec![info.clone()],
            laps: laps.iter().map(|(number, revision)| lap_of(*number, *revision)).collect(),
            withdrawn: withdrawn.iter().map(|number| (info.id, entry(1), *number)).collect(),
            ..Step::new(checkpoint(offset))
        };
        results.commit(&lease, &step).await.unwrap();
    };
    assert_eq!(archive.export_laps(&lease).await.unwrap(), 0);
    commit(1, &[(1, 1), (2, 1), (3, 1)], &[]).await;
    commit(2, &[(1, 2)], &[3]).await;
    // The answer of a copy is lost before what was copied is noted: it is copied again.
    f.sql("CREATE TABLE outbox_then AS SELECT * FROM lap_outbox").await;
    assert_eq!(archive.export_laps(&lease).await.unwrap(), 5);
    assert_eq!(laps(&f).await, [(1, 2), (2, 1)]);
    commit(5, &[(2, 2)], &[]).await;
    assert_eq!(archive.export_laps(&lease).await.unwrap(), 1);
    f.sql("INSERT INTO lap_outbox SELECT * FROM outbox_then").await;
    assert_eq!(archive.export_laps(&lease).await.unwrap(), 5);
    assert_eq!(archive.export_laps(&lease).await.unwrap(), 0);
    assert_eq!(laps(&f).await, [(1, 2), (2, 2)]);
    commit(6, &[], &[1, 2]).await;
    archive.export_laps(&lease).await.unwrap();
    assert_eq!(laps(&f).await, []);
    let elsewhere = Lease { partition: 4, epoch: 1, ..lease };
    assert_eq!(archive.export_laps(&elsewhere).await.unwrap(), 0);
}
