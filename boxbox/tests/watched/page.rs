//! [`Page`]: an address with TLS, as a league's reverse proxy has one, whose certificate can be changed.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// A day.
const DAY: Duration = Duration::from_secs(86_400);

/// A page that answers 200 to everything.
pub(crate) struct Page {
    /// Where it is, `https://127.0.0.1:port/`.
    pub(crate) url: String,
    authority: rcgen::Issuer<'static, KeyPair>,
    authority_pem: String,
    serves: Arc<Mutex<Arc<ServerConfig>>>,
}

impl Page {
    /// With a certificate for 90 days.
    pub(crate) fn start() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name.push(rcgen::DnType::CommonName, "boxbox test page");
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let authority_pem = params.self_signed(&key).unwrap().pem();
        let authority = rcgen::Issuer::new(params, key);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("https://{}/", listener.local_addr().unwrap());
        let serves = Arc::new(Mutex::new(config(&authority, SystemTime::now() + 90 * DAY)));
        let shared = serves.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let config = shared.lock().unwrap().clone();
                std::thread::spawn(move || {
                    let mut tls = StreamOwned::new(ServerConnection::new(config).unwrap(), stream);
                    // A client that does not trust the certificate ends the handshake.
                    let _ = tls.read(&mut [0; 4096]);
                    let _ = tls.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
                    tls.conn.send_close_notify();
                    let _ = tls.flush();
                });
            }
        });
        Self { url, authority, authority_pem, serves }
    }

    /// Who signs its certificates, as a file in `folder`.
    pub(crate) fn authority(&self, folder: &Path) -> PathBuf {
        let file = folder.join("page-authority.pem");
        std::fs::write(&file, &self.authority_pem).unwrap();
        file
    }

    /// From now on its certificate has so many days left; with a negative number it has expired.
    pub(crate) fn has_days_left(&self, days: i32) {
        let now = SystemTime::now();
        let until = if days < 0 { now - DAY * days.unsigned_abs() } else { now + DAY * days.unsigned_abs() };
        *self.serves.lock().unwrap() = config(&self.authority, until);
    }
}

fn config(authority: &rcgen::Issuer<'static, KeyPair>, until: SystemTime) -> Arc<ServerConfig> {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    params.not_before = (until - 400 * DAY).into();
    params.not_after = until.into();
    let certificate = params.signed_by(&key, authority).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap().with_no_client_auth();
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    Arc::new(builder.with_single_cert(vec![certificate.der().clone()], key).unwrap())
}
