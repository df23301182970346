//! One upgrade request: admit, choose the encoding, upgrade, hand over to a session.
//!
//! The raw socket is taken from under hyper and given to the WebSocket library, which axum's own upgrade does not allow:
//! only so can buffers be given back after a large message, and framing be watched (ARCHITECTURE.md, decisions).

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{self, HeaderMap, HeaderValue};
use axum::http::{Method, StatusCode, Version};
use axum::response::{IntoResponse as _, Response};
use hyper::upgrade::{OnUpgrade, Upgraded as HyperUpgraded};
use hyper_util::rt::TokioIo;
use relay_protocol::encoding::TOKEN_SUBPROTOCOL_PREFIX;
use relay_protocol::{Encoding, limit};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tracing::Instrument as _;

use crate::lifecycle::Life;
use crate::limits::AddressPlace;
use crate::server::admission::ConnectionPermit;
use crate::server::client_address::client_address;
use crate::server::prefixed::Prefixed;
use crate::server::rejection::Rejection;
use crate::server::trace;
use crate::server::{Peer, ServerState};
use crate::session::{Upgraded, serve};
use crate::telemetry::metrics::Refused;

/// Answers a request for `/ws`.
pub(super) async fn upgrade(State(state): State<Arc<ServerState>>, mut request: Request) -> Response {
    match admit(&state, &mut request) {
        Ok(response) => response,
        Err(rejection) => rejection.into_response(),
    }
}

fn admit(state: &Arc<ServerState>, request: &mut Request) -> Result<Response, Rejection> {
    let headers = request.headers();
    let key = websocket_key(request.method(), request.version(), headers)?;
    if state.phase.get() == Life::Draining {
        state.metrics.refuse(Refused::Draining);
        return Err(Rejection::Drain);
    }
    let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    // An origin that is not even text is no program's: it is refused as a page nobody listed.
    let origin = headers.get(header::ORIGIN).map(|value| value.to_str().unwrap_or("\u{fffd}"));
    if !state.origins.allow(origin, text(header::HOST)) {
        state.metrics.refuse(Refused::Origin);
        return Err(Rejection::OriginForbidden);
    }
    let offer = Offer::read(headers);
    let Some(encoding) = offer.encoding else {
        state.metrics.refuse(Refused::Subprotocol);
        return Err(Rejection::VersionUnsupported);
    };
    let unauthenticated = state.admission.upgrade().ok_or(Rejection::Overload)?;
    let place = place(state, request)?;
    let headers = request.headers();
    let accept = derive_accept_key(key.as_bytes());
    let token = offer.token.or_else(|| bearer(headers));
    let on_upgrade = request.extensions_mut().remove::<OnUpgrade>().ok_or(Rejection::NotAnUpgrade)?;
    let permit = request.extensions_mut().remove::<Arc<ConnectionPermit>>();
    let (context, span) = (Arc::clone(&state.context), trace::span(request.headers()));
    let connection = async move {
        let Ok(upgraded) = on_upgrade.await else { return };
        // Frames that came with the request's head are not lost: what hyper has read already goes before the socket.
        let Some(socket) = raw_socket(upgraded) else { return };
        let since = Instant::now();
        serve(context, Box::new(Upgraded { socket, encoding, token, place, unauthenticated, since })).await;
        drop(permit);
    };
    state.tracker.spawn(connection.instrument(span));
    Ok(switching(&accept, encoding))
}

/// A place among the connections of the client's address.
fn place(state: &ServerState, request: &Request) -> Result<AddressPlace, Rejection> {
    // The accept loop tells the peer of each request.
    let Peer(peer) = request.extensions().get().ok_or(Rejection::NotAnUpgrade)?;
    let client = client_address(peer.ip(), request.headers(), state.trusted_proxies.as_ref());
    state.context.limits.address(client).map_err(|_| {
        state.metrics.refuse(Refused::Address);
        Rejection::ConnectionLimit
    })
}

/// The key of a request that is an upgrade in every respect.
fn websocket_key(method: &Method, version: Version, headers: &HeaderMap) -> Result<String, Rejection> {
    let names = |name, wanted: &str| {
        headers
            .get_all(name)
            .iter()
            .filter_map(|value: &HeaderValue| value.to_str().ok())
            .any(|value| value.split(',').any(|entry| entry.trim().eq_ignore_ascii_case(wanted)))
    };
    let upgrade = *method == Method::GET
        && version == Version::HTTP_11
        && names(header::CONNECTION, "upgrade")
        && names(header::UPGRADE, "websocket")
        && headers.get(header::SEC_WEBSOCKET_VERSION).is_some_and(|value| value == "13");
    let key = headers.get(header::SEC_WEBSOCKET_KEY).and_then(|key| key.to_str().ok());
    // Sixteen bytes in base64.
    key.filter(|key| upgrade && key.len() == 24).map(str::to_owned).ok_or(Rejection::NotAnUpgrade)
}

/// What the client offers as subprotocols: the first encoding that is known, and a token.
#[derive(Default)]
struct Offer {
    encoding: Option<Encoding>,
    token: Option<String>,
}

impl Offer {
    fn read(headers: &HeaderMap) -> Offer {
        let mut offer = Offer::default();
        let entries = headers
            .get_all(header::SEC_WEBSOCKET_PROTOCOL)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(',').map(str::trim));
        for entry in entries {
            if let Some(token) = entry.strip_prefix(TOKEN_SUBPROTOCOL_PREFIX) {
                offer.token = (token.len() <= limit::TOKEN_BYTES_MAX).then(|| token.to_owned());
            } else {
                offer.encoding = offer.encoding.or_else(|| Encoding::from_subprotocol(entry));
            }
        }
        offer
    }
}

fn bearer(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && token.len() <= limit::TOKEN_BYTES_MAX).then(|| token.to_owned())
}

fn raw_socket(upgraded: HyperUpgraded) -> Option<Prefixed> {
    let parts = upgraded.downcast::<TokioIo<TcpStream>>().ok()?;
    Some(Prefixed::new(parts.read_buf, parts.io.into_inner()))
}

fn switching(accept: &str, encoding: Encoding) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(encoding.subprotocol()));
    if let Ok(accept) = HeaderValue::from_str(accept) {
        headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    }
    response
}
