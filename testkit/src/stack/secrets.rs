//! Passwords and certificates of a stack, made once for each stack; they never leave its folder.

use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use anyhow::{Context, Result};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};

/// The user that every part knows.
pub(super) const USER: &str = "boxbox";

/// The database of that user.
pub(super) const DATABASE: &str = "boxbox";

/// 144 bits: too many to guess.
const PASSWORD_BYTES: usize = 18;

/// The password in `file`, made with the file if there is none. Only the file's owner can read it; it ends without a newline.
pub(super) fn password(file: &Path) -> Result<String> {
    if !file.exists() {
        let mut random = [0; PASSWORD_BYTES];
        File::open("/dev/urandom").and_then(|mut urandom| urandom.read_exact(&mut random)).context("no random numbers from /dev/urandom")?;
        // Hexadecimal needs no quoting anywhere: not in a URL, in SQL, in XML or in a Java properties file.
        private(file, &random.iter().map(|byte| format!("{byte:02x}")).collect::<String>())?;
    }
    std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))
}

/// Writes a file that only its owner can read, whole or not at all.
pub(super) fn private(file: &Path, text: &str) -> Result<()> {
    let part = file.with_extension("part");
    let write = || {
        drop(std::fs::remove_file(&part)); // of a call that was cut off: its mode might be another
        let mut out = File::options().write(true).create_new(true).mode(0o600).open(&part)?;
        out.write_all(text.as_bytes())?;
        std::fs::rename(&part, file)
    };
    write().with_context(|| format!("cannot write {}", file.display()))
}

/// A server's certificate and key, and the authority that signed it, all PEM.
#[derive(Debug)]
pub(super) struct Identity {
    /// The authority that clients trust.
    pub(super) authority: String,
    /// The server's certificate.
    pub(super) certificate: String,
    /// Its key, PKCS #8.
    pub(super) key: String,
}

/// An identity for 127.0.0.1 and localhost, with a new authority, whose key is not kept.
pub(super) fn identity() -> Result<Identity> {
    let made = || {
        let mut authority = CertificateParams::default();
        authority.distinguished_name.push(DnType::CommonName, "boxbox test stack");
        authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        authority.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let authority_key = KeyPair::generate()?;
        let authority_certificate = authority.self_signed(&authority_key)?;
        let mut server = CertificateParams::new(["127.0.0.1".to_owned(), "localhost".to_owned()])?;
        server.distinguished_name.push(DnType::CommonName, "localhost");
        let key = KeyPair::generate()?;
        let certificate = server.signed_by(&key, &Issuer::new(authority, authority_key))?;
        Ok(Identity { authority: authority_certificate.pem(), certificate: certificate.pem(), key: key.serialize_pem() })
    };
    made().map_err(|error: rcgen::Error| anyhow::Error::new(error).context("cannot make a certificate"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_made_once_for_its_owner_only() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let (one, other) = (dir.path().join("one.password"), dir.path().join("other.password"));
        let made = password(&one).unwrap();
        assert_eq!(made.len(), 2 * PASSWORD_BYTES);
        assert_eq!(password(&one).unwrap(), made);
        assert_ne!(password(&other).unwrap(), made);
        assert_eq!(std::fs::metadata(&one).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 2);
    }

    #[test]
    fn an_identity_is_whole() {
        let identity = identity().unwrap();
        assert!(identity.authority.contains("BEGIN CERTIFICATE") && identity.certificate.contains("BEGIN CERTIFICATE"));
        assert!(identity.key.contains("BEGIN PRIVATE KEY"));
        assert_ne!(identity.authority, identity.certificate);
    }
}
