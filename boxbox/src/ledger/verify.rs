//! `ledger verify`: the chain of hashes, and everything that is stored beside it.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, bail, ensure};
use boxbox_race::league::{self, Act, DocKind, Published, Scope, StoredRevision, difference_between};
use boxbox_schemas::TenantId;
use boxbox_schemas::league::{Digest, LeagueId, RevisionInfo, RevisionOf};
use boxbox_store::{Leagues, check_ledger};

use super::acts::{ReadAct, acts};
use super::texts::texts;
use super::{AT_ONCE, Place};
use crate::show::report::line;

/// Most findings that are printed of a league.
const SHOWN_MAX: usize = 20;

/// `ledger verify`
pub async fn verify(place: &Place, league: Option<LeagueId>) -> anyhow::Result<()> {
    let (store, _folder) = place.open(false).await?;
    let tenant = &place.tenant;
    let mut leagues = all(&*store, tenant).await?;
    if let Some(league) = league {
        ensure!(leagues.contains(&league), "tenant {tenant} has no league {league}");
        leagues = BTreeSet::from([league]);
    }
    let mut wrong = 0;
    for league in &leagues {
        let found = one(&*store, tenant, league).await.with_context(|| format!("league {league} cannot be checked"))?;
        wrong += usize::from(!found.is_empty());
        found.iter().take(SHOWN_MAX).for_each(|finding| line(&format!("{league}: {finding}")));
        if found.len() > SHOWN_MAX {
            line(&format!("{league}: and {} more", found.len() - SHOWN_MAX));
        }
    }
    if wrong > 0 {
        bail!("{wrong} of {} leagues are not what was written", leagues.len());
    }
    line(&format!("{} leagues are as they were written", leagues.len()));
    Ok(())
}

/// Every league of which anything is stored, whatever was removed of it.
async fn all(store: &dyn Leagues, tenant: &TenantId) -> anyhow::Result<BTreeSet<LeagueId>> {
    let (mut leagues, mut after) = (BTreeSet::new(), None);
    loop {
        let page = store.leagues(tenant, after.as_ref(), AT_ONCE).await?;
        let Some((last, _)) = page.last() else { break };
        after = Some(*last);
        leagues.extend(page.into_iter().map(|(id, _)| id));
    }
    after = None;
    loop {
        let page = store.traces(tenant, after.as_ref(), AT_ONCE).await?;
        let Some(last) = page.last() else { return Ok(leagues) };
        after = Some(*last);
        leagues.extend(page);
    }
}

/// What is wrong with a league.
async fn one(store: &dyn Leagues, tenant: &TenantId, id: &LeagueId) -> anyhow::Result<Vec<String>> {
    let mut found = vec![];
    let head = match check_ledger(store, tenant, id).await? {
        Ok(head) => head,
        Err(fault) => {
            found.push(fault.to_string());
            // Acts that cannot be believed say nothing about the rest.
            return Ok(found);
        }
    };
    let acts = acts(store, tenant, id, head, &mut found).await?;
    let docs = docs(store, tenant, id, &mut found).await?;
    let revisions = revisions(store, tenant, id, &acts, &mut found).await?;
    facts(store, tenant, id, &acts, &mut found).await?;
    texts(store, tenant, id, &acts, &mut found).await?;
    found.extend(league::verify(acts.iter().map(|of| (of.seq, &of.act)), &docs, &revisions).iter().map(ToString::to_string));
    Ok(found)
}

async fn docs(store: &dyn Leagues, tenant: &TenantId, id: &LeagueId, found: &mut Vec<String>) -> anyhow::Result<Vec<league::Doc>> {
    let (mut docs, mut after): (Vec<league::Doc>, Option<(String, String)>) = (vec![], None);
    loop {
        let page = store.docs(tenant, id, after.as_ref().map(|(kind, id)| (kind.as_str(), id.as_str())), AT_ONCE).await?;
        let Some(last) = page.last() else { return Ok(docs) };
        after = Some((last.kind.clone(), last.id.clone()));
        for doc in page {
            let kind = serde_json::from_value::<DocKind>(doc.kind.clone().into());
            match (kind, serde_json::from_str(&doc.body)) {
                (Ok(kind), Ok(body)) => docs.push(league::Doc { kind, id: doc.id, seq: doc.seq, body }),
                _ => found.push(format!("{} {}: no act made it, or it is no JSON", doc.kind, doc.id)),
            }
        }
    }
}

