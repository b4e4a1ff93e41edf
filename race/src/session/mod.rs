//! Joins the facts of a session's streams. One fact is chosen for each lap; rows of all other kinds are kept as each stream emits them.

mod book;
mod choice;
mod chosen;
mod coverage;
mod credible;
mod described;
mod description;
mod facts;
mod owners;
mod rows;
mod staged;

pub use book::{Applied, Book, Known, Moved};
pub use choice::choose;
pub use coverage::Coverage;
pub use credible::StreamId;
pub use described::{COVERAGE_SLOT, DESCRIBED_SLOTS, Described};
pub use description::{Lengths, Merged, Named, Told, merged, newest};
pub use owners::{Owner, Owners};
pub use staged::Staged;
