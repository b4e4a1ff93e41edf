//! Joins the facts of a session's streams. One fact is chosen for each lap; rows of all other kinds are kept as each stream emits them.

mod book;
mod choice;
mod described;
mod description;
mod facts;
mod rows;
mod staged;

pub use book::{Applied, Book, Moved, Owner, Owners};
pub use choice::choose;
pub use described::{DESCRIBED_SLOTS, Described};
pub use description::merged;
pub use staged::Staged;
