//! Writes of leagues, and all that a store gives of one.

use boxbox_schemas::TenantId;
use boxbox_schemas::league::{
    ActRow, Digest, Doc, Head, IdempotencyKey, LeagueId, NewAct, Revision, RevisionInfo, RevisionOf, StoredFacts, Text, Write, Written,
};
use boxbox_schemas::limits::LEAGUE_PAGE_MAX_ROWS;

use crate::Leagues;
use crate::suite::samples::tenant;

pub(super) const AT_US: i64 = 1_790_000_000_000_000;
const ALL: u32 = u32::MAX;

pub(crate) fn league(n: u32) -> LeagueId {
    LeagueId::new(&format!("l-{n}")).unwrap()
}

pub(super) fn act(n: u64) -> NewAct {
    NewAct { at_us: AT_US + n as i64, actor: format!("p-{}", n % 3), kind: "entry_set".into(), body: format!("{{\"n\":{n}}}") }
}

pub(super) fn acts(count: u64) -> Vec<NewAct> {
    (0..count).map(act).collect()
}

pub(super) fn digest(n: u64) -> Digest {
    Digest::of("test", [&n.to_le_bytes()[..]])
}

pub(super) fn text(n: u8, owner: &str) -> Text {
    Text::new(owner, [n; 16], format!("Zoë Müller {n}"))
}

pub(super) fn doc(n: u32, seq: u64) -> Doc {
    Doc { kind: if n.is_multiple_of(2) { "entry" } else { "penalty" }.into(), id: format!("s-1/e-{n}"), seq, body: format!("{{\"seq\":{seq}}}") }
}

pub(super) fn of(n: u32) -> RevisionOf {
    RevisionOf { kind: if n.is_multiple_of(2) { "championship" } else { "session" }.into(), id: format!("s-1/{n}") }
}

pub(super) fn revision(n: u32, number: u32, seq: u64) -> Revision {
    let info = RevisionInfo {
        of: of(n),
        number,
        state: "provisional".into(),
        seq,
        at_us: AT_US,
        digest: digest(u64::from(number)),
        facts: digest(1),
        rules: digest(2),
        reason: (number > 1).then(|| text(number as u8, "p-1").id),
        difference: format!("[{number}]"),
    };
    Revision { info, body: format!("{{\"rows\":[{n},{number}]}}") }
}

pub(super) fn facts(n: u64) -> StoredFacts {
    StoredFacts { digest: digest(n), body: format!("{{\"cars\":{n}}}") }
}

pub(super) fn key(name: &str, request: u64) -> IdempotencyKey {
    IdempotencyKey { actor: "p-1".into(), key: name.into(), request: digest(request), at_us: AT_US, answer: format!("{{\"head\":\"{name}\"}}") }
}

/// A write of `count` acts to league 1 of tenant `a`.
pub(super) fn write(expected: u64, count: u64) -> Write {
    Write::of(tenant("a"), league(1), expected, acts(count))
}

/// A write with a row of each kind, behind act `expected`.
pub(super) fn of_everything(expected: u64) -> Write {
    let (seq, number) = (expected + 2, expected as u32 / 2 + 1);
    Write {
        docs: vec![doc(1, seq), doc(2, seq - 1)],
        texts: vec![text(number as u8, "p-1"), text(number as u8, "p-2")],
        revisions: vec![revision(1, number, seq), revision(2, number, seq)],
        facts: vec![facts(1), facts(u64::from(number))],
        key: Some(key(&format!("key-{expected}"), expected)),
        ..write(expected, 2)
    }
}

/// Store it, which nothing prevents.
pub(super) async fn done(store: &impl Leagues, write: &Write) -> Head {
    match store.write(write).await.unwrap() {
        Written::Now(head) => head,
        other => panic!("{other:?}"),
    }
}

/// All that a store gives of a league.
#[derive(PartialEq, Debug, Default)]
pub(crate) struct Dump {
    pub(crate) head: Option<Head>,
    pub(crate) acts: Vec<ActRow>,
    pub(crate) docs: Vec<Doc>,
    pub(crate) texts: Vec<Text>,
    pub(crate) revisions: Vec<Revision>,
    pub(crate) facts: Vec<StoredFacts>,
}

impl Dump {
    /// Page by page.
    pub(crate) async fn of(store: &impl Leagues, tenant: &TenantId, league: &LeagueId) -> Self {
        let mut all = Self { head: store.head(tenant, league).await.unwrap(), ..Self::default() };
        loop {
            let page = store.acts(tenant, league, all.acts.last().map_or(0, |act| act.seq), ALL).await.unwrap();
            if bounded(page, &mut all.acts) {
                break;
            }
        }
        loop {
            let after = all.docs.last().map(|doc| (doc.kind.as_str(), doc.id.as_str()));
            let page = store.docs(tenant, league, after, ALL).await.unwrap();
            if bounded(page, &mut all.docs) {
                break;
            }
        }
        loop {
            let after = all.texts.last().map(|text| (&text.id, text.owner.as_str()));
            let page = store.texts_of(tenant, league, None, after, ALL).await.unwrap();
            if bounded(page, &mut all.texts) {
                break;
            }
        }
        let mut infos: Vec<RevisionInfo> = vec![];
        loop {
            let page = store.revisions(tenant, league, infos.last().map(|info| (&info.of, info.number)), ALL).await.unwrap();
            if bounded(page, &mut infos) {
                break;
            }
        }
        for info in infos {
            let revision = store.revision(tenant, league, &info.of, Some(info.number)).await.unwrap().unwrap();
            assert_eq!(revision.info, info);
            all.revisions.push(revision);
        }
        for n in 0..10 {
            all.facts.extend(store.facts(tenant, league, &digest(n)).await.unwrap());
        }
        all
    }

    /// League 1 of tenant `a`.
    pub(crate) async fn of_1(store: &impl Leagues) -> Self {
        Self::of(store, &tenant("a"), &league(1)).await
    }
}

/// Whether a list has ended.
fn bounded<T>(page: Vec<T>, all: &mut Vec<T>) -> bool {
    assert!(page.len() <= LEAGUE_PAGE_MAX_ROWS as usize);
    let ended = page.is_empty();
    all.extend(page);
    ended
}
