//! [`migrate`]: creating and changing the tables of a database, by its URL.

use super::error::at_login;
use super::options::Options;
use super::schema;
use super::server::Server;
use crate::StoreError;

/// Create the database and its tables at `url`, or change them to this program's version and to `options`. Doing so again does no
/// harm. [`postgres::migrate`](crate::postgres::migrate) does PostgreSQL's part.
///
/// # Errors
/// [`StoreError::Refused`] for an invalid URL and for a refused login; [`StoreError::Unreadable`] for tables of a
/// newer program or of another program; [`StoreError::Unavailable`].
pub async fn migrate(url: &str, password: Option<&str>, options: &Options) -> Result<(), StoreError> {
    let server = Server::parse(url, password, false)?;
    at_login(schema::migrate(&server, options).await)
}
