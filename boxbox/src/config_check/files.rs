//! Checks of the files and folders that options name.

use std::fs;
use std::path::Path;

use boxbox_schemas::secret::Secret;

use super::Findings;
use crate::access::{auth, identity};
use crate::private;

/// Bytes of a file with a secret at most.
const SECRET_MAX_BYTES: u64 = 1 << 20;

/// A file that is read. `-` is standard input, which is not looked at.
pub fn file(option: &str, path: &Path, findings: &mut Findings) {
    if path == Path::new("-") {
        return;
    }
    if let Err(error) = fs::File::open(path) {
        findings.problem(&format!("{option}: cannot read {}: {error}", path.display()));
    }
}

/// A file that is read and holds a secret: it must hold something, and other users of the machine should not be able to read or change it.
pub fn secret_file(option: &str, path: &Path, findings: &mut Findings) {
    let shown = path.display();
    if path == Path::new("-") {
        return;
    }
    match fs::metadata(path) {
        Err(error) => return findings.problem(&format!("{option}: cannot read {shown}: {error}")),
        // What comes out of a pipe comes once, and the command needs it.
        Ok(about) if !about.is_file() && !about.is_dir() => {
            return findings.note(&format!("{option}: {shown} is no regular file, and was not read"));
        }
        Ok(about) => warn_of_others(option, path, &about, findings),
    }
    match private::read_regular(path, SECRET_MAX_BYTES) {
        Err(error) => findings.problem(&format!("{option}: cannot read {shown}: {error}")),
        Ok(content) => {
            if let Err(error) = Secret::from_file_content(&content) {
                findings.problem(&format!("{option}: {shown} holds no secret: {error}"));
            }
        }
    }
}

/// The rights of users who are neither the owner nor in the group, and that of the group to change the file. That the group may read is usual where
/// the service's user is not the owner, as in containers.
#[cfg(unix)]
const TOO_OPEN: u32 = 0o027;

#[cfg(unix)]
fn warn_of_others(option: &str, path: &Path, about: &fs::Metadata, findings: &mut Findings) {
    let mode = std::os::unix::fs::PermissionsExt::mode(&about.permissions()) & 0o777;
    if mode & TOO_OPEN != 0 {
        let shown = path.display();
        findings.note(&format!("{option}: other users of this machine can read or change {shown} (its mode is {mode:03o}): run chmod 600 {shown}"));
    }
}

#[cfg(not(unix))]
fn warn_of_others(_: &str, _: &Path, _: &fs::Metadata, _: &mut Findings) {}

/// The data folder: it is there and can be written, or can be made; its keys are for its user alone.
pub fn data_folder(option: &str, path: &Path, findings: &mut Findings) {
    let shown = path.display();
    match fs::metadata(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
            // All missing folders on the way are made.
            let above = absolute.ancestors().skip(1).find(|above| above.exists());
            match above.map(may_write) {
                Some(Ok(())) => findings.note(&format!("{option}: the folder {shown} is missing; a service that starts makes it")),
                Some(Err(error)) => findings.problem(&format!("{option}: the folder {shown} is missing and cannot be made: {error}")),
                None => findings.problem(&format!("{option}: the folder {shown} is missing and cannot be made")),
            }
            return;
        }
        Err(error) => return findings.problem(&format!("{option}: cannot read {shown}: {error}")),
        Ok(about) if !about.is_dir() => return findings.problem(&format!("{option}: {shown} is no folder")),
        Ok(_) => {}
    }
    if let Err(error) = may_write(path) {
        findings.problem(&format!("{option}: cannot write in the folder {shown}: {error}"));
    }
    findings.kept(private::check_not_shared(path));
    findings.kept(auth::own_keys(path));
    findings.kept(identity::check(path));
}

#[cfg(unix)]
fn may_write(folder: &Path) -> std::io::Result<()> {
    use rustix::fs::Access;
    Ok(rustix::fs::access(folder, Access::WRITE_OK | Access::EXEC_OK)?)
}

#[cfg(not(unix))]
fn may_write(_: &Path) -> std::io::Result<()> {
    Ok(())
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn found(look: impl Fn(&mut Findings)) -> (usize, usize) {
        let mut findings = Findings::default();
        look(&mut findings);
        assert!(findings.problems().iter().chain(findings.notes()).all(|text| text.contains("--x") || text.contains("key")), "{findings:?}");
        (findings.problems().len(), findings.notes().len())
    }

    #[test]
    fn a_secret_is_there_and_is_for_its_user_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("password");
        let look = |path: &Path| found(|findings| secret_file("--x", path, findings));
        assert_eq!(look(&path), (1, 0), "it is missing");
        assert_eq!(look(folder.path()).0, 1, "it is a folder");
        fs::write(&path, "\n").unwrap();
        for (content, mode, expected) in [
            ("hunter2\n", 0o600, (0, 0)),
            ("hunter2\n", 0o640, (0, 0)),
            ("hunter2\n", 0o644, (0, 1)),
            ("hunter2\n", 0o660, (0, 1)),
            ("\n", 0o600, (1, 0)),
            ("", 0o604, (1, 1)),
        ] {
            fs::write(&path, content).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(look(&path), expected, "{content:?} {mode:o}");
        }
        assert_eq!(look(Path::new("-")), (0, 0));
        assert_eq!(found(|findings| file("--x", &folder.path().join("none"), findings)), (1, 0));
        assert_eq!(found(|findings| file("--x", &path, findings)), (0, 0));
    }

    #[test]
    fn a_data_folder_is_there_or_can_be_made() {
        let place = tempfile::tempdir().unwrap();
        let look = |path: &Path| found(|findings| data_folder("--x", path, findings));
        assert_eq!(look(place.path()), (0, 0));
        assert_eq!(look(&place.path().join("a/b")), (0, 1), "it will be made");
        let file = place.path().join("file");
        fs::write(&file, "").unwrap();
        assert_eq!(look(&file), (1, 0));
        let keys = place.path().join("auth/keys");
        fs::create_dir_all(&keys).unwrap();
        fs::write(keys.join("1.key"), "not a key").unwrap();
        fs::set_permissions(keys.join("1.key"), fs::Permissions::from_mode(0o644)).unwrap();
        assert_eq!(look(place.path()).0, 1, "others can read the key");
        assert!(!place.path().join("auth/server.key").exists(), "nothing was made");
    }
}