fn scope(of: &RevisionOf) -> Option<Scope> {
    match of.kind.as_str() {
        "session" => of.id.parse().ok().map(Scope::Session),
        "championship" => of.id.parse().ok().map(Scope::Championship),
        _ => None,
    }
}

async fn revisions(
    store: &dyn Leagues,
    tenant: &TenantId,
    id: &LeagueId,
    acts: &[ReadAct],
    found: &mut Vec<String>,
) -> anyhow::Result<Vec<StoredRevision>> {
    let published: BTreeMap<(Scope, u32), (&Published, i64)> = acts
        .iter()
        .filter_map(|of| if let Act::Published(act) = &of.act { Some(((act.scope, act.revision), (act, of.at_us))) } else { None })
        .collect();
    let (mut out, mut after): (Vec<StoredRevision>, Option<(RevisionOf, u32)>) = (vec![], None);
    loop {
        let page = store.revisions(tenant, id, after.as_ref().map(|(of, number)| (of, *number)), AT_ONCE).await?;
        let Some(last) = page.last() else { return Ok(out) };
        after = Some((last.of.clone(), last.number));
        for info in page {
            let (name, number) = (format!("revision {} of {} {}", info.number, info.of.kind, info.of.id), info.number);
            let Some(scope) = scope(&info.of) else {
                found.push(format!("{name}: no act published it"));
                continue;
            };
            if published.get(&(scope, number)).is_some_and(|(of, at_us)| !agrees(&info, of, *at_us)) {
                found.push(format!("{name}: its time, state, digests, act or reason are not those of the act that published it"));
            }
            let body = store.revision(tenant, id, &info.of, Some(number)).await?.map(|of| of.body).unwrap_or_default();
            let before = out.last().filter(|before| (before.scope, before.revision + 1) == (scope, number));
            if !tells_what_changed(&info, scope, before, &body) {
                found.push(format!("{name}: what it says has changed is not what differs from the revision before"));
            }
            out.push(StoredRevision { scope, revision: number, body });
        }
    }
}

/// Whether what a revision says about itself is what its act says, and the time of it.
fn agrees(info: &RevisionInfo, of: &Published, at_us: i64) -> bool {
    let state = serde_json::to_value(of.state).ok();
    let same = |stored: &Digest, act: league::Digest| stored.0 == act.0;
    state.as_ref().and_then(|state| state.as_str()) == Some(&info.state)
        && same(&info.digest, of.digest)
        && same(&info.facts, of.facts)
        && same(&info.rules, of.rules)
        && info.seq == of.seq
        && info.at_us == at_us
        && info.reason.map(|reason| reason.0) == of.reason.map(|reason| reason.0)
}

/// Whether the difference of a revision is that of its body and the body before. Nothing differs in the first. Bodies that this program writes
/// otherwise cannot be compared.
fn tells_what_changed(info: &RevisionInfo, scope: Scope, before: Option<&StoredRevision>, body: &str) -> bool {
    let expected = match before {
        None if info.number > 1 => None,
        None => Some(vec![]),
        Some(before) => difference_between(scope, &before.body, body),
    };
    expected.is_none_or(|expected| serde_json::to_string(&expected).is_ok_and(|expected| expected == info.difference))
}

/// The facts that acts name are there and are what they were.
async fn facts(store: &dyn Leagues, tenant: &TenantId, id: &LeagueId, acts: &[ReadAct], found: &mut Vec<String>) -> anyhow::Result<()> {
    for ReadAct { seq, act, .. } in acts {
        let Act::FactsChanged(changed) = act else { continue };
        match store.facts(tenant, id, &Digest(changed.facts.0)).await? {
            None => found.push(format!("the facts of act {seq} are missing")),
            Some(stored) if league::Digest::of(stored.body.as_bytes()) != changed.facts => {
                found.push(format!("the facts of act {seq} are not what was driven then: their digest differs"));
            }
            Some(_) => {}
        }
    }
    Ok(())
}
