//! `ledger export` and `ledger import`: NDJSON. A line is an act, as the ledger has it; or `{"facts": …}`, `{"revision": …}`, `{"text": …}`. Acts come
//! first, in their order. Projections are not exported: the acts say what they are.

use std::collections::BTreeSet;
use std::io::{BufRead, Write as _};
use std::path::Path;

use anyhow::{Context, bail, ensure};
use boxbox_race::league::{Act, League, canonical};
use boxbox_schemas::TenantId;
use boxbox_schemas::league::{ActRow, Digest, Doc, LeagueId, Revision, RevisionOf, StoredFacts, Text, Write, Written};
use boxbox_store::Leagues;
use serde::{Deserialize, Serialize};

use super::{AT_ONCE, Place};
use crate::show::report::line;
use crate::show::stderr::note;

/// Acts, or rows beside them, of one write.
const PER_WRITE: usize = 500;
/// Bytes of rows beside the acts in one write.
const WRITE_BYTES: usize = 8 << 20;
/// Longest line that is read.
const LINE_MAX: usize = 32 << 20;

/// A line that is no act.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Beside {
    Facts(StoredFacts),
    Revision(Revision),
    Text(Text),
}

/// `ledger export`
pub async fn export(place: &Place, league: LeagueId, with_texts: bool) -> anyhow::Result<()> {
    let (store, _folder) = place.open(false).await?;
    let (store, tenant) = (&*store, &place.tenant);
    ensure!(store.head(tenant, &league).await?.is_some(), "tenant {tenant} has no league {league}");
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    let (mut after, mut facts) = (0, vec![]);
    loop {
        let rows = store.acts(tenant, &league, after, AT_ONCE).await?;
        let Some(last) = rows.last() else { break };
        after = last.seq;
        for row in rows {
            if let Ok(Act::FactsChanged(changed)) = Act::parse(&row.body) {
                facts.push(Digest(changed.facts.0));
            }
            say(&mut out, &row)?;
        }
    }
    facts.sort_unstable();
    facts.dedup();
    for digest in facts {
        let found = store.facts(tenant, &league, &digest).await?;
        say(&mut out, &Beside::Facts(found.with_context(|| format!("the facts {digest} are missing: see `boxbox ledger verify`"))?))?;
    }
    let mut after: Option<(RevisionOf, u32)> = None;
    loop {
        let page = store.revisions(tenant, &league, after.as_ref().map(|(of, number)| (of, *number)), AT_ONCE).await?;
        let Some(last) = page.last() else { break };
        after = Some((last.of.clone(), last.number));
        for info in page {
            if let Some(revision) = store.revision(tenant, &league, &info.of, Some(info.number)).await? {
                say(&mut out, &Beside::Revision(revision))?;
            }
        }
    }
    if with_texts {
        note("the export has names, reasons and accounts, which are personal: keep it as such, or use --without-texts");
        let mut after: Option<(Digest, String)> = None;
        loop {
            let page = store.texts_of(tenant, &league, None, after.as_ref().map(|(id, owner)| (id, owner.as_str())), AT_ONCE).await?;
            let Some(last) = page.last() else { break };
            after = Some((last.id, last.owner.clone()));
            page.into_iter().try_for_each(|text| say(&mut out, &Beside::Text(text)))?;
        }
    }
    out.flush().context("cannot write the export")
}

fn say(out: &mut impl std::io::Write, of: &impl Serialize) -> anyhow::Result<()> {
    serde_json::to_writer(&mut *out, of).context("cannot write the export")?;
    out.write_all(b"\n").context("cannot write the export")
}

