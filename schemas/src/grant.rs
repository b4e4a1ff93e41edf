//! Grants: signed tokens that define who may send or read what (W3). PASETO v4.public (Ed25519), with the key's id in the footer.
//!
//! Only its holder and the servers that verify it may see a token. Verification is pure: keys, revocations and the time come from the
//! caller.

use std::collections::{BTreeMap, BTreeSet};

use pasetors::Public;
use pasetors::keys::{AsymmetricKeyPair, AsymmetricPublicKey, AsymmetricSecretKey, Generate};
use pasetors::token::UntrustedToken;
use pasetors::version4::{PublicToken, V4};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::ids::{DriverId, GrantId, TenantId};
use crate::limits::GRANT_MAX_BYTES;

/// Days for which a grant is valid by default.
pub const DEFAULT_DAYS: u32 = 180;
const IMPLICIT: &[u8] = b"boxbox.grant.v1";

/// What a grant allows.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ability {
    /// Send frames of one's own car.
    Car,
    /// Send frames of the cars that one sees.
    Field,
    /// Describe the session.
    Meta,
    /// Read the tenant's results through the API.
    Read,
    /// Decide penalties and correct results in the tenant's leagues. Includes reading.
    Steward,
    /// Manage the tenant's leagues, and close its sessions and open them again through the API. Includes reading.
    Manage,
    /// An ability of a newer issuer; allows nothing here.
    #[serde(other)]
    Unknown,
}

/// The content of a grant.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Grant {
    /// Its id, for revocation.
    pub id: GrantId,
    /// The tenant it is for.
    pub tenant: TenantId,
    /// The driver it is for. A read grant has one too, which names the reader in the audit log.
    pub driver: DriverId,
    /// What it allows.
    pub abilities: BTreeSet<Ability>,
    /// If given, the grant is limited to this event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event: Option<String>,
    /// Unix seconds after which it is void.
    pub expires: i64,
}

/// A grant whose token was verified, and its key. [`Authority::check`] needs both to check the grant again.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Verified {
    /// The content of the token.
    pub grant: Grant,
    /// The id of the key that it was signed with, see [`key_id`].
    pub key_id: String,
}

/// Why a token is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum GrantError {
    /// The text is not a token of this kind.
    #[error("this is no grant: copy the whole text that `grant create` printed")]
    Malformed,
    /// It was signed with a key that is not in use, or no longer.
    #[error("the grant was signed with a key that is not in use here: is it for another server, or older than its last key change?")]
    UnknownKey,
    /// The signature does not match.
    #[error("the grant's signature does not match: it was changed or damaged")]
    Signature,
    /// It has expired.
    #[error("the grant has expired: ask for a new one (`grant create`)")]
    Expired,
    /// It was revoked.
    #[error("the grant was revoked: ask for a new one (`grant create`)")]
    Revoked,
    /// The server does not know at present which keys are in use and which grants are revoked. The grant itself may be valid.
    #[error("the server cannot read now which grants hold, and accepts no client until it can: try again later; its health report says why")]
    Unavailable,
}

impl GrantError {
    /// Every [`GrantError::name`].
    pub const NAMES: &'static [&'static str] = &["malformed", "unknown_key", "signature", "expired", "revoked", "unavailable"];

    /// The error as one word, for metrics.
    pub const fn name(self) -> &'static str {
        match self {
            GrantError::Malformed => "malformed",
            GrantError::UnknownKey => "unknown_key",
            GrantError::Signature => "signature",
            GrantError::Expired => "expired",
            GrantError::Revoked => "revoked",
            GrantError::Unavailable => "unavailable",
        }
    }
}

/// The unverified content of a token. Only for showing it to its holder, never for a decision.
pub fn peek(token: &str) -> Option<Grant> {
    let untrusted = UntrustedToken::<Public, V4>::try_from(token).ok()?;
    serde_json::from_slice(untrusted.untrusted_payload()).ok()
}

/// The id of a verifying key: the first 8 bytes of its SHA-256, in hex.
pub fn key_id(public: &[u8; 32]) -> String {
    Sha256::digest(public)[..8].iter().map(|b| format!("{b:02x}")).collect()
}

