//! `session.majority` against counting at every moment.

use boxbox_race::timing::{Reports, majority};
use fastrand::Rng;

#[test]
fn it_is_the_count_at_every_moment() {
    let mut held_once = 0;
    for seed in 0..2_000 {
        let rng = &mut Rng::with_seed(seed);
        let clients: Vec<Reports> = (0..rng.usize(1..7))
            .map(|_| {
                let from_us = rng.i64(0..40);
                let until_us = from_us + rng.i64(0..40);
                let mut at: Vec<i64> = (0..rng.usize(0..5)).map(|_| rng.i64(from_us..=until_us)).collect();
                at.sort_unstable();
                Reports { from_us, until_us, changes: at.into_iter().map(|us| (us, rng.bool())).collect() }
            })
            .collect();
        let held = majority(&clients);
        held_once += usize::from(!held.is_empty());
        for us in -1..90 {
            let streaming: Vec<&Reports> = clients.iter().filter(|c| (c.from_us..=c.until_us).contains(&us)).collect();
            let reports = |c: &&&Reports| c.changes.iter().rfind(|(at, _)| *at <= us).is_some_and(|(_, holds)| *holds);
            let holds = 2 * streaming.iter().filter(reports).count() > streaming.len();
            // A span ends in the moment of the report that ends it, or in the last moment of a client.
            let within = held.iter().any(|h| h.from_us <= us && (us < h.until_us || us == h.until_us && h.unseen_end));
            let begins_after_a_client_left = held.iter().any(|h| h.from_us == us);
            assert!(within == holds || within && begins_after_a_client_left, "{seed} at {us}: {clients:?} gives {held:?}");
        }
    }
    assert!(held_once > 500, "{held_once}");
}
