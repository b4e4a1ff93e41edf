//! [`Refusal`]: why an act cannot be.

use serde::{Deserialize, Serialize};

/// Why an act is refused: which field, and what to do.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, thiserror::Error)]
#[error("{field}: {message}")]
pub struct Refusal {
    /// The kind of refusal; programs may rely on it.
    pub code: Code,
    /// The field of the act, as it is written in JSON: `details.class`.
    pub field: String,
    /// What is wrong and what to do.
    pub message: String,
}

/// The kinds of refusals.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Code {
    /// The act cannot be read: a field is missing, unknown or malformed.
    Malformed,
    /// It names something that the league does not have.
    Unknown,
    /// What it makes is there already, and is something else.
    Exists,
    /// It contradicts what the league has.
    Contradicts,
    /// What it changes is not in a state in which that is possible.
    State,
    /// It needs a reason.
    ReasonNeeded,
    /// A value is out of its bounds.
    OutOfBounds,
}

impl Code {
    /// The code as text, as in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Code::Malformed => "malformed",
            Code::Unknown => "unknown",
            Code::Exists => "exists",
            Code::Contradicts => "contradicts",
            Code::State => "state",
            Code::ReasonNeeded => "reason_needed",
            Code::OutOfBounds => "out_of_bounds",
        }
    }
}

impl Refusal {
    /// A refusal of `field`.
    pub fn new(code: Code, field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { code, field: field.into(), message: message.into() }
    }
}
