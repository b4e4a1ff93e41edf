//! `spool`: what clients on this machine could not send yet. It stays until it is sent to its server or deleted, for ever if the
//! server's name was mistyped.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::{Context, bail, ensure};
use boxbox_client::Kept;
use boxbox_schemas::connect::ConnectString;
use boxbox_schemas::grant;

use crate::sender::{self, Sender};
use crate::show::ask;
use crate::show::report::line;
use crate::signals;

/// How long the server may take to ack a whole spool.
const SEND_WITHIN: Duration = Duration::from_secs(600);

/// The folder of all spools in a data folder.
pub fn folder(data: &Path) -> PathBuf {
    data.join("spool")
}

/// `spool list`
pub fn list(data: &Path) -> anyhow::Result<()> {
    let all = kept(data)?;
    if all.is_empty() {
        line(&format!("nothing is left to send in {}", folder(data).display()));
        return Ok(());
    }
    for spool in &all {
        line(&described(spool));
    }
    line("");
    line("to send it, with the server's connect string in FILE:");
    line("    boxbox spool send NAME --to-file FILE");
    line("to delete it:");
    line("    boxbox spool delete NAME");
    Ok(())
}

/// `spool send`
pub async fn send(data: &Path, name: Option<&str>, to: Option<ConnectString>) -> anyhow::Result<()> {
    let to = to.context("say where to send it: --to-file FILE with the connect string of the server, or `--to -` to paste it")?;
    let all = kept(data)?;
    let spool = match name {
        Some(name) => named(&all, name, data)?,
        None => of_driver(&all, &to, data)?,
    };
    let (count, address) = (spool.unacked.map_or(0, |(_, records)| records), format!("{}:{}", to.host, to.port));
    line(&format!("sending {} of {} to {address}", records(count), spool.owner));
    let sender = Sender::start(to, Some(sender::spool_of(spool.folder.clone())), Default::default()).await?;
    tokio::select! {
        sent = sender.finish(SEND_WITHIN) => sent.with_context(|| format!("the spool {} stays", spool.name))?,
        () = signals::asked_to_stop() => {
            let left = sender.client().finish(Duration::from_secs(1)).await.frames;
            bail!("stopped: {} are left in the spool {}", records(left), spool.name);
        }
    }
    line(&format!("sent and acked: {}", records(count)));
    Ok(())
}

/// `spool delete`
pub fn delete(data: &Path, name: &str, yes: bool) -> anyhow::Result<()> {
    let all = kept(data)?;
    let spool = named(&all, name, data)?;
    ensure!(
        yes || ask::confirm(&format!("{}\nDelete it? Its frames are lost.", described(spool)))? == Some(true),
        "nothing was deleted: `boxbox spool delete {name} --yes` deletes it without asking"
    );
    boxbox_client::delete(spool)?;
    line(&format!("deleted {name}"));
    Ok(())
}

fn kept(data: &Path) -> anyhow::Result<Vec<Kept>> {
    Ok(boxbox_client::kept(&folder(data))?)
}

fn named<'a>(all: &'a [Kept], name: &str, data: &Path) -> anyhow::Result<&'a Kept> {
    // The first digits suffice, as long as they are those of one only.
    let found: Vec<&Kept> = all.iter().filter(|spool| spool.name.starts_with(name)).collect();
    match found.as_slice() {
        [one] => Ok(one),
        [] => bail!("no spool {name} with anything to send is in {}: `boxbox spool list` shows all", folder(data).display()),
        several => bail!("{} spools begin with {name}: give more of the name", several.len()),
    }
}

fn of_driver<'a>(all: &'a [Kept], to: &ConnectString, data: &Path) -> anyhow::Result<&'a Kept> {
    let grant = grant::peek(&to.grant).context("the grant in the connect string cannot be read: give the name of the spool")?;
    let owner = format!("{} / {}", grant.tenant, grant.driver);
    let found: Vec<&Kept> = all.iter().filter(|spool| spool.owner == owner).collect();
    match found.as_slice() {
        [one] => Ok(one),
        [] => bail!("nothing of {owner} is left to send in {}", folder(data).display()),
        several => bail!("{owner} has {} spools: give the name of one, as `boxbox spool list` shows it", several.len()),
    }
}

/// A spool in two lines.
fn described(spool: &Kept) -> String {
    let Kept { name, owner, addresses, unacked, bytes, changed, .. } = spool;
    let what = match unacked {
        Some((streams, count)) => format!("{} in {streams} {}", records(*count), if *streams == 1 { "stream" } else { "streams" }),
        None => "in use by another process".to_owned(),
    };
    let address = addresses.last().map_or_else(|| "a server".to_owned(), Clone::clone);
    let age = changed.and_then(|at| SystemTime::now().duration_since(at).ok()).map_or_else(String::new, |age| format!(", last written {}", ago(age)));
    format!("{name}  {owner}  for {address}\n    {what}, {}{age}", size(*bytes))
}

fn records(count: u64) -> String {
    if count == 1 { "1 frame or other record".into() } else { format!("{count} frames and other records") }
}

fn size(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => format!("{} KB", bytes / 1_000),
        _ => format!("{:.1} MB", bytes as f64 / 1e6),
    }
}

fn ago(age: Duration) -> String {
    let (count, unit) = match age.as_secs() {
        0..60 => return "just now".into(),
        s @ 60..3_600 => (s / 60, "minute"),
        s @ 3_600..86_400 => (s / 3_600, "hour"),
        s => (s / 86_400, "day"),
    };
    format!("{count} {unit}{} ago", if count == 1 { "" } else { "s" })
}
