//! Suspension: when a node no longer knows which grants are revoked, and what it does then.

#![allow(clippy::unwrap_used, reason = "in a test, a panic is the answer")]

use std::sync::atomic::{AtomicU32, Ordering};

use boxbox_log::LogError;
use boxbox_log::control::{Change, Changes};
use boxbox_schemas::control::Record;
use boxbox_schemas::grant::{Ability, GrantError, SigningKey};
use boxbox_schemas::{DriverId, TenantId};
use boxbox_testkit::wait::PATIENCE;
use tokio::sync::mpsc;

use super::*;

/// A data folder with a key and a grant.
struct Folder {
    folder: tempfile::TempDir,
    token: String,
    id: GrantId,
}

impl Folder {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (tenant, driver) = (TenantId::new("league").unwrap(), DriverId::new("anna").unwrap());
        let (grant, token) = auth::issue(folder.path(), tenant, driver, &[Ability::Car], None, 1).unwrap();
        Self { folder, token, id: grant.id }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Wait until the grant is accepted or refused as `wanted`.
    async fn becomes(&self, known: &mut Known, wanted: Result<(), GrantError>) {
        let judged = |authority: &Arc<Authority>| authority.verify(&self.token, auth::now()).map(drop) == wanted;
        let waited = tokio::time::timeout(PATIENCE, known.authority.wait_for(judged)).await.map(|seen| seen.map(drop));
        assert!(matches!(waited, Ok(Ok(()))), "never {wanted:?}: {:?}", known.suspension.check());
        assert_eq!(known.suspension.check().is_err(), wanted == Err(GrantError::Unavailable), "readiness agrees");
    }
}

/// No control topic, as with files alone.
async fn files_alone(folder: &Folder) -> Known {
    watch(folder.path(), None, false).await.unwrap()
}

#[tokio::test]
async fn files_that_cannot_be_read_suspend_all_grants_until_they_can() {
    let folder = Folder::new();
    let (list, keys) = (auth::revoked_file(folder.path()), auth::keys_folder(folder.path()));
    let key = std::fs::read_dir(&keys).unwrap().next().unwrap().unwrap().path();
    let away = folder.path().join("away");
    let mut known = files_alone(&folder).await;
    folder.becomes(&mut known, Ok(())).await;
    std::fs::write(&list, "").unwrap();
    // Each way to make a file unreadable, a part of readiness' error, and how it is repaired.
    type Step<'a> = Box<dyn Fn() + 'a>;
    let troubles: [(&str, Step<'_>, Step<'_>); 5] = [
        ("rubbish", Box::new(|| std::fs::write(&list, "rubbish\n").unwrap()), Box::new(|| std::fs::write(&list, "").unwrap())),
        ("put it back", Box::new(|| std::fs::rename(&list, &away).unwrap()), Box::new(|| std::fs::rename(&away, &list).unwrap())),
        ("put it back", Box::new(|| std::fs::rename(&keys, &away).unwrap()), Box::new(|| std::fs::rename(&away, &keys).unwrap())),
        (
            "no signing key",
            Box::new(|| std::fs::copy(&key, &away).map(|_| std::fs::write(&key, "x").unwrap()).unwrap()),
            Box::new(|| std::fs::rename(&away, &key).unwrap()),
        ),
        (
            "cannot read",
            Box::new(|| std::fs::remove_file(&list).and_then(|()| std::fs::create_dir(&list)).unwrap()),
            Box::new(|| std::fs::remove_dir(&list).and_then(|()| std::fs::write(&list, "")).unwrap()),
        ),
    ];
    for (error, break_it, mend) in &troubles {
        // Let the node read the files once before.
        tokio::time::sleep(LOOK_EVERY * 2).await;
        break_it();
        folder.becomes(&mut known, Err(GrantError::Unavailable)).await;
        assert!(known.suspension.check().unwrap_err().contains(error), "{error}: {:?}", known.suspension.check());
        mend();
        folder.becomes(&mut known, Ok(())).await;
    }
    auth::add_revoked(folder.path(), folder.id).unwrap();
    folder.becomes(&mut known, Err(GrantError::Revoked)).await;
    // A list that loses what it held, as at a full disk, revokes nothing less.
    let held = std::fs::read(&list).unwrap();
    for lost in [&b""[..], b"\0\0", &held[..20]] {
        std::fs::write(&list, lost).unwrap();
        folder.becomes(&mut known, Err(GrantError::Unavailable)).await;
        std::fs::write(&list, &held).unwrap();
        folder.becomes(&mut known, Err(GrantError::Revoked)).await;
    }
    // A person may take an id out, between two runs.
    std::fs::write(&list, "").unwrap();
    let mut known = files_alone(&folder).await;
    folder.becomes(&mut known, Ok(())).await;
    std::fs::remove_file(&key).unwrap();
    folder.becomes(&mut known, Err(GrantError::UnknownKey)).await;
}

