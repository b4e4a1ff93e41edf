//! `boxbox grant`: makes and revokes grants and changes keys, in a data folder and with a Kafka log for all its nodes (W3, W10).

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use boxbox_schemas::connect::Pin;
use boxbox_schemas::control::Record;
use boxbox_schemas::grant::{Ability, Grant, key_id};
use boxbox_schemas::{DriverId, GrantId, TenantId};

use crate::access::auth::{self, Issued};
use crate::access::authority;
use crate::access::control::Publisher;
use crate::access::identity;
use crate::data;
use crate::log::LogOptions;
use crate::ports;
use crate::show::stderr::note;
use crate::show::{ask, report};

/// After this time every node knows a new key. A client that connects earlier, with a grant signed by that key, is refused and
/// does not try again.
const KEY_KNOWN: Duration = authority::LOOK_EVERY.saturating_mul(2);

/// Where keys and revocations are kept.
#[derive(Clone, Debug)]
pub struct GrantStore {
    /// The data folder of the server, or with a Kafka log a folder for keys alone.
    pub data: PathBuf,
    /// With a Kafka log, its control topic holds the public keys and the revocations as well.
    pub log: LogOptions,
}

impl GrantStore {
    /// Before keys are made in a folder without keys: a mistyped folder would sign grants that no server knows. `wanted`: it is meant.
    fn ensure_meant(&self, wanted: bool) -> anyhow::Result<()> {
        if wanted || auth::folder(&self.data).is_dir() {
            return Ok(());
        }
        let what =
            format!("{} is not the data folder of a server, and a grant made there is of use only to a server started there", self.data.display());
        match ask::confirm(&format!("{what}. Make it all the same?"))? {
            Some(true) => Ok(()),
            Some(false) => anyhow::bail!("nothing was made: give the server's folder with --data"),
            None => anyhow::bail!("{what}: give the server's folder with --data, or --new if this one is meant"),
        }
    }

    fn ensure_there(&self) -> anyhow::Result<()> {
        anyhow::ensure!(
            auth::folder(&self.data).is_dir(),
            "{} is not the data folder of a server: give the right folder with --data",
            self.data.display()
        );
        Ok(())
    }
}

/// Options of `grant create`.
#[derive(Clone, Debug)]
pub struct CreateOptions {
    /// Who holds the grant.
    pub driver: DriverId,
    /// What the grant allows.
    pub abilities: &'static [Ability],
    /// Days until it expires.
    pub days: u32,
    /// The only event it is for; `None`: every event.
    pub event: Option<String>,
    /// Whose data it is for.
    pub tenant: TenantId,
    /// Host name or address under which clients reach the server; `None`: that of the server that runs now.
    pub host: Option<String>,
    /// UDP port of the server; `None`: that of the server that runs now.
    pub quic_port: Option<u16>,
    /// Pins of the edges; if there are none, that of the data folder.
    pub pins: Vec<Pin>,
    /// The folder may have no keys yet: they are made.
    pub new: bool,
    /// Where the grant is made.
    pub store: GrantStore,
}

/// `grant create`
pub async fn create(options: &CreateOptions) -> anyhow::Result<()> {
    let CreateOptions { driver, abilities, days, tenant, store, .. } = options;
    let data = &store.data;
    let pins = ready(options).await?;
    let sends = !abilities.contains(&Ability::Read);
    let address = Address::of(options);
    if sends {
        // An address that no client reaches is an error before there is a grant.
        auth::connect_string(String::from("grant"), address.host.clone(), address.port, pins.clone())?;
    }
    let (grant, token) = auth::issue(data, *tenant, *driver, abilities, options.event.clone(), *days)?;
    let valid = if *days == 1 { "1 day".to_owned() } else { format!("{days} days") };
    note(&format!("grant {} for {driver} of tenant {tenant}, valid for {valid}. Revoke it with: boxbox grant revoke {}", grant.id, grant.id));
    if sends {
        if address.guessed {
            let host = &address.host;
            note(&format!(
                "No server runs in {} now: the string names {host}. For clients elsewhere, give --public-host and --quic-port",
                data.display()
            ));
        }
        note("Paste this into the sim client, in single quotes, or keep it in a file for --to-file:");
        report::line(&auth::connect_string(token, address.host, address.port, pins)?.to_string());
    } else {
        note("Send it with each request: curl -H 'Authorization: Bearer GRANT' http://…/api/v1/sessions");
        report::line(&token);
    }
    Ok(())
}

