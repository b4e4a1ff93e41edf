//! A connection's beginning: the client's hello, its grant, and the edge's welcome.

use std::future::poll_fn;
use std::sync::Arc;

use boxbox_schemas::grant::GrantError;
use boxbox_schemas::limits::RECORD_MAX_BYTES;
use boxbox_schemas::wire::{CloseCode, Control, Hello, Welcome};
use quinn::{Connection, SendStream, VarInt};
use tracing::{debug, info};

use super::Session;
use super::control::ControlIn;
use crate::core::{Core, unix_us};
use crate::gate::Abilities;
use crate::link::{Link, Order};

/// Longest part of a client's self-description that is logged, characters.
const AGENT_MAX_CHARS: usize = 64;

/// Hear the client's hello and let it in. Whoever is not let in is told why by the close code.
pub(crate) async fn greet(core: &Arc<Core>, connection: Connection) -> Option<Session> {
    match welcome(core, &connection).await {
        Ok(session) => Some(session),
        Err(Refused::Gone) => None,
        Err(Refused::Order(order)) => {
            debug!(peer = %connection.remote_address(), code = order.code.name(), "client not let in: {}", order.detail);
            core.metrics().connections_closed.with(order.code.name()).increment(1);
            connection.close(VarInt::from_u32(order.code.0), order.detail.as_bytes());
            None
        }
    }
}

/// Why a connection was not let in.
enum Refused {
    /// The edge closes it.
    Order(Order),
    /// It ended; nobody is there to be told.
    Gone,
}

fn refused(code: CloseCode, detail: impl Into<String>) -> Refused {
    Refused::Order(Order::new(code, detail))
}

async fn welcome(core: &Arc<Core>, connection: &Connection) -> Result<Session, Refused> {
    let heard = tokio::time::timeout(core.limits.hello_timeout, hello(connection)).await;
    let (hello, send, control) = heard.map_err(|_| refused(CloseCode::PROTOCOL, "no hello came in time"))??;
    let authority = core.authority.borrow().clone();
    let verified = authority.verify(&hello.grant, unix_us() / 1_000_000).map_err(|e| {
        core.metrics().grants_refused.with(e.name()).increment(1);
        refused(grant_code(e), e.to_string())
    })?;
    let grant = &verified.grant;
    let abilities = Abilities::of(grant);
    if !abilities.any() {
        return Err(refused(CloseCode::GRANT_SCOPE, "the grant does not allow to send: ask for one for a driver (`grant create --driver`)"));
    }
    if grant.event.is_some() {
        // A restriction that cannot be checked must not be ignored: no record names its event yet.
        return Err(refused(CloseCode::GRANT_SCOPE, "the grant is for one event, which this edge cannot check"));
    }
    info!(peer = %connection.remote_address(), tenant = %grant.tenant, driver = %grant.driver, grant = %grant.id, agent = plain(&hello.agent), "client connected");
    let link = Arc::new(Link::new(core.link_id(), connection.clone(), verified, send, core.back.metrics.clone()));
    link.greet(&Control::Welcome(Welcome {
        edge: core.edge.to_string(),
        max_streams: core.limits.streams_per_connection,
        max_record_bytes: RECORD_MAX_BYTES as u32,
        max_unacked_bytes: core.limits.stream_unacked_bytes as u32,
    }));
    Ok(Session::new(core.clone(), link, abilities, control))
}

async fn hello(connection: &Connection) -> Result<(Hello, SendStream, ControlIn), Refused> {
    let (send, recv) = connection.accept_bi().await.map_err(|_| Refused::Gone)?;
    let mut control = ControlIn::new(recv);
    match poll_fn(|cx| control.poll(cx)).await {
        Ok(Some(Control::Hello(hello))) => Ok((hello, send, control)),
        Ok(Some(_)) => Err(refused(CloseCode::PROTOCOL, "the first message was no hello")),
        Ok(None) => Err(refused(CloseCode::PROTOCOL, "the control stream ended before a hello")),
        Err(order) => Err(Refused::Order(order)),
    }
}

/// The close code for a grant that does not hold.
pub(crate) fn grant_code(e: GrantError) -> CloseCode {
    match e {
        GrantError::Expired => CloseCode::GRANT_EXPIRED,
        GrantError::Revoked => CloseCode::GRANT_REVOKED,
        GrantError::Unavailable => CloseCode::UNAVAILABLE,
        GrantError::Malformed | GrantError::UnknownKey | GrantError::Signature => CloseCode::GRANT_INVALID,
    }
}

/// A peer's text as it may stand in a log: no control characters, and short.
fn plain(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(AGENT_MAX_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use super::plain;

    #[test]
    fn what_a_peer_says_cannot_forge_log_lines() {
        assert_eq!(plain("rig/1\n2026-01-01 ERROR \u{1b}[31mfake\u{7}\r"), "rig/12026-01-01 ERROR [31mfake");
        assert_eq!(plain(&"x".repeat(1_000)).len(), 64);
    }
}
