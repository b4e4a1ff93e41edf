//! What every [`Steps`] must do that several processors share (E5b).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use boxbox_schemas::LogId;
use boxbox_schemas::results::Checkpoint;
use parking_lot::Mutex;

use super::ResultsFixture;
use super::samples::*;
use crate::{Lease, Member, Share, Step, Steps, StoreError};

const PARTITIONS: u32 = 8;
/// Far longer than a test takes.
const LONG: Duration = Duration::from_secs(600);
/// Soon over, yet longer than a few calls take on a busy machine.
const SHORT: Duration = Duration::from_millis(700);

fn member(name: &str, ttl: Duration) -> Member {
    Member { name: name.into(), ttl }
}

async fn beat(store: &impl Steps, member: &Member) -> Share {
    store.beat(&log(), PARTITIONS, member).await.unwrap()
}

/// One beat, and what is to be given back is given back at once.
async fn beat_and_give(store: &impl Steps, member: &Member) -> Share {
    let share = beat(store, member).await;
    for partition in &share.give_back {
        let lease = share.leases.iter().find(|l| l.partition == *partition).expect("what is to be given back is owned");
        store.release(lease).await.unwrap();
    }
    share
}

/// A step of one partition.
fn step_of(lease: &Lease, offset: u64) -> Step {
    Step::new(Checkpoint { log: lease.log.clone(), partition: lease.partition, offset, crc: crc(offset) })
}

fn partitions(share: &Share) -> Vec<u32> {
    share.leases.iter().map(|l| l.partition).collect()
}

pub(crate) async fn one_alone_has_everything<F: ResultsFixture>(f: &F) {
    let store = f.open().await;
    assert!(store.shared());
    let me = member("a", LONG);
    let share = beat(&store, &me).await;
    assert_eq!(partitions(&share), (0..PARTITIONS).collect::<Vec<_>>());
    assert_eq!((share.members, &share.give_back), (1, &vec![]));
    for lease in &share.leases {
        assert_eq!(store.load(lease).await.unwrap().checkpoint, None);
        store.commit(lease, &step_of(lease, 1)).await.unwrap();
    }
    assert_eq!(beat(&store, &me).await, share, "who has its share keeps its leases as they are");
}

/// Who comes gets its part as soon as the others have given it back; a lease that was given back is fenced once it is taken.
pub(crate) async fn who_comes_gets_a_fair_share<F: ResultsFixture>(f: &F) {
    let (one, two) = (f.open().await, f.open().await);
    let (a, b) = (member("a", LONG), member("b", LONG));
    let all = beat(&one, &a).await;
    let nothing = beat(&two, &b).await;
    assert_eq!((nothing.leases.len(), nothing.members), (0, 2), "what is in use is not taken");
    let share = beat(&one, &a).await;
    assert_eq!((share.leases.len(), share.give_back.len()), (8, 4), "it has them until it gives them back");
    assert_eq!(beat(&one, &a).await, share, "and the next beat says so again");
    let given: Vec<Lease> = share.leases.iter().filter(|l| share.give_back.contains(&l.partition)).cloned().collect();
    for lease in &given {
        one.commit(lease, &step_of(lease, 1)).await.unwrap();
        one.release(lease).await.unwrap();
    }
    let half = beat(&two, &b).await;
    assert_eq!(partitions(&half), given.iter().map(|l| l.partition).collect::<Vec<_>>());
    for (old, new) in given.iter().zip(&half.leases) {
        assert_eq!(new.epoch, old.epoch + 1);
        assert!(matches!(one.commit(old, &step_of(old, 2)).await, Err(StoreError::Fenced { .. })));
        assert_eq!(two.load(new).await.unwrap().checkpoint, Some(step_of(old, 1).checkpoint));
        two.commit(new, &step_of(new, 2)).await.unwrap();
    }
    let kept = beat(&one, &a).await;
    assert_eq!((kept.leases.len(), kept.give_back.len()), (4, 0));
    assert!(kept.leases.iter().all(|l| all.leases.contains(l)), "what stays is not disturbed");
}

pub(crate) async fn who_is_silent_loses_what_it_had<F: ResultsFixture>(f: &F) {
    let (one, two) = (f.open().await, f.open().await);
    let (a, b) = (member("a", SHORT), member("b", LONG));
    let had = beat(&one, &a).await;
    assert_eq!(had.leases.len(), 8);
    assert_eq!(beat(&two, &b).await.members, 2, "alive for as long as its lease says");
    tokio::time::sleep(SHORT + Duration::from_millis(50)).await;
    let lease = &had.leases[0];
    one.commit(lease, &step_of(lease, 1)).await.expect("nobody has taken it yet");
    let taken = beat(&two, &b).await;
    assert_eq!((taken.leases.len(), taken.members), (8, 1));
    for (old, new) in had.leases.iter().zip(&taken.leases) {
        assert_eq!(new.epoch, old.epoch + 1);
        assert!(matches!(one.commit(old, &step_of(old, 2)).await, Err(StoreError::Fenced { .. })));
        assert!(matches!(one.load(old).await, Err(StoreError::Fenced { .. })));
    }
    // It comes back, and is one among two.
    let a = member("a", LONG);
    assert_eq!(beat(&one, &a).await.leases, []);
    beat_and_give(&two, &b).await;
    assert_eq!(beat(&one, &a).await.leases.len(), 4);
}

pub(crate) async fn who_leaves_frees_everything_at_once<F: ResultsFixture>(f: &F) {
    let (one, two) = (f.open().await, f.open().await);
    let (a, b) = (member("a", LONG), member("b", LONG));
    let had = beat(&one, &a).await;
    beat(&two, &b).await;
    one.leave(&log(), &a).await.unwrap();
    one.leave(&log(), &a).await.expect("who is gone may leave again");
    let taken = beat(&two, &b).await;
    assert_eq!((taken.leases.len(), taken.members), (8, 1));
    assert!(taken.leases.iter().zip(&had.leases).all(|(new, old)| new.epoch == old.epoch + 1));
}

