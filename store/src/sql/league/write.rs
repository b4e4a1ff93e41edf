//! The write of leagues.

use std::collections::{BTreeMap, BTreeSet};

use boxbox_schemas::league::{ActRow, Digest, Doc, Erasure, Head, RevisionOf, StoredFacts, Write, Written};
use boxbox_schemas::limits::LEAGUE_KEY_KEPT_US;

use super::read::{HAS_FACTS, HEAD, NEWEST_NUMBER, Of};
use super::rows;
use crate::StoreError;
use crate::crash::crash_point;
use crate::league_rules::{check_numbers, decide};
use crate::sql::rows::{last_by_key, signed};
use crate::sql::{Sql, all, write as put};

fn league(w: &Write) -> Of {
    Of { tenant: w.tenant, league: w.league }
}

/// As [`Leagues::write`](crate::Leagues::write), in one transaction.
pub(super) async fn write(c: &mut dyn Sql, w: &Write) -> Result<Written, StoreError> {
    let Some(head) = lock(c, w).await? else {
        return Ok(Written::Conflict(0));
    };
    let known = match &w.key {
        Some(key) => league(w).answered(c, &key.actor, &key.key).await?,
        None => None,
    };
    let acts = match decide(w, head, known) {
        Ok(acts) => acts,
        Err(written) => {
            const UNLOCK: &str = "DELETE FROM league_heads WHERE tenant = $1 AND league = $2 AND seq = 0";
            if head.seq == 0 {
                c.execute(UNLOCK, &values![&w.tenant, &w.league]).await?;
            }
            return Ok(written);
        }
    };
    check_numbers(w, newest_numbers(c, w).await?)?;
    put_acts(c, w, &acts).await?;
    crash_point("league-acts");
    put_docs(c, w).await?;
    erase(c, w).await?;
    put_texts(c, w).await?;
    put_revisions(c, w).await?;
    put_facts(c, w).await?;
    put_key(c, w).await?;
    crash_point("league-rest");
    let head = acts.last().map_or(head, |last| Head { seq: last.seq, hash: last.hash });
    const ADVANCE: &str = "UPDATE league_heads SET seq = $1, hash = $2 WHERE tenant = $3 AND league = $4";
    c.execute(ADVANCE, &values![signed(head.seq)?, &head.hash, &w.tenant, &w.league]).await?;
    Ok(Written::Now(head))
}

/// The last act of the league, which no other transaction changes until this one ends. A league that does not exist and is not made here has
/// none.
async fn lock(c: &mut dyn Sql, w: &Write) -> Result<Option<Head>, StoreError> {
    let (of, sql) = (values![&w.tenant, &w.league], format!("{HEAD}{}", c.dialect().for_update));
    if let Some(head) = all(c, &sql, &of, rows::head).await?.pop() {
        return Ok(Some(head));
    }
    if w.expected != 0 {
        return Ok(None);
    }
    // Of several that make the league at once, one makes this row, and the others wait here for it.
    const MAKE: &str = "INSERT INTO league_heads (tenant, league, seq, hash) VALUES ($1, $2, 0, $3) ON CONFLICT (tenant, league) DO NOTHING";
    c.execute(MAKE, &values![&w.tenant, &w.league, &Digest::default()]).await?;
    Ok(all(c, &sql, &of, rows::head).await?.pop())
}

async fn newest_numbers(c: &mut dyn Sql, w: &Write) -> Result<BTreeMap<RevisionOf, u32>, StoreError> {
    let (league, mut newest) = (league(w), BTreeMap::new());
    for of in w.revisions.iter().map(|r| &r.info.of).collect::<BTreeSet<_>>() {
        newest.extend(league.all(c, NEWEST_NUMBER, &values![&of.kind, &of.id], rows::revision_of).await?);
    }
    Ok(newest)
}

async fn put_acts(c: &mut dyn Sql, w: &Write, acts: &[ActRow]) -> Result<(), StoreError> {
    let numbered = acts.iter().map(|act| Ok((signed(act.seq)?, act))).collect::<Result<Vec<_>, StoreError>>()?;
    put(
        c,
        "INSERT INTO league_ledger (tenant, league, seq, at_us, actor, kind, previous, hash, body) ",
        &numbered,
        |(seq, a)| values![&w.tenant, &w.league, *seq, a.at_us, &a.actor, &a.kind, &a.previous, &a.hash, &a.body],
        "",
    )
    .await
}

