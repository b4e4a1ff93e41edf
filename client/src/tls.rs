//! TLS 1.3 with pinned keys (W1): the server is accepted if it holds the private key of a pinned public key.
//!
//! Names, issuers and dates of certificates are not checked: a pinned key is stronger evidence.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use boxbox_schemas::connect::Pin;
use boxbox_schemas::wire;
use parking_lot::Mutex;
use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, PeerIncompatible, SignatureScheme};

/// The TLS configuration, and its verifier, in which the pins can be changed.
pub(crate) struct Tls {
    pub(crate) verifier: Arc<PinVerifier>,
    pub(crate) config: Arc<rustls::ClientConfig>,
}

/// Accepts a certificate by the SHA-256 of its public key (SubjectPublicKeyInfo).
#[derive(Debug)]
pub(crate) struct PinVerifier {
    pins: Mutex<Vec<Pin>>,
    provider: Arc<CryptoProvider>,
    mismatch: AtomicBool,
}

impl PinVerifier {
    pub(crate) fn new(pins: Vec<Pin>) -> Self {
        Self { pins: Mutex::new(pins), provider: Arc::new(rustls::crypto::ring::default_provider()), mismatch: AtomicBool::new(false) }
    }

    /// Accepts these keys from the next handshake on.
    pub(crate) fn set_pins(&self, pins: &[Pin]) {
        *self.pins.lock() = pins.to_vec();
    }

    /// Whether the last server had another key; reading this resets it.
    pub(crate) fn take_mismatch(&self) -> bool {
        self.mismatch.swap(false, Ordering::Relaxed)
    }
}

impl ServerCertVerifier for PinVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let key = ParsedCertificate::try_from(end_entity)?.subject_public_key_info();
        let digest = ring::digest::digest(&ring::digest::SHA256, &key);
        if self.pins.lock().iter().any(|pin| pin[..] == *digest.as_ref()) {
            Ok(ServerCertVerified::assertion())
        } else {
            self.mismatch.store(true, Ordering::Relaxed);
            Err(CertificateError::ApplicationVerificationFailure.into())
        }
    }

    fn verify_tls12_signature(&self, _: &[u8], _: &CertificateDer<'_>, _: &DigitallySignedStruct) -> Result<HandshakeSignatureValid, Error> {
        Err(PeerIncompatible::Tls12NotOffered.into())
    }

    /// The pin identifies the key; the signature proves that the server holds the private key.
    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// The TLS configuration of a connection. No resumption and no early data: the server proves its key for each connection.
pub(crate) fn client_config(verifier: Arc<PinVerifier>) -> Result<rustls::ClientConfig, Error> {
    let mut config = rustls::ClientConfig::builder_with_provider(verifier.provider.clone())
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    config.alpn_protocols = vec![wire::ALPN.to_vec()];
    config.resumption = Resumption::disabled();
    Ok(config)
}

/// The TLS configuration alone, for tools that implement the wire protocol themselves, such as load generators.
pub fn pinned(pins: Vec<Pin>) -> Result<rustls::ClientConfig, Error> {
    client_config(Arc::new(PinVerifier::new(pins)))
}
