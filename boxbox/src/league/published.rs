//! What `league result` and `league standings` have in common: both show a revision of something that is published.

use anyhow::{Context, bail};
use serde_json::Value;

use super::say::{say, text};
use crate::http::Api;

/// Which revision is shown, and how.
pub struct Which {
    /// Whose places and points are explained; none: all lines are shown.
    pub why: Option<String>,
    /// None: the latest.
    pub revision: Option<u32>,
    /// As it would be published now.
    pub preview: bool,
    /// As the API answers it.
    pub json: bool,
}

impl Which {
    /// Asks the API; none: the document is shown already, as it came. `publish`: what to do if nothing is published yet.
    ///
    /// # Errors
    /// If the API refuses, or answers no JSON.
    pub(super) async fn ask(&self, api: &Api, to: &str, publish: &str) -> anyhow::Result<Option<Value>> {
        let (status, body) = api.ask("GET", to, "application/json", b"").await?;
        if status == 422 && !self.preview && body.contains("not_published") {
            bail!("{publish}");
        }
        if status != 200 {
            bail!("{}", api.refusal(status, &body));
        }
        if self.json {
            say(&body);
            return Ok(None);
        }
        Ok(Some(serde_json::from_str(&body).context("the API answers no JSON")?))
    }
}

/// `official, revision 2: why it was published`.
pub fn title(document: &Value) -> String {
    let revision = document["revision"].as_u64().map_or("not published".to_owned(), |number| format!("revision {number}"));
    let reason = document["reason"].as_str().map_or_else(String::new, |reason| format!(": {reason}"));
    format!("{}, {revision}{reason}", text(document, "state"))
}
