//! The behaviour of every results store with rows of any kind.

use boxbox_schemas::results::{AnyRow, PitVisit, Row, RowHead, SessionInfo};

use super::ResultsFixture;
use super::results::owner;
use super::samples::*;
use crate::{Sessions, Step, Steps};

/// A session's rows of a kind, as readers have them.
pub(super) async fn stored_rows<T: Row>(store: &impl Sessions, home: &SessionInfo) -> Vec<T> {
    crate::rows_of(store, &home.tenant, &home.id).await.unwrap()
}

/// Of each kind a row that is shown and one that is not, in order of keys.
pub(super) fn shown_and_not(home: &SessionInfo) -> Vec<AnyRow> {
    let gone = |row: AnyRow| AnyRow { head: RowHead { superseded: true, ..row.head }, ..row };
    let at = |tick| {
        [vec![newer(home.id, 1, tick)], rows(&[visit(home.id, 1, tick)]), rows(&[incident(home.id, 1, tick)]), rows(&[flag(home.id, 1, tick)])]
    };
    let mut all: Vec<AnyRow> = at(10).concat().into_iter().chain(at(20).concat().into_iter().map(gone)).collect();
    all.sort_by_key(|row| (row.head.key, row.kind));
    all
}

/// A row of a newer version is kept as it is and given back, and a reader of what this version knows does not meet it.
pub(crate) async fn rows_of_an_unknown_kind_are_kept<F: ResultsFixture>(f: &F) {
    let store = f.open().await;
    let lease = owner(&store).await;
    let home = session(tenant("a"), 1);
    let (known, unknown) = (visit(home.id, 1, 10), newer(home.id, 1, 10));
    assert_eq!(AnyRow::of(&known).head, unknown.head, "a kind has its rows for itself, whatever their keys");
    store
        .commit(&lease, &Step { rows: [vec![unknown.clone()], rows(std::slice::from_ref(&known))].concat(), ..step_of_revision(&home, 1) })
        .await
        .unwrap();
    drop(store);
    let store = f.open().await;
    let lease = owner(&store).await;
    let state = store.load(&lease).await.unwrap();
    assert_eq!(state.rows, [unknown.clone(), AnyRow::of(&known)]);
    assert_eq!(stored_rows::<PitVisit>(&store, &home).await, [known]);
    assert_eq!(store.rows(&home.tenant, &home.id, unknown.kind).await.unwrap(), std::slice::from_ref(&unknown));
}