/// Makes sure that every node knows the key that signs; the pins for connect strings.
async fn ready(options: &CreateOptions) -> anyhow::Result<Vec<Pin>> {
    let store = &options.store;
    let data = &store.data;
    store.ensure_meant(options.new)?;
    let publisher = Publisher::open(&store.log).await?;
    let pins = if options.pins.is_empty() { vec![identity::load_or_make(data)?.pin] } else { options.pins.clone() };
    // Publish the key before there is a grant that needs it.
    let mut new_key = auth::own_keys(data)?.is_empty();
    auth::keys(data)?;
    if let Some(mut publisher) = publisher {
        new_key |= publisher.publish(data).await?;
    }
    if new_key {
        tokio::time::sleep(KEY_KNOWN).await;
    }
    Ok(pins)
}

/// Makes a grant to send for each of `drivers` who has none from this folder that holds: the driver and the connect string. `options` says for
/// whom, where and how long; its driver and abilities do not matter.
pub async fn strings(options: &CreateOptions, drivers: &[DriverId]) -> anyhow::Result<Vec<(DriverId, String)>> {
    let (data, tenant) = (&options.store.data, options.tenant);
    let pins = ready(options).await?;
    let (address, now, revoked) = (Address::of(options), auth::now(), auth::revoked(data)?);
    auth::connect_string(String::from("grant"), address.host.clone(), address.port, pins.clone())?;
    let issued = auth::issued(data);
    let holds = |grant: &Grant| grant.tenant == tenant && grant.expires > now && grant.event.is_none() && !revoked.contains(&grant.id);
    let has = |driver: &DriverId| issued.iter().any(|i| i.grant.driver == *driver && i.grant.abilities.contains(&Ability::Car) && holds(&i.grant));
    let mut made = vec![];
    for driver in drivers.iter().filter(|driver| !has(driver)) {
        let (_, token) = auth::issue(data, tenant, *driver, auth::SEND, None, options.days)?;
        made.push((*driver, auth::connect_string(token, address.host.clone(), address.port, pins.clone())?.to_string()));
    }
    Ok(made)
}

/// Where clients reach the server.
struct Address {
    host: String,
    port: u16,
    /// Nothing was given, and no server runs that would say it.
    guessed: bool,
}

impl Address {
    fn of(options: &CreateOptions) -> Self {
        let running = data::running(&options.store.data);
        let quic = running.as_ref().and_then(|r| r.quic);
        let given = options.host.clone().or_else(|| running.as_ref().and_then(|r| r.public_host.clone()));
        let guessed = given.is_none() && quic.is_none();
        let host = given.or_else(|| quic.map(|a| a.ip().to_string())).unwrap_or_else(|| Ipv4Addr::LOCALHOST.to_string());
        Self { host, port: options.quic_port.or_else(|| quic.map(|a| a.port())).unwrap_or(ports::QUIC), guessed }
    }
}

