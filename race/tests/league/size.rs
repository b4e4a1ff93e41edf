//! A season of 24 events with 60 cars and 3 sessions each: the whole of it is computed again after every act, so it must be quick. `--nocapture`
//! shows how long it takes.

use std::time::Instant;

use boxbox_race::league::{Facts, Role, Subject, TeamSet, tables};

use crate::world::{F1, World, car, id};

#[test]
fn a_season_of_24_events_60_cars_and_3_sessions_is_computed_again() {
    let rules =
        F1.replace(r#""season": {"#, r#""sprint": {"table": [8, 7, 6, 5, 4, 3, 2, 1]}, "qualifying": {"table": [1]}, "season": {"drop": 2, "#);
    let mut world = World::new(&rules);
    world.class("x").championship("teams", |set| set.subject = Subject::Team).championship("cup", |set| set.classes = vec![id("x")]);
    let names: Vec<String> = (0..60).map(|n| format!("d{n}")).collect();
    for (at, name) in names.iter().enumerate() {
        let team = format!("t{}", at / 2);
        if at % 2 == 0 {
            world.act(TeamSet { team: id(&team), name: None });
        }
        let class = if at % 3 == 0 { "x" } else { "c" };
        world.person(name, &[name]).entry(name, None, &[name], |of| (of.class, of.team) = (id(class), Some(id(&team))));
    }
    for event in 0..24u32 {
        let slug = format!("e{event}");
        world.event(&slug, event + 1, |_| {});
        for (role, part) in [(Role::Qualifying, "q"), (Role::Sprint, "s"), (Role::Feature, "f")] {
            let cars = names.iter().enumerate().map(|(at, name)| {
                let place = (at as u32 * 37 + event * 11) % 60;
                let mut car = car(name, 20 - place / 20, 1_800 + i64::from(place));
                (car.best_lap_us, car.crossings_us) = (Some(90_000_000 + i64::from(place) * 1_000), (1..=20).map(|lap| lap * 90_000_000).collect());
                car
            });
            world.session(&format!("{slug}-{part}"), &slug, role, Facts::of(cars.collect(), Some(20), true)).bind(&format!("{slug}-{part}"));
        }
    }
    world.penalty("p", "e3-f", "d7", boxbox_race::league::Sanction::Time { us: 5_000_000 });
    let began = Instant::now();
    let results = world.results();
    let made = began.elapsed();
    let tables = tables(&world.league, id("s"), &results);
    let all = began.elapsed();
    let digests = results.values().map(|result| result.digest()).chain(tables.iter().map(|table| table.digest())).count();
    println!("results {made:?}, with tables {all:?}, with {digests} digests {:?}", began.elapsed());
    assert_eq!((results.len(), tables.len(), tables[1].lines.len()), (72, 3, 60));
    let scored: boxbox_race::scoring::Points = tables[1].lines.iter().map(|line| line.gross.clone()).sum();
    assert_eq!(scored, (24 * 2 * (101 + 36 + 1)).into(), "every place of every session is filled, in both classes");
}
