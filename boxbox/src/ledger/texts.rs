//! The texts beside a ledger: names, reasons and accounts. Acts refer to a text by its id, which is a digest of it, so that a change is found.
//! A text that is not there was erased, or was removed by hand: nothing tells which.

use std::collections::{BTreeMap, BTreeSet};

use boxbox_race::league::Act;
use boxbox_schemas::TenantId;
use boxbox_schemas::league::{Digest, LeagueId, Text};
use boxbox_store::Leagues;
use serde_json::Value;

use super::AT_ONCE;
use super::acts::ReadAct;

/// What the acts say about texts.
#[derive(Default)]
struct Said {
    /// The ids of all texts that an act refers to.
    ids: BTreeSet<Digest>,
    /// The names of persons and their accounts: whose they are, and so with whom they are erased.
    owners: BTreeMap<Digest, BTreeSet<String>>,
    /// The ids of accounts.
    accounts: BTreeSet<Digest>,
    persons: BTreeSet<String>,
    /// Something is hashed under the salt of the league.
    salted: bool,
}

impl Said {
    fn by(acts: &[ReadAct]) -> Self {
        let mut said = Self::default();
        for ReadAct { act, .. } in acts {
            let body: Value = serde_json::from_str(&act.body()).unwrap_or_default();
            ids(&body, &mut said.ids);
            match act {
                Act::PersonAdded(of) => {
                    said.persons.insert(of.person.to_string());
                    if let Some(name) = of.name {
                        said.owners.entry(Digest(name.0)).or_default().insert(of.person.to_string());
                    }
                }
                Act::AccountLinked(of) => {
                    said.owners.entry(Digest(of.account.0)).or_default().insert(of.person.to_string());
                    said.accounts.insert(Digest(of.account.0));
                }
                _ => {}
            }
            said.salted |= matches!(act, Act::AccountLinked(_) | Act::FactsChanged(_));
        }
        said
    }

    /// What is wrong with a text.
    fn fault(&self, text: &Text) -> Option<String> {
        let (id, owner) = (text.id.to_string(), &text.owner);
        let id = &id[..8];
        if !text.is_whole() {
            return Some(format!("text {id}… of {owner} is not what was written: it does not agree with its id"));
        }
        if owner == Text::SALT_OWNER {
            return None;
        }
        if !self.ids.contains(&text.id) {
            return Some(format!("text {id}… of {owner}: no act refers to it"));
        }
        match self.owners.get(&text.id) {
            Some(owners) if !owners.contains(owner) => {
                let owners: Vec<&str> = owners.iter().map(String::as_str).collect();
                Some(format!("text {id}… of {owner} is the name or account of {}, and would not be erased with them", owners.join(", ")))
            }
            None if owner != Text::LEAGUE_OWNER && !self.persons.contains(owner) => Some(format!("text {id}… of {owner}: there is no such person")),
            _ => None,
        }
    }
}

/// The ids in the body of an act.
fn ids(value: &Value, into: &mut BTreeSet<Digest>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| ids(item, into)),
        Value::Object(fields) => fields.values().for_each(|field| ids(field, into)),
        Value::String(text) => into.extend(text.parse::<Digest>()),
        _ => {}
    }
}

/// Checks every text of a league, and that the salt of its accounts is there.
pub async fn texts(store: &dyn Leagues, tenant: &TenantId, id: &LeagueId, acts: &[ReadAct], found: &mut Vec<String>) -> anyhow::Result<()> {
    let said = Said::by(acts);
    let (mut salts, mut used) = (BTreeSet::new(), BTreeSet::new());
    let mut after: Option<(Digest, String)> = None;
    loop {
        let page = store.texts_of(tenant, id, None, after.as_ref().map(|(id, owner)| (id, owner.as_str())), AT_ONCE).await?;
        let Some(last) = page.last() else { break };
        after = Some((last.id, last.owner.clone()));
        for text in page {
            found.extend(said.fault(&text));
            if text.owner == Text::SALT_OWNER {
                salts.insert(text.salt);
            } else if said.accounts.contains(&text.id) && text.is_whole() {
                used.insert(text.salt);
            }
        }
    }
    if salts.is_empty() && said.salted {
        found.push(
            "the salt of its accounts is missing: it was removed, or the ledger was imported without texts. No account, entry or result can be \
             added until an export with texts is imported"
                .to_owned(),
        );
    }
    if salts.len() > 1 || (!salts.is_empty() && !used.is_subset(&salts)) {
        found.push("the salt of its accounts is not the one under which they were hashed".to_owned());
    }
    Ok(())
}
