//! The floor without axum: hyper reads the request, gives back its TCP stream, and tungstenite speaks on that.

#![expect(
    clippy::disallowed_methods,
    reason = "the floor lives as long as its process, and its tasks with it"
)]

use std::convert::Infallible;
use std::future::ready;

use axum::body::Body;
use hyper::body::Incoming;
use hyper::header::{CONNECTION, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, UPGRADE};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};

use crate::floor::serve::echo;
use crate::floor::spec::ServerSpec;

/// Accepts until the process ends.
pub(crate) async fn serve(listener: TcpListener, spec: ServerSpec) -> anyhow::Result<()> {
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        tokio::spawn(async move {
            let service = service_fn(move |request| ready(Ok::<_, Infallible>(upgrade(request, spec))));
            // A client that breaks off is no concern of the floor.
            let _ =
                http1::Builder::new().serve_connection(TokioIo::new(stream), service).with_upgrades().await;
        });
    }
}

fn upgrade(mut request: Request<Incoming>, spec: ServerSpec) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    let accept = request.headers().get(SEC_WEBSOCKET_KEY).map(|key| derive_accept_key(key.as_bytes()));
    let Some(accept) = accept.and_then(|accept| accept.parse().ok()) else {
        *response.status_mut() = StatusCode::BAD_REQUEST;
        return response;
    };
    let upgraded = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        let Ok(upgraded) = upgraded.await else { return };
        let Ok(parts) = upgraded.downcast::<TokioIo<TcpStream>>() else { return };
        let config = spec.read_buffer.map(|bytes| WebSocketConfig::default().read_buffer_size(bytes));
        let stream = parts.io.into_inner();
        // What hyper read ahead is copied, so that its 8 KiB buffer is not kept for as long as the connection lives.
        let ahead = parts.read_buf.to_vec();
        drop(parts.read_buf);
        let socket = WebSocketStream::from_partially_read(stream, ahead, Role::Server, config).await;
        echo(socket, spec.naive).await;
    });
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
    response
}
