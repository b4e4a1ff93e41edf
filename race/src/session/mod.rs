//! The facts of many streams become one session's: of each lap one fact is chosen, of what is told as it is each row is kept.

mod book;
mod choice;
mod rows;

pub use book::{Applied, Book, Owner, Owners, Staged};
pub use choice::choose;
