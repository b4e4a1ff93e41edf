//! The records of the control topic: the keys that verify grants, and the revoked grants (W10).
//!
//! The topic is compacted: the last record of each subject counts, and a record without a value removes the subject. The record's key
//! is the subject's text, so a revocation holds even if a newer version wrote its value:
//!
//! | key | value, version 1 |
//! |---|---|
//! | `key/` and the key's id, 16 hexadecimal digits | version, 1, made (i64, Unix seconds), the public key (32 bytes) |
//! | `revoked/` and the grant's id, 32 hexadecimal digits | version, 2, until (i64, Unix seconds) |
//!
//! Numbers are little-endian. A value that cannot be read never gives access: such a key verifies nothing, and such a revocation holds
//! for ever. Other subjects come from a newer version and are ignored.

use std::collections::BTreeMap;

use crate::grant::{Authority, key_id};
use crate::ids::GrantId;

const VERSION: u8 = 1;
const KIND_KEY: u8 = 1;
const KIND_REVOKED: u8 = 2;
const KEY_PREFIX: &str = "key/";
const REVOKED_PREFIX: &str = "revoked/";

/// The `until` of [`Record::Revoked`] for a grant whose expiry is unknown.
pub const FOR_EVER: i64 = i64::MAX;

/// A record of the control topic.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Record {
    /// Grants that are signed with this key are valid.
    Key {
        /// The verifying key; its id is [`key_id`] of it.
        public: [u8; 32],
        /// When it was made, Unix seconds; only shown to people.
        made: i64,
    },
    /// The key with this id is no longer in use.
    KeyRemoved {
        /// See [`key_id`].
        id: String,
    },
    /// This grant is revoked.
    Revoked {
        /// The grant.
        id: GrantId,
        /// Unix seconds after which it is void in any case, so that the record can be removed; [`FOR_EVER`] if not known.
        until: i64,
    },
    /// The revocation of this grant is removed, because the grant has expired.
    RevocationRemoved {
        /// The grant.
        id: GrantId,
    },
}

impl Record {
    /// The topic's key: what the record is about.
    pub fn key(&self) -> String {
        match self {
            Record::Key { public, .. } => format!("{KEY_PREFIX}{}", key_id(public)),
            Record::KeyRemoved { id } => format!("{KEY_PREFIX}{id}"),
            Record::Revoked { id, .. } | Record::RevocationRemoved { id } => format!("{REVOKED_PREFIX}{id}"),
        }
    }

    /// The topic's value; `None` removes the subject.
    pub fn value(&self) -> Option<Vec<u8>> {
        match self {
            Record::Key { public, made } => Some([&[VERSION, KIND_KEY][..], &made.to_le_bytes(), public].concat()),
            Record::Revoked { until, .. } => Some([&[VERSION, KIND_REVOKED][..], &until.to_le_bytes()].concat()),
            Record::KeyRemoved { .. } | Record::RevocationRemoved { .. } => None,
        }
    }
}

/// The keys and revocations of the topic, as far as it was read.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Standing {
    keys: BTreeMap<String, VerifyingKey>,
    revoked: BTreeMap<GrantId, i64>,
}

/// A key that verifies grants.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct VerifyingKey {
    /// The key.
    pub public: [u8; 32],
    /// When it was made, Unix seconds.
    pub made: i64,
}

impl Standing {
    /// Apply the next record. False: it could not be read, wholly or in part, and should be counted.
    pub fn apply(&mut self, key: &[u8], value: Option<&[u8]>) -> bool {
        match (subject(key), value) {
            (Some(Subject::Key(id)), None) => {
                self.keys.remove(id);
                true
            }
            (Some(Subject::Key(id)), Some(value)) => {
                let known = verifying_key(value).filter(|key| key_id(&key.public) == id);
                // The last record counts even if it cannot be read, because a later reader finds only that record.
                match known {
                    Some(key) => _ = self.keys.insert(id.into(), key),
                    None => _ = self.keys.remove(id),
                }
                known.is_some()
            }
            (Some(Subject::Grant(id)), None) => {
                self.revoked.remove(&id);
                true
            }
            (Some(Subject::Grant(id)), Some(value)) => {
                let until = until(value);
                self.revoked.insert(id, until.unwrap_or(FOR_EVER));
                until.is_some()
            }
            (None, _) => false,
        }
    }

    /// The keys in use, by their ids.
    pub fn keys(&self) -> &BTreeMap<String, VerifyingKey> {
        &self.keys
    }

    /// The revoked grants, with the time after which they are void anyway.
    pub fn revoked(&self) -> &BTreeMap<GrantId, i64> {
        &self.revoked
    }

    /// The authority with these keys and revocations and the ones given.
    pub fn authority(&self, keys: impl IntoIterator<Item = [u8; 32]>, revoked: impl IntoIterator<Item = GrantId>) -> Authority {
        Authority::new(self.keys.values().map(|key| key.public).chain(keys), self.revoked.keys().copied().chain(revoked))
    }
}

