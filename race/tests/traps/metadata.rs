//! Metadata that is complete, late or absent.

use super::*;

#[test]
fn without_metadata_there_are_laps_of_one_sector() {
    let rig = fed(&SessionMeta::default(), &steady(1_000.0).frames(0.0, 170.0, 20));
    assert_eq!(rig.numbers(), [2, 3]);
    assert!(rig.laps().iter().all(|l| l.sectors_us == [l.time_us] && l.tags == Tags(0)));
}

#[test]
fn sector_lines_that_move_under_a_lap() {
    let car = steady(1_000.0);
    let mut rig = Rig::new(&practice());
    rig.frames(&car.frames(0.0, 80.0, 20));
    let meta = SessionMeta { sector_starts: vec![0.0, 0.3, 0.5, 0.9], ..practice() };
    rig.race.on_meta(&rig.ctx, &meta, &mut rig.out);
    rig.frames(&car.frames(80.0, 170.0, 20));
    assert_eq!((rig.lap(2).sectors_us.len(), rig.lap(2).tags), (0, Tags::NO_SECTORS));
    assert_eq!((rig.lap(3).sectors_us.len(), rig.lap(3).tags), (4, Tags(0)));
}

#[test]
fn a_team_competes_where_teams_do() {
    let mut race = CarState::new();
    let ctx = common::context(1);
    assert_eq!(race.entry(ctx.driver).as_str(), "driver-1");
    let entry = |slot, team_id| MetaEntry { slot, team_id, ..MetaEntry::default() };
    let mut meta = SessionMeta { team_racing: 1, own_slot: 9, entries: vec![entry(9, 5), entry(ctx.slot, u64::MAX)], ..practice() };
    race.on_meta(&ctx, &meta, &mut Output::default());
    assert_eq!(race.entry(ctx.driver).as_str(), format!("t:{}", u64::MAX));
    meta.team_racing = 0;
    race.on_meta(&ctx, &meta, &mut Output::default());
    assert_eq!(race.entry(ctx.driver).as_str(), "driver-1");
}
