//! [`Value`]: a value that is bound to a statement.

use boxbox_schemas::league::{Digest, LeagueId};
use boxbox_schemas::{DriverId, EntryId, RunId, SessionId, TenantId};
use bytes::Bytes;

/// A value of a column or a parameter; a missing value has a type too.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum Value<'a> {
    /// Any whole number.
    Int(Option<i64>),
    /// Text, also JSON.
    Text(Option<&'a str>),
    /// Bytes, also ids of 16 bytes.
    Bytes(&'a [u8]),
    /// Yes or no.
    Bool(bool),
}

macro_rules! numbers {
    ($($number:ty),+) => {
        $(impl From<$number> for Value<'_> {
            fn from(n: $number) -> Self {
                Value::Int(Some(i64::from(n)))
            }
        })+
    };
}
numbers!(u16, u32, i64);

macro_rules! texts {
    ($($id:ty),+) => {
        $(impl<'a> From<&'a $id> for Value<'a> {
            fn from(id: &'a $id) -> Self {
                Value::Text(Some(id.as_str()))
            }
        })+
    };
}
texts!(String, TenantId, DriverId, EntryId, LeagueId);

macro_rules! ids {
    ($($id:ty),+) => {
        $(impl<'a> From<&'a $id> for Value<'a> {
            fn from(id: &'a $id) -> Self {
                Value::Bytes(&id.0)
            }
        })+
    };
}
ids!(SessionId, RunId, Digest);

impl From<Option<i64>> for Value<'_> {
    fn from(n: Option<i64>) -> Self {
        Value::Int(n)
    }
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(text: &'a str) -> Self {
        Value::Text(Some(text))
    }
}

impl<'a> From<Option<&'a str>> for Value<'a> {
    fn from(text: Option<&'a str>) -> Self {
        Value::Text(text)
    }
}

impl<'a> From<&'a [u8]> for Value<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Value::Bytes(bytes)
    }
}

impl<'a> From<&'a Bytes> for Value<'a> {
    fn from(bytes: &'a Bytes) -> Self {
        Value::Bytes(bytes)
    }
}

impl From<bool> for Value<'_> {
    fn from(yes: bool) -> Self {
        Value::Bool(yes)
    }
}
