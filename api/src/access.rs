//! Who may read, and the data of which tenant (W3). Decided once for each request, before its handler runs.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use axum::extract::{FromRequestParts, Request, State};
use axum::http::header::{AUTHORIZATION, HOST};
use axum::http::request::Parts;
use axum::http::uri::Authority as HostPort;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use boxbox_schemas::grant::{Ability, GrantError};
use boxbox_schemas::{DriverId, GrantId, TenantId};

use crate::app::App;
use crate::client;
use crate::connections::Guest;
use crate::cross_site;
use crate::leagues::Acting;
use crate::paths;
use crate::problem::Problem;
use crate::turns::Turn;
use crate::who::Who;

/// The tenant whose data a request may read.
#[derive(Clone, Copy)]
pub(crate) struct Reader {
    pub(crate) tenant: TenantId,
    caller: Caller,
}

/// The sender of a request.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Caller {
    /// A program or person on this machine, without a grant.
    Local,
    /// The holder of a grant.
    Granted { driver: DriverId, grant: GrantId, stewards: bool, manages: bool },
}

impl Reader {
    /// Whose grant was shown.
    fn holder(&self) -> Option<(TenantId, DriverId)> {
        match self.caller {
            Caller::Granted { driver, .. } => Some((self.tenant, driver)),
            Caller::Local => None,
        }
    }
}

/// What the guard decides by.
#[derive(Clone)]
pub(crate) struct Guarded {
    pub(crate) app: Arc<App>,
    /// Whether people and programs of this machine need no grant here.
    pub(crate) local: bool,
}

/// A caller who may close sessions and open them again, and the tenant of these sessions.
pub(crate) struct Manager {
    pub(crate) tenant: TenantId,
}

impl<S: Sync> FromRequestParts<S> for Manager {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let reader = Reader::from_request_parts(parts, state).await?;
        match reader.caller {
            Caller::Granted { manages: true, .. } => {}
            Caller::Granted { manages: false, .. } => {
                let detail = "This grant is for reading, not for managing: ask for one with `grant create --manage`.";
                return Err(Problem::new(StatusCode::FORBIDDEN, "no_manage_ability", detail));
            }
            Caller::Local if cross_site::is_marked(&parts.headers) => {}
            Caller::Local => return Err(unmarked()),
        }
        Ok(Self { tenant: reader.tenant })
    }
}

impl<S: Sync> FromRequestParts<S> for Acting {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Reader { tenant, caller } = Reader::from_request_parts(parts, state).await?;
        match caller {
            Caller::Granted { grant, stewards, manages, .. } => Ok(Self { tenant, actor: grant.to_string(), stewards, manages }),
            Caller::Local if parts.method == Method::GET || cross_site::is_marked(&parts.headers) => {
                Ok(Self { tenant, actor: "local".into(), stewards: true, manages: true })
            }
            Caller::Local => Err(unmarked()),
        }
    }
}

fn unmarked() -> Problem {
    let detail = "Without a grant this needs the header `X-Boxbox` or `Content-Type: application/json`: so that no web page can send it.";
    Problem::new(StatusCode::FORBIDDEN, "cross_site", detail)
}

impl<S: Sync> FromRequestParts<S> for Reader {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        // Absent only if a route was added outside the guard; the route then shows no data.
        parts.extensions.get().copied().ok_or_else(Problem::internal)
    }
}

/// Passes a request on with its [`Reader`] and [`Who`], or answers 401, 403, 429 or 503.
pub(crate) async fn guard(State(guarded): State<Guarded>, mut request: Request, next: Next) -> Response {
    let app = &*guarded.app;
    // Absent only if something else than the accept loop serves the routes.
    let Some(guest) = request.extensions().get::<Arc<Guest>>().cloned() else { return Problem::internal().into_response() };
    let address = client::address(guest.peer, request.headers(), &app.config.trusted_proxies);
    if paths::is_open(request.uri().path()) {
        request.extensions_mut().insert(Who { address, holder: None });
        return next.run(request).await;
    }
    // Until it is answered no other connection takes its place.
    let _busy = guest.busy();
    let let_in = reader(&guarded, &request, &guest).and_then(|reader| {
        let who = Who { address, holder: reader.holder() };
        Ok((reader, who, turn(app, &guest, &who)?))
    });
    match let_in {
        Ok((reader, who, _turn)) => {
            request.extensions_mut().insert(reader);
            request.extensions_mut().insert(who);
            next.run(request).await
        }
        Err((reason, problem)) => {
            app.metrics.refused.with(reason).increment(1);
            problem.into_response()
        }
    }
}

/// Counts a request: its connection is its driver's from now on; through a proxy, which stands for many, the request itself counts.
fn turn(app: &App, guest: &Guest, who: &Who) -> Result<Option<Turn>, (&'static str, Problem)> {
    if guest.is_proxy {
        let turn = app.through_proxies.take(Some(who.address), who.holder);
        let detail = "Too many requests of this driver, this tenant or this address are being answered: let some end first.";
        return turn.map(Some).map_err(|full| (full.name(), Problem::too_many("too_many_requests", detail)));
    }
    if let Some((tenant, driver)) = who.holder
        && let Err(full) = guest.name(tenant, driver)
    {
        let detail = "This driver, or this tenant, has too many connections that are busy: let some of their requests end.";
        return Err((full.name(), Problem::too_many("too_many_connections", detail).with_header("connection", "close")));
    }
    Ok(None)
}

