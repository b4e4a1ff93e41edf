//! Both stores on SQLite: the embedded profile, two files, nothing to install.
//!
//! Each file has one connection that writes, in separate tasks ([`writer`]), and a few that read. With WAL, readers
//! see the last committed step while the next is written.

mod archive;
mod chunks;
mod connection;
mod error;
mod file;
mod moments;
mod records;
mod store;
mod streams;
mod writer;

pub use archive::SqliteArchive;
pub use store::SqliteResults;

#[cfg(test)]
mod tests;
