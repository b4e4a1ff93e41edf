//! What every backend of [`Leagues`](crate::Leagues) decides in the same way: which writes are within the contract, what becomes of one, and
//! where a page ends.

use std::collections::BTreeMap;

use boxbox_schemas::league::{ActRow, Chain, Digest, Head, RevisionOf, Text, Write, Written};
use boxbox_schemas::limits::{
    LEAGUE_ACT_MAX_BYTES, LEAGUE_ACTS_PER_WRITE, LEAGUE_ANSWER_MAX_BYTES, LEAGUE_DOC_MAX_BYTES, LEAGUE_FACTS_MAX_BYTES, LEAGUE_ID_MAX_BYTES,
    LEAGUE_KIND_MAX_BYTES, LEAGUE_PAGE_BYTES, LEAGUE_PAGE_MAX_ROWS, LEAGUE_REVISION_MAX_BYTES, LEAGUE_ROWS_PER_WRITE, LEAGUE_TEXT_MAX_BYTES,
    LEAGUE_WRITE_MAX_BYTES,
};
use serde::de::IgnoredAny;

use crate::StoreError;

/// Checks what can be known of a write without the store.
pub(crate) fn check_write(write: &Write) -> Result<(), StoreError> {
    let mut all = Bytes(0);
    count("acts", write.acts.len(), LEAGUE_ACTS_PER_WRITE)?;
    count("erasures", write.erased.len(), LEAGUE_ACTS_PER_WRITE)?;
    for (what, rows) in
        [("projections", write.docs.len()), ("texts", write.texts.len()), ("revisions", write.revisions.len()), ("facts", write.facts.len())]
    {
        count(what, rows, LEAGUE_ROWS_PER_WRITE)?;
    }
    let Some(last) = write.expected.checked_add(write.acts.len() as u64).filter(|last| i64::try_from(*last).is_ok()) else {
        return Err(refused(format!("the write expects act {}, more than a ledger can have", write.expected)));
    };
    if last == 0 {
        return Err(refused("a league begins with an act, and the write has none"));
    }
    if write.ends.is_some() && write.acts.is_empty() {
        return Err(refused("the write says how the ledger ends, and has no act"));
    }
    for act in &write.acts {
        id("the actor of an act", &act.actor)?;
        kind("the kind of an act", &act.kind)?;
        all.json("the body of an act", &act.body, LEAGUE_ACT_MAX_BYTES)?;
    }
    for doc in &write.docs {
        kind("the kind of a projection", &doc.kind)?;
        id("the id of a projection", &doc.id)?;
        seq("a projection", doc.seq, last)?;
        all.json("a projection", &doc.body, LEAGUE_DOC_MAX_BYTES)?;
    }
    for text in &write.texts {
        id("the owner of a text", &text.owner)?;
        all.text("a text", &text.text, LEAGUE_TEXT_MAX_BYTES)?;
        if text.id != Text::id(&text.salt, &text.text) {
            return Err(refused("the id of a text is not that of its salt and text"));
        }
    }
    for revision in &write.revisions {
        let info = &revision.info;
        kind("the kind of a revision", &info.of.kind)?;
        id("the id of a revision", &info.of.id)?;
        kind("the state of a revision", &info.state)?;
        seq("a revision", info.seq, last)?;
        all.json("the difference of a revision", &info.difference, LEAGUE_REVISION_MAX_BYTES)?;
        all.json("a revision", &revision.body, LEAGUE_REVISION_MAX_BYTES)?;
    }
    for facts in &write.facts {
        all.json("facts", &facts.body, LEAGUE_FACTS_MAX_BYTES)?;
    }
    if let Some(key) = &write.key {
        id("the actor of an idempotency key", &key.actor)?;
        id("an idempotency key", &key.key)?;
        all.text("the answer to a request", &key.answer, LEAGUE_ANSWER_MAX_BYTES)?;
    }
    Ok(())
}

