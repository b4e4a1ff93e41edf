//! What reads give, and how much of it at once.

use boxbox_schemas::league::{Digest, Doc, NewAct, Text, Write};
use boxbox_schemas::limits::{LEAGUE_PAGE_BYTES, LEAGUE_PAGE_MAX_ROWS};

use super::samples::*;
use crate::suite::ResultsFixture;
use crate::suite::samples::tenant;
use crate::{Leagues, StoreError};

/// A tenant sees its own leagues and no others, whatever their ids.
pub(crate) async fn tenants_see_only_their_own<F: ResultsFixture>(f: &F) {
    let store = f.open().await;
    let (mine, home) = (tenant("a"), league(1));
    done(&store, &of_everything(0)).await;
    for other in [tenant("b"), tenant("A"), tenant("a-")] {
        assert_eq!(Dump::of(&store, &other, &home).await, Dump::default());
        assert_eq!(store.leagues(&other, None, 9).await.unwrap(), []);
        assert_eq!(store.doc(&other, &home, "entry", "s-1/e-2").await.unwrap(), None);
        assert_eq!(store.texts(&other, &home, &[text(1, "p-1").id]).await.unwrap(), []);
        assert_eq!(store.revision(&other, &home, &of(1), None).await.unwrap(), None);
        assert_eq!(store.facts(&other, &home, &digest(1)).await.unwrap(), None);
        assert_eq!(store.answered(&other, &home, "p-1", "key-0").await.unwrap(), None);
    }
    assert_eq!(Dump::of(&store, &mine, &league(2)).await, Dump::default());
    let before = Dump::of_1(&store).await;
    let theirs = Write { tenant: tenant("b"), ..of_everything(0) };
    done(&store, &theirs).await;
    done(&store, &Write { tenant: tenant("b"), erased: vec![boxbox_schemas::league::Erasure::Owner("p-1".into())], rebuilt: true, ..write(2, 1) })
        .await;
    assert_eq!(Dump::of_1(&store).await, before);
}

/// Revisions are found by number, and the newest without one.
pub(crate) async fn revisions_stay_readable<F: ResultsFixture>(f: &F) {
    let store = f.open().await;
    let (me, home) = (tenant("a"), league(1));
    for n in 0..12 {
        done(&store, &of_everything(n * 2)).await;
    }
    for number in 1..=12 {
        assert_eq!(store.revision(&me, &home, &of(1), Some(number)).await.unwrap(), Some(revision(1, number, u64::from(number) * 2)));
    }
    assert_eq!(store.revision(&me, &home, &of(2), None).await.unwrap(), Some(revision(2, 12, 24)));
    for none in [(of(1), Some(13)), (of(1), Some(0)), (of(3), None), (of(3), Some(1))] {
        assert_eq!(store.revision(&me, &home, &none.0, none.1).await.unwrap(), None);
    }
    let page = store.revisions(&me, &home, Some((&of(1), 9)), 2).await.unwrap();
    assert_eq!(page, [revision(1, 10, 20).info, revision(1, 11, 22).info]);
    let across = store.revisions(&me, &home, Some((&of(2), 11)), 2).await.unwrap();
    assert_eq!(across, [revision(2, 12, 24).info, revision(1, 1, 2).info]);
}

