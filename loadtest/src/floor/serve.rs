//! The bare server: every message back to where it came from, or to all others, with nothing in between.

use std::net::SocketAddr;

use axum::extract::{State, WebSocketUpgrade};
use axum::response::Response;
use axum::routing::get;
use axum::serve::ListenerExt;
use futures_util::{FutureExt, Sink, SinkExt, Stream, StreamExt};
use tokio::net::{TcpListener, TcpSocket};

use crate::floor::broadcast;
use crate::floor::raw::{self, Upgraded};
use crate::floor::spec::{ServerSpec, Upgrade};

/// As long a queue as the kernel allows: with the default one half of a storm waits a second.
const BACKLOG: u32 = 4096;

/// Serves on a loopback port until the process ends; `listening` hears which.
pub async fn serve(port: u16, spec: ServerSpec, listening: impl FnOnce(u16)) -> anyhow::Result<()> {
    let listener = listen(port)?;
    listening(listener.local_addr()?.port());
    match spec.upgrade {
        _ if spec.broadcasts => broadcast::serve(listener).await,
        Upgrade::Raw => {
            let talk = move |upgraded: Upgraded| async move {
                echo(upgraded.socket(spec.read_buffer).await, spec.naive).await;
            };
            raw::serve(listener, talk).await
        }
        Upgrade::Axum => {
            let router = axum::Router::new().route("/ws", get(upgrade)).with_state(spec);
            // Without it a reply may wait for the acknowledgement of the one before.
            let listener = listener.tap_io(|stream| {
                let _ = stream.set_nodelay(true);
            });
            Ok(axum::serve(listener, router).await?)
        }
    }
}

fn listen(port: u16) -> anyhow::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(SocketAddr::from(([127, 0, 0, 1], port)))?;
    Ok(socket.listen(BACKLOG)?)
}

async fn upgrade(State(spec): State<ServerSpec>, upgrade: WebSocketUpgrade) -> Response {
    let upgrade = match spec.read_buffer {
        Some(bytes) => upgrade.read_buffer_size(bytes),
        None => upgrade,
    };
    upgrade.on_upgrade(move |socket| echo(socket, spec.naive))
}

/// Sends back all that can be read, then flushes once; `naive` flushes after each.
///
/// Libraries answer control messages themselves, so what comes here is echoed whatever it is; an error ends it.
pub(crate) async fn echo<S, M, E>(mut socket: S, naive: bool)
where
    S: Stream<Item = Result<M, E>> + Sink<M> + Unpin,
{
    while let Some(Ok(message)) = socket.next().await {
        if socket.feed(message).await.is_err() {
            return;
        }
        while !naive && let Some(Some(Ok(message))) = socket.next().now_or_never() {
            if socket.feed(message).await.is_err() {
                return;
            }
        }
        if socket.flush().await.is_err() {
            return;
        }
    }
}