/// `ledger import`
pub async fn import(place: &Place, league: LeagueId, file: &Path) -> anyhow::Result<()> {
    let input: Box<dyn BufRead> = if file == Path::new("-") {
        Box::new(std::io::stdin().lock())
    } else {
        Box::new(std::io::BufReader::new(std::fs::File::open(file).with_context(|| format!("cannot read {}", file.display()))?))
    };
    let (acts, beside) = read(input)?;
    ensure!(acts.first().is_some_and(|row| row.seq == 1), "the file does not begin with the first act: it is no whole export of a ledger");
    let (store, _folder) = place.open(true).await?;
    let (store, tenant) = (&*store, place.tenant);
    // All of it is checked before any of it is written: that it is one chain, and that the acts can follow each other.
    Write::imported(tenant, league, &acts).context("the file is not the ledger of this league and tenant, or was changed")?;
    let mut folded = League::default();
    for row in &acts {
        let act = Act::parse(&row.body).with_context(|| format!("act {} cannot be read by this version", row.seq))?;
        folded.check(&act).with_context(|| format!("act {} cannot follow the acts before it", row.seq))?;
        folded.apply(row.seq, &act);
    }
    let head = store.head(&tenant, &league).await?.unwrap_or_default();
    let last = acts.len() as u64;
    let known = head.seq.min(last);
    // The ledger of the store may have gone on since the export: then what is beside the acts is taken over.
    let later = if head.seq > last { store_acts(store, &tenant, &league, last - 1).await? } else { vec![] };
    if known > 0 {
        let there = later.first().map_or(head.hash, |row| row.hash);
        ensure!(acts[known as usize - 1].hash == there, "the store has another ledger of league {league}: nothing was imported");
    }
    let salt = salt_of(store, &tenant, &league).await?;
    let sent = beside.iter().find_map(|of| if let Beside::Text(text) = of { salt_in(text) } else { None });
    ensure!(
        salt.is_none() || sent.is_none() || salt == sent,
        "the store hashes the accounts of league {league} in another way: nothing was imported"
    );
    for row in later.iter().skip(1) {
        let act = Act::parse(&row.body).with_context(|| format!("act {} of the store cannot be read by this version", row.seq))?;
        folded.apply(row.seq, &act);
    }
    for rows in acts[known as usize..].chunks(PER_WRITE) {
        done(store.write(&Write::imported(tenant, league, rows).context("the file was changed")?).await?)?;
    }
    let erased = erased(&folded, acts.iter().chain(&later));
    let beside = beside.into_iter().filter(|of| !matches!(of, Beside::Text(text) if erased.contains(&text.owner))).collect();
    let ends = Write::of(tenant, league, head.seq.max(last), vec![]);
    beside_acts(store, &ends, beside).await?;
    let docs: Vec<Doc> = folded
        .docs()
        .into_iter()
        .map(|doc| Doc { kind: doc.kind.as_str().to_owned(), id: doc.id, seq: doc.seq, body: canonical(&doc.body) })
        .collect();
    for (at, docs) in docs.chunks(PER_WRITE).enumerate() {
        done(store.write(&Write { docs: docs.to_vec(), rebuilt: at == 0, ..ends.clone() }).await?)?;
    }
    line(&format!("league {league} has {} acts, {} of them new", ends.expected, last - known));
    if salt.or(sent).is_none() {
        note(&format!(
            "the file has no texts (--without-texts): league {league} has no names here, and no accounts, entries or results can be added to it, \
             because it is not known how its accounts are hashed. Import an export with texts too, which adds them"
        ));
    }
    Ok(())
}

/// All acts of the store behind number `after`.
async fn store_acts(store: &dyn Leagues, tenant: &TenantId, league: &LeagueId, mut after: u64) -> anyhow::Result<Vec<ActRow>> {
    let mut acts = vec![];
    loop {
        let rows = store.acts(tenant, league, after, AT_ONCE).await?;
        let Some(last) = rows.last() else { return Ok(acts) };
        after = last.seq;
        acts.extend(rows);
    }
}

/// The owners whose texts were erased: an export of before has them still.
fn erased<'a>(league: &League, acts: impl Iterator<Item = &'a ActRow>) -> BTreeSet<String> {
    let persons = acts.filter_map(|row| if let Ok(Act::PersonErased(of)) = Act::parse(&row.body) { Some(of.person) } else { None });
    persons.flat_map(|person| league.aliases(person)).map(|person| person.to_string()).collect()
}

/// The salt of the accounts of a league, if this text keeps it.
fn salt_in(text: &Text) -> Option<[u8; 16]> {
    (text.owner == Text::SALT_OWNER).then_some(text.salt)
}

/// The salt of the accounts of a league, as far as the store knows it.
async fn salt_of(store: &dyn Leagues, tenant: &TenantId, league: &LeagueId) -> anyhow::Result<Option<[u8; 16]>> {
    Ok(store.texts_of(tenant, league, Some(Text::SALT_OWNER), None, 1).await?.first().and_then(salt_in))
}

/// Everything in an export.
fn read(input: impl BufRead) -> anyhow::Result<(Vec<ActRow>, Vec<Beside>)> {
    let (mut acts, mut beside) = (vec![], vec![]);
    for (at, text) in input.lines().enumerate() {
        let text = text.with_context(|| format!("line {} cannot be read", at + 1))?;
        ensure!(text.len() <= LINE_MAX, "line {} is too long for an export", at + 1);
        if text.trim().is_empty() {
            continue;
        }
        if let Ok(row) = serde_json::from_str::<ActRow>(&text) {
            acts.push(row);
        } else {
            beside.push(serde_json::from_str(&text).with_context(|| format!("line {} is no line of an export", at + 1))?);
        }
    }
    Ok((acts, beside))
}

/// Writes what is beside the acts and not there yet.
async fn beside_acts(store: &dyn Leagues, empty: &Write, beside: Vec<Beside>) -> anyhow::Result<()> {
    let (mut write, mut bytes) = (empty.clone(), 0);
    for of in beside {
        match of {
            Beside::Facts(facts) => {
                bytes += facts.body.len();
                write.facts.push(facts);
            }
            Beside::Revision(revision) => {
                let of = (&revision.info.of, Some(revision.info.number));
                if store.revision(&empty.tenant, &empty.league, of.0, of.1).await?.is_some() {
                    continue;
                }
                bytes += revision.body.len();
                write.revisions.push(revision);
            }
            Beside::Text(text) => {
                bytes += text.text.len();
                write.texts.push(text);
            }
        }
        if bytes > WRITE_BYTES || write.facts.len() + write.revisions.len() + write.texts.len() >= PER_WRITE {
            done(store.write(&write).await?)?;
            (write, bytes) = (empty.clone(), 0);
        }
    }
    done(store.write(&write).await?)
}

fn done(written: Written) -> anyhow::Result<()> {
    match written {
        Written::Now(_) => Ok(()),
        _ => bail!("the ledger was changed meanwhile: stop what writes to it and import again"),
    }
}
