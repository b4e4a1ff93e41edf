//! [`migrate`]: the tables of a database, from its URL.

use super::error::at_login;
use super::options::Options;
use super::schema;
use super::server::Server;
use crate::StoreError;

/// Make the database and its tables at `url`, or bring them to what this program and `options` want. Doing so again does no
/// harm. PostgreSQL's part is [`postgres::migrate`](crate::postgres::migrate)'s.
///
/// # Errors
/// [`StoreError::Refused`] for a URL that is none and a login that is not let in; [`StoreError::Unreadable`] for tables of a
/// newer program or of another one; [`StoreError::Unavailable`].
pub async fn migrate(url: &str, password: Option<&str>, options: &Options) -> Result<(), StoreError> {
    let server = Server::parse(url, password, false)?;
    at_login(schema::migrate(&server, options).await)
}
