//! A ruleset as people write it: a JSON document (`score.ruleset`). Reading finds every fault and says where it is; writing is canonical,
//! so that equal rules have equal digests.

mod canonical;
mod check;
mod fields;
mod json;
mod shapes;

use sha2::{Digest, Sha256};

pub use fields::RuleError;
pub use json::DOCUMENT_MAX;
pub use shapes::FORMAT;

use super::ruleset::Ruleset;
use fields::{Field, Reader};

/// What a digest of a ruleset is made of first, so that it is none of anything else.
const DOMAIN: &[u8] = b"boxbox ruleset\n";

impl Ruleset {
    /// The ruleset of a document, or all that is wrong with it, in the order of the document.
    pub fn parse(document: &str) -> Result<Self, Vec<RuleError>> {
        let node = json::parse(document).map_err(|malformed| {
            vec![RuleError { line: malformed.at.line, column: malformed.at.column, field: String::new(), message: malformed.message }]
        })?;
        let mut reader = Reader::default();
        let ruleset = Self::read(&node, &mut reader);
        if matches!(node.value, json::Value::Object(_)) {
            check::check(&ruleset, &mut reader);
        }
        let errors = reader.into_errors();
        if errors.is_empty() { Ok(ruleset) } else { Err(errors) }
    }

    /// The canonical document: keys in order, no spaces, defaults left out, points as exact fractions in quotes.
    pub fn canonical(&self) -> String {
        self.write().to_string()
    }

    /// The digest of the canonical document: SHA-256. Equal for documents that differ in spaces, the order of keys, the spelling of
    /// fractions, or in whether a default is written.
    pub fn hash(&self) -> [u8; 32] {
        Sha256::new().chain_update(DOMAIN).chain_update(self.canonical()).finalize().into()
    }
}
