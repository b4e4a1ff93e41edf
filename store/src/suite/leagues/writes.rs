//! What one write stores, and what it refuses.

use boxbox_schemas::league::{Chain, Digest, Erasure, Head, Text, Write, Written};
use boxbox_schemas::limits::{LEAGUE_ACT_MAX_BYTES, LEAGUE_ACTS_PER_WRITE, LEAGUE_KEY_KEPT_US, LEAGUE_TEXT_MAX_BYTES, LEAGUE_WRITE_MAX_BYTES};

use super::samples::*;
use crate::suite::ResultsFixture;
use crate::suite::drop_after;
use crate::suite::samples::tenant;
use crate::{Leagues, StoreError, check_ledger};

/// The first act makes a league, and every act is bound to the one before.
pub(crate) async fn a_league_grows_by_acts<F: ResultsFixture>(f: &F) {
    let store = f.open().await;
    let (me, home) = (tenant("a"), league(1));
    assert_eq!(Dump::of_1(&store).await, Dump::default());
    assert_eq!(store.leagues(&me, None, 9).await.unwrap(), []);
    let (first, second) = (of_everything(0), of_everything(2));
    let mut chain = Chain::new(me, home);
    let mut rows: Vec<_> = first.acts.iter().map(|act| chain.append(act.clone())).collect();
    assert_eq!(done(&store, &first).await, chain.head());
    rows.extend(second.acts.iter().map(|act| chain.append(act.clone())));
    drop(store);
    let store = f.open().await;
    assert_eq!(done(&store, &second).await, chain.head());
    drop(store);
    let store = f.open().await;
    let dump = Dump::of_1(&store).await;
    assert_eq!((dump.head, &dump.acts), (Some(chain.head()), &rows));
    assert_eq!(dump.docs, [doc(2, 3), doc(1, 4)], "a projection replaces the one before");
    assert_eq!(dump.texts.len(), 4);
    assert_eq!(dump.revisions, [revision(2, 1, 2), revision(2, 2, 4), revision(1, 1, 2), revision(1, 2, 4)]);
    assert_eq!(dump.facts, [facts(1), facts(2)]);
    assert_eq!(store.leagues(&me, None, 9).await.unwrap(), [(home, chain.head())]);
    assert_eq!(check_ledger(&store, &me, &home).await.unwrap(), Ok(chain.head()));
}

/// What was computed from another state of the league is not stored, no part of it.
pub(crate) async fn another_head_is_a_conflict<F: ResultsFixture>(f: &F) {
    let store = f.open().await;
    assert_eq!(store.write(&of_everything(4)).await.unwrap(), Written::Conflict(0));
    assert_eq!(store.leagues(&tenant("a"), None, 9).await.unwrap(), [], "what was refused has made no league");
    done(&store, &of_everything(0)).await;
    let before = Dump::of_1(&store).await;
    for expected in [0, 1, 3, 1_000_000] {
        let refused = Write { erased: vec![Erasure::Owner("p-1".into())], rebuilt: true, key: None, ..of_everything(expected) };
        assert_eq!(store.write(&refused).await.unwrap(), Written::Conflict(2));
        assert_eq!(Dump::of_1(&store).await, before);
    }
    done(&store, &of_everything(2)).await;
}

/// Several connections write at once: of those that expect the same head exactly one wins, also when it makes the league.
pub(crate) async fn of_writers_at_once_one_wins<F: ResultsFixture>(f: &F) {
    let mut stores = vec![];
    for _ in 0..3 {
        stores.push(f.open().await);
    }
    for round in 0..8 {
        let write = |n: usize| {
            let (store, mut write) = (&stores[n % stores.len()], of_everything(round * 2));
            write.key = Some(key(&format!("{round}-{n}"), n as u64));
            write.acts[0].body = format!("[{n}]");
            write.docs[0].body = format!("[{n}]");
            async move { store.write(&write).await.unwrap() }
        };
        let written = futures::future::join_all((0..6).map(write)).await;
        let won: Vec<usize> = (0..6).filter(|n| matches!(written[*n], Written::Now(_))).collect();
        assert_eq!(won.len(), 1, "{written:?}");
        assert!(written.iter().enumerate().all(|(n, written)| n == won[0] || *written == Written::Conflict(round * 2 + 2)), "{written:?}");
        let dump = Dump::of_1(&stores[round as usize % 3]).await;
        let told = format!("[{}]", won[0]);
        assert_eq!((&dump.acts[round as usize * 2].body, &dump.docs[1].body), (&told, &told));
    }
    let checked = check_ledger(&stores[0], &tenant("a"), &league(1)).await.unwrap();
    assert_eq!(checked.map(|head| head.seq), Ok(16));
}

