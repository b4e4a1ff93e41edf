//! How a connection begins: the client's hello, its grant, and the edge's welcome.

use std::future::poll_fn;
use std::sync::Arc;

use boxbox_schemas::grant::GrantError;
use boxbox_schemas::limits::RECORD_MAX_BYTES;
use boxbox_schemas::places::Full;
use boxbox_schemas::wire::{CloseCode, Control, Hello, Welcome};
use boxbox_schemas::{DriverId, TenantId};
use quinn::{SendStream, VarInt};
use tracing::{debug, info};

use super::Connection;
use super::control::ControlIn;
use crate::admission::reason;
use crate::config::Limits;
use crate::core::Core;
use crate::link::{CloseRequest, Link};
use crate::reports::REPORTS_EVERY;
use crate::validator::Abilities;

/// How much of the client's name for itself is logged, characters.
const AGENT_MAX_CHARS: usize = 64;

/// Reads the client's hello, names its place and accepts the client, or closes the connection with a code that says why not.
pub(crate) async fn accept(
    core: &Arc<Core>,
    quic: quinn::Connection,
    name: impl FnOnce(TenantId, DriverId) -> Result<(), Full>,
) -> Option<Connection> {
    match welcome(core, &quic, name).await {
        Ok(accepted) => Some(accepted),
        Err(Refused::Gone) => None,
        Err(Refused::Close(request)) => {
            debug!(peer = %quic.remote_address(), code = request.code.name(), "client not let in: {}", request.detail);
            core.metrics().connections_closed.with(request.code.name()).increment(1);
            quic.close(VarInt::from_u32(request.code.0), request.detail.as_bytes());
            None
        }
    }
}

/// Why a client was not accepted.
enum Refused {
    /// The edge closes the connection.
    Close(CloseRequest),
    /// The connection has ended.
    Gone,
}

fn refused(code: CloseCode, detail: impl Into<String>) -> Refused {
    Refused::Close(CloseRequest::new(code, detail))
}

async fn welcome(
    core: &Arc<Core>,
    quic: &quinn::Connection,
    name: impl FnOnce(TenantId, DriverId) -> Result<(), Full>,
) -> Result<Connection, Refused> {
    let heard = tokio::time::timeout(core.limits.hello_timeout, read_hello(quic)).await;
    let (hello, send, control) = heard.map_err(|_| refused(CloseCode::PROTOCOL, "no hello came in time"))??;
    let authority = core.authority.borrow().clone();
    let (now_s, grace_s) = core.expiry();
    let verified = core.graces.verify(&authority, &hello.grant, now_s, grace_s).map_err(|e| {
        core.metrics().grants_refused.with(e.name()).increment(1);
        refused(close_code_of(e), e.to_string())
    })?;
    let grant = &verified.grant;
    let abilities = Abilities::of(grant);
    if !abilities.any() {
        return Err(refused(CloseCode::GRANT_SCOPE, "the grant does not allow sending: ask for a grant for a driver (`grant create --driver`)"));
    }
    if grant.event.is_some() {
        // A restriction that cannot be checked must not be ignored, and records do not name their event yet.
        return Err(refused(CloseCode::GRANT_SCOPE, "the grant is for one event, which this edge cannot check"));
    }
    name(grant.tenant, grant.driver).map_err(|full| {
        core.metrics().connections_refused.with(reason(full)).increment(1);
        refused(CloseCode::BUSY, full_in_words(full, &core.limits))
    })?;
    info!(peer = %quic.remote_address(), tenant = %grant.tenant, driver = %grant.driver, grant = %grant.id, agent = plain(&hello.agent), "client connected");
    let link = Arc::new(Link::new(core.link_id(), quic.clone(), verified, send, core.ack_path.metrics.clone()));
    link.queue_welcome(&Control::Welcome(Welcome {
        edge: core.edge.to_string(),
        max_streams: core.limits.streams_per_connection,
        max_record_bytes: RECORD_MAX_BYTES as u32,
        max_unacked_bytes: core.limits.stream_unacked_bytes as u32,
        reports_every_ms: Some(REPORTS_EVERY.as_millis() as u32),
    }));
    Ok(Connection::new(core.clone(), link, abilities, control))
}

async fn read_hello(quic: &quinn::Connection) -> Result<(Hello, SendStream, ControlIn), Refused> {
    let (send, recv) = quic.accept_bi().await.map_err(|_| Refused::Gone)?;
    let mut control = ControlIn::new(recv);
    match poll_fn(|cx| control.poll(cx)).await {
        Ok(Some(Control::Hello(hello))) => Ok((hello, send, control)),
        Ok(Some(_)) => Err(refused(CloseCode::PROTOCOL, "the first message was not a hello")),
        Ok(None) => Err(refused(CloseCode::PROTOCOL, "the control stream ended before a hello")),
        Err(request) => Err(Refused::Close(request)),
    }
}

/// What is full, for the person at the client, and what helps.
fn full_in_words(full: Full, limits: &Limits) -> String {
    match full {
        Full::Driver => format!(
            "this driver has {} connections open already, which is the most: end the other programs that send with this grant",
            limits.connections_per_driver
        ),
        Full::Tenant => format!(
            "this tenant has {} connections open already, which is the most that the server lets one have: try again later",
            limits.connections_per_tenant
        ),
        _ => "the server has no free place: try again later".into(),
    }
}

/// The close code for a grant that does not hold.
pub(crate) fn close_code_of(e: GrantError) -> CloseCode {
    match e {
        GrantError::Expired => CloseCode::GRANT_EXPIRED,
        GrantError::Revoked => CloseCode::GRANT_REVOKED,
        GrantError::Unavailable => CloseCode::UNAVAILABLE,
        GrantError::Malformed | GrantError::UnknownKey | GrantError::Signature => CloseCode::GRANT_INVALID,
    }
}

/// A peer's text, made safe for a log: short, and without control characters.
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