#[tokio::test]
async fn a_list_that_cannot_be_read_stops_a_start() {
    let folder = Folder::new();
    std::fs::write(auth::revoked_file(folder.path()), "rubbish\n").unwrap();
    assert!(watch(folder.path(), None, false).await.is_err());
}

/// A list that is gone is not an empty list, after a restart either; a folder of the version before has none until something is revoked.
#[tokio::test]
async fn a_list_that_is_gone_stops_a_start_and_one_that_never_was_is_made() {
    let folder = Folder::new();
    let list = auth::revoked_file(folder.path());
    auth::add_revoked(folder.path(), folder.id).unwrap();
    for make_key in [true, false] {
        std::fs::remove_file(&list).unwrap();
        let Err(error) = watch(folder.path(), None, make_key).await else { panic!("started without its list") };
        assert!(error.to_string().contains("put it back"), "{error}");
        assert!(auth::add_revoked(folder.path(), folder.id).is_err() && auth::revoked(folder.path()).is_err());
        std::fs::write(&list, format!("{}\n", folder.id)).unwrap();
        folder.becomes(&mut watch(folder.path(), None, make_key).await.unwrap(), Err(GrantError::Revoked)).await;
    }
    // As the version before left it.
    for (make_key, revoked) in [(true, true), (false, true), (true, false), (false, false)] {
        std::fs::remove_file(folder.path().join("auth/revoked.begun")).unwrap();
        if !revoked {
            std::fs::remove_file(&list).unwrap();
        }
        let expected = if revoked { Err(GrantError::Revoked) } else { Ok(()) };
        folder.becomes(&mut watch(folder.path(), None, make_key).await.unwrap(), expected).await;
        assert!(list.is_file());
    }
}

/// What never ends, or never begins, in place of a list.
#[tokio::test]
#[cfg(unix)]
async fn what_is_no_file_blocks_nothing() {
    let folder = Folder::new();
    let list = auth::revoked_file(folder.path());
    let mut known = files_alone(&folder).await;
    let pipe = || assert!(std::process::Command::new("mkfifo").arg(&list).status().unwrap().success());
    let endless = || std::os::unix::fs::symlink("/dev/zero", &list).unwrap();
    let itself = || std::os::unix::fs::symlink(&list, &list).unwrap();
    let long = || std::fs::File::create(&list).unwrap().set_len(1 << 40).unwrap();
    for (n, make) in [&pipe as &dyn Fn(), &endless, &itself, &long].into_iter().enumerate() {
        std::fs::remove_file(&list).unwrap();
        make();
        folder.becomes(&mut known, Err(GrantError::Unavailable)).await;
        assert!(tokio::time::timeout(PATIENCE, watch(folder.path(), None, true)).await.expect("it does not wait").is_err(), "{n}");
        std::fs::remove_file(&list).unwrap();
        std::fs::write(&list, "").unwrap();
        folder.becomes(&mut known, Ok(())).await;
    }
    // A link to a file is one.
    let elsewhere = folder.path().join("elsewhere");
    std::fs::write(&elsewhere, format!("{}\n", folder.id)).unwrap();
    std::fs::remove_file(&list).unwrap();
    std::os::unix::fs::symlink(&elsewhere, &list).unwrap();
    folder.becomes(&mut known, Err(GrantError::Revoked)).await;
}

#[test]
fn a_few_failed_looks_change_nothing_and_more_suspend() {
    let folder = Folder::new();
    let read = || Files::read(folder.path(), None);
    let mut looks = Looks { files: read().unwrap(), failed: 0, error: None };
    for failures in 1..=3 * FAILED_LOOKS_MAX {
        for n in 1..=failures {
            looks.take(Err(anyhow::anyhow!("gone")));
            assert_eq!(looks.trouble().is_some(), n >= FAILED_LOOKS_MAX, "after {n} in a row");
            assert_eq!(looks.files.keys.len(), 1, "what was known is kept");
        }
        looks.take(read());
        assert_eq!(looks.trouble(), None);
    }
    // The promise (W3): within five seconds a revocation takes effect, or no grant is accepted.
    assert!(LOOK_EVERY * (FAILED_LOOKS_MAX + 1) < Duration::from_secs(4));
}

/// A control topic whose reader can be made to die, and to be unreadable for a while.
struct Topic {
    holds: Mutex<Vec<Change>>,
    follower: Mutex<Option<mpsc::Sender<Change>>>,
    fails: AtomicU32,
}

impl Topic {
    fn put(&self, record: &Record) {
        let change = Change { key: record.key().into(), value: record.value() };
        self.holds.lock().push(change.clone());
        if let Some(follower) = &*self.follower.lock() {
            follower.try_send(change).unwrap();
        }
    }