/// A key that signs grants.
pub struct SigningKey(AsymmetricKeyPair<V4>);

impl SigningKey {
    /// A new random key; `None` if the system gives no random bytes.
    pub fn generate() -> Option<Self> {
        AsymmetricKeyPair::generate().ok().map(Self)
    }
    /// The 64 bytes to keep secret.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.0.secret.as_bytes().to_vec()
    }
    /// Read the bytes of [`Self::to_bytes`].
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let secret = AsymmetricSecretKey::<V4>::from(bytes).ok()?;
        let public = AsymmetricPublicKey::<V4>::from(bytes.get(32..)?).ok()?;
        Some(Self(AsymmetricKeyPair { public, secret }))
    }
    /// The verifying key.
    pub fn public(&self) -> [u8; 32] {
        let mut out = [0; 32];
        out.copy_from_slice(self.0.public.as_bytes());
        out
    }
    /// A token for `grant`; `None` if it would be longer than [`GRANT_MAX_BYTES`].
    pub fn sign(&self, grant: &Grant) -> Option<String> {
        let claims = serde_json::to_vec(grant).ok()?;
        let footer = key_id(&self.public());
        let token = PublicToken::sign(&self.0.secret, &claims, Some(footer.as_bytes()), Some(IMPLICIT)).ok()?;
        (token.len() <= GRANT_MAX_BYTES).then_some(token)
    }
}

/// Decides about grants: the verifying keys in use (two during a rotation) and the revoked ids.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Authority {
    keys: BTreeMap<String, [u8; 32]>,
    revoked: BTreeSet<GrantId>,
    unavailable: bool,
}

impl Authority {
    /// An authority with these keys and revocations.
    pub fn new(keys: impl IntoIterator<Item = [u8; 32]>, revoked: impl IntoIterator<Item = GrantId>) -> Self {
        Self { keys: keys.into_iter().map(|k| (key_id(&k), k)).collect(), revoked: revoked.into_iter().collect(), unavailable: false }
    }

    /// For a server that cannot read which grants are revoked: it refuses every grant with [`GrantError::Unavailable`].
    pub fn unavailable() -> Self {
        Self { unavailable: true, ..Self::default() }
    }

    /// Read and verify a token at `now` (Unix seconds).
    pub fn verify(&self, token: &str, now: i64) -> Result<Verified, GrantError> {
        if self.unavailable {
            return Err(GrantError::Unavailable);
        }
        if token.len() > GRANT_MAX_BYTES {
            return Err(GrantError::Malformed);
        }
        let untrusted = UntrustedToken::<Public, V4>::try_from(token).map_err(|_| GrantError::Malformed)?;
        let kid = std::str::from_utf8(untrusted.untrusted_footer()).map_err(|_| GrantError::Malformed)?;
        let key = self.keys.get(kid).ok_or(GrantError::UnknownKey)?;
        let key = AsymmetricPublicKey::<V4>::from(key).map_err(|_| GrantError::UnknownKey)?;
        PublicToken::verify(&key, &untrusted, None, Some(IMPLICIT)).map_err(|_| GrantError::Signature)?;
        let grant: Grant = serde_json::from_slice(untrusted.untrusted_payload()).map_err(|_| GrantError::Malformed)?;
        if grant.driver == DriverId::SERVER {
            return Err(GrantError::Malformed);
        }
        let verified = Verified { grant, key_id: kid.to_owned() };
        self.check(&verified, now)?;
        Ok(verified)
    }

