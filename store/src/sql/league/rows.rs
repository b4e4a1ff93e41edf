//! Rows of leagues as tables have them.

use boxbox_schemas::TenantId;
use boxbox_schemas::league::{ActRow, Digest, Doc, Head, LeagueId, Revision, RevisionInfo, RevisionOf, StoredFacts, Text};

use crate::StoreError;
use crate::sql::{Found, number};

/// A digest of 32 bytes.
pub(super) fn digest(row: &dyn Found, name: &str) -> Result<Digest, StoreError> {
    let stored = row.bytes(name)?;
    stored.try_into().map(Digest).map_err(|_| StoreError::Unreadable(format!("{name} has {} bytes", stored.len())))
}

fn text(row: &dyn Found, name: &str) -> Result<String, StoreError> {
    row.text(name).map(str::to_owned)
}

pub(super) fn head(row: &dyn Found) -> Result<Head, StoreError> {
    Ok(Head { seq: number(row, "seq")?, hash: digest(row, "hash")? })
}

pub(super) fn league(row: &dyn Found) -> Result<(LeagueId, Head), StoreError> {
    Ok((league_id(row)?, head(row)?))
}

pub(super) fn tenant_and_league(row: &dyn Found) -> Result<(TenantId, LeagueId), StoreError> {
    let tenant = TenantId::new(row.text("tenant")?).map_err(|e| StoreError::Unreadable(format!("tenant: {e}")))?;
    Ok((tenant, league_id(row)?))
}

pub(super) fn league_id(row: &dyn Found) -> Result<LeagueId, StoreError> {
    LeagueId::new(row.text("league")?).map_err(|e| StoreError::Unreadable(format!("league: {e}")))
}

pub(super) fn answer(row: &dyn Found) -> Result<(Digest, String), StoreError> {
    Ok((digest(row, "request")?, text(row, "answer")?))
}

pub(super) fn act(row: &dyn Found) -> Result<ActRow, StoreError> {
    Ok(ActRow {
        seq: number(row, "seq")?,
        at_us: row.int("at_us")?,
        actor: text(row, "actor")?,
        kind: text(row, "kind")?,
        body: text(row, "body")?,
        previous: digest(row, "previous")?,
        hash: digest(row, "hash")?,
    })
}

pub(super) fn doc(row: &dyn Found) -> Result<Doc, StoreError> {
    Ok(Doc { kind: text(row, "kind")?, id: text(row, "id")?, seq: number(row, "seq")?, body: text(row, "body")? })
}

pub(super) fn a_text(row: &dyn Found) -> Result<Text, StoreError> {
    let salt = row.bytes("salt")?;
    let salt = salt.try_into().map_err(|_| StoreError::Unreadable(format!("salt has {} bytes", salt.len())))?;
    Ok(Text { id: digest(row, "id")?, owner: text(row, "owner")?, salt, text: text(row, "text")? })
}

/// What a revision is of, and its number.
pub(super) fn revision_of(row: &dyn Found) -> Result<(RevisionOf, u32), StoreError> {
    Ok((RevisionOf { kind: text(row, "kind")?, id: text(row, "id")? }, number(row, "number")?))
}

pub(super) fn revision_info(row: &dyn Found) -> Result<RevisionInfo, StoreError> {
    let (of, number_of) = revision_of(row)?;
    let reason = if row.bytes("reason")?.is_empty() { None } else { Some(digest(row, "reason")?) };
    Ok(RevisionInfo {
        of,
        number: number_of,
        state: text(row, "state")?,
        seq: number(row, "seq")?,
        at_us: row.int("at_us")?,
        digest: digest(row, "digest")?,
        facts: digest(row, "facts")?,
        rules: digest(row, "rules")?,
        reason,
        difference: text(row, "difference")?,
    })
}

pub(super) fn revision(row: &dyn Found) -> Result<Revision, StoreError> {
    Ok(Revision { info: revision_info(row)?, body: text(row, "body")? })
}

pub(super) fn facts(row: &dyn Found) -> Result<StoredFacts, StoreError> {
    Ok(StoredFacts { digest: digest(row, "digest")?, body: text(row, "body")? })
}
