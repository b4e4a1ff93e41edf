//! `boxbox grant`: make grants, take them back, change keys; in a data folder and, with a Kafka log, for all its nodes (W3, W10).

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use boxbox_schemas::connect::Pin;
use boxbox_schemas::control::Record;
use boxbox_schemas::grant::{Ability, DEFAULT_DAYS, key_id};
use boxbox_schemas::{DriverId, GrantId, TenantId};
use clap::{Args, Subcommand};

use crate::access::auth::{self, Issued};
use crate::access::authority;
use crate::access::control::Publisher;
use crate::access::identity;
use crate::cli::{LogArgs, QUIC_PORT};
use crate::node::data;
use crate::show::report;

/// After this time every node knows a new key: a client that came sooner with a grant signed by it would be refused for good.
const KEY_KNOWN: Duration = authority::LOOK_EVERY.saturating_mul(2);

/// `boxbox grant …`.
#[derive(Subcommand)]
pub enum GrantCommand {
    /// Make a grant and print what its holder pastes
    Create(CreateArgs),
    /// Take a grant back; its connections are closed within 5 seconds
    Revoke {
        /// The id that `grant create` and `grant list` print
        id: GrantId,
        #[command(flatten)]
        place: Place,
    },
    /// Sign new grants with a new key; grants signed with older ones stay good
    Rotate {
        #[command(flatten)]
        place: Place,
    },
    /// List the grants made here, and with a Kafka log the keys in use
    List {
        #[command(flatten)]
        place: Place,
    },
    /// Take a key out of use on all nodes of a Kafka log; no grant signed with it is good any more, its connections are closed
    RemoveKey {
        /// The id that `grant list` prints
        id: String,
        #[command(flatten)]
        place: Place,
    },
}

/// Where keys and revocations are kept.
#[derive(Args)]
pub struct Place {
    /// The data folder of the server, or with a Kafka log a folder of your own for keys
    #[arg(long, env = "BOXBOX_DATA", default_value = "boxbox-data")]
    data: PathBuf,
    #[command(flatten)]
    log: LogArgs,
}

impl Place {
    fn ensure_there(&self) -> anyhow::Result<()> {
        anyhow::ensure!(auth::folder(&self.data).is_dir(), "{} is no data folder of a server: give its --data", self.data.display());
        Ok(())
    }
}

/// Options of `grant create`.
#[derive(Args)]
pub struct CreateArgs {
    /// The driver as your league knows them (1 to 40 of a-z A-Z 0-9 - _ . :)
    #[arg(long, env = "BOXBOX_DRIVER", required_unless_present_any = ["read", "manage"])]
    driver: Option<DriverId>,
    /// A grant to read the tenant's results through the API, instead of one to send
    #[arg(long, env = "BOXBOX_GRANT_READ")]
    read: bool,
    /// A grant to read, and to close sessions and open them again
    #[arg(long, env = "BOXBOX_GRANT_MANAGE")]
    manage: bool,
    /// Days until it expires
    #[arg(long, env = "BOXBOX_GRANT_DAYS", default_value_t = DEFAULT_DAYS)]
    days: u32,
    /// Only for this event
    #[arg(long, env = "BOXBOX_GRANT_EVENT")]
    event: Option<String>,
    /// Tenant
    #[arg(long, env = "BOXBOX_TENANT", default_value = "local")]
    tenant: TenantId,
    /// Host name or address under which clients reach the server, if it does not run now
    #[arg(long, env = "BOXBOX_PUBLIC_HOST")]
    host: Option<String>,
    /// UDP port of the server, if it does not run now
    #[arg(long, env = "BOXBOX_QUIC_PORT")]
    quic_port: Option<u16>,
    /// The pin that an edge with another data folder prints when it starts; several for several edges behind one host name
    #[arg(long, env = "BOXBOX_PIN", value_delimiter = ',', value_parser = boxbox_schemas::connect::parse_pin)]
    pin: Vec<Pin>,
    #[command(flatten)]
    place: Place,
}

/// Do what was asked.
pub async fn run(command: GrantCommand) -> anyhow::Result<()> {
    match command {
        GrantCommand::Create(args) => create(&args).await,
        GrantCommand::Revoke { id, place } => revoke(&place, id).await,
        GrantCommand::Rotate { place } => rotate(&place).await,
        GrantCommand::List { place } => list(&place).await,
        GrantCommand::RemoveKey { id, place } => remove_key(&place, &id).await,
    }
}

