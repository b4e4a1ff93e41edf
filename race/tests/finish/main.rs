//! When a race, a qualifying or a practice ends, who has won, and what became of everyone: families of races whose truth is what the
//! generator drove, with reports of the end that come early, late, or never.

#![allow(clippy::unwrap_used)]

mod driven;
mod limits;
mod majority;
mod reports;
mod rows;
mod statuses;