enum Subject<'a> {
    Key(&'a str),
    Grant(GrantId),
}

/// Accepts only the canonical text of a subject, because two texts for one grant could contradict each other.
fn subject(key: &[u8]) -> Option<Subject<'_>> {
    let text = std::str::from_utf8(key).ok()?;
    if let Some(id) = text.strip_prefix(KEY_PREFIX) {
        let legal = id.len() == 16 && id.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        return legal.then_some(Subject::Key(id));
    }
    let id = text.strip_prefix(REVOKED_PREFIX)?;
    id.parse().ok().filter(|parsed: &GrantId| parsed.to_string() == id).map(Subject::Grant)
}

fn verifying_key(value: &[u8]) -> Option<VerifyingKey> {
    let (made, public) = value.strip_prefix(&[VERSION, KIND_KEY])?.split_first_chunk()?;
    Some(VerifyingKey { made: i64::from_le_bytes(*made), public: public.try_into().ok()? })
}

fn until(value: &[u8]) -> Option<i64> {
    value.strip_prefix(&[VERSION, KIND_REVOKED])?.try_into().ok().map(i64::from_le_bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::grant::SigningKey;

    fn apply(standing: &mut Standing, record: &Record) -> bool {
        standing.apply(record.key().as_bytes(), record.value().as_deref())
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|b| format!("{b:02x}")).collect()
    }

    #[test]
    fn golden_bytes_of_version_1() {
        let key = Record::Key { public: [7; 32], made: 0x0102_0304 };
        assert_eq!(key.key(), "key/4bb06f8e4e3a7715");
        assert_eq!(hex(&key.value().unwrap()), format!("01010403020100000000{}", "07".repeat(32)));
        let revoked = Record::Revoked { id: GrantId([0xab; 16]), until: 1_800_000_000 };
        assert_eq!(revoked.key(), format!("revoked/{}", "ab".repeat(16)));
        assert_eq!(hex(&revoked.value().unwrap()), "010200d2496b00000000");
        assert_eq!(Record::KeyRemoved { id: "4bb06f8e4e3a7715".into() }.key(), key.key());
        assert_eq!(Record::RevocationRemoved { id: GrantId([0xab; 16]) }.key(), revoked.key());
        assert_eq!(Record::RevocationRemoved { id: GrantId([0xab; 16]) }.value(), None);
    }

    #[test]
    fn the_last_record_of_a_subject_counts() {
        let signing = SigningKey::generate().unwrap();
        let (public, id) = (signing.public(), GrantId([9; 16]));
        let mut standing = Standing::default();
        assert!(apply(&mut standing, &Record::Key { public, made: 5 }));
        assert!(apply(&mut standing, &Record::Revoked { id, until: 100 }));
        assert!(apply(&mut standing, &Record::Revoked { id, until: 200 }));
        assert_eq!(standing.keys()[&key_id(&public)], VerifyingKey { public, made: 5 });
        assert_eq!(standing.revoked()[&id], 200);
        assert_eq!(standing.authority([[1; 32]], [GrantId([8; 16])]), Authority::new([public, [1; 32]], [id, GrantId([8; 16])]));
        assert!(apply(&mut standing, &Record::KeyRemoved { id: key_id(&public) }));
        assert!(apply(&mut standing, &Record::RevocationRemoved { id }));
        assert!(apply(&mut standing, &Record::RevocationRemoved { id }), "what is gone can be removed again");
        assert_eq!(standing, Standing::default());
    }

    #[test]
    fn a_value_that_cannot_be_read_gives_no_access() {
        let (key, id) = (Record::Key { public: [7; 32], made: 5 }, GrantId([9; 16]));
        let mut standing = Standing::default();
        assert!(apply(&mut standing, &key));
        let newer = [&[2], &key.value().unwrap()[1..]].concat();
        assert!(!standing.apply(key.key().as_bytes(), Some(&newer)));
        assert!(standing.keys().is_empty(), "as for a reader who never saw the older record");
        assert!(!standing.apply(b"key/0000000000000000", key.value().as_deref()), "the id is another key's");
        assert!(standing.keys().is_empty());
        assert!(!standing.apply(format!("revoked/{id}").as_bytes(), Some(b"\x02later")));
        assert_eq!(standing.revoked()[&id], FOR_EVER);
        for other in [&b"quota/league"[..], b"", b"\xff", b"revoked/09", b"revoked/ABABABABABABABABABABABABABABABAB"] {
            assert!(!standing.apply(other, Some(b"x")) && !standing.apply(other, None), "{other:?}");
        }
        assert_eq!((standing.keys().len(), standing.revoked().len()), (0, 1));
    }

    proptest! {
        #[test]
        fn rubbish_makes_no_key(key in proptest::collection::vec(any::<u8>(), 0..60), value in proptest::option::of(proptest::collection::vec(any::<u8>(), 0..60))) {
            let mut standing = Standing::default();
            standing.apply(&key, value.as_deref());
            prop_assert!(standing.keys().is_empty());
        }
    }
}
