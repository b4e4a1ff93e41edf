//! The behaviour of every backend of [`Leagues`](crate::Leagues).

pub(crate) mod by_hand;
pub(crate) mod killed;
mod random;
mod reads;
pub(crate) mod samples;
mod writes;

pub(crate) use random::random_writes_are_as_in_the_reference;
pub(crate) use reads::*;
pub(crate) use writes::*;
