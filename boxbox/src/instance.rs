//! Which process this is, for those who get reports and traces of several.

use std::sync::OnceLock;

/// Host and process id, `host/1234`.
pub fn name() -> &'static str {
    static NAME: OnceLock<String> = OnceLock::new();
    NAME.get_or_init(|| format!("{}/{}", host(), std::process::id()))
}

#[cfg(unix)]
fn host() -> String {
    boxbox_schemas::text::plain(&rustix::system::uname().nodename().to_string_lossy()).into_owned()
}

#[cfg(not(unix))]
fn host() -> String {
    std::env::var("COMPUTERNAME").unwrap_or_else(|_| "unknown".into())
}