async fn create(args: &CreateArgs) -> anyhow::Result<()> {
    let data = &args.place.data;
    let publisher = Publisher::open(&args.place.log).await?;
    let pins = if args.pin.is_empty() { vec![identity::load_or_make(data)?.pin] } else { args.pin.clone() };
    let abilities: &[Ability] = match (args.manage, args.read) {
        (true, _) => &[Ability::Read, Ability::Manage],
        (false, true) => &[Ability::Read],
        (false, false) => &[Ability::Car, Ability::Field, Ability::Meta],
    };
    let driver = match args.driver {
        Some(driver) => driver,
        None => DriverId::new("reader").context("a fixed text")?,
    };
    // Before there is a grant that needs it.
    let mut new_key = auth::own_keys(data)?.is_empty();
    auth::keys(data)?;
    if let Some(mut publisher) = publisher {
        new_key |= publisher.publish(data).await?;
    }
    if new_key {
        tokio::time::sleep(KEY_KNOWN).await;
    }
    let (grant, token) = auth::issue(data, args.tenant, driver, abilities, args.event.clone(), args.days)?;
    eprintln!(
        "grant {} for {} of tenant {}, good for {} days. Take it back with: boxbox grant revoke {}",
        grant.id, driver, args.tenant, args.days, grant.id
    );
    if abilities.contains(&Ability::Read) {
        eprintln!("Send it with each request: curl -H 'Authorization: Bearer GRANT' http://…/api/v1/sessions");
        report::line(&token);
    } else {
        let running = data::running(data);
        let quic = running.as_ref().and_then(|r| r.quic);
        let host = args.host.clone().or_else(|| running.as_ref().and_then(|r| r.public_host.clone())).or_else(|| quic.map(|a| a.ip().to_string()));
        let port = args.quic_port.or_else(|| quic.map(|a| a.port())).unwrap_or(QUIC_PORT);
        eprintln!("Paste this into the sim client, in single quotes:");
        report::line(&auth::connect_string(token, host.unwrap_or_else(|| "127.0.0.1".into()), port, pins));
    }
    Ok(())
}

async fn revoke(place: &Place, id: GrantId) -> anyhow::Result<()> {
    let publisher = Publisher::open(&place.log).await?;
    if publisher.is_none() {
        place.ensure_there()?;
    }
    let data = &place.data;
    // With a control topic, whoever may write there can revoke without a folder.
    if auth::folder(data).is_dir() {
        auth::add_revoked(data, id)?;
    }
    if !auth::issued(data).iter().any(|i| i.grant.id == id) {
        eprintln!("note: no grant with this id was made in {}", data.display());
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

async fn rotate(place: &Place) -> anyhow::Result<()> {
    let publisher = Publisher::open(&place.log).await?;
    let before = auth::keys(&place.data)?.len();
    let path = auth::add_key(&place.data)?;
    if let Some(mut publisher) = publisher {
        publisher.publish(&place.data).await?;
    }
    tokio::time::sleep(KEY_KNOWN).await;
    report::line(&format!(
        "new grants are signed with {}; the {before} older keys still verify: delete them when their grants have run out, for that closes the connections of those that have not",
        path.display()
    ));
    Ok(())
}

async fn list(place: &Place) -> anyhow::Result<()> {
    let publisher = Publisher::open(&place.log).await?;
    if publisher.is_none() {
        place.ensure_there()?;
    }
    let (mut revoked, now) = (auth::revoked(&place.data)?, auth::now());
    if let Some(publisher) = &publisher {
        let own = auth::own_keys(&place.data)?;
        for (id, key) in publisher.standing().keys() {
            let here = own.iter().any(|own| own.key.public() == key.public);
            let whose = if here { "signs here" } else { "of another folder" };
            report::line(&format!("key {id}  made {} days ago  {whose}", (now - key.made) / (24 * 3600)));
        }
        revoked.extend(publisher.standing().revoked().keys());
    }
    for Issued { grant, .. } in auth::issued(&place.data) {
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
        } else if may(Ability::Read) {
            "read"
        } else {
            "send"
        };
        report::line(&format!("{}  {kind}  {}  {}  {state}", grant.id, grant.tenant, grant.driver));
    }
    Ok(())
}

async fn remove_key(place: &Place, id: &str) -> anyhow::Result<()> {
    let publisher = Publisher::open(&place.log).await?;
    let mut publisher =
        publisher.context("only nodes of a Kafka log learn keys from elsewhere: give its --log-url; else delete the file in auth/keys")?;
    anyhow::ensure!(
        !auth::own_keys(&place.data)?.iter().any(|own| key_id(&own.key.public()) == id),
        "the key {id} is in {}, and would be published again: move its file out of auth/keys first",
        place.data.display()
    );
    anyhow::ensure!(publisher.standing().keys().contains_key(id), "no key {id} is in use: `boxbox grant list` shows those that are");
    publisher.put(&Record::KeyRemoved { id: id.into() }).await?;
    report::line(&format!("the key {id} verifies nothing any more; connections with grants signed with it are closed within 5 seconds"));
    Ok(())
}