    /// Whether a grant that was verified before is still valid at `now` (Unix seconds), and its key still in use.
    pub fn check(&self, verified: &Verified, now: i64) -> Result<(), GrantError> {
        if self.unavailable {
            return Err(GrantError::Unavailable);
        }
        if !self.keys.contains_key(&verified.key_id) {
            return Err(GrantError::UnknownKey);
        }
        if self.revoked.contains(&verified.grant.id) {
            return Err(GrantError::Revoked);
        }
        if now >= verified.grant.expires {
            return Err(GrantError::Expired);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn grant() -> Grant {
        Grant {
            id: GrantId([9; 16]),
            tenant: TenantId::new("league").unwrap(),
            driver: DriverId::new("max").unwrap(),
            abilities: [Ability::Car, Ability::Meta].into(),
            event: None,
            expires: 1_000,
        }
    }

    #[test]
    fn a_grant_holds_until_it_expires_or_is_revoked() {
        let key = SigningKey::generate().unwrap();
        let token = key.sign(&grant()).unwrap();
        let authority = Authority::new([key.public()], []);
        assert_eq!(peek(&token), Some(grant()));
        assert_eq!(peek("v4.public.rubbish"), None);
        assert_eq!(authority.verify(&token, 999), Ok(Verified { grant: grant(), key_id: key_id(&key.public()) }));
        assert_eq!(authority.verify(&token, 1_000), Err(GrantError::Expired));
        assert_eq!(Authority::new([key.public()], [GrantId([9; 16])]).verify(&token, 0), Err(GrantError::Revoked));
        assert_eq!(Authority::new([SigningKey::generate().unwrap().public()], []).verify(&token, 0), Err(GrantError::UnknownKey));
    }

    #[test]
    fn a_verified_grant_is_looked_at_again_as_it_was_at_first() {
        let (key, newer) = (SigningKey::generate().unwrap(), SigningKey::generate().unwrap());
        let token = key.sign(&grant()).unwrap();
        let verified = Authority::new([key.public()], []).verify(&token, 0).unwrap();
        for (keys, revoked) in [
            (vec![&key], vec![]),
            (vec![&key, &newer], vec![GrantId([8; 16])]),
            (vec![&newer], vec![]),
            (vec![], vec![]),
            (vec![&key], vec![GrantId([9; 16])]),
            (vec![&newer], vec![GrantId([9; 16])]),
        ] {
            let authority = Authority::new(keys.iter().map(|key| key.public()), revoked.clone());
            for now in [0, 999, 1_000] {
                assert_eq!(authority.check(&verified, now).err(), authority.verify(&token, now).err(), "{} keys, {revoked:?}, {now}", keys.len());
            }
        }
        assert_eq!(Authority::unavailable().check(&verified, 0), Err(GrantError::Unavailable));
        assert_eq!(Authority::unavailable().verify(&token, 0), Err(GrantError::Unavailable));
        assert_eq!(Authority::new([newer.public()], []).check(&verified, 0), Err(GrantError::UnknownKey));
        assert_eq!(Authority::new([newer.public(), key.public()], []).check(&verified, 0), Ok(()), "a key that is added takes nothing away");
    }

    #[test]
    fn no_grant_is_for_the_server() {
        let key = SigningKey::generate().unwrap();
        let token = key.sign(&Grant { driver: DriverId::SERVER, ..grant() }).unwrap();
        assert_eq!(Authority::new([key.public()], []).verify(&token, 0), Err(GrantError::Malformed));
        assert_eq!(DriverId::new(DriverId::SERVER.as_str()), Ok(DriverId::SERVER));
    }

    #[test]
    fn keys_survive_being_stored() {
        let key = SigningKey::generate().unwrap();
        let again = SigningKey::from_bytes(&key.to_bytes()).unwrap();
        assert!(Authority::new([key.public()], []).verify(&again.sign(&grant()).unwrap(), 0).is_ok());
        assert!(SigningKey::from_bytes(&[1; 7]).is_none());
    }

    proptest! {
        #[test]
        fn a_changed_token_is_refused(at in any::<prop::sample::Index>(), to in "[A-Za-z0-9_-]") {
            let key = SigningKey::generate().unwrap();
            let token = key.sign(&grant()).unwrap();
            let at = at.index(token.len());
            let mut changed = token.clone();
            changed.replace_range(at..=at, &to);
            let verified = Authority::new([key.public()], []).verify(&changed, 0);
            // The last character of a base64 text carries unused bits; a strict decoder refuses those too.
            prop_assert!(changed == token || verified.is_err());
        }

        #[test]
        fn rubbish_is_malformed(text in "\\PC{0,1100}") {
            prop_assert_eq!(Authority::default().verify(&text, 0), Err(GrantError::Malformed));
        }
    }
}