pub(crate) async fn giving_back_what_is_lost_changes_nothing<F: ResultsFixture>(f: &F) {
    let (one, two) = (f.open().await, f.open().await);
    let (a, b) = (member("a", LONG), member("b", LONG));
    let had = beat(&one, &a).await;
    one.leave(&log(), &a).await.unwrap();
    let taken = beat(&two, &b).await;
    for lease in &had.leases {
        one.release(lease).await.unwrap();
    }
    one.release(&Lease { log: LogId("another".into()), partition: 1, epoch: 1 }).await.expect("nor what never was");
    assert_eq!(beat(&two, &b).await, taken);
}

/// A tool takes a partition without beating, even if it has an owner; the owner is fenced, and may take it back with its next beat.
pub(crate) async fn acquiring_takes_from_any_owner<F: ResultsFixture>(f: &F) {
    let (one, two) = (f.open().await, f.open().await);
    let a = member("a", LONG);
    let had = beat(&one, &a).await.leases[2].clone();
    let taken = two.acquire(&log(), 2).await.unwrap();
    assert_eq!(taken.epoch, had.epoch + 1);
    assert!(matches!(one.commit(&had, &step_of(&had, 1)).await, Err(StoreError::Fenced { .. })));
    two.commit(&taken, &step_of(&taken, 1)).await.unwrap();
    let again = beat(&one, &a).await;
    assert_eq!((again.leases.len(), again.leases[2].epoch), (8, taken.epoch + 1));
    assert!(matches!(two.commit(&taken, &step_of(&taken, 2)).await, Err(StoreError::Fenced { .. })));
    one.commit(&again.leases[2], &step_of(&taken, 2)).await.unwrap();
}

pub(crate) async fn logs_are_shared_apart<F: ResultsFixture>(f: &F) {
    let store = f.open().await;
    let a = member("a", LONG);
    let other = LogId("another".into());
    assert_eq!(beat(&store, &a).await.leases.len(), 8);
    let elsewhere = store.beat(&other, 3, &member("b", LONG)).await.unwrap();
    assert_eq!((partitions(&elsewhere), elsewhere.members), (vec![0, 1, 2], 1));
    assert_eq!(beat(&store, &a).await.members, 1);
    store.leave(&other, &a).await.unwrap();
    assert_eq!(beat(&store, &a).await.leases.len(), 8);
}

/// Many beat, give back, leave and come again at once: no lease is ever two members', and soon all have as many.
pub(crate) async fn many_at_once_never_share_a_partition<F: ResultsFixture>(f: &F) {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let holders: Arc<Mutex<BTreeMap<(u32, u64), String>>> = Arc::default();
    let mut stores = vec![];
    for _ in 0..5 {
        stores.push(f.open().await);
    }
    let everybody = stores.iter().enumerate().map(|(n, store)| {
        let holders = holders.clone();
        async move {
            let mut rng = fastrand::Rng::with_seed(seed ^ n as u64);
            for start in 0..4 {
                let me = member(&format!("m{n}.{start}"), LONG);
                for _ in 0..rng.u32(1..12) {
                    let share = beat_and_give(store, &me).await;
                    for lease in share.leases {
                        let mut holders = holders.lock();
                        let holder = holders.entry((lease.partition, lease.epoch)).or_insert_with(|| me.name.clone());
                        assert_eq!(*holder, me.name, "{lease:?} is two members'");
                    }
                    tokio::time::sleep(Duration::from_micros(rng.u64(0..500))).await;
                }
                if start < 3 {
                    store.leave(&log(), &me).await.unwrap();
                }
            }
        }
    });
    futures::future::join_all(everybody).await;
    let last: Vec<Member> = (0..5).map(|n| member(&format!("m{n}.3"), LONG)).collect();
    let mut shares = vec![];
    // A partition that a member is to give back waits for the next beat of a member that lacks one.
    for _ in 0..8 {
        shares.clear();
        for (store, me) in stores.iter().zip(&last) {
            shares.push(beat_and_give(store, me).await);
        }
    }
    let mut counts: Vec<usize> = shares.iter().map(|s| s.leases.len()).collect();
    counts.sort_unstable();
    assert_eq!(counts, [1, 1, 2, 2, 2]);
    println!("{} leases were given", holders.lock().len());
}

/// A beat dropped at any moment is stored whole or not at all, and the next beat is not locked out.
pub(crate) async fn dropped_beats_lock_nobody_out<F: ResultsFixture>(f: &F) {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut rng = fastrand::Rng::with_seed(seed);
    let (one, two) = (f.open().await, f.open().await);
    let (a, b) = (member("a", LONG), member("b", LONG));
    for _ in 0..200 {
        let log = log();
        match rng.u8(0..3) {
            0 => super::drop_after(one.beat(&log, PARTITIONS, &a), rng.u32(0..100)).await,
            1 => super::drop_after(one.leave(&log, &a), rng.u32(0..100)).await,
            _ => super::drop_after(one.release(&Lease { log, partition: 1, epoch: rng.u64(1..9) }), rng.u32(0..100)).await,
        }
        let share = tokio::time::timeout(Duration::from_secs(60), beat_and_give(&two, &b)).await.expect("no lock is left");
        assert!((1..=2).contains(&share.members));
    }
    one.leave(&log(), &a).await.unwrap();
    assert_eq!(beat(&two, &b).await.leases.len(), 8);
}