/// A request that comes again is answered as the first time, and done once.
pub(crate) async fn a_request_is_done_once<F: ResultsFixture>(f: &F) {
    let store = f.open().await;
    let (me, home) = (tenant("a"), league(1));
    let asked = Write { key: Some(key("k", 7)), ..of_everything(0) };
    done(&store, &asked).await;
    let before = Dump::of_1(&store).await;
    // As a client repeats it, and as it is when the server has read the league again.
    for again in [asked.clone(), Write { key: Some(key("k", 7)), ..of_everything(2) }] {
        assert_eq!(store.write(&again).await.unwrap(), Written::Before("{\"head\":\"k\"}".into()));
    }
    assert_eq!(store.write(&Write { key: Some(key("k", 8)), ..of_everything(2) }).await.unwrap(), Written::KeyReused);
    assert_eq!(Dump::of_1(&store).await, before);
    let answered = async |league, actor, key| store.answered(&me, &league, actor, key).await.unwrap();
    assert_eq!(answered(home, "p-1", "k").await, Some((digest(7), "{\"head\":\"k\"}".into())));
    assert_eq!((answered(home, "p-2", "k").await, answered(home, "p-1", "l").await, answered(league(2), "p-1", "k").await), (None, None, None));
    // Another's key, and one of another league, are other keys.
    let mut others = Write { key: Some(key("k", 8)), ..of_everything(2) };
    others.key.as_mut().unwrap().actor = "p-2".into();
    done(&store, &others).await;
    done(&store, &Write { league: league(2), key: Some(key("k", 9)), ..of_everything(0) }).await;
    // A key is known for a day, and then only until another comes.
    let later = |name: &str, us| Some(boxbox_schemas::league::IdempotencyKey { at_us: AT_US + us, ..key(name, 1) });
    done(&store, &Write { key: later("a-day", LEAGUE_KEY_KEPT_US), ..write(4, 1) }).await;
    assert!(answered(home, "p-1", "k").await.is_some());
    done(&store, &Write { key: later("later", LEAGUE_KEY_KEPT_US + 1), ..write(5, 1) }).await;
    assert_eq!((answered(home, "p-1", "k").await, answered(home, "p-2", "k").await), (None, None));
    assert!(answered(league(2), "p-1", "k").await.is_some());
    assert_eq!(answered(home, "p-1", "a-day").await.map(|(request, _)| request), Some(digest(1)));
}

/// The same request at once on several connections.
pub(crate) async fn a_request_at_once_is_done_once<F: ResultsFixture>(f: &F) {
    let mut stores = vec![];
    for _ in 0..3 {
        stores.push(f.open().await);
    }
    for round in 0..4 {
        let asked = Write { key: Some(key(&format!("k{round}"), round)), ..of_everything(round * 2) };
        let written = futures::future::join_all((0..6).map(|n| stores[n % 3].write(&asked))).await;
        let (now, before): (Vec<Written>, Vec<Written>) =
            written.into_iter().map(Result::unwrap).partition(|written| matches!(written, Written::Now(_)));
        assert_eq!((now.len(), before), (1, vec![Written::Before(format!("{{\"head\":\"k{round}\"}}")); 5]));
    }
    assert_eq!(stores[0].head(&tenant("a"), &league(1)).await.unwrap().map(|head| head.seq), Some(8));
}