async fn put_docs(c: &mut dyn Sql, w: &Write) -> Result<(), StoreError> {
    if w.rebuilt {
        c.execute("DELETE FROM league_docs WHERE tenant = $1 AND league = $2", &values![&w.tenant, &w.league]).await?;
    }
    let docs: Vec<(i64, &Doc)> =
        last_by_key(&w.docs, |doc| (&doc.kind, &doc.id)).into_iter().map(|doc| Ok((signed(doc.seq)?, doc))).collect::<Result<_, StoreError>>()?;
    put(
        c,
        "INSERT INTO league_docs (tenant, league, kind, id, seq, body) ",
        &docs,
        |(seq, doc)| values![&w.tenant, &w.league, &doc.kind, &doc.id, *seq, &doc.body],
        " ON CONFLICT (tenant, league, kind, id) DO UPDATE SET seq = excluded.seq, body = excluded.body",
    )
    .await
}

/// What is erased is overwritten where it lay, so that it cannot be read from the file.
async fn erase(c: &mut dyn Sql, w: &Write) -> Result<(), StoreError> {
    if w.erased.is_empty() {
        return Ok(());
    }
    let [before, after] = c.dialect().overwriting;
    if !before.is_empty() {
        c.execute(before, &[]).await?;
    }
    for erased in &w.erased {
        const OF_OWNER: &str = "DELETE FROM league_texts WHERE tenant = $1 AND league = $2 AND owner = $3";
        const ONE: &str = "DELETE FROM league_texts WHERE tenant = $1 AND league = $2 AND id = $3";
        match erased {
            Erasure::Owner(owner) => c.execute(OF_OWNER, &values![&w.tenant, &w.league, owner]).await?,
            Erasure::Text(id) => c.execute(ONE, &values![&w.tenant, &w.league, id]).await?,
        }
    }
    if !after.is_empty() {
        c.execute(after, &[]).await?;
    }
    Ok(())
}

/// A text that is there is the same one, because its id is the digest of it.
async fn put_texts(c: &mut dyn Sql, w: &Write) -> Result<(), StoreError> {
    put(
        c,
        "INSERT INTO league_texts (tenant, league, id, owner, salt, text) ",
        &w.texts,
        |t| values![&w.tenant, &w.league, &t.id, &t.owner, &t.salt[..], &t.text],
        " ON CONFLICT (tenant, league, id, owner) DO NOTHING",
    )
    .await
}

async fn put_revisions(c: &mut dyn Sql, w: &Write) -> Result<(), StoreError> {
    let rows: Vec<_> = w.revisions.iter().map(|r| Ok((signed(r.info.seq)?, &r.info, &r.body))).collect::<Result<_, StoreError>>()?;
    put(
        c,
        "INSERT INTO league_revisions \
         (tenant, league, kind, id, number, state, seq, at_us, digest, facts, rules, reason, difference, body) ",
        &rows,
        |(seq, i, body)| {
            values![
                &w.tenant,
                &w.league,
                &i.of.kind,
                &i.of.id,
                i.number,
                &i.state,
                *seq,
                i.at_us,
                &i.digest,
                &i.facts,
                &i.rules,
                i.reason.as_ref().map_or(&[][..], |reason| &reason.0[..]),
                &i.difference,
                *body,
            ]
        },
        "",
    )
    .await
}

/// The first facts of each digest stay.
async fn put_facts(c: &mut dyn Sql, w: &Write) -> Result<(), StoreError> {
    let (league, mut missing) = (league(w), BTreeMap::new());
    for facts in &w.facts {
        missing.entry(facts.digest).or_insert(facts);
    }
    for digest in missing.keys().copied().collect::<Vec<_>>() {
        if !league.all(c, HAS_FACTS, &values![&digest], |row| rows::digest(row, "digest")).await?.is_empty() {
            missing.remove(&digest);
        }
    }
    let missing: Vec<&StoredFacts> = missing.into_values().collect();
    let head = "INSERT INTO league_facts (tenant, league, digest, body) ";
    put(c, head, &missing, |f| values![&w.tenant, &w.league, &f.digest, &f.body], "").await
}

async fn put_key(c: &mut dyn Sql, w: &Write) -> Result<(), StoreError> {
    let Some(key) = &w.key else { return Ok(()) };
    const FORGET: &str = "DELETE FROM league_keys WHERE tenant = $1 AND league = $2 AND at_us < $3";
    c.execute(FORGET, &values![&w.tenant, &w.league, key.at_us.saturating_sub(LEAGUE_KEY_KEPT_US)]).await?;
    const PUT: &str = "INSERT INTO league_keys (tenant, league, actor, key, at_us, request, answer) VALUES ($1, $2, $3, $4, $5, $6, $7)";
    c.execute(PUT, &values![&w.tenant, &w.league, &key.actor, &key.key, key.at_us, &key.request, &key.answer]).await
}