/// `grant revoke`
pub async fn revoke(store: &GrantStore, id: GrantId) -> anyhow::Result<()> {
    let publisher = Publisher::open(&store.log).await?;
    if publisher.is_none() {
        store.ensure_there()?;
    }
    let data = &store.data;
    // With a control topic no folder is needed to revoke.
    if auth::folder(data).is_dir() {
        auth::add_revoked(data, id)?;
    }
    if !auth::issued(data).iter().any(|i| i.grant.id == id) {
        note(&format!("note: no grant with this id was made in {}", data.display()));
    }
    if let Some(mut publisher) = publisher {
        publisher.revoke(data, id).await?;
        report::line(&format!("revoked {id} on all nodes; connections that use it are closed within 5 seconds"));
        publisher.publish(data).await?;
        return Ok(());
    }
    report::line(&format!("revoked {id}; connections that use it are closed within 5 seconds"));
    Ok(())
}

/// `grant rotate`
pub async fn rotate(store: &GrantStore) -> anyhow::Result<()> {
    let publisher = Publisher::open(&store.log).await?;
    let before = auth::keys(&store.data)?.len();
    let path = auth::add_key(&store.data)?;
    if let Some(mut publisher) = publisher {
        publisher.publish(&store.data).await?;
    }
    tokio::time::sleep(KEY_KNOWN).await;
    report::line(&format!(
        "new grants are signed with {}; the {before} older keys still verify. Delete them when their grants have expired: \
         deleting a key closes the connections of its other grants",
        path.display()
    ));
    Ok(())
}

/// `grant list`
pub async fn list(store: &GrantStore) -> anyhow::Result<()> {
    let publisher = Publisher::open(&store.log).await?;
    if publisher.is_none() {
        store.ensure_there()?;
    }
    let (mut revoked, now) = (auth::revoked(&store.data)?, auth::now());
    if let Some(publisher) = &publisher {
        let own = auth::own_keys(&store.data)?;
        for (id, key) in publisher.standing().keys() {
            let here = own.iter().any(|own| own.key.public() == key.public);
            let whose = if here { "signs here" } else { "of another folder" };
            report::line(&format!("key {id}  made {} days ago  {whose}", (now - key.made) / (24 * 3600)));
        }
        revoked.extend(publisher.standing().revoked().keys());
    }
    let issued = auth::issued(&store.data);
    // Names have up to 40 letters; the columns are as wide as they must be.
    let width = |of: fn(&Grant) -> usize| issued.iter().map(|i| of(&i.grant)).max().unwrap_or(0);
    let (tenants, drivers) = (width(|g| g.tenant.as_str().len()), width(|g| g.driver.as_str().len()));
    for Issued { grant, .. } in &issued {
        let state = if revoked.contains(&grant.id) {
            "revoked".into()
        } else if grant.expires <= now {
            "expired".into()
        } else {
            format!("{} days left", (grant.expires - now) / (24 * 3600))
        };
        let may = |ability| grant.abilities.contains(&ability);
        let kind = if may(Ability::Manage) {
            "manage"
        } else if may(Ability::Steward) {
            "steward"
        } else if may(Ability::Read) {
            "read"
        } else {
            "send"
        };
        report::line(&format!("{}  {kind:<7}  {:<tenants$}  {:<drivers$}  {state}", grant.id, grant.tenant.as_str(), grant.driver.as_str()));
    }
    Ok(())
}

/// `grant remove-key`
pub async fn remove_key(store: &GrantStore, id: &str) -> anyhow::Result<()> {
    let publisher = Publisher::open(&store.log).await?;
    let mut publisher =
        publisher.context("this command is for a Kafka log: give its --log-url. Without a Kafka log, delete the file in auth/keys")?;
    anyhow::ensure!(
        !auth::own_keys(&store.data)?.iter().any(|own| key_id(&own.key.public()) == id),
        "the key {id} is in {} and would be published again: move its file out of auth/keys first",
        store.data.display()
    );
    anyhow::ensure!(publisher.standing().keys().contains_key(id), "no key {id} is in use: `boxbox grant list` shows the keys in use");
    publisher.put(&Record::KeyRemoved { id: id.into() }).await?;
    report::line(&format!("the key {id} is not valid any more; connections with grants that it signed are closed within 5 seconds"));
    Ok(())
}
