//! The edge's certificate: made at the first start, kept in `auth/`, pinned by clients (W1).

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use boxbox_schemas::connect::Pin;
use rcgen::{CertificateParams, KeyPair, PublicKeyData};

use crate::data;
use crate::private;

/// The certificate, its key, and the pin by which clients know the key.
pub struct ServerIdentity {
    /// DER.
    pub certificate: Vec<u8>,
    /// PKCS#8 DER.
    pub key: Vec<u8>,
    /// SHA-256 of the public key.
    pub pin: Pin,
}

/// Check the key of the identity of a data folder, if there is one.
///
/// # Errors
/// As [`private::read_key`].
pub fn check(data: &Path) -> anyhow::Result<()> {
    let key = key_file(data);
    if key.exists() { private::read_key(&key).map(drop) } else { Ok(()) }
}

fn key_file(data: &Path) -> PathBuf {
    data.join("auth").join("server.key")
}

/// Read the identity of a data folder, or make it if there is none.
pub fn load_or_make(data: &Path) -> anyhow::Result<ServerIdentity> {
    let folder = data.join("auth");
    fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let (key_path, certificate_path) = (key_file(data), folder.join("server.crt"));
    if !key_path.exists() {
        data::write_secret(&key_path, &KeyPair::generate()?.serialize_der())?;
    }
    let key = private::read_key(&key_path)?;
    let pair = KeyPair::try_from(key.as_slice())
        .with_context(|| format!("{} holds no key: delete it, and give clients new connect strings", key_path.display()))?;
    // The pin is the hash of the key, so a new certificate may be made at any time.
    if !certificate_path.exists() {
        let certificate = CertificateParams::new(vec!["boxbox".into()])?.self_signed(&pair)?;
        data::write_whole(&certificate_path, certificate.der())?;
    }
    let certificate = fs::read(&certificate_path).with_context(|| format!("cannot read {}", certificate_path.display()))?;
    let pin = ring::digest::digest(&ring::digest::SHA256, &pair.subject_public_key_info());
    let pin = Pin::try_from(pin.as_ref()).context("a SHA-256 has 32 bytes")?;
    Ok(ServerIdentity { certificate, key, pin })
}
