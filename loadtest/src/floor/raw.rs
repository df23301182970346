//! The floor without axum: hyper reads the request and gives back its TCP stream.

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

/// A connection whose request was answered with 101.
#[derive(Debug)]
pub(crate) struct Upgraded {
    /// What was asked for.
    pub(crate) path: String,
    /// The stream.
    pub(crate) stream: TcpStream,
    /// What was read of it beyond the request.
    ahead: Vec<u8>,
}

impl Upgraded {
    /// With tungstenite on it, and a read buffer of that size.
    pub(crate) async fn socket(self, read_buffer: Option<usize>) -> WebSocketStream<TcpStream> {
        let config = read_buffer.map(|bytes| WebSocketConfig::default().read_buffer_size(bytes));
        WebSocketStream::from_partially_read(self.stream, self.ahead, Role::Server, config).await
    }
}

/// Accepts until the process ends; `talk` is what becomes of each connection.
pub(crate) async fn serve<F>(
    listener: TcpListener,
    talk: impl Fn(Upgraded) -> F + Clone + Send + 'static,
) -> anyhow::Result<()>
where
    F: Future<Output = ()> + Send + 'static,
{
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let talk = talk.clone();
        tokio::spawn(async move {
            let service =
                service_fn(move |request| ready(Ok::<_, Infallible>(upgrade(request, talk.clone()))));
            // A client that breaks off is no concern of the floor.
            let _ =
                http1::Builder::new().serve_connection(TokioIo::new(stream), service).with_upgrades().await;
        });
    }
}

fn upgrade<F>(
    mut request: Request<Incoming>,
    talk: impl FnOnce(Upgraded) -> F + Send + 'static,
) -> Response<Body>
where
    F: Future<Output = ()> + Send + 'static,
{
    let mut response = Response::new(Body::empty());
    let accept = request.headers().get(SEC_WEBSOCKET_KEY).map(|key| derive_accept_key(key.as_bytes()));
    let Some(accept) = accept.and_then(|accept| accept.parse().ok()) else {
        *response.status_mut() = StatusCode::BAD_REQUEST;
        return response;
    };
    let path = request.uri().path().to_owned();
    let upgraded = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        let Ok(upgraded) = upgraded.await else { return };
        let Ok(parts) = upgraded.downcast::<TokioIo<TcpStream>>() else { return };
        let stream = parts.io.into_inner();
        // What hyper read ahead is copied, so that its 8 KiB buffer is not kept for as long as the connection lives.
        let ahead = parts.read_buf.to_vec();
        drop(parts.read_buf);
        talk(Upgraded { path, stream, ahead }).await;
    });
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
    response
}
