//! The accept loop: hyper under axum, because `axum::serve` waits for a request's head for ever.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router as Routes;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use socket2::{SockRef, TcpKeepalive};
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt as _;

use crate::server::Peer;
use crate::server::admission::Admission;

/// The head of a request: 8 KiB of token, a page's headers, and room.
const HEAD_BYTES_MAX: usize = 16 * 1024;
/// Browsers send some twenty.
const HEADERS_MAX: usize = 64;
/// How long accepting rests when the process is out of descriptors: a spinning loop would not free one sooner.
const EXHAUSTED_REST: Duration = Duration::from_millis(50);
/// How long a refused peer may take to hear it.
const REFUSAL_PATIENCE: Duration = Duration::from_millis(500);
/// What the kernel may hold of a connection that it has not sent. By default megabytes, which stand before every message
/// of lane `high`, and which a slow recipient is given beyond the bound of its queue.
const NOT_SENT_BYTES: u32 = 64 * 1024;
/// A peer that vanished is found by the kernel, should the heartbeats not find it first.
const KEEPALIVE: Duration = Duration::from_mins(1);

/// How connections are accepted.
#[derive(Debug, Clone, Copy)]
pub struct AcceptSettings {
    /// Time for the head of a request.
    pub header_timeout: Duration,
}

/// Accepts connections until `stop`.
pub async fn accept(
    listener: TcpListener,
    routes: Routes,
    admission: Arc<Admission>,
    tracker: TaskTracker,
    stop: CancellationToken,
    settings: AcceptSettings,
) {
    while let Some(accepted) = stop.run_until_cancelled(listener.accept()).await {
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                rest(&error).await;
                continue;
            }
        };
        tune(&stream);
        match admission.connection() {
            Some(permit) => {
                let routes = routes.clone();
                let stop = stop.clone();
                tracker.spawn(async move {
                    // Held by the request, and through it by the session that grows out of it.
                    let permit = Arc::new(permit);
                    serve(stream, Peer(peer), routes, permit, stop, settings).await;
                });
            }
            None => drop(tracker.spawn(refuse(stream))),
        }
    }
}

/// An error of one connection is that connection's; out of descriptors, every accept fails until one is free.
async fn rest(error: &io::Error) {
    tracing::warn!(%error, "accept failed");
    let per_connection =
        matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset);
    if !per_connection {
        tokio::time::sleep(EXHAUSTED_REST).await;
    }
}

fn tune(stream: &TcpStream) {
    // Without these the connection works, only later or longer; a socket already dead fails here first.
    let _ = stream.set_nodelay(true);
    let socket = SockRef::from(stream);
    let _ = socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEPALIVE));
    let _ = socket.set_tcp_notsent_lowat(NOT_SENT_BYTES);
}

async fn serve<P: Send + Sync + 'static>(
    stream: TcpStream,
    peer: Peer,
    routes: Routes,
    permit: Arc<P>,
    stop: CancellationToken,
    settings: AcceptSettings,
) {
    let service = service_fn(move |mut request: hyper::Request<Incoming>| {
        request.extensions_mut().insert(peer);
        request.extensions_mut().insert(Arc::clone(&permit));
        routes.clone().oneshot(request.map(axum::body::Body::new))
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(settings.header_timeout)
        .max_headers(HEADERS_MAX)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    // A broken request has been answered or its connection is gone; either way there is nobody left to tell.
    let _ = stop.run_until_cancelled(connection).await;
}

/// Says that there is no room, in as few bytes and as little time as can be.
async fn refuse(mut stream: TcpStream) {
    const BODY: &str = r#"{"code":"overload","message":"no room for another connection"}"#;
    let response = format!(
        "HTTP/1.1 503 Service Unavailable\r\nretry-after: 5\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{BODY}",
        BODY.len()
    );
    let told = async {
        let _ = stream.write_all(response.as_bytes()).await;
        let _ = stream.shutdown().await;
        // Read what was sent, else the socket is reset and the answer lost.
        let mut scratch = [0; 1024];
        while matches!(tokio::io::AsyncReadExt::read(&mut stream, &mut scratch).await, Ok(1..)) {}
    };
    let _ = tokio::time::timeout(REFUSAL_PATIENCE, told).await;
}