/// Every write that is not within the contract is refused as a whole.
pub(crate) async fn refused_writes_change_nothing<F: ResultsFixture>(f: &F) {
    let store = f.open().await;
    let nothing = store.write(&Write { facts: vec![facts(1)], ..write(0, 0) }).await;
    assert!(matches!(nothing, Err(StoreError::Refused(_))), "a league begins with an act");
    done(&store, &of_everything(0)).await;
    let before = Dump::of_1(&store).await;
    type Change = fn(&mut Write);
    let changes: &[(&str, Change)] = &[
        ("actor", |w| w.acts[1].actor = "Zoë".into()),
        ("actor", |w| w.acts[1].actor = String::new()),
        ("actor", |w| w.acts[1].actor = "x".repeat(201)),
        ("kind of an act", |w| w.acts[1].kind = "Entry".into()),
        ("body of an act", |w| w.acts[1].body = "{".into()),
        ("body of an act", |w| w.acts[1].body = format!("\"{}\"", "x".repeat(LEAGUE_ACT_MAX_BYTES))),
        ("acts at once", |w| w.acts = acts(LEAGUE_ACTS_PER_WRITE as u64 + 1)),
        ("kind of a projection", |w| w.docs[1].kind = String::new()),
        ("id of a projection", |w| w.docs[1].id = "a b".into()),
        ("refers to act 5", |w| w.docs[1].seq = 5),
        ("refers to act 0", |w| w.docs[1].seq = 0),
        ("a projection is no JSON", |w| w.docs[1].body = "[1,]".into()),
        ("owner", |w| w.texts[1].owner = "Zoë Müller".into()),
        ("NUL", |w| w.texts[1] = Text::new("p-1", [1; 16], "a\0b")),
        ("a text has", |w| w.texts[1] = Text::new("p-1", [1; 16], "x".repeat(LEAGUE_TEXT_MAX_BYTES + 1))),
        ("id of a text", |w| w.texts[1].salt = [99; 16]),
        ("kind of a revision", |w| w.revisions[1].info.of.kind = "a-b".into()),
        ("state of a revision", |w| w.revisions[1].info.state = "Official".into()),
        ("refers to act 5", |w| w.revisions[1].info.seq = 5),
        ("does not follow revision 1", |w| w.revisions[1].info.number = 1),
        ("does not follow revision 1", |w| w.revisions[1].info.number = 3),
        ("does not follow revision 2", |w| w.revisions[1] = w.revisions[0].clone()),
        ("does not follow revision 0", |w| w.revisions[1].info.of.id = "new".into()),
        ("facts is no JSON", |w| w.facts[1].body = "\u{1}".into()),
        ("idempotency key", |w| w.key.as_mut().unwrap().key = "a key".into()),
        ("answer", |w| w.key.as_mut().unwrap().answer = "x".repeat(1 << 20)),
        ("has no act", |w| {
            w.acts.clear();
            w.docs.clear();
            w.revisions.clear();
            w.ends = Some(Digest::default());
        }),
        ("make it several", |w| w.facts = vec![LargeFacts::facts(); LEAGUE_WRITE_MAX_BYTES / LargeFacts::BYTES + 1]),
        ("more than a ledger can have", |w| w.expected = u64::MAX),
    ];
    for (n, (why, change)) in changes.iter().enumerate() {
        let mut write = of_everything(2);
        change(&mut write);
        let refused = store.write(&write).await;
        assert!(matches!(&refused, Err(StoreError::Refused(text)) if text.contains(why)), "{n} {why}: {refused:?}");
    }
    assert_eq!(Dump::of_1(&store).await, before);
    assert_eq!(store.answered(&tenant("a"), &league(1), "p-1", "key-2").await.unwrap(), None);
    done(&store, &of_everything(2)).await;
}

/// Facts of 6 MB.
struct LargeFacts;

impl LargeFacts {
    const BYTES: usize = 6 << 20;

    fn facts() -> boxbox_schemas::league::StoredFacts {
        boxbox_schemas::league::StoredFacts { body: format!("\"{}\"", "x".repeat(Self::BYTES)), ..facts(1) }
    }
}

/// An export goes into an empty store, and behind its own beginning, with equal hashes; and nowhere else.
pub(crate) async fn imports_keep_their_hashes<F: ResultsFixture>(f: &F) {
    let (me, home, away) = (tenant("a"), league(1), F::new());
    let (from, to) = (f.open().await, away.open().await);
    for n in 0..4 {
        done(&from, &of_everything(n * 2)).await;
    }
    let exported = Dump::of_1(&from).await;
    let import = |from: usize, to: usize| Write::imported(me, home, &exported.acts[from..to]).unwrap();
    assert_eq!(to.write(&import(3, 8)).await.unwrap(), Written::Conflict(0), "the beginning is missing");
    let whole = Write { docs: exported.docs.clone(), texts: exported.texts.clone(), ..import(0, 3) };
    let refused = to.write(&whole).await;
    assert!(refused.is_err(), "a projection that is not of these acts: {refused:?}");
    assert_eq!(done(&to, &import(0, 3)).await, Head { seq: 3, hash: exported.acts[2].hash });
    assert_eq!(to.write(&import(0, 3)).await.unwrap(), Written::Conflict(3), "it is there");
    let rest = Write {
        docs: exported.docs.clone(),
        texts: exported.texts.clone(),
        revisions: exported.revisions.clone(),
        facts: exported.facts.clone(),
        ..import(3, 8)
    };
    done(&to, &rest).await;
    assert_eq!(Dump::of_1(&to).await, exported);
    assert_eq!(check_ledger(&to, &me, &home).await.unwrap(), Ok(exported.head.unwrap()));

    // The same league went another way here.
    let forked = Write { acts: vec![act(77)], ..write(8, 1) };
    done(&from, &forked).await;
    done(&to, &write(8, 1)).await;
    done(&to, &write(9, 1)).await;
    let there = Dump::of_1(&to).await;
    let behind = Write::imported(me, home, &there.acts[9..]).unwrap();
    assert_eq!(from.write(&behind).await.unwrap(), Written::Forked);
    let of_a_new_league = Write { ends: Some(digest(1)), league: league(5), ..write(0, 2) };
    assert_eq!(from.write(&of_a_new_league).await.unwrap(), Written::Forked);
    assert_eq!(from.leagues(&me, None, 9).await.unwrap().len(), 1, "a fork that would make a league makes none");
    done(&from, &Write { league: league(5), ..write(0, 2) }).await;
}

