//! `session.majority` against counting at every moment.

use boxbox_race::timing::{Reports, majority};
use boxbox_schemas::DriverId;
use fastrand::Rng;

#[test]
fn it_is_the_count_at_every_moment() {
    let mut held_once = 0;
    for seed in 0..2_000 {
        let rng = &mut Rng::with_seed(seed);
        // Some drivers have several clients.
        let drivers = rng.usize(1..7);
        let clients: Vec<Reports> = (0..rng.usize(1..7))
            .map(|n| {
                let driver = DriverId::new(&format!("driver-{}", n % drivers)).unwrap();
                let from_us = rng.i64(0..40);
                let until_us = from_us + rng.i64(0..40);
                let mut at: Vec<i64> = (0..rng.usize(0..5)).map(|_| rng.i64(from_us..=until_us)).collect();
                at.sort_unstable();
                Reports { driver, from_us, until_us, changes: at.into_iter().map(|us| (us, rng.bool())).collect() }
            })
            .collect();
        let held = majority(&clients);
        held_once += usize::from(!held.is_empty());
        for us in -1..90 {
            let streaming: Vec<&Reports> = clients.iter().filter(|c| (c.from_us..=c.until_us).contains(&us)).collect();
            let last = |c: &Reports| c.changes.iter().rfind(|(at, _)| *at <= us).copied();
            // A driver's word is the newest report of all clients.
            let mut words: std::collections::BTreeMap<DriverId, (i64, usize, bool)> = Default::default();
            for (n, c) in streaming.iter().enumerate() {
                let (at, holds) = last(c).unwrap_or((i64::MIN, false));
                let word = words.entry(c.driver).or_insert((at, n, holds));
                *word = (*word).max((at, n, holds));
            }
            let holds = 2 * words.values().filter(|(.., holds)| *holds).count() > words.len();
            // A span ends in the moment of the report that ends it, or in the last moment of a client.
            let within = held.iter().any(|h| h.from_us <= us && (us < h.until_us || us == h.until_us && h.unseen_end));
            let begins_after_a_client_left = held.iter().any(|h| h.from_us == us);
            assert!(within == holds || within && begins_after_a_client_left, "{seed} at {us}: {clients:?} gives {held:?}");
        }
    }
    assert!(held_once > 500, "{held_once}");
}