/// Every list goes on behind its last row, however few rows are asked for at once.
pub(crate) async fn lists_go_on_where_they_ended<F: ResultsFixture>(f: &F) {
    let store = f.open().await;
    let (me, home) = (tenant("a"), league(1));
    let docs: Vec<Doc> = (0..7).map(|n| doc(n, 1)).collect();
    let texts: Vec<Text> = (0..7).map(|n| text(n / 2, if n % 2 == 0 { "p-1" } else { "p-2" })).collect();
    done(&store, &Write { docs, texts, ..of_everything(0) }).await;
    for n in 2..5 {
        done(&store, &Write { league: league(n), ..write(0, 1) }).await;
    }
    let all = Dump::of_1(&store).await;
    let ids: Vec<_> = store.leagues(&me, None, 9).await.unwrap().into_iter().map(|(id, _)| id).collect();
    assert_eq!(ids, [league(1), league(2), league(3), league(4)]);
    let mine: Vec<_> = ids.iter().map(|id| (me, *id)).collect();
    let others = tenant("b");
    done(&store, &Write { tenant: others, ..write(0, 1) }).await;
    let everywhere: Vec<_> = mine.iter().copied().chain([(others, home)]).collect();
    assert_eq!(store.of_all_tenants(None, 9).await.unwrap(), everywhere);
    for n in 0..everywhere.len() {
        let expected: Vec<_> = everywhere.iter().skip(n + 1).take(2).copied().collect();
        assert_eq!(store.of_all_tenants(Some(&everywhere[n]), 2).await.unwrap(), expected);
    }
    for limit in 1..4 {
        for n in 0..4 {
            let expected = &ids[n + 1..ids.len().min(n + 1 + limit)];
            let page = store.leagues(&me, Some(&ids[n]), limit as u32).await.unwrap();
            assert_eq!(page.into_iter().map(|(id, _)| id).collect::<Vec<_>>(), expected);
        }
        for n in 0..all.docs.len() {
            let (expected, last) = (all.docs.iter().skip(n + 1).take(limit).cloned(), &all.docs[n]);
            assert_eq!(store.docs(&me, &home, Some((&last.kind, &last.id)), limit as u32).await.unwrap(), expected.collect::<Vec<_>>());
        }
        for n in 0..all.texts.len() {
            let last = &all.texts[n];
            let page = async |owner| store.texts_of(&me, &home, owner, Some((&last.id, &last.owner)), limit as u32).await.unwrap();
            let rest = || all.texts.iter().skip(n + 1).cloned();
            assert_eq!(page(None).await, rest().take(limit).collect::<Vec<_>>());
            assert_eq!(page(Some("p-2")).await, rest().filter(|text| text.owner == "p-2").take(limit).collect::<Vec<_>>());
        }
        assert_eq!(store.acts(&me, &home, 1, limit as u32).await.unwrap(), all.acts[1..]);
    }
    assert_eq!(store.docs(&me, &home, Some(("penalty", "")), 9).await.unwrap().len(), 3, "a kind begins behind the empty id");
    assert_eq!(store.acts(&me, &home, 0, 0).await.unwrap(), []);
    assert_eq!(store.acts(&me, &home, 2, 9).await.unwrap(), []);
}

/// No read gives more rows than the bound, nor goes on once it has given the bytes of a page; a row larger than that alone would be given.
pub(crate) async fn pages_are_bounded<F: ResultsFixture>(f: &F) {
    let store = f.open().await;
    let (me, home) = (tenant("a"), league(1));
    done(&store, &write(0, 1_900)).await;
    let most = LEAGUE_PAGE_MAX_ROWS as usize;
    assert_eq!(store.acts(&me, &home, 0, u32::MAX).await.unwrap().len(), most);
    assert_eq!(store.acts(&me, &home, 1_000, u32::MAX).await.unwrap().len(), 900);
    let ids: Vec<Digest> = (0..=most as u64).map(digest).collect();
    assert!(matches!(store.texts(&me, &home, &ids).await, Err(StoreError::Refused(_))));
    assert_eq!(store.texts(&me, &home, &ids[..most]).await.unwrap(), []);

    // Bodies of 200 KB, of characters of two bytes each: it is bytes that are counted.
    let body = format!("\"{}\"", "é".repeat(100_000));
    let large: Vec<NewAct> = (0..50).map(|n| NewAct { body: body.clone(), ..act(n) }).collect();
    let docs = (0..50).map(|n| Doc { body: body.clone(), ..doc(n * 2, 1_901) }).collect();
    done(&store, &Write { docs, ..Write::of(me, home, 1_900, large) }).await;
    let fit = LEAGUE_PAGE_BYTES.div_ceil(body.len());
    let first = store.acts(&me, &home, 1_900, u32::MAX).await.unwrap();
    assert_eq!(first.len(), fit);
    assert_eq!(store.acts(&me, &home, 1_900 + fit as u64, u32::MAX).await.unwrap().len(), 50 - fit);
    assert_eq!(store.docs(&me, &home, None, u32::MAX).await.unwrap().len(), fit);
    assert_eq!(store.docs(&me, &home, None, 3).await.unwrap().len(), 3);
}