    async fn followed(self: &Arc<Self>) -> Followed {
        let topic = self.clone();
        let reading = move || {
            let topic = topic.clone();
            Box::pin(async move {
                if topic.fails.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1)).is_ok() {
                    return Err(LogError::Unavailable("a test wants this".into()));
                }
                let (send, receive) = mpsc::channel(16);
                *topic.follower.lock() = Some(send);
                Ok((topic.holds.lock().clone(), Changes::of(receive)))
            }) as std::pin::Pin<Box<dyn Future<Output = _> + Send>>
        };
        Followed::read_by(Arc::new(reading)).await.unwrap()
    }
}

#[tokio::test]
async fn a_control_topic_that_is_followed_no_more_suspends_all_grants_until_it_is_read_again() {
    let (folder, node) = (Folder::new(), tempfile::tempdir().unwrap());
    let topic = Arc::new(Topic { holds: Mutex::default(), follower: Mutex::default(), fails: AtomicU32::new(0) });
    let bytes = std::fs::read(std::fs::read_dir(auth::keys_folder(folder.path())).unwrap().next().unwrap().unwrap().path()).unwrap();
    let public = SigningKey::from_bytes(&bytes).unwrap().public();
    topic.put(&Record::Key { public, made: 1 });
    // A node without files.
    let mut known = follow(node.path(), topic.followed().await).unwrap();
    folder.becomes(&mut known, Ok(())).await;

    topic.fails.store(2, Ordering::SeqCst);
    drop(topic.follower.lock().take());
    folder.becomes(&mut known, Err(GrantError::Unavailable)).await;
    assert!(known.suspension.check().unwrap_err().contains("control topic"));
    folder.becomes(&mut known, Ok(())).await;
    assert_eq!(topic.fails.load(Ordering::SeqCst), 0, "it was tried until it could be read");

    // A record that was written while the topic was not followed is known afterwards.
    topic.fails.store(1, Ordering::SeqCst);
    drop(topic.follower.lock().take());
    topic.put(&Record::Revoked { id: folder.id, until: i64::MAX });
    folder.becomes(&mut known, Err(GrantError::Unavailable)).await;
    folder.becomes(&mut known, Err(GrantError::Revoked)).await;
    topic.put(&Record::RevocationRemoved { id: folder.id });
    folder.becomes(&mut known, Ok(())).await;
    topic.put(&Record::KeyRemoved { id: boxbox_schemas::grant::key_id(&public) });
    folder.becomes(&mut known, Err(GrantError::UnknownKey)).await;
}

const CHILD: &str = "BOXBOX_AUTHORITY_HANDLES_CHILD";

/// In a second process, whose limit is lowered.
#[test]
#[cfg(unix)]
fn a_revocation_is_read_also_when_the_process_has_no_handles_left() {
    const TEST: &str = "access::authority::tests::a_revocation_is_read_also_when_the_process_has_no_handles_left";
    if std::env::var_os(CHILD).is_none() {
        let out = std::process::Command::new(std::env::current_exe().unwrap()).args(["--exact", TEST, "--nocapture"]).env(CHILD, "1").output();
        let out = out.unwrap();
        let output = String::from_utf8_lossy(&out.stdout) + String::from_utf8_lossy(&out.stderr);
        return assert!(out.status.success() && output.contains("read without handles"), "{output}");
    }
    use rustix::process::{Resource, Rlimit, setrlimit};
    setrlimit(Resource::Nofile, Rlimit { current: Some(64), maximum: Some(64) }).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let folder = Folder::new();
        let mut list = File::options().create(true).append(true).open(auth::revoked_file(folder.path())).unwrap();
        let mut known = files_alone(&folder).await;
        folder.becomes(&mut known, Ok(())).await;
        let mut held: Vec<File> = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();
        // A look that was under way gives its handle back: take this one too.
        tokio::time::sleep(LOOK_EVERY * 2).await;
        held.extend(std::iter::from_fn(|| File::open("/dev/null").ok()));
        assert!(held.len() < 64);
        tokio::time::sleep(LOOK_EVERY * (FAILED_LOOKS_MAX + 2)).await;
        if known.suspension.check().is_err() {
            // The last handle was taken at the very moment in which the list was opened; with one handle more the spare is there again.
            held.pop();
            tokio::time::sleep(LOOK_EVERY * (FAILED_LOOKS_MAX + 2)).await;
        }
        assert!(known.suspension.check().is_ok(), "{:?}", known.suspension.check());
        std::io::Write::write_all(&mut list, format!("{}\n", folder.id).as_bytes()).unwrap();
        folder.becomes(&mut known, Err(GrantError::Revoked)).await;
        println!("read without handles");
    });
}
