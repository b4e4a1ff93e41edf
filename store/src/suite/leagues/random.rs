//! Random writes: every backend ends in the same state, with the same outcomes, as the reference.

use boxbox_schemas::league::{Erasure, IdempotencyKey, NewAct, Write};
use fastrand::Rng;

use super::samples::*;
use crate::memory::MemoryResults;
use crate::suite::ResultsFixture;
use crate::suite::samples::tenant;
use crate::{Leagues, check_ledger};

const TENANTS: [&str; 2] = ["a", "b"];

pub(crate) async fn random_writes_are_as_in_the_reference<F: ResultsFixture>(f: &F) {
    let seed = boxbox_testkit::campaign::seed_asked().unwrap_or_else(|| fastrand::u64(..));
    println!("seed {seed}");
    let mut rng = Rng::with_seed(seed);
    let (mut store, reference) = (f.open().await, MemoryResults::new());
    for n in 0..120 {
        let write = random_write(&mut rng, &reference).await;
        let expected = reference.write(&write).await.map_err(|e| e.to_string());
        assert_eq!(store.write(&write).await.map_err(|e| e.to_string()), expected, "write {n}: {write:?}");
        if rng.u8(..) < 10 {
            drop(store);
            store = f.open().await;
        }
    }
    for tenant in TENANTS.map(tenant) {
        let leagues = reference.leagues(&tenant, None, 99).await.unwrap();
        assert_eq!(store.leagues(&tenant, None, 99).await.unwrap(), leagues);
        for (league, head) in leagues {
            assert_eq!(Dump::of(&store, &tenant, &league).await, Dump::of(&reference, &tenant, &league).await);
            assert_eq!(check_ledger(&store, &tenant, &league).await.unwrap(), Ok(head));
        }
    }
}

/// Mostly one that is stored.
async fn random_write(rng: &mut Rng, reference: &MemoryResults) -> Write {
    let (tenant, league) = (tenant(rng.choice(TENANTS).unwrap()), league(rng.u32(1..4)));
    let head = reference.head(&tenant, &league).await.unwrap().unwrap_or_default().seq;
    let expected = if rng.u8(..) < 20 { rng.u64(0..head + 2) } else { head };
    let mut write = Write::of(tenant, league, expected, (0..rng.u64(0..4)).map(|_| random_act(rng)).collect());
    let last = (expected + write.acts.len() as u64).max(1);
    write.docs = (0..rng.u32(0..5)).map(|_| doc(rng.u32(0..8), rng.u64(1..=last))).collect();
    write.rebuilt = rng.u8(..) < 20;
    let owner = |rng: &mut Rng| format!("p-{}", rng.u8(0..4));
    write.texts = (0..rng.u32(0..4)).map(|_| text(rng.u8(0..6), &owner(rng))).collect();
    if rng.u8(..) < 60 {
        write.erased.push(if rng.bool() { Erasure::Owner(owner(rng)) } else { Erasure::Text(text(rng.u8(0..6), "").id) });
    }
    for n in 0..rng.u32(0..3) {
        let newest = reference.revision(&tenant, &league, &of(n), None).await.unwrap().map_or(0, |r| r.info.number);
        let number = if rng.u8(..) < 5 { rng.u32(0..9) } else { newest + 1 };
        write.revisions.push(revision(n, number, rng.u64(1..=last)));
    }
    write.facts = (0..rng.u32(0..3)).map(|_| facts(rng.u64(0..10))).collect();
    if rng.bool() {
        let day = 24 * 3_600_000_000;
        let at_us = AT_US + rng.i64(0..3 * day);
        write.key = Some(IdempotencyKey { at_us, actor: owner(rng), ..key(&format!("k-{}", rng.u8(0..9)), rng.u64(0..2)) });
    }
    write
}

fn random_act(rng: &mut Rng) -> NewAct {
    NewAct {
        at_us: rng.i64(..), body: format!("{{\"n\":\"{}\"}}", rng.choice(["é", "\\u0000", "𝄞", "''", "$1"]).unwrap()), ..act(rng.u64(0..99))
    }
}