/// What becomes of a write: the rows to append, or why none are. `known` is the answer that was stored with its key.
pub(crate) fn decide(write: &Write, head: Head, known: Option<(Digest, String)>) -> Result<Vec<ActRow>, Written> {
    if let (Some(key), Some((request, answer))) = (&write.key, known) {
        return Err(if key.request == request { Written::Before(answer) } else { Written::KeyReused });
    }
    if head.seq != write.expected {
        return Err(Written::Conflict(head.seq));
    }
    let mut chain = Chain::behind(write.tenant, write.league, head);
    let rows = write.acts.iter().map(|act| chain.append(act.clone())).collect();
    if write.ends.is_some_and(|ends| chain.head().hash != ends) {
        return Err(Written::Forked);
    }
    Ok(rows)
}

/// Checks that each revision has the number behind the one before it. `newest` says which number is the newest stored.
pub(crate) fn check_numbers(write: &Write, mut newest: BTreeMap<RevisionOf, u32>) -> Result<(), StoreError> {
    for revision in &write.revisions {
        let (of, number) = (&revision.info.of, revision.info.number);
        let before = newest.insert(of.clone(), number).unwrap_or(0);
        if before.checked_add(1) != Some(number) {
            return Err(refused(format!("revision {number} of {} {} does not follow revision {before}", of.kind, of.id)));
        }
    }
    Ok(())
}

/// Most rows of a read.
pub(crate) fn rows_of_page(limit: u32) -> u32 {
    limit.min(LEAGUE_PAGE_MAX_ROWS)
}

/// The first rows of `all` that one read gives; `bytes` are those of a row.
pub(crate) fn page<T>(all: impl IntoIterator<Item = T>, limit: u32, bytes: impl Fn(&T) -> usize) -> Vec<T> {
    let mut before = 0;
    let within = |row: &T| {
        let fits = before < LEAGUE_PAGE_BYTES;
        before += bytes(row);
        fits
    };
    all.into_iter().take(rows_of_page(limit) as usize).take_while(within).collect()
}

/// Checks that no more texts are asked for than one read gives.
pub(crate) fn check_asked(ids: &[Digest]) -> Result<(), StoreError> {
    count("texts asked for", ids.len(), LEAGUE_PAGE_MAX_ROWS as usize)
}

fn refused(why: impl Into<String>) -> StoreError {
    StoreError::Refused(why.into())
}

fn count(what: &str, rows: usize, most: usize) -> Result<(), StoreError> {
    if rows <= most { Ok(()) } else { Err(refused(format!("{rows} {what} at once are more than {most}"))) }
}

fn seq(what: &str, seq: u64, last: u64) -> Result<(), StoreError> {
    if (1..=last).contains(&seq) { Ok(()) } else { Err(refused(format!("{what} refers to act {seq}, and the acts are 1 to {last}"))) }
}

fn kind(what: &str, kind: &str) -> Result<(), StoreError> {
    let ok = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
    if (1..=LEAGUE_KIND_MAX_BYTES).contains(&kind.len()) && kind.bytes().all(ok) {
        return Ok(());
    }
    Err(refused(format!("{what} must be 1 to {LEAGUE_KIND_MAX_BYTES} characters of a-z, 0-9 and '_'")))
}

/// Visible ASCII: ids are opaque, never names.
fn id(what: &str, id: &str) -> Result<(), StoreError> {
    if (1..=LEAGUE_ID_MAX_BYTES).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_graphic()) {
        return Ok(());
    }
    Err(refused(format!("{what} must be 1 to {LEAGUE_ID_MAX_BYTES} visible ASCII characters")))
}

/// The bytes of a write so far.
struct Bytes(usize);

impl Bytes {
    fn text(&mut self, what: &str, text: &str, most: usize) -> Result<(), StoreError> {
        self.0 += text.len();
        if text.len() > most {
            return Err(refused(format!("{what} has {} bytes, more than {most}", text.len())));
        }
        if self.0 > LEAGUE_WRITE_MAX_BYTES {
            return Err(refused(format!("the write has more than {LEAGUE_WRITE_MAX_BYTES} bytes: make it several")));
        }
        if text.contains('\0') {
            return Err(refused(format!("{what} contains a NUL, which no text needs")));
        }
        Ok(())
    }

    fn json(&mut self, what: &str, text: &str, most: usize) -> Result<(), StoreError> {
        self.text(what, text, most)?;
        serde_json::from_str::<IgnoredAny>(text).map(drop).map_err(|e| refused(format!("{what} is no JSON: {e}")))
    }
}