fn reader(Guarded { app, local }: &Guarded, request: &Request, guest: &Guest) -> Result<Reader, (&'static str, Problem)> {
    let (headers, uri) = (request.headers(), request.uri());
    if headers.contains_key(AUTHORIZATION) {
        return granted(app, headers);
    }
    if !local {
        let problem =
            Problem::unauthorized("grant_required", "Send a grant to read: `Authorization: Bearer GRANT` (`boxbox grant create --read` prints one).");
        return Err(("none", problem));
    }
    // What a proxy on this machine passes on may come from anywhere; a proxy that is trusted may add nothing.
    if guest.is_proxy || client::is_proxied(request.version(), headers) {
        let detail = "This request came through a proxy, or speaks HTTP/1.0 as proxies do, so it needs a grant: `Authorization: Bearer GRANT` (`boxbox grant create --read` prints one).";
        return Err(("proxied", Problem::unauthorized("grant_required", detail)));
    }
    if !asks_this_machine(headers, uri) {
        let detail = "Without a grant this address answers only requests to localhost, so that no web page can read it through another host name.";
        return Err(("host", Problem::new(StatusCode::FORBIDDEN, "not_localhost", detail)));
    }
    if cross_site::is_cross_site(headers) {
        let detail = "Without a grant this address answers no request that a page of another address causes, not even a link: type or paste \
                      the address, or use /api/docs.";
        return Err(("cross_site", Problem::new(StatusCode::FORBIDDEN, "cross_site", detail)));
    }
    Ok(Reader { tenant: app.config.local_tenant, caller: Caller::Local })
}

fn granted(app: &App, headers: &HeaderMap) -> Result<Reader, (&'static str, Problem)> {
    let mut all = headers.get_all(AUTHORIZATION).iter();
    let token = match (all.next().and_then(|h| h.to_str().ok()), all.next()) {
        (Some(one), None) => one.split_once(' ').filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer")).map(|(_, token)| token.trim()),
        _ => None,
    };
    let Some(token) = token else {
        return Err(("malformed", Problem::unauthorized("bearer_required", "The Authorization header must be `Bearer GRANT`, once.")));
    };
    let now_s = SystemTime::now().duration_since(UNIX_EPOCH).map_or(i64::MAX, |d| d.as_secs() as i64);
    let authority = app.authority.borrow().clone();
    let grant = authority.verify(token, now_s).map_err(|e| (e.name(), refused(e)))?.grant;
    if !grant.abilities.contains(&Ability::Read) {
        return Err((
            "ability",
            Problem::new(
                StatusCode::FORBIDDEN,
                "no_read_ability",
                "This grant is for sending, not for reading: ask for one with `grant create --read`.",
            ),
        ));
    }
    if grant.event.is_some() {
        return Err((
            "event",
            Problem::new(StatusCode::FORBIDDEN, "event_only", "This grant is for one event only, and this version cannot read by event yet."),
        ));
    }
    let may = |ability| grant.abilities.contains(&ability);
    let caller = Caller::Granted { driver: grant.driver, grant: grant.id, stewards: may(Ability::Steward), manages: may(Ability::Manage) };
    Ok(Reader { tenant: grant.tenant, caller })
}

fn refused(e: GrantError) -> Problem {
    match e {
        // The grant itself may be valid, so the same request may succeed later.
        GrantError::Unavailable => Problem::unavailable("grants_unavailable", e.to_string()),
        _ => Problem::unauthorized(e.name(), e.to_string()),
    }
}

/// Against DNS rebinding: a page of evil.example whose name now points to 127.0.0.1 still sends `Host: evil.example`.
fn asks_this_machine(headers: &HeaderMap, uri: &Uri) -> bool {
    let mut hosts = headers.get_all(HOST).iter();
    let named = match (hosts.next().and_then(|h| h.to_str().ok()), hosts.next()) {
        (Some(one), None) => !one.contains('@') && one.parse::<HostPort>().is_ok_and(|host| is_local(host.host())),
        _ => false,
    };
    named && uri.host().is_none_or(is_local)
}

fn is_local(host: &str) -> bool {
    let bare = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
    host.eq_ignore_ascii_case("localhost") || bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asks(host: &str) -> bool {
        let headers = HeaderMap::from_iter([(HOST, host.parse().unwrap())]);
        asks_this_machine(&headers, &Uri::from_static("/"))
    }

    #[test]
    fn only_names_of_this_machine_are_local() {
        for host in ["localhost", "LocalHost:7480", "127.0.0.1", "127.0.0.1:80", "127.9.9.9", "[::1]", "[::1]:7480"] {
            assert!(asks(host), "{host}");
        }
        for host in [
            "evil.example",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "10.0.0.1",
            "[::2]",
            "0.0.0.0",
            "evil@localhost:x",
            "",
            "localhost, evil.example",
        ] {
            assert!(!asks(host), "{host}");
        }
        let none = HeaderMap::new();
        assert!(!asks_this_machine(&none, &Uri::from_static("/")));
        let two = HeaderMap::from_iter([(HOST, "localhost".parse().unwrap())]);
        let mut both = two.clone();
        both.append(HOST, "evil.example".parse().unwrap());
        assert!(!asks_this_machine(&both, &Uri::from_static("/")));
        assert!(!asks_this_machine(&two, &Uri::from_static("http://evil.example/")));
    }
}
