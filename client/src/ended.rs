//! [`Ended`]: why a connection ended.

use std::fmt;

use boxbox_schemas::wire::{CloseCode, Notice};
use quinn::{Connection, ConnectionError};

/// Why a connection ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Ended {
    /// It could not be made, or it broke.
    Lost(String),
    /// The edge closed it.
    Closed { code: CloseCode, detail: String },
    /// No ack for too long (W8).
    Silent,
    /// The edge asked the client to reconnect, or a live session must be sent first: the client reconnects at once.
    Moved,
    /// The client stops.
    Stopped,
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Ended::Lost(reason) => f.write_str(reason),
            Ended::Closed { code, detail } if detail.is_empty() => write!(f, "the edge closed the connection ({})", code.name()),
            Ended::Closed { code, detail } => write!(f, "the edge closed the connection: {detail} ({})", code.name()),
            Ended::Silent => f.write_str("the edge does not ack"),
            Ended::Moved => f.write_str("moving to a new connection"),
            Ended::Stopped => f.write_str("stopped"),
        }
    }
}

/// The edge's reason for closing the connection.
pub(crate) fn closed(close: &quinn::ApplicationClose) -> Ended {
    let code = CloseCode(u32::try_from(close.error_code.into_inner()).unwrap_or(u32::MAX));
    let detail = match Notice::from_close_reason(&close.reason) {
        Some(Notice::Refused { detail, .. }) => detail,
        _ => String::from_utf8_lossy(&close.reason).into_owned(),
    };
    Ended::Closed { code, detail }
}

/// Why a connection no longer works: the connection's own reason, or else `e`.
pub(crate) fn broken(connection: &Connection, e: &dyn fmt::Display) -> Ended {
    match connection.close_reason() {
        Some(ConnectionError::ApplicationClosed(close)) => closed(&close),
        Some(other) => Ended::Lost(other.to_string()),
        None => Ended::Lost(e.to_string()),
    }
}