/// Projections can be replaced as a whole, without an act.
pub(crate) async fn projections_are_rebuilt<F: ResultsFixture>(f: &F) {
    let store = f.open().await;
    done(&store, &of_everything(0)).await;
    done(&store, &Write { league: league(2), ..of_everything(0) }).await;
    let before = Dump::of_1(&store).await;
    let later = doc(9, 2);
    let twice = vec![doc(8, 1), later.clone(), doc(8, 2)];
    let head = done(&store, &Write { rebuilt: true, docs: twice, ..write(2, 0) }).await;
    let after = Dump::of_1(&store).await;
    assert_eq!((Some(head), &after.docs), (before.head, &vec![doc(8, 2), later.clone()]), "the later of two with one key stays");
    assert_eq!(after, Dump { docs: after.docs.clone(), ..before });
    assert_eq!(Dump::of(&store, &tenant("a"), &league(2)).await.docs.len(), 2);
    assert_eq!(store.write(&Write { rebuilt: true, ..write(1, 0) }).await.unwrap(), Written::Conflict(2));
    assert_eq!(store.doc(&tenant("a"), &league(1), &later.kind, &later.id).await.unwrap(), Some(later));
    assert_eq!(store.doc(&tenant("a"), &league(1), "entry", "s-1/e-9").await.unwrap(), None);
}

/// Texts are erased by owner and one by one; everything else stays as it is.
pub(crate) async fn texts_are_erased<F: ResultsFixture>(f: &F) {
    let store = f.open().await;
    let (me, home) = (tenant("a"), league(1));
    let texts = vec![text(1, "p-1"), text(1, "p-2"), text(2, "p-1"), text(3, "p-3"), text(4, "p-2")];
    done(&store, &Write { texts: texts.clone(), ..of_everything(0) }).await;
    done(&store, &Write { league: league(2), texts: texts.clone(), ..of_everything(0) }).await;
    let ids: Vec<Digest> = texts.iter().map(|text| text.id).collect();
    let all = async |league| {
        let mut found = store.texts(&me, &league, &ids).await.unwrap();
        found.sort_by_key(|text| (text.salt, text.owner.clone()));
        found
    };
    assert_eq!(all(home).await, texts);
    assert_eq!(store.texts(&me, &home, &[ids[0]]).await.unwrap(), [texts[0].clone(), texts[1].clone()], "it is several owners'");
    let before = Dump::of_1(&store).await;
    let owned = async |owner| store.texts_of(&me, &home, Some(owner), None, 9).await.unwrap().len();
    assert_eq!((owned("p-1").await, owned("p-2").await, owned("p-4").await), (2, 2, 0));
    let erased = vec![Erasure::Owner("p-1".into()), Erasure::Text(ids[3]), Erasure::Owner("nobody".into())];
    done(&store, &Write { erased, ..write(2, 1) }).await;
    assert_eq!(all(home).await, [texts[1].clone(), texts[4].clone()]);
    assert_eq!((owned("p-1").await, owned("p-2").await), (0, 2));
    assert_eq!(all(league(2)).await, texts);
    let after = Dump::of_1(&store).await;
    assert_eq!(after.acts[..2], before.acts);
    assert_eq!((after.docs, after.revisions, after.facts), (before.docs, before.revisions, before.facts));
    // Erased and stored again in one write: it is there.
    done(&store, &Write { erased: vec![Erasure::Owner("p-2".into())], texts: vec![texts[4].clone()], ..write(3, 1) }).await;
    assert_eq!(all(home).await, [texts[4].clone()]);
    assert!(check_ledger(&store, &me, &home).await.unwrap().is_ok());
}

/// A call that is dropped at any moment is whole or did nothing, and locks nobody out.
pub(crate) async fn dropped_writes_are_whole_or_nothing<F: ResultsFixture>(f: &F) {
    let store = f.open().await;
    let mut head = 0;
    for turns in 0..40 {
        drop_after(store.write(&of_everything(head)), turns).await;
        // With the key of the dropped one: it is not done twice.
        match store.write(&of_everything(head)).await.unwrap() {
            Written::Now(_) | Written::Before(_) => head += 2,
            other => panic!("{other:?}"),
        }
        let dump = Dump::of_1(&store).await;
        let newest = |n: usize| dump.revisions.iter().filter(|r| r.info.of == of(n as u32)).count() as u64;
        assert_eq!((dump.acts.len() as u64, newest(1), newest(2)), (head, head / 2, head / 2));
        assert_eq!((dump.head.map(|head| head.seq), dump.docs[1].seq), (Some(head), head));
    }
}
